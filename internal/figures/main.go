//go:build unix

// Command figures measures what the documentation promises and fails where a
// promise is broken: start-up, memory, size, round trips, and the cost of many
// connections. It drives the built binaries as a user does. `make bench` runs it; with
// names as arguments it measures only those: go run ./internal/figures fleet.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

// bench is one run of all measurements.
type bench struct {
	ctx    context.Context
	out    *os.File
	dir    string
	c2conn string
	sim    string
	slack  float64 // by which ratios of times may exceed their bounds
	broken []string
}

func run(ctx context.Context, out *os.File, only []string) error {
	dir, err := os.MkdirTemp("", "c2conn-figures")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	slack, err := strconv.ParseFloat(cmp.Or(os.Getenv("FIGURES_SLACK"), "1"), 64)
	if err != nil {
		return fmt.Errorf("FIGURES_SLACK: %w", err)
	}
	b := &bench{slack: slack, ctx: ctx, out: out, dir: dir, c2conn: filepath.Join(bin, "c2conn"), sim: filepath.Join(bin, "c2conn-sim")}
	figures := []struct {
		name    string
		measure func() error
	}{
		{"size", b.size}, {"startup", b.startup}, {"silent-terminal", b.silentTerminal}, {"many-connections", b.manyConnections}, {"adding-one", b.addingOne},
		{"round-trips", b.roundTrips}, {"enumeration", b.enumeration}, {"registration-trips", b.registrationTrips}, {"registration-proofs", b.registrationProofs},
		{"fleet", b.fleet}, {"apply", b.applyProofs}, {"server", b.serverSide},
	}
	done := 0
	for _, f := range figures {
		if len(only) > 0 && !slices.Contains(only, f.name) {
			continue
		}
		done++
		if err := f.measure(); err != nil {
			return err
		}
	}
	if done < len(only) {
		return fmt.Errorf("one of %s is no figure", strings.Join(only, ", "))
	}
	if len(b.broken) > 0 {
		return errors.New("bounds broken: " + strings.Join(b.broken, "; "))
	}
	return nil
}

// bound prints a figure and notes when it breaks its bound.
func (b *bench) bound(name string, value, limit float64, unit string) {
	mark := "ok"
	switch {
	case value <= limit:
	case unit == "x" && value <= limit*b.slack:
		mark = "over, within the slack given"
	default:
		mark = "BROKEN"
		b.broken = append(b.broken, name)
	}
	_, _ = fmt.Fprintf(b.out, "%-58s %9.2f %-4s (at most %.4g) %s\n", name, value, unit, limit, mark)
}

func (b *bench) note(format string, args ...any) { _, _ = fmt.Fprintf(b.out, format+"\n", args...) }

func (b *bench) size() error {
	info, err := os.Stat(b.c2conn)
	if err != nil {
		return err
	}
	// 36 until Kerberos and LDAP came with on-premises servers, 0.8 MB by themselves.
	b.bound("binary, stripped", float64(info.Size())/1e6, 38, "MB")
	return nil
}

// usage is what one run of a command cost.
type usage struct {
	wall time.Duration
	rss  int64 // bytes
}

func (b *bench) once(env []string, name string, args ...string) (usage, error) {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	u := usage{wall: time.Since(began)}
	if err != nil {
		return u, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	u.rss = maxRSS(cmd.ProcessState)
	return u, nil
}

// calm is a ratio that no further round has to confirm.
const calm = 3.7

// bestOf compares several times and returns the round that was disturbed least:
// what else runs on the machine can only make the ratio worse.
func (b *bench) bestOf(rounds int, reference, command func() (usage, error)) (ref, cmd usage, err error) {
	for i := range rounds {
		r, c, err := b.compare(31, reference, command)
		if err != nil {
			return ref, cmd, err
		}
		if i == 0 || ratio(c.wall, r.wall) < ratio(cmd.wall, ref.wall) {
			ref, cmd = r, c
		}
		if i > 0 && ratio(cmd.wall, ref.wall) < calm {
			break
		}
	}
	return ref, cmd, nil
}

// compare runs command and reference in turns and returns both medians: what
// else the machine is doing meets both alike.
func (b *bench) compare(n int, reference, command func() (usage, error)) (ref, cmd usage, err error) {
	var refs, cmds []usage
	for range n {
		r, err := reference()
		if err != nil {
			return ref, cmd, err
		}
		c, err := command()
		if err != nil {
			return ref, cmd, err
		}
		refs, cmds = append(refs, r), append(cmds, c)
	}
	return median(refs), median(cmds), nil
}

func median(list []usage) usage {
	slices.SortFunc(list, func(a, b usage) int { return int(a.wall - b.wall) })
	m := list[len(list)/2]
	for _, u := range list {
		m.rss = max(m.rss, u.rss)
	}
	return m
}

// startup compares the commands that need no network with an empty Go program.
func (b *bench) startup() error {
	empty := filepath.Join(b.dir, "empty")
	if err := b.buildEmpty(empty); err != nil {
		return err
	}
	home := filepath.Join(b.dir, "home200")
	if err := writeConnections(home, 200); err != nil {
		return err
	}
	env := []string{"C2CONN_HOME=" + home, "DBUS_SESSION_BUS_ADDRESS="}
	for _, args := range [][]string{{"version"}, {"list"}, {"completion", "bash"}} {
		if _, err := b.once(env, b.c2conn, args...); err != nil {
			return err
		}
		ref, cmd, err := b.bestOf(8,
			func() (usage, error) { return b.once(nil, empty) },
			func() (usage, error) { return b.once(env, b.c2conn, args...) })
		if err != nil {
			return err
		}
		name := "c2conn " + strings.Join(args, " ")
		if args[0] == "list" {
			name += ", 200 connections"
		}
		b.note("%-58s %9.2f ms   (an empty Go program: %.2f ms; medians of 31, best of up to 8 rounds)", name, ms(cmd.wall), ms(ref.wall))
		b.bound(name+": times the empty program", ratio(cmd.wall, ref.wall), 4, "x")
		b.bound(name+": memory", float64(cmd.rss)/(1<<20), 40, "MiB")
	}
	return nil
}

func (b *bench) buildEmpty(path string) error {
	dir := filepath.Join(b.dir, "emptysrc")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(b.ctx, "go", "build", "-ldflags", "-s -w", "-o", path, "main.go")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the empty program: %w\n%s", err, out)
	}
	return nil
}

// silentTerminal runs on a terminal that never answers a query.
func (b *bench) silentTerminal() error {
	home := filepath.Join(b.dir, "home200")
	for _, args := range [][]string{{"version"}, {"list"}, {"completion", "bash"}} {
		escapes := 0
		ref, cmd, err := b.bestOf(8,
			func() (usage, error) {
				wall, _, err := onTerminal(b.ctx, nil, filepath.Join(b.dir, "empty"))
				return usage{wall: wall}, err
			},
			func() (usage, error) {
				wall, out, err := onTerminal(b.ctx, []string{"C2CONN_HOME=" + home, "TERM=xterm-256color"}, b.c2conn, args...)
				if args[0] != "completion" { // the bash script itself quotes escapes
					escapes += strings.Count(string(out), "\x1b")
				}
				return usage{wall: wall}, err
			})
		if err != nil {
			return err
		}
		name := "silent terminal: c2conn " + strings.Join(args, " ")
		b.bound(name+": times the empty program", ratio(cmd.wall, ref.wall), 4, "x")
		b.bound(name+": escape sequences", float64(escapes), 0, "")
	}
	return nil
}

// manyConnections shows that list is linear and that adding one costs the same
// however many there are.
func (b *bench) manyConnections() error {
	cost := map[int]time.Duration{}
	for _, n := range []int{500, 10000} {
		home := filepath.Join(b.dir, fmt.Sprintf("home%d", n))
		if err := writeConnections(home, n); err != nil {
			return err
		}
		env := []string{"C2CONN_HOME=" + home}
		cold, err := b.once(env, b.c2conn, "list", "--output", "name")
		if err != nil {
			return err
		}
		var warm []usage
		for range 7 {
			u, err := b.once(env, b.c2conn, "list", "--output", "name")
			if err != nil {
				return err
			}
			warm = append(warm, u)
		}
		cost[n] = median(warm).wall
		b.note("%-58s %9.2f ms   (first time: %.2f ms)", fmt.Sprintf("c2conn list, %d connections", n), ms(cost[n]), ms(cold.wall))
	}
	b.bound("list of 10,000: times the list of 500", ratio(cost[10000], cost[500]), 20, "x")
	return nil
}

// addingOne shows that a new connection costs the same beside 10 and beside 10,000.
func (b *bench) addingOne() error {
	few := filepath.Join(b.dir, "home10")
	if err := writeConnections(few, 10); err != nil {
		return err
	}
	n := 0
	add := func(home string) func() (usage, error) {
		return func() (usage, error) {
			n++
			return b.once([]string{"C2CONN_HOME=" + home}, b.sim, "run", "--", "sh", "-c", newScript, b.c2conn, fmt.Sprintf("added-%d", n))
		}
	}
	ref, cmd, err := b.bestOf(2, add(few), add(filepath.Join(b.dir, "home10000")))
	if err != nil {
		return err
	}
	b.note("%-58s %9.2f ms   (beside 10: %.2f ms)", "new exchange --manual beside 10,000 connections", ms(cmd.wall), ms(ref.wall))
	b.bound("adding one beside 10,000: times adding one beside 10", ratio(cmd.wall, ref.wall), 1.25, "x")
	return nil
}

// newScript is the scripted wizard against the simulated tenant; $0 is c2conn, $1
// the name, the rest more flags.
const newScript = `name=$1; shift; exec "$0" new exchange --manual --client-id "$SIM_CLIENT_ID" --tenant-id "$SIM_TENANT_ID" --mailbox "$SIM_MAILBOX" ` +
	`--cert-file "$SIM_CERT_FILE" --cert-password-file "$SIM_CERT_PASSWORD_FILE" --name "$name" "$@"`

// roundTrips measures `new exchange --manual` with 80 ms between here and the tenant.
func (b *bench) roundTrips() error {
	const rtt = 80 * time.Millisecond
	var walls [2]time.Duration
	for i, parallel := range []string{"0", "1"} {
		log := filepath.Join(b.dir, "requests"+parallel)
		if _, err := b.once(nil, b.sim, "run", "--rtt", rtt.String(), "--log", log, "--", "sh", "-c", newScript, b.c2conn, "figures", "--parallel", parallel); err != nil {
			return err
		}
		requests, err := readLog(log)
		if err != nil {
			return err
		}
		depth, wall := criticalPath(requests)
		walls[i] = wall
		if parallel == "1" {
			b.note("%-58s %9.2f ms   (%d requests, %d one after the other)", "new exchange --manual at 80 ms, checks one by one", ms(wall), len(requests), depth)
			continue
		}
		b.note("%-58s %9.2f ms   (%d requests)", "new exchange --manual at 80 ms, checks side by side", ms(wall), len(requests))
		b.bound("round trips on the critical path after discovery", float64(depth), 6, "")
	}
	b.note("%-58s %9.2f x", "side by side: times as fast as one by one", ratio(walls[1], walls[0]))
	return nil
}

func ms(d time.Duration) float64       { return float64(d) / float64(time.Millisecond) }
func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
