package connections

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// The sample of the design, with its ellipses filled in.
const designSample = `schema: 1
id: 01K9Z7ABCDEFGHJKMNPQRSTVWX            # ULID, never changes
name: contoso-backup   # unique, any case, what people type
kind: exchange         # exchange | sharepoint | migration-source | migration-target
location: online       # online | on-premises
cloud: global
tenant: {id: 11111111-2222-3333-4444-555555555555, domain: contoso.onmicrosoft.com, name: Contoso}
account: admin@contoso.com            # dedicated mailbox or account; UPN on-premises
registration: {mode: manual, client_id: 22222222-2222-3333-4444-555555555555, object_id: 33333333-2222-3333-4444-555555555555, app_name: CodeTwo Backup Exchange, catalogue: 2026-11}
credential: {type: certificate, thumbprint: AB12AB12AB12AB12AB12AB12AB12AB12AB12AB12, not_after: 2031-11-22T00:00:00Z, secret: store:01K9Z7ABCDEFGHJKMNPQRSTVWX}
endpoints: {ews: https://outlook.office365.com/EWS/Exchange.asmx}
verification: {at: 2026-11-22T06:00:00Z, state: verified, checks: {ews: pass, permissions: pass}}
created: 2026-11-22T06:00:00Z
updated: 2026-11-22T06:00:00Z
`

func schemaOfConnections(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../docs/connection.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("connection.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("connection.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// plain turns YAML into what a JSON Schema judges: times become text.
func plain(t *testing.T, data []byte) any {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
			return v
		case time.Time:
			return v.Format(time.RFC3339)
		}
		return v
	}
	return walk(doc)
}

func TestSavedFilesFollowTheSchema(t *testing.T) {
	t.Parallel()
	schema, s := schemaOfConnections(t), testStore(t)
	if err := schema.Validate(plain(t, []byte(designSample))); err != nil {
		t.Errorf("the sample of the design: %v", err)
	}
	for name, change := range map[string]func(*Connection){
		"exchange":         func(*Connection) {},
		"sharepoint":       func(c *Connection) { c.Kind, c.Account = SharePoint, "" },
		"migration source": func(c *Connection) { c.Kind = MigrationSource },
		"migration-target": func(c *Connection) {
			c.Kind = MigrationTarget
			c.AccountID = "44444444-2222-3333-4444-555555555555"
			c.Credential = Credential{Type: TypeClientSecret, Secret: "exec:pass show 'c2conn'"}
		},
		"sharepoint seed": func(c *Connection) {
			c.Kind, c.Registration.Permissions = SharePoint, PermissionsSeed
			c.Endpoints = Endpoints{SharePoint: "https://contoso.sharepoint.com", Admin: "https://contoso-admin.sharepoint.com"}
			c.LegacyAdmin = LegacyAdmin{UPN: "spadmin@contoso.com", Password: "store:01K9Z7ABCDEFGHJKMNPQRSTVWX"}
		},
		"on-premises": func(c *Connection) {
			c.Location, c.Cloud, c.Tenant, c.Registration = OnPremises, "", Tenant{}, Registration{}
			c.Credential = Credential{Type: TypePassword, Secret: `file:C:\secrets\password`}
			c.Endpoints = Endpoints{Server: "mail.contoso.local", EWS: "https://mail.contoso.local/EWS/Exchange.asmx", PowerShell: "http://mail.contoso.local/PowerShell/"}
		},
		"on-premises sharepoint": func(c *Connection) {
			c.Kind, c.Location, c.Cloud, c.Tenant, c.Registration = SharePoint, OnPremises, "", Tenant{}, Registration{}
			c.Credential = Credential{Type: TypePassword, Secret: "env:PASSWORD", PlainNTLM: true}
			c.Endpoints = Endpoints{Server: "sp.contoso.local", SharePoint: "http://sp.contoso.local/sites/hr", Admin: "http://sp.contoso.local:34567"}
		},
		"Büro 3": func(c *Connection) {
			c.Credential.Secret, c.Credential.Password = "file:/etc/a.pfx", "env:PFX_PASSWORD"
		},
	} {
		c := sample(name)
		change(&c)
		if _, err := s.Add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(s.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(plain(t, data)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, data)
		}
	}
	for _, bad := range []string{"name: contoso-backup", "type: certificate", "location: online", "schema: 1", "pass,", "cloud: global"} {
		text := strings.Replace(designSample, bad, strings.SplitN(bad, ":", 2)[0]+": '!'", 1)
		if err := schema.Validate(plain(t, []byte(strings.Replace(text, "pass,: '!'", "fine,", 1)))); err == nil {
			t.Errorf("a wrong %q passes", bad)
		}
	}
}

// The schema refuses what Validate refuses of the newer fields.
func TestSchemaOfLegacyAdminAndPermissions(t *testing.T) {
	t.Parallel()
	schema := schemaOfConnections(t)
	sharePoint := strings.Replace(designSample, "kind: exchange", "kind: sharepoint", 1)
	for text, fits := range map[string]bool{
		sharePoint + "legacy_admin: {upn: a@contoso.com}\n":                         true,
		sharePoint + "legacy_admin: {upn: a@contoso.com, password: env:PW}\n":       true,
		sharePoint + "legacy_admin: {password: env:PW}\n":                           false,
		sharePoint + "legacy_admin: {upn: admin}\n":                                 false,
		sharePoint + "legacy_admin: {upn: a@contoso.com, password: hunter2}\n":      false,
		designSample + "legacy_admin: {upn: a@contoso.com}\n":                       false,
		strings.Replace(sharePoint, "{mode:", "{permissions: seed, mode:", 1):       true,
		strings.Replace(designSample, "{mode:", "{permissions: seed, mode:", 1):     true,
		designSample + "account_id: 44444444-2222-3333-4444-555555555555\n":         true,
		designSample + "account_id: admin\n":                                        false,
		strings.Replace(sharePoint, "{mode:", "{permissions: everything, mode:", 1): false,
	} {
		if err := schema.Validate(plain(t, []byte(text))); (err == nil) != fits {
			t.Errorf("the schema says %v of\n%s", err, text)
		}
		if _, err := ParseConnection("x.yaml", []byte(text)); (err == nil) != fits {
			t.Errorf("ParseConnection says %v of\n%s", err, text)
		}
	}
}

// A connection to a SharePoint Server with all that it must have.
const serverSample = `schema: 1
id: 01K9Z7ABCDEFGHJKMNPQRSTVWX
name: farm
kind: sharepoint
location: on-premises
account: spadmin@contoso.com
credential: {type: password, secret: env:PASSWORD, plain_ntlm: true}
endpoints: {server: sp.contoso.com, sharepoint: "http://sp.contoso.com", admin: "http://sp.contoso.com:34567"}
`

// What a connection to a SharePoint Server must have, for the schema and for Validate.
func TestSchemaOfSharePointServer(t *testing.T) {
	t.Parallel()
	schema := schemaOfConnections(t)
	with := func(old, now string) string { return strings.Replace(serverSample, old, now, 1) }
	for text, fits := range map[string]bool{
		serverSample:                          true,
		with(", plain_ntlm: true", ""):        true,
		with("server: sp.contoso.com, ", ""):  true,
		with("plain_ntlm: true", "cache: /c"): false,
		with(`"http://sp.contoso.com",`, `"https://sp.contoso.com:8443/sites/hr",`):                                true,
		with(`"http://sp.contoso.com",`, `"https://sp.contoso.com?a=b",`):                                          false,
		with(`"http://sp.contoso.com",`, `"https://a:b@sp.contoso.com",`):                                          false,
		with(`"http://sp.contoso.com",`, `"sp.contoso.com",`):                                                      false,
		with(`http://sp.contoso.com:34567`, `http://:34567`):                                                       false,
		with(`:34567"`, `:34567/#x"`):                                                                              false,
		with(`, admin: "http://sp.contoso.com:34567"`, ""):                                                         false,
		with(`sharepoint: "http://sp.contoso.com", `, ""):                                                          false,
		with("account: spadmin@contoso.com\n", ""):                                                                 false,
		with("{type: password, secret: env:PASSWORD, plain_ntlm: true}", "{type: ticket-cache}"):                   true,
		with("{type: password, secret: env:PASSWORD, plain_ntlm: true}", "{type: ticket-cache, plain_ntlm: true}"): false,
		with("kind: sharepoint", "kind: exchange"):                                                                 false,
		strings.Replace(designSample, "{type: certificate", "{plain_ntlm: true, type: certificate", 1):             false,
	} {
		if err := schema.Validate(plain(t, []byte(text))); (err == nil) != fits {
			t.Errorf("the schema says %v of\n%s", err, text)
		}
		if _, err := ParseConnection("x.yaml", []byte(text)); (err == nil) != fits {
			t.Errorf("ParseConnection says %v of\n%s", err, text)
		}
	}
	// The name of the server is that of the address: a schema cannot say so.
	if _, err := ParseConnection("x.yaml", []byte(with("server: sp.", "server: other."))); err == nil || !strings.Contains(err.Error(), "endpoints.server: must be the host of endpoints.sharepoint, sp.contoso.com") {
		t.Error(err)
	}
}

func TestDesignSample(t *testing.T) {
	t.Parallel()
	c, err := ParseConnection("x.yaml", []byte(designSample))
	if err != nil {
		t.Fatal(err)
	}
	if c.Tenant.Name != "Contoso" || c.Registration.Catalogue != "2026-11" || c.Credential.NotAfter.Year() != 2031 || c.Verification.Checks["ews"] != "pass" {
		t.Errorf("%+v", c)
	}
	// A change keeps the flow style and the comments of the sample.
	c.Account = "other@contoso.com"
	data, err := render(c, []byte(designSample))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"account: other@contoso.com", "# ULID, never changes", "tenant: {id: 11111111"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%q is missing:\n%s", want, data)
		}
	}
	back, err := ParseConnection("x.yaml", data)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%+v, %v", back, err)
	}
}
