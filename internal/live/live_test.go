package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/sim"
)

// keys are shared: making RSA keys under the race detector takes seconds.
var keys = sim.NewKeys()

// probeKeys gives two of them to every run, in turns.
func probeKeys() func(time.Time) (certs.Identity, error) {
	i := 0
	return func(time.Time) (certs.Identity, error) {
		i++
		return madeKeys()[i%2], nil
	}
}

var madeKeys = sync.OnceValue(func() (made [2]certs.Identity) {
	for i := range made {
		made[i], _ = newKey(time.Now()) // what is empty fails the tests
	}
	return made
})

// clock lets every wait pass at once; each look at it takes a moment, as in life.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

// stage is a tenant with c2conn beside it, in this process.
type stage struct {
	t     *testing.T
	world *sim.World
	vars  map[string]string
	clock *clock
	watch func(r *http.Request, s sim.Stage) bool
	wrap  func(runner) runner // around c2conn
	out   bytes.Buffer
	ran   []string // commands of c2conn
}

func newStage(t *testing.T, faults ...string) *stage {
	t.Helper()
	s := &stage{t: t, clock: &clock{now: time.Now()}, vars: map[string]string{}}
	world, err := sim.Start(sim.Options{Now: s.clock.Now, Sleep: s.clock.Sleep, Keys: keys, Faults: faults, Seed: 3, Watch: func(r *http.Request, at sim.Stage) bool {
		return s.watch == nil || s.watch(r, at)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	s.world = world
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "clouds"), 0o700); err != nil {
		t.Fatal(err)
	}
	admin, err := world.AdminToken(world.Mailbox)
	if err != nil {
		t.Fatal(err)
	}
	tokenFile := filepath.Join(home, "token")
	for path, data := range map[string][]byte{filepath.Join(home, "clouds", "sim.yaml"): world.CloudYAML(), tokenFile: []byte(admin + "\n")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.vars = map[string]string{"C2CONN_LIVE_TENANT": world.TenantDomain, "C2CONN_LIVE_ACCESS_TOKEN_FILE": tokenFile, "C2CONN_LIVE_CLOUD": "sim", "C2CONN_LIVE_HOME": home}
	return s
}

func (s *stage) getenv(name string) string { return s.vars[name] }

// c2conn is the program itself, called in this process.
func (s *stage) c2conn(ctx context.Context, stdin string, args ...string) (outcome, error) {
	s.ran = append(s.ran, strings.Join(args, " "))
	var stdout, stderr bytes.Buffer
	home := s.vars["C2CONN_LIVE_HOME"]
	e := cli.SystemEnvironment()
	e.Clock, e.Keychain, e.ScryptLogN = s.clock, nil, 10
	e.Getenv = func(name string) string {
		return map[string]string{"C2CONN_HOME": home, "C2CONN_IDENTITY_FILE": filepath.Join(home, "identity")}[name]
	}
	code := cli.Main(ctx, args, cli.Streams{In: strings.NewReader(stdin), Out: &stdout, Err: &stderr}, e)
	return outcome{stdout: stdout.Bytes(), stderr: stderr.Bytes(), code: code}, ctx.Err()
}

// perform runs all of it.
func (s *stage) perform(ctx context.Context) (*live, error) {
	s.t.Helper()
	run := runner(s.c2conn)
	if s.wrap != nil {
		run = s.wrap(run)
	}
	l, err := newLive(context.Background(), options{out: &redacted{to: &s.out}, getenv: s.getenv, clock: s.clock, home: s.vars["C2CONN_LIVE_HOME"], run: run, key: probeKeys()})
	if err != nil {
		s.t.Fatal(err)
	}
	return l, l.all(ctx, context.Background())
}

// clean wants nothing of the run in the tenant and on this computer, a verdict for
// every fact, and no token on the screen.
func (s *stage) clean(l *live) {
	s.t.Helper()
	if left := s.left(); len(left) > 0 {
		s.t.Errorf("left in the tenant: %q\n%s", left, s.out.String())
	}
	for _, pattern := range []string{"connections/*.yaml", "certificates/*.yaml", "registrations/*.json"} {
		if found, _ := filepath.Glob(filepath.Join(s.vars["C2CONN_LIVE_HOME"], pattern)); len(found) > 0 {
			s.t.Errorf("left on this computer: %q\n%s", found, s.out.String())
		}
	}
	s.verdicts(l)
}

func (s *stage) verdicts(l *live) {
	s.t.Helper()
	for _, f := range l.report {
		if f.verdict == "" || f.evidence == "" || !strings.Contains(s.out.String(), f.text) {
			s.t.Errorf("%s: verdict %q, evidence %q, or not printed", f.id, f.verdict, f.evidence)
		}
	}
	if strings.Contains(s.out.String(), "eyJ") {
		s.t.Error("a token was printed")
	}
}

// left are the names of what the run left in the tenant.
func (s *stage) left() (names []string) {
	data, err := s.world.Dump()
	if err != nil {
		s.t.Fatal(err)
	}
	var dump map[string][]struct{ DisplayName string }
	if err := json.Unmarshal(data, &dump); err != nil {
		s.t.Fatal(err)
	}
	for list, objects := range dump {
		for _, o := range objects {
			if strings.HasPrefix(o.DisplayName, "c2conn live test") {
				names = append(names, list+": "+o.DisplayName)
			}
		}
	}
	return names
}

func find(t *testing.T, r report, id string) *fact {
	t.Helper()
	i := slices.IndexFunc(r, func(f *fact) bool { return f.id == id })
	if i < 0 {
		t.Fatalf("no fact %s", id)
	}
	return r[i]
}

func TestJourney(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []string
		want   map[string]string
	}{
		"an ordinary tenant": {nil, map[string]string{
			"resource": notTestable, "roles": confirmed, "roles-user-read": notTestable, "wids": confirmed, "organization": confirmed, "policy": confirmed, "upsert": confirmed,
			"representation": confirmed, "tag": confirmed, "addkey": confirmed, "replicas": confirmed, "tokens": confirmed, "900023": confirmed, "700024": confirmed,
			"principal-disabled": confirmed, "disabled": confirmed, "sub-scope": notTestable, "client-azure": confirmed, "client-graph": confirmed, "client-exchange": refuted,
			"gone": confirmed, "ews-off": notTestable, "ews-403": notTestable, "ews-sovereign": notTestable, "public-folders": confirmed, "intune": notTestable, "portal": notTestable,
			"sites-root": confirmed, "sites-top": confirmed, "sharepoint-rest": confirmed, "sharepoint-admin": confirmed, "audience-host": confirmed, "audience-graph": confirmed,
		}},
		"EWS for listed applications": {[]string{"ews-not-listed"}, map[string]string{"ews-off": confirmed, "ews-403": confirmed, "tokens": confirmed, "gone": confirmed}},
		"replicas that lag":           {[]string{"replication=20s,0.5"}, map[string]string{"replicas": confirmed, "tokens": confirmed, "gone": confirmed, "disabled": confirmed, "tag": confirmed}},
		"no upsert":                   {[]string{"no-upsert"}, map[string]string{"upsert": refuted, "representation": notTestable, "addkey": confirmed}},
		"no SharePoint":               {[]string{"resource-missing=sharepoint"}, map[string]string{"resource": notTestable, "tokens": confirmed, "sharepoint-rest": notTestable, "audience-host": notTestable}},
		"an admin centre that denies": {[]string{"admin-denied", "public-folders-none"}, map[string]string{"sharepoint-rest": confirmed, "sharepoint-admin": refuted, "audience-host": confirmed, "public-folders": notTestable}},
		"two sites, one locked": {[]string{"sites=2", "site-locked", "public-folders-rights-unknown"},
			map[string]string{"sites-top": notTestable, "sites-root": refuted, "sharepoint-rest": notTestable, "public-folders": refuted}},
		"a short policy": {[]string{"cert-lifetime=180d"}, map[string]string{"upsert": confirmed, "gone": confirmed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.faults...)
			l, err := s.perform(t.Context())
			if err != nil {
				t.Errorf("%v\n%s", err, s.out.String())
			}
			s.clean(l)
			if f := find(t, l.report, "ews-off"); c.faults == nil && !strings.HasPrefix(f.evidence, "not yet here") {
				t.Errorf("EWS that works: %s", f.evidence)
			}
			for id, want := range c.want {
				if f := find(t, l.report, id); f.verdict != want {
					t.Errorf("%s is %q (%s), want %q", id, f.verdict, f.evidence, want)
				}
			}
			for _, command := range []string{"new exchange", "verify", "app list", "app delete"} {
				if !slices.ContainsFunc(s.ran, func(line string) bool { return strings.HasPrefix(line, command) }) {
					t.Errorf("c2conn %s was not run", command)
				}
			}
			if !strings.Contains(s.out.String(), "nothing of it is left in the tenant") {
				t.Error("it is not said that nothing is left")
			}
		})
	}
}

// TestWithoutIntune: a refusal alone confirms nothing.
func TestWithoutIntune(t *testing.T) {
	t.Parallel()
	for want, list := range map[bool][]answer{
		true:  {{status: 400, code: "BadRequest", text: "Request not applicable to target tenant."}, {status: 403, code: "Forbidden", text: "The tenant has no license for this."}},
		false: {{status: 400, code: "BadRequest", text: "Resource not found for the segment 'deviceManagement'."}, {status: 403, code: "Authorization_RequestDenied"}, {status: 404, text: "Intune"}, {status: 200}},
	} {
		for _, a := range list {
			if withoutIntune(a) != want {
				t.Errorf("%s: %t", a, !want)
			}
		}
	}
}

// TestWaitingForConsent: an administrator who may not consent to everything.
func TestWaitingForConsent(t *testing.T) {
	t.Parallel()
	s := newStage(t, "user-role=Application Administrator")
	l, err := s.perform(t.Context())
	if err == nil {
		t.Errorf("no error\n%s", s.out.String())
	}
	s.clean(l)
	if !slices.ContainsFunc(s.ran, func(line string) bool { return strings.HasPrefix(line, "consent ") }) {
		t.Errorf("c2conn consent was not run:\n%s", s.out.String())
	}
}

// TestBrokenOff stops or breaks the run at many of its requests that change
// something, before and after they are carried out: nothing is left in any case.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"stopped", "cut"} {
		for at := 1; at <= 16; at += 4 {
			t.Run(fmt.Sprintf("%s at write %d", how, at), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				var mu sync.Mutex
				writes, hit := 0, false
				s.watch = func(r *http.Request, stage sim.Stage) bool {
					mu.Lock()
					defer mu.Unlock()
					if stage != sim.Decided || r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1.0/") {
						return true
					}
					if writes++; writes != at {
						return true
					}
					if hit = true; how == "stopped" {
						stop()
					}
					return how == "stopped" // else the answer is lost
				}
				l, err := s.perform(ctx)
				if !hit {
					t.Fatalf("there are only %d writes", writes)
				}
				if how == "stopped" && err == nil {
					t.Error("a run that was stopped ended well")
				}
				for _, f := range l.report { // what was not answered is not refuted
					if f.verdict == refuted && f.id != "client-exchange" {
						t.Errorf("%s is refuted: %s", f.id, f.evidence)
					}
				}
				s.clean(l)
			})
		}
	}
}

// TestCommandFails: a command of c2conn fails in the middle.
func TestCommandFails(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"new", "verify", "app list", "app delete"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.wrap = func(run runner) runner {
				return func(ctx context.Context, stdin string, args ...string) (outcome, error) {
					if strings.HasPrefix(strings.Join(args, " "), command) {
						return outcome{code: 1, stderr: []byte("c2conn: no eyJhbGciOiJub25lIn0.e30.x\x1b[31m")}, nil
					}
					return run(ctx, stdin, args...)
				}
			}
			l, err := s.perform(t.Context())
			if err == nil || !strings.Contains(err.Error(), command) {
				t.Errorf("error %v, want one of %s", err, command)
			}
			s.clean(l)
		})
	}
}

// TestNotRemoved: what cannot be removed is named with a link.
func TestNotRemoved(t *testing.T) {
	t.Parallel()
	s := newStage(t, "write-denied=DELETE")
	l, err := s.perform(t.Context())
	if err == nil || !strings.Contains(err.Error(), "be left in the tenant") {
		t.Errorf("error %v", err)
	}
	s.verdicts(l)
	text := s.out.String()
	for _, m := range l.made {
		for _, want := range []string{"NOT REMOVED", m.client, m.application, l.cloud.AppOverview(m.client)} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not said:\n%s", want, text)
			}
		}
	}
	if len(l.made) != 2 || len(s.left()) == 0 {
		t.Errorf("made %+v, left %q", l.made, s.left())
	}
}

// TestSettings: what is missing is said, and nothing is done.
func TestSettings(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := start(&out, func(string) string { return "" }, nil); code != 0 || !strings.Contains(out.String(), "SKIPPED") || !strings.Contains(out.String(), "C2CONN_LIVE_TENANT") {
		t.Errorf("without a tenant: exit code %d, %q", code, out.String())
	}
	s := newStage(t)
	for name, change := range map[string]map[string]string{
		"C2CONN_LIVE_LOGIN": {"C2CONN_LIVE_ACCESS_TOKEN_FILE": ""}, "C2CONN_LIVE_CLOUD": {"C2CONN_LIVE_CLOUD": "mars"},
	} {
		out.Reset()
		vars := func(name string) string {
			if v, ok := change[name]; ok {
				return v
			}
			return s.vars[name]
		}
		if code := start(&out, vars, nil); code != 2 || !strings.Contains(out.String(), name) {
			t.Errorf("%s: exit code %d, %q", name, code, out.String())
		}
	}
}

// codeEntry types the device code that it reads.
type codeEntry struct{ world *sim.World }

func (e codeEntry) Write(p []byte) (int, error) {
	_, code, ok := strings.Cut(strings.TrimSpace(string(p)), "enter the code ")
	if !ok {
		return len(p), nil
	}
	return len(p), e.world.EnterDeviceCode(context.Background(), code, sim.GlobalAdmin, true)
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.vars["C2CONN_LIVE_ACCESS_TOKEN_FILE"], s.vars["C2CONN_LIVE_LOGIN"] = "", "device-code"
	l, err := newLive(t.Context(), options{out: codeEntry{s.world}, getenv: s.getenv, clock: s.clock, home: s.vars["C2CONN_LIVE_HOME"], run: s.c2conn, key: probeKeys()})
	if err != nil || l.admin.Claims().UPN != sim.GlobalAdmin || l.mailbox != sim.GlobalAdmin {
		t.Errorf("%v, signed in: %+v", err, l)
	}
}

// TestBinary runs this test program in c2conn's place.
func TestBinary(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o, err := binary(self, os.Environ())(t.Context(), "", "-test.run", "^$", "-test.nosuchflag")
	if err != nil || o.code != 2 || len(o.stderr) == 0 {
		t.Errorf("%v, exit code %d, %q", err, o.code, o.stderr)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err = binary(self, nil)(ctx, "", "-test.run", "^$"); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
