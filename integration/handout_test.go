//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// handed is what @azure/identity tells of itself under `c2conn exec`.
type handed struct {
	Environment opened
	How, File   string
	Key         bool
}

// handing is a tenant with two connections: by certificate and by secret.
func handing(t *testing.T) tenant {
	t.Helper()
	w := newWorld(t)
	w["C2CONN_IDENTITY_FILE"] = filepath.Join(w.dir(), "identity.txt")
	n := newTenant(t, w)
	n.join(t)
	want(t, n.run(t, "c2conn", n.connect("cert", n.certificate()...)...), 0)
	want(t, n.run(t, "c2conn", n.connect("secret", n.clientSecret()...)...), 0)
	return n
}

func (n tenant) underExec(t *testing.T, name string, more ...string) (got handed) {
	t.Helper()
	w := n.with("NODE_EXTRA_CA_CERTS", n.world["SIM_CA_FILE"], "C2CONN_NPM", suite.npm, "AZURE_CLIENT_SECRET", "of-another-application", "AZURE_USERNAME", "nobody")
	args := append([]string{"exec", name}, append(more, "--", "node", filepath.Join(suite.clients, "handed_out.mjs"))...)
	decode(t, w.run(t, "c2conn", args...), &got)
	wantOpened(t, n, map[string]opened{"environment": got.Environment}, "environment")
	return got
}

func TestExec(t *testing.T) {
	check(t, "@azure/identity finds a certificate in its environment; its file is in memory and gone afterwards", func(t *testing.T) {
		n := handing(t)
		got := n.underExec(t, "cert")
		if got.How != "2" || !got.Key || !strings.HasPrefix(got.File, n.world["XDG_RUNTIME_DIR"]+"/c2conn/") {
			t.Errorf("%+v", got)
		}
		if exists(filepath.Dir(got.File)) {
			t.Errorf("%s is still there", filepath.Dir(got.File))
		}
		n.keepsSecrets(t, n.home(), n.world["XDG_RUNTIME_DIR"])
	})

	check(t, "@azure/identity finds a client secret in its environment, and no file is made", func(t *testing.T) {
		n := handing(t)
		got := n.underExec(t, "secret")
		if got.How != "1" || got.File != "" || exists(filepath.Join(n.world["XDG_RUNTIME_DIR"], "c2conn")) {
			t.Errorf("%+v", got)
		}
	})

	check(t, "exchangelib opens the inbox with a token that it was handed", func(t *testing.T) {
		n := handing(t)
		var got struct {
			Inbox string
			Total int
			ID    bool
		}
		w := n.with("REQUESTS_CA_BUNDLE", n.world["SIM_CA_FILE"])
		decode(t, w.run(t, "c2conn", "exec", "cert", "--token", "EXCHANGE_TOKEN=exchange", "--", "/usr/bin/python3", filepath.Join(suite.clients, "handed_out.py")), &got)
		if got.Inbox != "Inbox" || !got.ID || got.Total == 0 {
			t.Errorf("%+v", got)
		}
	})

	check(t, "curl asks Graph with the token that c2conn token prints", func(t *testing.T) {
		n := handing(t)
		r := n.run(t, "bash", "-c", `set -euo pipefail
			curl -sS --fail --cacert "$SIM_CA_FILE" -H "Authorization: Bearer $(`+filepath.Join(suite.bin, "c2conn")+` token cert)" "$SIM_GRAPH_URL/v1.0/organization"`)
		want(t, r, 0, n.world["SIM_TENANT_ID"])
	})

	check(t, "node reads the .env file that c2conn env writes, with awkward characters", func(t *testing.T) {
		n := handing(t)
		folder := filepath.Join(n.dir(), `a "folder" $HOME #1`)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		r := n.run(t, "c2conn", "env", "cert", "--format", "dotenv", "--cert-path", filepath.Join(folder, "app.pem"))
		want(t, r, 0)
		file := filepath.Join(n.dir(), ".env")
		write(t, file, r.out, 0o600)
		r = n.run(t, "node", "--env-file="+file, "-p", "process.env.AZURE_CLIENT_CERTIFICATE_PATH + '|' + process.env.AZURE_AUTHORITY_HOST")
		want(t, r, 0)
		if r.out != filepath.Join(folder, "app.pem")+"|"+n.world["SIM_LOGIN_URL"]+"\n" {
			t.Errorf("node read %q", r.out)
		}
	})

	check(t, "a full disk: nothing runs, nothing is left, and the reason is said", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("mounting needs root")
		}
		n := handing(t)
		memory := n.world["XDG_RUNTIME_DIR"]
		mount(t, memory, "tmpfs", "size=64k,mode=0700")
		// Room for the folders, then for all but the file's content.
		for leave := range 6 {
			_ = os.Remove(filepath.Join(memory, "filler"))
			fill(t, memory, leave)
			r := n.run(t, "c2conn", "exec", "cert", "--", "echo", "it-ran")
			if r.code == 0 {
				if leave == 0 {
					t.Error("it found room where there is none")
				}
				continue
			}
			want(t, r, 1, memory)
			if strings.Contains(r.out, "it-ran") {
				t.Error("the command ran without its credential")
			}
			if left, _ := filepath.Glob(filepath.Join(memory, "c2conn", "c2conn-exec-*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	})
}
