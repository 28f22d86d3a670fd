package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
)

var update = flag.Bool("update", false, "write the golden bundle anew")

// goldenKey opens testdata/schema1.bundle. It protects nothing.
const goldenKey = "AGE-SECRET-KEY-12YAY6372R6XAHPYZTEPX0WGP3509F5UWY4LMFH4RUGXCWW5NDHHQEADZG4"

func example(name, id string) bundle.Item {
	return bundle.Item{
		Connection: connections.Connection{
			Schema: 1, ID: id, Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: "lab",
			Tenant: connections.Tenant{Domain: "contoso.onmicrosoft.com"}, Account: "backup@contoso.com",
			Registration: connections.Registration{ClientID: "11111111-2222-3333-4444-555555555555"},
			Credential:   connections.Credential{Type: connections.TypeClientSecret},
		},
		Secrets: bundle.Secrets{ClientSecret: connections.NewSecret("the client secret")},
	}
}

func whole() bundle.Bundle {
	cert := example("bycert", "01K9Z7A0B1C2D3E4F5G6H7J8K2")
	cert.Connection.Credential = connections.Credential{Type: connections.TypeCertificate, Thumbprint: strings.Repeat("AB", 20)}
	cert.Secrets = bundle.Secrets{PrivateKey: connections.NewSecret("-----BEGIN PRIVATE KEY-----"), Certificate: "-----BEGIN CERTIFICATE-----"}
	env := example("byenv", "01K9Z7A0B1C2D3E4F5G6H7J8K3")
	env.Connection.Credential.Secret, env.Secrets = "env:SECRET", bundle.Secrets{}
	return bundle.Bundle{
		MadeAt: time.Date(2026, 11, 29, 6, 0, 0, 0, time.UTC), MadeBy: "c2conn 1.0.0",
		Items:  []bundle.Item{example("bysecret", "01K9Z7A0B1C2D3E4F5G6H7J8K1"), cert, env},
		Clouds: []bundle.Cloud{{Name: "lab", Definition: "name: lab\n"}},
	}
}

func marshal(t testing.TB, b bundle.Bundle) connections.Secret {
	t.Helper()
	plain, err := bundle.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	i, err := age.ParseX25519Identity(goldenKey)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func compare(t *testing.T, got, want bundle.Bundle) {
	t.Helper()
	if a, b := marshal(t, got).Reveal(), marshal(t, want).Reveal(); !bytes.Equal(a, b) {
		t.Errorf("read\n%s\nwant\n%s", a, b)
	}
}

// TestGolden wants that the bundle which the first version wrote is read for ever.
func TestGolden(t *testing.T) {
	t.Parallel()
	const path = "testdata/schema1.bundle"
	if *update {
		data, err := bundle.Seal(marshal(t, whole()), identity(t).Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := bundle.Unseal(data, identity(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := bundle.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, whole())
}

// TestDamage changes every byte of a bundle, and cuts it everywhere: nothing is ever
// read that is not the whole.
func TestDamage(t *testing.T) {
	t.Parallel()
	data, err := bundle.Seal(marshal(t, whole()), identity(t).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	header := bytes.IndexByte(data[200:], '\n') + 400 // the first lines, in which damage looks like another key
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		for what, b := range map[string][]byte{"changed": bad, "cut": data[:i]} {
			_, err := bundle.Unseal(b, identity(t))
			var damaged *bundle.DamagedError
			known := errors.As(err, &damaged) || errors.Is(err, bundle.ErrNotABundle) || i < header && errors.Is(err, bundle.ErrWrongIdentity)
			if whitespace := i == len(data)-1 && err == nil; !known && !whitespace {
				t.Errorf("%s at byte %d of %d: %v", what, i, len(data), err)
			}
		}
	}
}

// TestKeys tells a wrong key from none and from the other sort.
func TestKeys(t *testing.T) {
	t.Parallel()
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := bundle.PassphraseRecipient(connections.NewSecret("right"), 10)
	if err != nil {
		t.Fatal(err)
	}
	pass := func(s string) age.Identity {
		i, err := bundle.PassphraseIdentity(connections.NewSecret(s))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for _, c := range []struct {
		to   age.Recipient
		with []age.Identity
		want error
	}{
		{recipient, nil, bundle.ErrPassphraseNeeded},
		{recipient, []age.Identity{other}, bundle.ErrPassphraseNeeded},
		{recipient, []age.Identity{pass("wrong")}, bundle.ErrWrongPassphrase},
		{recipient, []age.Identity{pass("right")}, nil},
		{identity(t).Recipient(), nil, bundle.ErrIdentityNeeded},
		{identity(t).Recipient(), []age.Identity{pass("right")}, bundle.ErrIdentityNeeded},
		{identity(t).Recipient(), []age.Identity{other}, bundle.ErrWrongIdentity},
		{identity(t).Recipient(), []age.Identity{other, identity(t)}, nil},
	} {
		data, err := bundle.Seal(marshal(t, whole()), c.to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bundle.Unseal(data, c.with...); !errors.Is(err, c.want) {
			t.Errorf("%T with %d: %v, want %v", c.to, len(c.with), err, c.want)
		}
	}
}

// TestVersions refuses what is newer and bears what is unknown.
func TestVersions(t *testing.T) {
	t.Parallel()
	text := string(marshal(t, whole()).Reveal())
	var newer *bundle.NewerSchemaError
	if _, err := bundle.Parse(connections.NewSecret(strings.Replace(text, `"schema": 1,`, `"schema": 2, "made_at": 7,`, 1))); !errors.As(err, &newer) || newer.Found != 2 {
		t.Errorf("a newer bundle: %v", err)
	}
	got, err := bundle.Parse(connections.NewSecret(strings.Replace(text, `"made_by"`, `"colour": ["blue"], "made_by"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, whole())
	if _, err := bundle.Parse(connections.NewSecret(`{"connections": []}`)); !errors.Is(err, bundle.ErrNotABundle) {
		t.Errorf("another JSON text: %v", err)
	}
}

// TestInvalid refuses bundles whose parts do not fit; no error repeats a secret.
func TestInvalid(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*bundle.Bundle){
		"empty":       func(b *bundle.Bundle) { b.Items = nil },
		"twins":       func(b *bundle.Bundle) { b.Items[1].Connection.Name = "BYSECRET" },
		"same id":     func(b *bundle.Bundle) { b.Items[1].Connection.ID = b.Items[0].Connection.ID },
		"other kind":  func(b *bundle.Bundle) { b.Items[0].Connection.Credential.Type = connections.TypeCertificate },
		"twice":       func(b *bundle.Bundle) { b.Items[0].Connection.Credential.Secret = "env:X" },
		"key alone":   func(b *bundle.Bundle) { b.Items[1].Secrets.Certificate = "" },
		"no account":  func(b *bundle.Bundle) { b.Items[0].Connection.Account = "" },
		"large":       func(b *bundle.Bundle) { b.Items[0].Secrets.ClientSecret = connections.NewSecret(make([]byte, 300<<10)) },
		"cloud twice": func(b *bundle.Bundle) { b.Clouds = append(b.Clouds, b.Clouds[0]) },
	} {
		b := whole()
		spoil(&b)
		if _, err := bundle.Marshal(b); err == nil || strings.Contains(err.Error(), "the client secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchema holds what is written against the published schema.
func TestSchema(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/bundle.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("bundle.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("bundle.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	good, err := jsonschema.UnmarshalJSON(bytes.NewReader(marshal(t, whole()).Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(good); err != nil {
		t.Error(err)
	}
	good.(map[string]any)["schema"] = json.Number("2")
	if err := schema.Validate(good); err == nil {
		t.Error("another schema version passes")
	}
}

// TestLarge moves 500 connections.
func TestLarge(t *testing.T) {
	t.Parallel()
	b := whole()
	b.Items = nil
	for n := range 500 {
		b.Items = append(b.Items, example(fmt.Sprintf("c-%d", n), ""))
	}
	got, err := bundle.Parse(marshal(t, b))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, b)
}

func FuzzParse(f *testing.F) {
	plain, err := bundle.Marshal(whole())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Reveal())
	f.Add([]byte(`{"format":"c2conn-bundle","schema":1,"connections":[{"profile":{},"secrets":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Parse(connections.NewSecret(data))
		if err != nil {
			return
		}
		// What is read can be written, and read again as the same.
		again, err := bundle.Parse(marshal(t, b))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, again, b)
	})
}

func FuzzRecipients(f *testing.F) {
	f.Add([]byte("age1dqcdmswakyqt0n5ua2jsrr52hc6h55sr2wt825e5shmm4dxjxumq67jl33\n# x\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPpmd9VFr3IE4YBnWpVF7+/dcQ8AfRmratnIIABldiwW operator\n"))
	f.Add([]byte(goldenKey))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := bundle.ParseRecipients(data)
		if err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY-1") {
			t.Error("the error repeats a private key")
		}
	})
}
