package cli_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

// dump is what the tests read of the simulated tenant's registrations.
type dump struct {
	Applications []struct {
		AppID       string `json:"appId"`
		DisplayName string `json:"displayName"`
		Tags        []string
		Keys        []struct{} `json:"keyCredentials"`
		Secrets     []struct{} `json:"passwordCredentials"`
	} `json:"applications"`
	Principals []struct {
		AppID string `json:"appId"`
	} `json:"service_principals"`
	Deleted []struct {
		DisplayName string `json:"displayName"`
	} `json:"deleted"`
}

func dumped(t testing.TB, w *sim.World) (d dump) {
	t.Helper()
	data, err := w.Dump()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// named counts the applications of a name, service principals included: as many of
// the one as of the other, or -1.
func (d dump) named(name string) int {
	apps, principals := 0, 0
	for _, a := range d.Applications {
		if a.DisplayName != name {
			continue
		}
		apps++
		for _, p := range d.Principals {
			if p.AppID == a.AppID {
				principals++
			}
		}
	}
	if apps != principals {
		return -1
	}
	return apps
}

func adminToken(t testing.TB, w *sim.World) string {
	t.Helper()
	token, err := w.AdminToken(w.Mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// replicationRuns is how many registrations TestReplication makes; making RSA keys
// under the race detector takes long. `make bench` makes the 200 of the docs.
func replicationRuns(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("C2CONN_REPLICATION_RUNS"))
	if err != nil {
		return 6
	}
	t.Logf("%d runs, as C2CONN_REPLICATION_RUNS says", n)
	return n
}

// TestReplication registers again and again in a tenant whose replicas hear of each
// write up to 20 s later (simulated time), and wants every connection verified and
// exactly one application for each.
func TestReplication(t *testing.T) {
	t.Parallel()
	x := newTenant(t, "replication=20s")
	runs := replicationRuns(t)
	before := len(dumped(t, x.world).Applications)
	for i := range runs {
		name := fmt.Sprintf("run-%d", i)
		x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
		code, out, errs := x.run(t.Context(), "new", "exchange", "--auto", "--app-name", "App "+name, "--name", name, "--output", "json")
		if code != 0 || !strings.Contains(out, `"verified": true`) {
			t.Fatalf("run %d: exit code %d\n%s\n%s", i, code, out, errs)
		}
		if n := dumped(t, x.world).named("App " + name); n != 1 {
			t.Fatalf("run %d: %d applications (-1: without service principal)\n%s", i, n, errs)
		}
	}
	after := dumped(t, x.world)
	if n := len(after.Applications) - before; n != runs || len(after.Deleted) != 0 {
		t.Errorf("%d applications for %d runs, %d deleted", n, runs, len(after.Deleted))
	}
	t.Logf("%d runs: %d verified connections, %d applications", runs, runs, len(after.Applications)-before)
}

// codeFinder is standard error of a sign-in with a device code: it hands on the code.
type codeFinder struct {
	mu    sync.Mutex
	text  bytes.Buffer
	found chan string
}

func (c *codeFinder) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(p)
	if _, rest, ok := strings.Cut(c.text.String(), "and enter the code"); ok && c.found != nil {
		if fields := strings.Fields(rest); len(fields) > 2 {
			c.found <- fields[1]
			c.found = nil
		}
	}
	return len(p), nil
}

// TestRegistrationRoundTrips measures, with 80 ms between here and the tenant, from
// the signed-in administrator to the verified connection. `make bench` holds the time
// against its bound; under the race detector only the round trips count.
func TestRegistrationRoundTrips(t *testing.T) {
	t.Parallel()
	const rtt = 80 * time.Millisecond
	x := newTenant(t)
	w, err := sim.Start(sim.Options{Now: time.Now, Keys: keys, Seed: 3, RTT: rtt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if err := os.WriteFile(filepath.Join(x.env["C2CONN_HOME"], "clouds", "sim.yaml"), w.CloudYAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	errs := &codeFinder{found: make(chan string, 1)}
	found := errs.found
	var out bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- cli.Main(t.Context(), []string{"new", "exchange", "--auto", "--login", "device-code", "--app-name", "Figures", "--name", "figures"},
			cli.Streams{Out: &out, Err: errs}, cli.Environment{Getenv: func(name string) string { return x.env[name] }, ReadFile: os.ReadFile, Clock: transport.SystemClock(), Rand: rand.Reader})
	}()
	select {
	case code := <-found:
		if err := w.EnterDeviceCode(t.Context(), code, w.Mailbox, true); err != nil {
			t.Fatal(err)
		}
	case code := <-done:
		t.Fatalf("exit code %d before any code was shown\n%s", code, errs.text.String())
	}
	if code := <-done; code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, errs.text.String(), out.String())
	}
	var list []sim.Exchange
	for _, r := range w.Requests() {
		if len(list) > 0 || r.Service == "graph" { // the first word to Graph is that of somebody who has signed in
			if !strings.Contains(r.URL, "/.well-known/") {
				list = append(list, r)
			}
		}
	}
	slices.SortFunc(list, func(a, b sim.Exchange) int { return cmp.Compare(a.StartMS, b.StartMS) })
	depths, depth, last := make([]int, len(list)), 0, 0.0
	conns := map[string]map[int64]bool{}
	for i, r := range list {
		depths[i] = 1
		for j := range i {
			if list[j].EndMS <= r.StartMS {
				depths[i] = max(depths[i], depths[j]+1)
			}
		}
		depth, last = max(depth, depths[i]), max(last, r.EndMS)
		if conns[r.Service] == nil {
			conns[r.Service] = map[int64]bool{}
		}
		conns[r.Service][r.Conn] = true
	}
	if depth > 8 {
		t.Errorf("%d round trips one after the other, at most 8 are allowed", depth)
	}
	for service, c := range conns {
		if len(c) != 1 {
			t.Errorf("%d connections to %s", len(c), service)
		}
	}
	wall := time.Duration((last - list[0].StartMS) * float64(time.Millisecond))
	ratio := float64(wall) / float64(time.Duration(depth)*rtt)
	t.Logf("signed in to verified at 80 ms: %d requests, %d round trips on the critical path, %.0f ms, %.3f times (round trips x 80 ms)", len(list), depth, float64(wall)/1e6, ratio)
	if bound, err := strconv.ParseFloat(os.Getenv("C2CONN_WALL_BOUND"), 64); err == nil && ratio > bound {
		t.Errorf("%.3f times is more than %.3f", ratio, bound)
	}
}

// killer kills a process at one point of its talk with the tenant.
type killer struct {
	mu      sync.Mutex
	at      int // the point to kill at; -1: none
	seen    int // points that came by
	process *os.Process
}

// watch is called at every point: a request has arrived, or was carried out and is
// about to be answered.
func (k *killer) watch(*http.Request, sim.Stage) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	point := k.seen
	k.seen++
	if point != k.at || k.process == nil {
		return true
	}
	_ = k.process.Kill()
	return false // what had just arrived was never carried out, an answer never seen
}

func (k *killer) points() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}

func (k *killer) arm(at int, p *os.Process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at, k.seen, k.process = at, 0, p
}

// TestKilledRegistering kills c2conn (kill -9) at every point of a registration: when
// a request has arrived and was not carried out, and when it was carried out and not
// answered. The same command again must end with one verified connection and one
// application; `app cleanup` with a clean tenant and no key left behind.
func TestKilledRegistering(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"certificate", "secret"} {
		total := killed(t, kind, -1, "resume") // how many points there are
		if total < 10 {
			t.Fatalf("only %d points seen", total)
		}
		step, err := strconv.Atoi(os.Getenv("C2CONN_KILL_STEP"))
		if err != nil || step < 1 {
			step = 13 // under the race detector a sample; `make bench` takes all
		}
		kills := 0
		for _, then := range []string{"resume", "cleanup"} {
			for at := 0; at < total; at += step {
				if killed(t, kind, at, then) < 0 {
					kills++
				}
				if t.Failed() {
					return
				}
			}
		}
		t.Logf("%s: a registration has %d points; killed %d times, at every %d. of them, once followed by going on and once by clean-up", kind, total, kills, step)
	}
}

// killed runs a registration that is killed at a point, then what follows it. It
// returns the number of points that came by, or -1 when it was killed.
func killed(t *testing.T, kind string, at int, then string) int {
	t.Helper()
	k := &killer{at: -1}
	w, err := sim.Start(sim.Options{Now: time.Now, Keys: keys, Seed: 23, Watch: k.watch})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	home := t.TempDir()
	clouds := filepath.Join(home, "clouds")
	if err := os.MkdirAll(clouds, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clouds, "sim.yaml"), w.CloudYAML(), 0o600); err != nil {
		t.Fatal(err)
	}
	before := len(dumped(t, w).Applications)
	start := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Args = append([]string{"c2conn"}, args...)
		cmd.Env = append(os.Environ(), "C2CONN_HOME="+home, "C2CONN_IDENTITY_FILE="+filepath.Join(home, "identity"), "C2CONN_CLOUD=sim", "C2CONN_ACCESS_TOKEN="+adminToken(t, w))
		cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		return cmd
	}
	register := []string{"new", "exchange", "--auto", "--app-name", "Killed", "--name", "killed", "--consistency-timeout", "2s", "--output", "json"}
	if kind == "secret" {
		register = append(register, "--secret")
	}
	fail := func(cmd *exec.Cmd, what string) {
		t.Helper()
		t.Errorf("%s, point %d, then %s: %s\n%s\n%s", kind, at, then, what, cmd.Stdout, cmd.Stderr)
	}

	first := start(register...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	k.arm(at, first.Process)
	err = first.Wait()
	points := k.points()
	k.arm(-1, nil)
	if at < 0 {
		if err != nil {
			fail(first, "the run without a kill failed")
		}
		return points
	}
	if status, ok := first.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		return points // it needed fewer requests this time, and was through before
	}
	if then == "cleanup" {
		aged(t, home)
		next := start("app", "cleanup", "--all", "--yes", "--login", "token", "--consistency-timeout", "2s")
		if err := next.Run(); err != nil {
			fail(next, "cleanup: "+err.Error())
		}
		d := dumped(t, w)
		if saved := connectionsIn(t, home); len(saved) > 0 { // it was killed after all was done
			if d.named("Killed") != 1 {
				fail(next, "the saved connection has lost its application")
			}
			return -1
		}
		if len(d.Applications) != before || len(d.Deleted) != 0 {
			fail(next, fmt.Sprintf("%d applications and %d deleted ones are left", len(d.Applications)-before, len(d.Deleted)))
		}
		if left := filesIn(t, filepath.Join(home, "certificates")); len(left) > 0 {
			fail(next, fmt.Sprintf("certificates are left: %v", left))
		}
		return -1
	}
	next := start(register...)
	if len(connectionsIn(t, home)) > 0 {
		next = start("verify", "killed", "--output", "json") // it was killed after it had saved
	}
	if err := next.Run(); err != nil || !strings.Contains(next.Stdout.(*bytes.Buffer).String(), `"verified": true`) {
		fail(next, fmt.Sprintf("the next run: %v", err))
	}
	d := dumped(t, w)
	if d.named("Killed") != 1 || len(d.Applications) != before+1 || len(d.Deleted) != 0 {
		fail(next, fmt.Sprintf("%d applications named Killed, %d new ones, %d deleted", d.named("Killed"), len(d.Applications)-before, len(d.Deleted)))
	}
	again := start("verify", "killed", "--output", "json")
	if err := again.Run(); err != nil {
		fail(again, "the key is lost: "+err.Error())
	}
	if kind == "certificate" {
		if left := filesIn(t, filepath.Join(home, "certificates")); len(left) != 1 {
			fail(next, fmt.Sprintf("certificates: %v", left))
		}
	}
	if left := filesIn(t, filepath.Join(home, "registrations")); len(left) > 0 {
		fail(again, fmt.Sprintf("journals are left: %v", left))
	}
	return -1
}

// aged lets ten minutes pass for the journals: what a lost answer has led to is
// certain only when every replica has had its time, and no test waits for that.
func aged(t *testing.T, home string) {
	t.Helper()
	stamp := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	for _, name := range filesIn(t, filepath.Join(home, "registrations")) {
		path := filepath.Join(home, "registrations", name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = stamp.ReplaceAllFunc(data, func(b []byte) []byte {
			at, err := time.Parse(time.RFC3339Nano, string(b))
			if err != nil || at.After(time.Now().Add(time.Hour)) { // the end of a certificate stays
				return b
			}
			return []byte(at.Add(-10 * time.Minute).Format(time.RFC3339Nano))
		})
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func connectionsIn(t *testing.T, home string) []string {
	return filesIn(t, filepath.Join(home, "connections"))
}

// filesIn lists the files of a folder that are no locks and no index.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}
