package cli_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/sim"
)

// keepTwo puts two connections into the store: "it" with a certificate, "secret" with a
// client secret, both in files.
func (x *tenant) keepTwo() {
	x.t.Helper()
	store, err := connections.Open(connections.Options{Dir: x.env["C2CONN_HOME"]})
	if err != nil {
		x.t.Fatal(err)
	}
	for name, credential := range map[string]connections.Credential{
		"it":     {Type: connections.TypeCertificate, Secret: connections.Ref("file:" + x.env["CERT"]), Password: connections.Ref("file:" + x.env["PASS"])},
		"secret": {Type: connections.TypeClientSecret, Secret: connections.Ref("file:" + x.env["SECRET"])},
	} {
		_, err := store.Add(x.t.Context(), connections.Connection{Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: "sim", Account: x.world.Mailbox,
			Tenant: connections.Tenant{ID: x.world.TenantID}, Registration: connections.Registration{Mode: connections.ModeManual, ClientID: x.world.ClientID},
			Credential: credential, Verification: connections.Verification{State: connections.StateUnverified}})
		if err != nil {
			x.t.Fatal(err)
		}
	}
}

// On a terminal a token is shown with a warning, and a secret only on request.
func TestSecretsOnATerminal(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	run := func(args ...string) (stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		code := cli.Main(t.Context(), args, cli.Streams{Out: &out, Err: &errs, OutTerminal: true}, cli.Environment{
			Getenv: func(name string) string { return x.env[name] }, ReadFile: os.ReadFile, Clock: x.clock, Rand: rand.Reader,
		})
		if code != 0 {
			t.Fatalf("%s: exit code %d\n%s", args, code, errs.String())
		}
		return out.String(), errs.String()
	}
	out, errs := run("token", "it")
	if !strings.HasPrefix(out, "eyJ") || !strings.Contains(errs, "It is a secret") || !strings.Contains(errs, "Valid for 59 min") {
		t.Errorf("token: %d characters, %q", len(out), errs)
	}
	for _, format := range []string{"bash", "fish", "powershell", "dotenv"} {
		out, _ = run("env", "secret", "--format", format)
		if strings.Contains(out, x.world.Secret) || !strings.Contains(out, "# AZURE_CLIENT_SECRET is not shown") || !strings.Contains(out, x.world.ClientID) {
			t.Errorf("%s: %s", format, out)
		}
	}
	out, _ = run("env", "it")
	if strings.Contains(out, "export AZURE_CLIENT_CERTIFICATE_PASSWORD") {
		t.Errorf("the password of the certificate is shown")
	}
	if out, _ = run("env", "secret", "--show-secrets"); !strings.Contains(out, "export AZURE_CLIENT_SECRET='"+x.world.Secret+"'") {
		t.Errorf("with --show-secrets: %s", out)
	}
}

// Libraries take the first certificate of a file, whichever the connection means.
func TestEnvOfAFileWithSeveralCertificates(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	mine, err := certs.Parse(x.world.PFX, sim.PFXPassword)
	if err != nil {
		t.Fatal(err)
	}
	other, err := certs.Generate(nil, x.clock.Now(), certs.NewOptions{CommonName: "other"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := other.PEM()
	if err != nil {
		t.Fatal(err)
	}
	second, err := mine.PEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(file, append(first.Reveal(), second.Reveal()...), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := connections.Open(connections.Options{Dir: x.env["C2CONN_HOME"]})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Update(t.Context(), "it", func(c *connections.Connection) error {
		c.Credential = connections.Credential{Type: connections.TypeCertificate, Secret: connections.Ref("file:" + file), Thumbprint: string(mine.Thumbprint())}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := x.run(t.Context(), "env", "it")
	if code != 1 || out != "" || !strings.Contains(errs, "holds several certificates") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	alone := filepath.Join(t.TempDir(), "alone.pem")
	if code, _, errs = x.run(t.Context(), "env", "it", "--cert-path", alone); code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	data, err := os.ReadFile(alone)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := certs.Parse(data, ""); err != nil || got.Thumbprint() != mine.Thumbprint() {
		t.Errorf("%v, %v", got, err)
	}
}
