package fleet_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/fleet"
)

var update = flag.Bool("update", false, "write docs/fleet.schema.json anew")

const good = `fleet: customers
defaults:
  cloud: global
  registration: auto
tenants:
  contoso.onmicrosoft.com:
    access-token: {env: CONTOSO_TOKEN}
connections:
  - name: contoso-mail
    kind: exchange
    tenant_id: contoso.onmicrosoft.com
  - name: contoso-sites
    kind: sharepoint
    manual: true
    client-id: 22222222-3333-4444-8555-000000000000
    tenant-id: contoso.onmicrosoft.com
    sharepoint-url: contoso
    client-secret: {file: /etc/c2conn/secret}
`

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := fleet.Parse("fleet.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "customers" || len(f.Entries) != 2 || !f.Entries[0].Auto || f.Entries[1].Auto || len(f.Tokens) != 1 || f.Tokens[0].Ref != "env:CONTOSO_TOKEN" {
		t.Errorf("%+v", f)
	}
	if v := f.Entries[1].Values["client-secret"]; v.Ref != "file:/etc/c2conn/secret" || v.Line != 18 {
		t.Errorf("%+v", v)
	}
	if v := f.Entries[0].Values["cloud"]; v.Text != "global" {
		t.Errorf("the default is not taken: %+v", v)
	}
}

// All problems are told at once, with their lines, and no secret is repeated.
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"no YAML":          {"fleet: [", "no YAML"},
		"no mapping":       {"- a", "no fleet file"},
		"no name":          {"connections: []", "fleet: NAME"},
		"two documents":    {good + "---\nfleet: others\nconnections: []\n", "f:19: a file holds one fleet"},
		"half a document":  {good + "---\nfleet: [\n", "no YAML"},
		"no list":          {"fleet: a", "connections:"},
		"unknown":          {"fleet: a\nfoo: 1\nconnections: []", `f:2: "foo" is unknown`},
		"twice":            {strings.Replace(good, "contoso-sites", "Contoso-Mail", 1), "f:12: the name \"Contoso-Mail\" stands in line 9 already"},
		"a secret":         {strings.Replace(good, "{file: /etc/c2conn/secret}", "hunter2hunter2", 1), "f:18: client-secret must not stand in the file"},
		"a secret in json": {strings.Replace(good, "{file: /etc/c2conn/secret}", "[hunter2hunter2]", 1), "f:18: client-secret must not stand in the file"},
		"a store":          {strings.Replace(good, "{file: /etc", "{store: /etc", 1), "f:18: client-secret is read from file, env or exec"},
		"wrong kind":       {strings.Replace(good, "kind: exchange", "kind: teams", 1), "f:9: kind must be one of exchange"},
		"wrong field":      {strings.Replace(good, "    manual: true", "    mailboxes: 3", 1), `f:14: "mailboxes" is no field of kind sharepoint`},
		"sign-in":          {strings.Replace(good, "    manual: true", "    login: app", 1), `f:14: "login" is no field`},
		"no tenant":        {strings.Replace(good, "    tenant_id: contoso.onmicrosoft.com\n", "", 1), "tenant-id must say"},
		"an alias":         {"fleet: a\nx: &x 1\nconnections:\n- *x", "f:2"},
		"a token":          {strings.Replace(good, "{env: CONTOSO_TOKEN}", "eyJhunter2", 1), "f:7: access-token must not stand in the file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fleet.Parse("f", []byte(c.text))
			var problems *fleet.Error
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
		})
	}
	_, err := fleet.Parse("f", []byte(strings.NewReplacer("kind: exchange", "kind: teams", "{env: CONTOSO_TOKEN}", "x").Replace(good)))
	var problems *fleet.Error
	if !errors.As(err, &problems) || len(problems.Problems) != 2 {
		t.Errorf("%v", err)
	}
}

// The published schema is that of the flows as they are.
func TestSchema(t *testing.T) {
	t.Parallel()
	want, err := fleet.Schema()
	if err != nil {
		t.Fatal(err)
	}
	const path = "../../docs/fleet.schema.json"
	if *update {
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/fleet.schema.json is not that of the flows (%v); go test ./internal/fleet -update writes it", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("fleet: a\nconnections:\n- {name: a, kind: exchange, auto: true}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := fleet.Parse("f", data)
		var problems *fleet.Error
		if (err == nil) == (file == nil) || err != nil && (!errors.As(err, &problems) || len(problems.Problems) == 0) {
			t.Errorf("%v, %v", file, err)
		}
	})
}
