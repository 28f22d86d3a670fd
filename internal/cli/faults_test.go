package cli_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/sim"
)

// quickClock tells the time and lets every wait pass at once, so that no test waits.
type quickClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *quickClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *quickClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	return ctx.Err()
}

// tenant is a simulated tenant with a home of its own.
type tenant struct {
	t     *testing.T
	world *sim.World
	env   map[string]string
	clock *quickClock

	transport http.RoundTripper // nil: the network
	stdin     io.Reader
	readFile  func(string) ([]byte, error) // nil: os.ReadFile
	grace     time.Duration                // 0: enough to end on a busy machine
}

func newTenant(t *testing.T, faults ...string) *tenant {
	t.Helper()
	dir := t.TempDir()
	clock := &quickClock{}
	w, err := sim.Start(sim.Options{Now: clock.Now, Sleep: clock.Sleep, Keys: keys, Faults: faults, Seed: 11})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("home/clouds/sim.yaml", w.CloudYAML())
	return &tenant{t: t, world: w, clock: clock, env: map[string]string{
		"C2CONN_HOME": filepath.Join(dir, "home"), "C2CONN_IDENTITY_FILE": filepath.Join(dir, "identity"), "C2CONN_CLOUD": "sim",
		"CERT": write("app.pfx", w.PFX), "PASS": write("app.pass", []byte(sim.PFXPassword)), "SECRET": write("secret", []byte(w.Secret)),
	}}
}

// run runs c2conn in this process.
func (x *tenant) run(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	x.t.Helper()
	var out, errs bytes.Buffer
	readFile := x.readFile
	if readFile == nil {
		readFile = os.ReadFile
	}
	code = cli.Main(ctx, args, cli.Streams{In: x.stdin, Out: &out, Err: &errs}, cli.Environment{
		Getenv: func(name string) string { return x.env[name] }, ReadFile: readFile, Clock: x.clock, Rand: rand.Reader, Transport: x.transport,
		Grace: cmp.Or(x.grace, time.Minute),
	})
	return code, out.String(), errs.String()
}

// connect runs the scripted wizard; credential is "certificate" or "secret".
func (x *tenant) connect(ctx context.Context, credential string, more ...string) (code int, stdout, stderr string) {
	x.t.Helper()
	args := []string{"new", "exchange", "--manual", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID,
		"--mailbox", x.world.Mailbox, "--name", "it", "--output", "json"}
	if credential == "secret" {
		args = append(args, "--client-secret-file", x.env["SECRET"])
	} else {
		args = append(args, "--cert-file", x.env["CERT"], "--cert-password-file", x.env["PASS"])
	}
	return x.run(ctx, append(args, more...)...)
}

// answer is what the tests read of the JSON contract.
type answer struct {
	Verified bool `json:"verified"`
	Saved    bool `json:"saved"`
	Checks   []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Advice *struct {
			What  string   `json:"what"`
			Why   string   `json:"why"`
			Next  []string `json:"next"`
			Codes []string `json:"codes"`
		} `json:"advice"`
	} `json:"checks"`
}

func (a answer) status(id string) string {
	for _, c := range a.Checks {
		if c.ID == id {
			return c.Status
		}
	}
	return ""
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault      string
		credential string
		code       int
		says       string            // pattern that standard error must match
		checks     map[string]string // statuses by id
	}{
		// What passes in the end.
		{fault: "throttle", code: 0, says: `(?i)wait`},
		{fault: "throttle-date", code: 0, says: `(?i)wait`},
		{fault: "throttle-fraction", code: 0},
		{fault: "unavailable", code: 0, says: `(?i)wait`},
		{fault: "gateway-timeout", code: 0},
		{fault: "cut", code: 0},
		{fault: "slow", code: 0},
		{fault: "ews-busy", code: 0, says: `(?i)busy`},
		{fault: "cae-challenge", code: 0},
		{fault: "superfluous-role", code: 0, checks: map[string]string{"permissions": "warn", "ews": "pass"}},
		// Services that do not answer as they should.
		{fault: "throttle-forever", code: 5, says: `429|throttl`, checks: map[string]string{"token.graph": "pass", "ews": "fail"}},
		{fault: "login-down", code: 3, says: `90033|503`, checks: map[string]string{"token.graph": "fail", "graph.user": "skip", "certificate": "pass"}},
		{fault: "graph-down", code: 5, checks: map[string]string{"graph.organization": "fail", "ews": "pass"}},
		{fault: "outlook-down", code: 5, checks: map[string]string{"graph.organization": "pass", "ews": "fail"}},
		{fault: "cut-always", code: 5},
		{fault: "garbage", code: 3},
		{fault: "garbage=graph", code: 5, checks: map[string]string{"graph.organization": "fail", "ews": "pass"}},
		{fault: "garbage=outlook", code: 5, checks: map[string]string{"graph.organization": "pass", "ews": "fail"}},
		{fault: "proxy-page", code: 3, says: `(?i)proxy|network|web page`},
		{fault: "proxy-page=outlook", code: 5, says: `(?i)proxy|web page`},
		{fault: "proxy-denied=graph", code: 5, says: `(?i)proxy|web page`},
		{fault: "redirect", code: 3},
		{fault: "redirect=outlook", code: 5},
		{fault: "empty=graph,outlook", code: 5},
		{fault: "huge=graph", code: 5, says: `(?i)too large|large`},
		{fault: "deep-xml", code: 5, checks: map[string]string{"ews": "fail", "graph.user": "pass"}},
		{fault: "xml-bomb", code: 5, checks: map[string]string{"ews": "fail"}},
		{fault: "deep-json=graph", code: 5},
		{fault: "tls-untrusted", code: 5, says: `(?i)authority|trust`},
		{fault: "tls-expired", code: 5, says: `(?i)expired`},
		{fault: "tls-wrong-name", code: 5, says: `(?i)another host|issued for`},
		// Sign-in.
		{fault: "tenant-not-found", code: 3, says: `AADSTS90002`},
		{fault: "wrong-cloud", code: 3, says: `AADSTS90038`},
		{fault: "app-not-found", code: 3, says: `AADSTS700016`},
		{fault: "no-service-principal", code: 4, says: `AADSTS7000229`},
		{fault: "disabled-app", code: 3, says: `AADSTS7000112`},
		{fault: "wrong-secret", credential: "secret", code: 3, says: `AADSTS7000215`},
		{fault: "secret-id", credential: "secret", code: 2, says: `Secret ID`},
		{fault: "expired-secret", credential: "secret", code: 3, says: `AADSTS7000222`},
		{fault: "expired-certificate", code: 3, checks: map[string]string{"certificate": "fail"}},
		{fault: "wrong-thumbprint", code: 3, says: `AADSTS700027`},
		{fault: "conditional-access", code: 6, says: `AADSTS53003`},
		{fault: "no-exchange", code: 3, says: `AADSTS500011`, checks: map[string]string{"token.exchange": "fail", "graph.user": "pass"}},
		{fault: "issuer-mismatch", code: 3},
		// Permissions.
		{fault: "no-roles", code: 4, says: `(?i)consent`, checks: map[string]string{"permissions": "fail"}},
		{fault: "missing-role", code: 5, says: `MailboxSettings.ReadWrite`, checks: map[string]string{"permissions": "fail", "graph.mailbox-settings": "fail", "ews": "pass"}},
		{fault: "graph-denied", code: 5, says: `Authorization_RequestDenied`},
		{fault: "graph-no-mailbox", code: 5, says: `MailboxNotEnabledForRESTAPI`},
		{fault: "graph-odata-disabled", code: 6},
		{fault: "user-not-found", code: 5, checks: map[string]string{"graph.mailbox-settings": "fail"}},
		// EWS: whatever happens there, Graph is judged.
		{fault: "ews-blocked", code: 6, says: `EwsAllowedAppIDs`, checks: map[string]string{"ews": "fail", "graph.organization": "pass", "permissions": "pass"}},
		{fault: "ews-disabled", code: 6, says: `EwsEnabled`},
		{fault: "ews-mailbox-disabled", code: 6, says: `EwsEnabled`},
		{fault: "ews-gone=410", code: 5, says: `no longer offers EWS`},
		{fault: "ews-gone=404", code: 5},
		{fault: "ews-impersonation-denied", code: 5, says: `ErrorImpersonateUserDenied`},
		{fault: "ews-no-mailbox", code: 5, says: `ErrorNonExistentMailbox`},
		{fault: "ews-no-permission", code: 5, says: `2000008|full_access_as_app`},
		{fault: "ews-access-denied", code: 5, says: `ErrorAccessDenied`},
		{fault: "ews-fault=ErrorOrganizationAccessBlocked", code: 5, says: `ErrorOrganizationAccessBlocked`},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			x := newTenant(t, tt.fault)
			code, stdout, stderr := x.connect(t.Context(), tt.credential)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !regexp.MustCompile(tt.says).MatchString(stderr) {
				t.Errorf("standard error does not match %q", tt.says)
			}
			var a answer
			if err := json.Unmarshal([]byte(stdout), &a); err != nil {
				t.Fatalf("standard output is not one JSON object: %v\n%s", err, stdout)
			}
			for id, want := range tt.checks {
				if got := a.status(id); got != want {
					t.Errorf("check %s: %q, want %q", id, got, want)
				}
			}
			if a.Verified != (tt.code == 0) || a.Saved != a.Verified {
				t.Errorf("verified %v, saved %v with exit code %d", a.Verified, a.Saved, code)
			}
			for _, c := range a.Checks {
				if bad := c.Status == "fail" || c.Status == "warn"; bad && (c.Advice == nil || c.Advice.What == "" || c.Advice.Why == "" || len(c.Advice.Next) == 0) {
					t.Errorf("check %s: %s without a full advice", c.ID, c.Status)
				}
			}
			wantHarmless(t, x, stdout+stderr)
			if t.Failed() {
				t.Logf("standard error:\n%s", stderr)
			}
		})
	}
}

// wantHarmless wants no secret and nothing that moves a terminal in a text.
func wantHarmless(t *testing.T, x *tenant, text string) {
	t.Helper()
	for _, secret := range []string{x.world.Secret, sim.PFXPassword, "PRIVATE KEY", "eyJ"} {
		if strings.Contains(text, secret) {
			t.Errorf("the output holds a secret (%.4s…)", secret)
		}
	}
	for _, r := range text {
		if r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			t.Errorf("the output holds the control character %U", r)
			return
		}
	}
}

func TestHostileTextIsHarmless(t *testing.T) {
	t.Parallel()
	x := newTenant(t, "hostile-text")
	_, stdout, stderr := x.connect(t.Context(), "", "--save-unverified")
	wantHarmless(t, x, stdout+stderr)
	_, list, listErr := x.run(t.Context(), "list")
	_, show, showErr := x.run(t.Context(), "show", "it")
	wantHarmless(t, x, list+listErr+show+showErr)
}

func TestSaveUnverified(t *testing.T) {
	t.Parallel()
	x := newTenant(t, "ews-blocked")
	code, stdout, stderr := x.connect(t.Context(), "", "--save-unverified")
	var a answer
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatal(err)
	}
	if code != 6 || !a.Saved || a.Verified || !strings.Contains(stderr, "Saved as not verified") {
		t.Fatalf("exit code %d, saved %v, verified %v\n%s", code, a.Saved, a.Verified, stderr)
	}
	if _, list, _ := x.run(t.Context(), "list"); !strings.Contains(list, "not verified") {
		t.Errorf("the list does not say that it is not verified:\n%s", list)
	}
	x.world.ClearFault("ews-blocked")
	if code, _, stderr := x.run(t.Context(), "verify", "it"); code != 0 {
		t.Fatalf("exit code %d after the block is gone\n%s", code, stderr)
	}
	if _, list, _ := x.run(t.Context(), "list"); !strings.Contains(list, "✓ verified") {
		t.Errorf("the list does not say that it is verified now:\n%s", list)
	}
}

// cancelling cancels at the first request and answers none.
type cancelling struct{ cancel func() }

func (c cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	c.cancel()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestCancelSavesNothing(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	x.transport = cancelling{cancel}
	code, _, stderr := x.connect(ctx, "")
	if code != 130 || !strings.Contains(stderr, "Nothing was saved") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(x.env["C2CONN_HOME"], "connections")); !os.IsNotExist(err) {
		t.Errorf("something was saved: %v", err)
	}
}

func TestSilentServiceEndsInTime(t *testing.T) {
	t.Parallel()
	x := newTenant(t, "hang")
	code, _, stderr := x.connect(t.Context(), "", "--timeout", "300ms")
	if code != 5 || !strings.Contains(stderr, "no answer before the time was up") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
}

// A profile that cannot be written takes its own secret along, and nothing else: a
// certificate of the personal store stays whole, whatever was typed before.
func TestFailedSaveTouchesNoCertificate(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	home := x.env["C2CONN_HOME"]
	if code, _, stderr := x.run(t.Context(), "cert", "import", x.env["CERT"], "--password-file", x.env["PASS"]); code != 0 {
		t.Fatal(stderr)
	}
	_, thumb, _ := x.run(t.Context(), "cert", "list", "--output", "name")
	x.env["C2CONN_CLIENT_SECRET"] = "left-over-secret-of-another-day"
	args := []string{"new", "exchange", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID, "--mailbox", x.world.Mailbox,
		"--cert-thumbprint", strings.TrimSpace(thumb), "--name", "it"}
	profile := filepath.Join(home, "connections", "it.yaml")
	x.transport = &meanwhile{next: x.world.Client().Transport, do: func() { // the name is taken while the checks run
		if err := errors.Join(os.MkdirAll(filepath.Dir(profile), 0o700), os.WriteFile(profile, []byte("schema: 1\n"), 0o600)); err != nil {
			t.Error(err)
		}
	}}
	if code, _, stderr := x.run(t.Context(), args...); code == 0 || !strings.Contains(stderr, "✓ Exchange Web Services") {
		t.Fatalf("the save did not fail after the checks: exit code %d\n%s", code, stderr)
	}
	if err := os.Remove(profile); err != nil {
		t.Fatal(err)
	}
	x.transport = nil
	if code, _, stderr := x.run(t.Context(), args...); code != 0 {
		t.Fatalf("the certificate is of no use any more: exit code %d\n%s", code, stderr)
	}
}

// meanwhile does something at the first request.
type meanwhile struct {
	once sync.Once
	do   func()
	next http.RoundTripper
}

func (m *meanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	m.once.Do(m.do)
	return m.next.RoundTrip(r)
}

// stuck is a standard input that never says anything; begun is called when it is read.
type stuck struct {
	ctx   context.Context
	begun func()
}

func (s stuck) Read([]byte) (int, error) {
	s.begun()
	<-s.ctx.Done()
	return 0, io.EOF
}

func TestCancelWhileStandardInputIsRead(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"cloud", "add", "-"},
		{"cert", "import", "-"},
		{"new", "exchange", "--client-secret-stdin"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			x := newTenant(t)
			ctx, cancel := context.WithCancel(t.Context())
			x.stdin, x.grace = stuck{t.Context(), cancel}, time.Millisecond
			if code, _, stderr := x.run(ctx, args...); code != 130 {
				t.Fatalf("exit code %d\n%s", code, stderr)
			}
		})
	}
}

// A secret that comes through a pipe cannot be referred to.
func TestPipeIsNoReference(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	delete(x.env, "C2CONN_IDENTITY_FILE")
	x.readFile = func(path string) ([]byte, error) {
		if path == "/dev/fd/63" {
			return []byte(x.world.Secret), nil
		}
		return os.ReadFile(path)
	}
	code, _, stderr := x.run(t.Context(), "new", "exchange", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID,
		"--mailbox", x.world.Mailbox, "--client-secret-file", "/dev/fd/63", "--name", "it")
	if code != 1 || !strings.Contains(stderr, "C2CONN_PASSPHRASE") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
}

// A result belongs to what was verified, not to what somebody made of it meanwhile.
func TestEditedWhileVerified(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	if code, _, stderr := x.connect(t.Context(), ""); code != 0 {
		t.Fatal(stderr)
	}
	profile := filepath.Join(x.env["C2CONN_HOME"], "connections", "it.yaml")
	x.transport = &meanwhile{next: x.world.Client().Transport, do: func() {
		text, err := os.ReadFile(profile)
		if err == nil {
			edited := strings.Replace(string(text), "account: "+x.world.Mailbox, "account: nobody@contoso.com", 1)
			edited = strings.Replace(edited, "state: verified", "state: unverified", 1)
			err = os.WriteFile(profile, []byte(edited), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}}
	code, _, stderr := x.run(t.Context(), "verify", "it")
	if code != 1 || !strings.Contains(stderr, "edited while it was verified") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	text, err := os.ReadFile(profile)
	if err != nil || !strings.Contains(string(text), "nobody@contoso.com") || strings.Contains(string(text), "state: verified") {
		t.Errorf("the edited profile was stamped: %v\n%s", err, text)
	}
}

func TestEndlessFileIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("there is no /dev/zero here")
	}
	x := newTenant(t)
	x.readFile = cli.SystemEnvironment().ReadFile
	for _, args := range [][]string{
		{"cert", "import", "/dev/zero"},
		{"cloud", "add", "/dev/zero"},
		{"new", "exchange", "--client-id", x.world.ClientID, "--tenant-id", x.world.TenantID, "--mailbox", x.world.Mailbox, "--cert-file", "/dev/zero", "--name", "it"},
	} {
		if code, _, stderr := x.run(t.Context(), args...); code == 0 || !strings.Contains(stderr, "larger than") {
			t.Errorf("%s: exit code %d\n%s", args[0], code, stderr)
		}
	}
}

func TestLostSecretIsSaid(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	if code, _, stderr := x.connect(t.Context(), "secret"); code != 0 {
		t.Fatal(stderr)
	}
	files, err := filepath.Glob(filepath.Join(x.env["C2CONN_HOME"], "secrets", "[0-9]*.age"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "it"}, {"verify", "--all"}} {
		if code, _, stderr := x.run(t.Context(), args...); code != 1 || !strings.Contains(stderr, "client secret of this connection is gone") {
			t.Errorf("%v: exit code %d\n%s", args, code, stderr)
		}
	}
}
