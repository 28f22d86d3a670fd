package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

// start runs the program in this process.
func start(t *testing.T, environ []string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	environ = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, environ...)
	code = Main(t.Context(), Process{Args: args, Stdin: strings.NewReader("input"), Stdout: &stdout, Stderr: &stderr, Environ: environ})
	return code, stdout.String(), stderr.String()
}

func needShell(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"faults"}, 0, "ews-blocked"},
		{[]string{"run"}, 2, "say what to run"},
		{[]string{"run", "--fault", "nonsense", "--", "true"}, 2, `unknown fault "nonsense"`},
		{[]string{"run", "--rtt", "-1s", "--", "true"}, 2, "negative"},
		{[]string{"run", "--rtt", "soon", "--", "true"}, 2, "rtt"},
		{[]string{"run", "--nonsense", "--", "true"}, 2, "nonsense"},
		{[]string{"run", "--log", filepath.Join(t.TempDir(), "no", "such", "folder"), "--", "true"}, 1, "open the log"},
		{[]string{"run", "--", "no-such-command-anywhere"}, 127, "no-such-command-anywhere"},
		{[]string{"serve", "--listen", "0.0.0.0:8443"}, 1, "only loopback addresses"},
		{[]string{"--help"}, 0, "Microsoft 365"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			code, out, errs := start(t, nil, c.args...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("code %d\n%s%s", code, out, errs)
			}
		})
	}
}

func TestFaultsAreALineEach(t *testing.T) {
	t.Parallel()
	_, out, _ := start(t, nil, "faults")
	if n := strings.Count(out, "\n"); n != len(sim.Faults()) {
		t.Errorf("%d lines for %d faults", n, len(sim.Faults()))
	}
}

func TestRunEnvironment(t *testing.T) {
	t.Parallel()
	needShell(t)
	const script = `cat; echo; env | grep -E '^(SIM_|C2CONN_)'; for f in "$SIM_CLIENT_SECRET_FILE" "$SIM_CERT_FILE" "$SIM_CERT_PASSWORD_FILE" "$SIM_ADMIN_TOKEN_FILE" "$SIM_CA_FILE" "$C2CONN_HOME/clouds/sim.yaml" "$SIM_SHAREPOINT_SECRET_FILE" "$SIM_SOURCE_SECRET_FILE" "$SIM_TARGET_SECRET_FILE"; do ls -l "$f"; done; exit 7`
	code, out, errs := start(t, []string{"SIM_MAILBOX=overwritten@example.com"}, "run", "--", "sh", "-c", script)
	if code != 7 || errs != "" {
		t.Fatalf("code %d: %s", code, errs)
	}
	vars := map[string]string{}
	private := 0
	for _, line := range strings.Split(out, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			vars[name] = value
		}
		if strings.HasPrefix(line, "-rw-------") {
			private++
		}
	}
	if private != 9 || !strings.HasPrefix(out, "input\n") {
		t.Errorf("%d private files\n%s", private, out)
	}
	for _, name := range []string{"C2CONN_HOME", "C2CONN_CLOUD", "C2CONN_IDENTITY_FILE", "SIM_TENANT_ID", "SIM_TENANT_DOMAIN", "SIM_CLIENT_ID", "SIM_CLIENT_SECRET_FILE", "SIM_CERT_FILE",
		"SIM_CERT_PASSWORD_FILE", "SIM_MAILBOX", "SIM_CA_FILE", "SIM_SHAREPOINT_URL", "SIM_SHAREPOINT_CLIENT_ID", "SIM_SOURCE_CLIENT_ID", "SIM_TARGET_CLIENT_ID"} {
		if vars[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	if vars["C2CONN_CLOUD"] != "sim" || vars["SIM_MAILBOX"] != sim.Mailbox || filepath.Dir(vars["C2CONN_IDENTITY_FILE"]) != filepath.Dir(vars["C2CONN_HOME"]) {
		t.Errorf("%v", vars)
	}
	for _, name := range []string{"C2CONN_HOME", "SIM_CERT_FILE"} {
		if _, err := os.Stat(vars[name]); !os.IsNotExist(err) {
			t.Errorf("%s was left behind: %v", vars[name], err)
		}
	}
}

func TestRunWithOwnHome(t *testing.T) {
	t.Parallel()
	needShell(t)
	home := t.TempDir()
	path := filepath.Join(home, "clouds", "sim.yaml")
	environ := []string{"C2CONN_HOME=" + home, "C2CONN_PASSPHRASE=x"}
	code, out, errs := start(t, environ, "run", "--", "sh", "-c", `cat "$C2CONN_HOME/clouds/sim.yaml"; echo "identity=$C2CONN_IDENTITY_FILE"; touch "$C2CONN_HOME/kept"`)
	if code != 0 || !strings.Contains(out, "name: sim\n") || !strings.Contains(out, "-----BEGIN CERTIFICATE-----") || !strings.Contains(out, "identity=\n") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the definition was left behind: %v", err)
	}
	if _, err := os.Stat(filepath.Join(home, "kept")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, environ, "run", "--", "true")
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("%q %v", data, err)
	}
}

func TestDump(t *testing.T) {
	t.Parallel()
	needShell(t)
	file := filepath.Join(t.TempDir(), "tenant.json")
	if code, _, errs := start(t, nil, "run", "--dump", file, "--", "sh", "-c", "exit 3"); code != 3 {
		t.Errorf("code %d: %s", code, errs)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var dump map[string][]map[string]any
	if err := json.Unmarshal(data, &dump); err != nil || len(dump["applications"]) != 16 || len(dump["service_principals"]) != 15 || len(dump["assignments"]) == 0 || dump["deleted"] == nil {
		t.Errorf("%v %.300s", err, data)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if code, _, errs := start(t, nil, "run", "--dump", filepath.Join(t.TempDir(), "no", "folder"), "--", "true"); code != 1 || !strings.Contains(errs, "write the dump") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestRunEndsWithTheSignal(t *testing.T) {
	t.Parallel()
	needShell(t)
	if code, _, errs := start(t, nil, "run", "--", "sh", "-c", "kill -TERM $$"); code != 128+15 {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestRunLog(t *testing.T) {
	t.Parallel()
	needShell(t)
	if _, err := os.Stat("/usr/bin/env"); err != nil {
		t.Skip("needs a POSIX system")
	}
	log := filepath.Join(t.TempDir(), "log.jsonl")
	world, end, err := (&worldFlags{seed: 1, log: log}).start("")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := world.Client().Get(world.LoginURL() + "/common/v2.0/.well-known/openid-configuration") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var e sim.Exchange
	if err := json.Unmarshal(bytes.TrimSpace(data), &e); err != nil || e.Status != 200 || e.URL != "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration" {
		t.Errorf("%v %+v", err, e)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

// watched is a buffer that tells when something was written.
type watched struct {
	bytes.Buffer
	first chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if w.first != nil {
		close(w.first)
		w.first = nil
	}
	return n, err
}

func TestServe(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "files")
		args := []string{"serve", "--listen", "127.0.0.1:0"}
		if keep {
			args = append(args, "--dir", dir)
		}
		ctx, cancel := context.WithCancel(t.Context())
		out := &watched{first: make(chan struct{})}
		written := out.first
		done := make(chan int, 1)
		go func() { done <- Main(ctx, Process{Args: args, Stdout: out, Stderr: io.Discard, Environ: nil}) }()
		<-written
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("code %d", code)
		}
		text := out.String()
		for _, want := range []string{"Contoso (simulated) is running", "export SIM_CA_FILE='", "c2conn new exchange --manual", "127.0.0.1 graph.microsoft.com", "127.0.0.1 contoso-admin.sharepoint.com", "Directory (tenant) ID", "has ended"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in\n%s", want, text)
			}
		}
		_, rest, _ := strings.Cut(text, "export SIM_CA_FILE='")
		path, _, _ := strings.Cut(rest, "'")
		if _, err := os.Stat(path); (err == nil) != keep {
			t.Errorf("kept %v: %v", keep, err)
		}
	}
}

// Several tenants are described in a list, each with files of its own.
func TestRunTenants(t *testing.T) {
	t.Parallel()
	needShell(t)
	code, out, errs := start(t, nil, "run", "--tenants", "3", "--", "sh", "-c", `cat "$SIM_TENANTS_FILE"; ls -d "$(dirname "$SIM_TENANTS_FILE")"/contoso0*`)
	if code != 0 {
		t.Fatalf("code %d: %s", code, errs)
	}
	for _, want := range []string{`"tenant_domain": "contoso.onmicrosoft.com"`, `"mailbox": "admin@contoso03.com"`, `"cert_pem_file": `, "contoso02", `"name": "Contoso 02 (simulated)"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
	if code, _, errs := start(t, nil, "run", "--tenants", "-1", "--", "true"); code != 2 || !strings.Contains(errs, "--tenants") {
		t.Errorf("code %d: %s", code, errs)
	}
}
