//go:build unix

package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The fleet that the figures are made with.
const (
	fleetTenants    = 20
	fleetSize       = 500
	fleetRTT        = "80ms"
	fleetSlots      = 8 // requests to one tenant at a time
	fleetSample     = 2 // tenants whose connections are verified one after the other
	fleetBound      = 25
	fleetMemoryMiB  = 150
	fleetThrottling = 4 // what a tenant takes at a time in the throttled run
)

// fleet measures `verify --all` on many connections in many tenants.
func (b *bench) fleet() error {
	w, err := b.serve(filepath.Join(b.dir, "fleet"), "--fault", "parallel="+strconv.Itoa(fleetSlots))
	if err != nil {
		return err
	}
	defer func() { _ = w.end() }()
	if err := w.connect(fleetSize); err != nil {
		return err
	}
	names, err := w.sample(fleetSample)
	if err != nil {
		return err
	}
	walls := map[string]time.Duration{}
	for _, way := range []struct{ name, perTenant string }{{"one by one", "1"}, {"side by side", strconv.Itoa(fleetSlots)}} {
		u, err := b.once(w.env, b.c2conn, append([]string{"verify", "--parallel", "1", "--per-tenant", way.perTenant}, names...)...)
		if err != nil {
			return err
		}
		walls[way.name] = u.wall * fleetSize / time.Duration(len(names))
		b.note("%-58s %9.2f s    (%d of them in %.2f s, scaled)", "verify 500 one after the other, their checks "+way.name, walls[way.name].Seconds(), len(names), u.wall.Seconds())
	}
	u, err := b.once(w.env, b.c2conn, "verify", "--all", "--per-tenant", strconv.Itoa(fleetSlots), "--output", "json")
	if err != nil {
		return err
	}
	b.note("%-58s %9.2f s", fmt.Sprintf("verify --all, %d connections in %d tenants at 80 ms", fleetSize, fleetTenants), u.wall.Seconds())
	b.least("verify --all: times as fast as one after the other", ratio(walls["one by one"], u.wall), fleetBound/b.slack)
	b.note("%-58s %9.2f x", "the same against connections whose checks go side by side", ratio(walls["side by side"], u.wall))
	b.bound("verify --all: memory", float64(u.rss)/(1<<20), fleetMemoryMiB, "MiB")
	most, err := w.stop()
	if err != nil {
		return err
	}
	b.bound("requests at one time, the most of any tenant", float64(most), fleetSlots, "")
	return b.throttledFleet()
}

// throttledFleet shows that all pass in the end where every tenant takes half of what it
// is sent at a time, and one of them refuses everything once.
func (b *bench) throttledFleet() error {
	w, err := b.serve(filepath.Join(b.dir, "throttled"), "--fault", "parallel=1s,"+strconv.Itoa(fleetThrottling), "--fault", "contoso02:throttle=1s,1")
	if err != nil {
		return err
	}
	defer func() { _ = w.end() }()
	if err := w.connect(fleetSize); err != nil {
		return err
	}
	u, err := b.once(w.env, b.c2conn, "verify", "--all", "--output", "name")
	if err != nil {
		return err
	}
	_, err = w.stop()
	b.note("%-58s %9.2f s    (all passed)", "the same where every tenant throttles", u.wall.Seconds())
	return err
}

// applyProofs runs the tests of apply at full size: 200 connections twice, and a kill at
// every point.
func (b *bench) applyProofs() error {
	return b.proofs("^(TestApplyTwice|TestKilledApplying)$", "C2CONN_APPLY_SIZE=200", "C2CONN_APPLY_TENANTS=20", "C2CONN_KILL_STEP="+cmp.Or(os.Getenv("C2CONN_KILL_STEP"), "1"))
}

// least is bound for what must not be less.
func (b *bench) least(name string, value, limit float64) {
	mark := "ok"
	if value < limit {
		mark = "BROKEN"
		b.broken = append(b.broken, name)
	}
	_, _ = fmt.Fprintf(b.out, "%-58s %9.2f x    (at least %.4g) %s\n", name, value, limit, mark)
}

// world is a simulated world of many tenants that is served beside the measurements.
type world struct {
	cmd     *exec.Cmd
	home    string
	dump    string
	env     []string
	tenants []map[string]string
	ended   bool
}

// serve starts it and waits until it can be used.
func (b *bench) serve(dir string, more ...string) (*world, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w := &world{home: filepath.Join(dir, "home"), dump: filepath.Join(dir, "dump.json")}
	kit := filepath.Join(dir, "kit")
	args := append([]string{"serve", "--tenants", strconv.Itoa(fleetTenants), "--rtt", fleetRTT, "--dir", kit, "--dump", w.dump}, more...)
	w.env = []string{"C2CONN_HOME=" + w.home, "C2CONN_IDENTITY_FILE=" + filepath.Join(dir, "identity"), "C2CONN_CLOUD=sim"}
	w.cmd = exec.CommandContext(b.ctx, b.sim, args...)
	w.cmd.Env = append(os.Environ(), w.env...)
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Other applications") {
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	data, err := os.ReadFile(filepath.Join(kit, "tenants.json"))
	if err == nil {
		err = json.Unmarshal(data, &w.tenants)
	}
	if err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// connect writes n connections, spread over the tenants: of each tenant's, most are for
// Exchange, some for SharePoint and migrations, with applications of their own.
func (w *world) connect(n int) error {
	dir := filepath.Join(w.home, "connections")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range n {
		t := w.tenants[i%len(w.tenants)]
		of := i / len(w.tenants)
		kind, client, extra := "exchange", t["client_id"], ""
		switch of % 5 {
		case 3:
			kind, client, extra = "sharepoint", t["sharepoint_client_id"], fmt.Sprintf("endpoints: {sharepoint: '%s', admin: '%s'}\n", t["sharepoint_url"], strings.Replace(t["sharepoint_url"], ".sharepoint", "-admin.sharepoint", 1))
		case 4:
			kind, client = "migration-source", t["source_client_id"]
		}
		_, domain, _ := strings.Cut(t["mailbox"], "@")
		text := fmt.Sprintf(`schema: 1
id: 01K9Z7%020d
name: %s
kind: %s
location: online
cloud: sim
tenant: {id: %s, domain: %s}
account: person%03d@%s
registration: {mode: manual, client_id: %s, catalogue: 2026-11}
credential: {type: certificate, secret: 'file:%s'}
%screated: 2026-11-22T05:00:00Z
updated: 2026-11-22T06:00:00Z
`, i, w.name(i), kind, t["tenant_id"], t["tenant_domain"], of%140+1, domain, client, t["cert_pem_file"], extra)
		if err := os.WriteFile(filepath.Join(dir, w.name(i)+".yaml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) name(i int) string {
	return fmt.Sprintf("tenant%02d-%03d", i%len(w.tenants), i/len(w.tenants))
}

// sample names the connections of the first tenants.
func (w *world) sample(tenants int) ([]string, error) {
	var names []string
	for i := range fleetSize {
		if i%len(w.tenants) < tenants {
			names = append(names, w.name(i))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("there is nothing to measure")
	}
	return names, nil
}

// stop ends the world and tells the most requests that a tenant had at one time.
func (w *world) stop() (most int, err error) {
	if err := w.end(); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(w.dump)
	if err != nil {
		return 0, err
	}
	var dump struct {
		Most    int `json:"most_parallel"`
		Tenants []struct {
			Most int `json:"most_parallel"`
		} `json:"tenants"`
	}
	if err := json.Unmarshal(data, &dump); err != nil {
		return 0, err
	}
	most = dump.Most
	for _, t := range dump.Tenants {
		most = max(most, t.Most)
	}
	return most, nil
}

func (w *world) end() error {
	if w.ended {
		return nil
	}
	w.ended = true
	return errors.Join(w.cmd.Process.Signal(syscall.SIGINT), w.cmd.Wait())
}
