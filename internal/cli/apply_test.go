package cli_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/sim"
)

// applied is what the tests read of apply's answer.
type applied struct {
	Connections []struct {
		Name     string   `json:"name"`
		Action   string   `json:"action"`
		Changes  []string `json:"changes"`
		Done     bool     `json:"done"`
		Verified bool     `json:"verified"`
	} `json:"connections"`
	Summary map[string]int `json:"summary"`
}

func readApplied(t *testing.T, stdout string) (a applied) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	return a
}

// newFleet is a simulated world of several tenants, the home of a c2conn, and a file that
// wants n connections spread over them, all registered automatically.
func newFleet(t *testing.T, tenants, n int, watch func(*http.Request, sim.Stage) bool, faults ...string) (x *tenant, file string) {
	t.Helper()
	dir := t.TempDir()
	clock := &quickClock{}
	o := sim.Options{Now: clock.Now, Sleep: clock.Sleep, Keys: keys, Seed: 31, Tenants: tenants, Watch: watch, Faults: faults}
	if watch != nil {
		o.Now, o.Sleep = time.Now, nil // another process knows nothing of the quick clock
	}
	w, err := sim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	home := filepath.Join(dir, "home")
	x = &tenant{t: t, world: w, clock: clock, env: map[string]string{"C2CONN_HOME": home, "C2CONN_IDENTITY_FILE": filepath.Join(dir, "identity"), "C2CONN_CLOUD": "sim"}}
	if err := os.MkdirAll(filepath.Join(home, "clouds"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "fleet: customers\ndefaults: {kind: exchange, registration: auto}\ntenants:\n"
	for i, tenant := range w.Tenants() {
		name := fmt.Sprintf("TOKEN_%d", i)
		if x.env[name], err = tenant.AdminToken(tenant.Mailbox); err != nil {
			t.Fatal(err)
		}
		token := filepath.Join(dir, name)
		if err := os.WriteFile(token, []byte(x.env[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  %s: {access-token: {file: %s}}\n", tenant.TenantDomain, name)
	}
	text += "connections:\n"
	for i := range n {
		text += fmt.Sprintf("- {name: customer-%03d, tenant-id: %s}\n", i, w.Tenants()[i%tenants].TenantDomain)
	}
	file = filepath.Join(dir, "fleet.yaml")
	for path, data := range map[string][]byte{file: []byte(text), filepath.Join(home, "clouds", "sim.yaml"): w.CloudYAML()} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return x, file
}

// digest is of all files of a folder, their names, contents and times.
func digest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(h, "%s %v %x\n", path, info.ModTime(), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// envInt is a number in the environment, by which `make bench` makes a test larger.
func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// The second run of apply sends no write and writes nothing.
func TestApplyTwice(t *testing.T) {
	t.Parallel()
	size, tenants := envInt("C2CONN_APPLY_SIZE", 6), envInt("C2CONN_APPLY_TENANTS", 3)
	x, file := newFleet(t, tenants, size, nil)
	if code, stdout, stderr := x.run(t.Context(), "apply", "-f", file, "--dry-run", "--output", "json"); code != 0 || readApplied(t, stdout).Summary["create"] != size {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	if code, _, stderr := x.run(t.Context(), "apply", "-f", file); code != 2 || !strings.Contains(stderr, "--yes") {
		t.Errorf("without --yes: exit code %d\n%s", code, stderr)
	}
	if n := writes(x.world.Requests()); n != 0 {
		t.Errorf("a plan sent %d writes", n)
	}
	code, stdout, stderr := x.run(t.Context(), "apply", "-f", file, "--yes", "--output", "json")
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	for _, c := range readApplied(t, stdout).Connections {
		if c.Action != "create" || !c.Done || !c.Verified {
			t.Errorf("%+v", c)
		}
	}
	for i := range size {
		var d dump
		data, err := x.world.Tenants()[i%tenants].Dump()
		if err == nil {
			err = json.Unmarshal(data, &d)
		}
		if name := fmt.Sprintf("customer-%03d", i); err != nil || d.named(name) != 1 {
			t.Errorf("%d applications are called %s (%v)", d.named(name), name, err)
		}
	}
	before, asked := digest(t, x.env["C2CONN_HOME"]), len(x.world.Requests())
	code, stdout, stderr = x.run(t.Context(), "apply", "-f", file, "--yes", "--output", "json")
	if got := readApplied(t, stdout); code != 0 || got.Summary["unchanged"] != size || len(got.Summary) != 1 {
		t.Errorf("the second time: exit code %d, %v\n%s", code, got.Summary, stderr)
	}
	again := x.world.Requests()[asked:]
	if n := writes(again); n != 0 {
		t.Errorf("the second run sent %d writes", n)
	}
	if digest(t, x.env["C2CONN_HOME"]) != before {
		t.Error("the second run wrote to the store")
	}
	t.Logf("apply of %d connections in %d tenants, the second time: %d requests, %d writes", size, tenants, len(again), writes(again))
}

// writes counts the requests that change, or may change, something.
func writes(list []sim.Exchange) (n int) {
	for _, e := range list {
		if e.Method != http.MethodGet {
			n++
		}
	}
	return n
}

// A tenant in which nothing works stops no other one.
func TestApplyOneTenantFails(t *testing.T) {
	t.Parallel()
	x, file := newFleet(t, 2, 4, nil, "contoso02:graph-down")
	code, stdout, stderr := x.run(t.Context(), "apply", "-f", file, "--yes", "--output", "json")
	got := readApplied(t, stdout)
	if code == 0 || got.Summary["failed"] != 2 {
		t.Fatalf("exit code %d, %v\n%s", code, got.Summary, stderr)
	}
	for i, c := range got.Connections {
		if c.Done != (i%2 == 0) {
			t.Errorf("%+v", c)
		}
	}
	x.world.Tenants()[1].ClearFault("")
	code, stdout, stderr = x.run(t.Context(), "apply", "-f", file, "--yes", "--output", "json")
	if got := readApplied(t, stdout); code != 0 || got.Summary["unchanged"] != 2 || got.Summary["create"] != 2 {
		t.Errorf("exit code %d, %v\n%s", code, got.Summary, stderr)
	}
}

// TestKilledApplying kills c2conn (kill -9) at every point of an apply. The same command
// again must end with one application and one verified connection for each entry.
func TestKilledApplying(t *testing.T) {
	t.Parallel()
	total := killedApplying(t, -1)
	if total < 20 {
		t.Fatalf("only %d points seen", total)
	}
	step, kills := envInt("C2CONN_KILL_STEP", 29), 0
	for at := 0; at < total && !t.Failed(); at += step {
		if killedApplying(t, at) < 0 {
			kills++
		}
	}
	t.Logf("an apply of two connections has %d points; killed %d times, at every %d. of them", total, kills, step)
}

// killedApplying returns the number of points that came by, or -1 when it was killed.
func killedApplying(t *testing.T, at int) int {
	t.Helper()
	k := &killer{at: -1}
	x, file := newFleet(t, 2, 2, k.watch)
	home := x.env["C2CONN_HOME"]
	start := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Args = append([]string{"c2conn"}, args...)
		cmd.Env = append(os.Environ(), "C2CONN_HOME="+home, "C2CONN_IDENTITY_FILE="+x.env["C2CONN_IDENTITY_FILE"], "C2CONN_CLOUD=sim")
		cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
		return cmd
	}
	fail := func(cmd *exec.Cmd, what string) {
		t.Helper()
		t.Errorf("point %d: %s\n%s\n%s", at, what, cmd.Stdout, cmd.Stderr)
	}
	apply := []string{"apply", "-f", file, "--yes", "--consistency-timeout", "2s", "--output", "json"}
	first := start(apply...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	k.arm(at, first.Process)
	err := first.Wait()
	points := k.points()
	k.arm(-1, nil)
	if at < 0 {
		if err != nil {
			fail(first, "the run without a kill failed")
		}
		return points
	}
	if status, ok := first.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		return points
	}
	for _, c := range connectionsIn(t, home) { // what is saved works, whenever it was killed
		if cmd := start("verify", strings.TrimSuffix(c, ".yaml")); cmd.Run() != nil {
			fail(cmd, "a saved connection does not work")
		}
	}
	next := start(apply...)
	if err := next.Run(); err != nil {
		fail(next, "the next run: "+err.Error())
		return -1
	}
	for i, tenant := range x.world.Tenants() {
		var d dump
		data, err := tenant.Dump()
		if err == nil {
			err = json.Unmarshal(data, &d)
		}
		if n := d.named(fmt.Sprintf("customer-%03d", i)); err != nil || n != 1 || len(d.Deleted) != 0 {
			fail(next, fmt.Sprintf("%s: %d applications, %d deleted (%v)", tenant.TenantDomain, n, len(d.Deleted), err))
		}
	}
	if all := start("verify", "--all"); all.Run() != nil || len(connectionsIn(t, home)) != 2 {
		fail(all, "not all connections work")
	}
	if left := filesIn(t, filepath.Join(home, "registrations")); len(left) > 0 {
		fail(next, fmt.Sprintf("journals are left: %v", left))
	}
	return -1
}

// Many connections are verified side by side: no tenant has more requests to answer at a
// time than was said, and where one is throttling all pass in the end.
func TestVerifyManyTenants(t *testing.T) {
	t.Parallel()
	x, _ := newFleet(t, 4, 0, nil, "parallel=6", "contoso03:throttle=1s,1", "contoso03:parallel=1")
	dir := filepath.Join(x.env["C2CONN_HOME"], "connections")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const size = 24
	for i := range size {
		tenant := x.world.Tenants()[i%4]
		data, err := tenant.Certificate.PEM()
		if err != nil {
			t.Fatal(err)
		}
		pem := filepath.Join(filepath.Dir(x.env["C2CONN_HOME"]), tenant.TenantDomain+".pem")
		if err := os.WriteFile(pem, data, 0o600); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("schema: 1\nid: 01K9Z7%020d\nname: many-%02d\nkind: exchange\nlocation: online\ncloud: sim\ntenant: {id: %s}\naccount: %s\n"+
			"registration: {mode: manual, client_id: %s}\ncredential: {type: certificate, secret: 'file:%s'}\ncreated: 2026-11-22T05:00:00Z\nupdated: 2026-11-22T05:00:00Z\n",
			i, i, tenant.TenantID, tenant.Mailbox, tenant.ClientID, pem)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("many-%02d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := x.run(t.Context(), "verify", "--all", "--per-tenant", "6", "--output", "name")
	if code != 0 || strings.Count(stdout, "many-") != size {
		t.Errorf("exit code %d, %d verified\n%s", code, strings.Count(stdout, "many-"), stderr)
	}
	// On a terminal a line that counts stands for all that is well.
	var out, errs bytes.Buffer
	code = cli.Main(t.Context(), []string{"verify", "--all", "--output", "name"}, cli.Streams{Out: &out, Err: &errs, ErrTerminal: true},
		cli.Environment{Getenv: func(name string) string { return x.env[name] }, ReadFile: os.ReadFile, Clock: x.clock, Rand: rand.Reader})
	if code != 0 || !strings.Contains(errs.String(), "24 of 24\n") || strings.Contains(errs.String(), "many-") {
		t.Errorf("exit code %d\n%q", code, errs.String())
	}
	tokens := 0
	for _, e := range x.world.Requests() {
		if e.Status == http.StatusTooManyRequests && e.Tenant != x.world.Tenants()[2].TenantDomain {
			t.Errorf("%s was asked too much", e.Tenant)
		}
		if e.Name == "login token" {
			tokens++
		}
	}
	for _, tenant := range x.world.Tenants() {
		if most := tenant.MostParallel(); most > 6 {
			t.Errorf("%s had %d requests at a time", tenant.TenantDomain, most)
		}
	}
	if tokens > 2*3*4 { // twice, of each tenant's application for two or three services, however many connections have it
		t.Errorf("%d tokens were asked for", tokens)
	}
}
