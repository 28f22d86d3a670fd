package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/c2conn/c2conn/internal/cli"
	"github.com/c2conn/c2conn/internal/sim"
)

// keys are shared by all simulated tenants of the package: making RSA keys under
// the race detector takes seconds.
var keys = sim.NewKeys()

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"c2conn": c2conn})
}

// c2conn is the program as cmd/c2conn wires it, run as a process of its own.
func c2conn() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := cli.SystemEnvironment()
	e.ScryptLogN = 10 // the cost of guessing a passphrase is not what is tested
	os.Exit(cli.Main(ctx, os.Args[1:], cli.SystemStreams(), e))
}

type worldKey struct{}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("C2CONN_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("C2CONN_IDENTITY_FILE", filepath.Join(env.WorkDir, "identity"))
			env.Setenv("HOME", env.WorkDir)
			env.Values[worldKey{}] = new(*sim.World)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sim":     startSim,
			"fault":   changeFault,
			"code":    exitCode,
			"calls":   countCalls,
			"apps":    countApps,
			"keys":    countCredentials(false),
			"secrets": countCredentials(true),
			"admin":   writeToken,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func world(ts *testscript.TestScript) *sim.World {
	w := *ts.Value(worldKey{}).(**sim.World)
	if w == nil {
		ts.Fatalf("no simulated tenant: begin with sim")
	}
	return w
}

// startSim starts a simulated tenant with the given faults and sets the variables
// that `c2conn-sim run` sets.
func startSim(ts *testscript.TestScript, _ bool, args []string) {
	w, err := sim.Start(sim.Options{Now: time.Now, Keys: keys, Faults: args, Seed: 7})
	ts.Check(err)
	ts.Defer(func() { _ = w.Close() })
	*ts.Value(worldKey{}).(**sim.World) = w
	home := ts.Getenv("C2CONN_HOME")
	file := func(name string, data []byte) string {
		path := ts.MkAbs(name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
		ts.Check(os.WriteFile(path, data, 0o600))
		return path
	}
	file(filepath.Join(home, "clouds", "sim.yaml"), w.CloudYAML())
	ts.Setenv("C2CONN_CLOUD", "sim")
	ts.Setenv("SIM_TENANT_ID", w.TenantID)
	ts.Setenv("SIM_TENANT_DOMAIN", w.TenantDomain)
	ts.Setenv("SIM_CLIENT_ID", w.ClientID)
	ts.Setenv("SIM_SECRET_ID", w.SecretID)
	ts.Setenv("SIM_MAILBOX", w.Mailbox)
	ts.Setenv("SIM_SHAREPOINT_URL", w.SharePointSite())
	for variable, name := range map[string]string{"SIM_SHAREPOINT_CLIENT_ID": sim.AppSharePoint, "SIM_SOURCE_CLIENT_ID": sim.AppMigrationSource, "SIM_TARGET_CLIENT_ID": sim.AppMigrationTarget,
		"SIM_NO_ROLES_CLIENT_ID": sim.AppNoRoles, "SIM_MISSING_CLIENT_ID": sim.AppMissingRoles, "SIM_SUPERFLUOUS_CLIENT_ID": sim.AppSuperfluousRoles} {
		one, ok := w.App(name)
		if !ok {
			ts.Fatalf("no application %s", name)
		}
		ts.Setenv(variable, one.ClientID)
		if name == sim.AppSharePoint {
			ts.Setenv("SIM_SHAREPOINT_SECRET_FILE", file("simfiles/sharepoint.secret", []byte(one.Secret+"\n")))
		}
	}
	ts.Setenv("SIM_CLIENT_SECRET_FILE", file("simfiles/secret", []byte(w.Secret+"\n")))
	ts.Setenv("SIM_CERT_FILE", file("simfiles/app.pfx", w.PFX))
	ts.Setenv("SIM_CERT_PASSWORD_FILE", file("simfiles/app.pass", []byte(sim.PFXPassword+"\n")))
	token, err := w.AdminToken(w.Mailbox)
	ts.Check(err)
	ts.Setenv("SIM_ADMIN_TOKEN_FILE", file("simfiles/admin.token", []byte(token+"\n")))
	ts.Setenv("SIM_CA_FILE", file("simfiles/ca.pem", w.CAPEM()))
}

// changeFault switches faults of the running tenant: fault +name=arg -name.
func changeFault(ts *testscript.TestScript, _ bool, args []string) {
	for _, a := range args {
		switch {
		case strings.HasPrefix(a, "+"):
			ts.Check(world(ts).SetFault(a[1:]))
		case strings.HasPrefix(a, "-"):
			world(ts).ClearFault(a[1:])
		default:
			ts.Fatalf("fault %s: want + or - before the name", a)
		}
	}
}

// exitCode runs a command and wants that exit code: code 2 c2conn new exchange.
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// countCalls wants that many requests whose URL holds the text: calls 2 /token.
func countCalls(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	n := 0
	for _, r := range world(ts).Requests() {
		if strings.Contains(r.URL, args[1]) {
			n++
		}
	}
	if (n == want) == neg {
		ts.Fatalf("%d requests to %s, want %s%d", n, args[1], map[bool]string{true: "other than "}[neg], want)
	}
}

// countApps wants that many applications of a name in the tenant: apps 1 'My app'.
func countApps(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	data, err := world(ts).Dump()
	ts.Check(err)
	var d dump
	ts.Check(json.Unmarshal(data, &d))
	if n := d.named(args[1]); n != want {
		ts.Fatalf("%d applications named %q (-1: one without its service principal), want %d", n, args[1], want)
	}
}

// countCredentials wants that many certificates, or client secrets, of an application:
// keys 1 'My app'.
func countCredentials(secrets bool) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		data, err := world(ts).Dump()
		ts.Check(err)
		var d dump
		ts.Check(json.Unmarshal(data, &d))
		found := false
		for _, a := range d.Applications {
			if a.DisplayName != args[1] {
				continue
			}
			n := len(a.Keys)
			if secrets {
				n = len(a.Secrets)
			}
			if found = true; n != want {
				ts.Fatalf("%s has %d credentials, want %d", a.DisplayName, n, want)
			}
		}
		if !found {
			ts.Fatalf("there is no application %s", args[1])
		}
	}
}

// writeToken writes the token of another administrator to a file: admin UPN FILE.
func writeToken(ts *testscript.TestScript, _ bool, args []string) {
	token, err := world(ts).AdminToken(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(token), 0o600))
}

// TestEveryCommandHelps wants an example and a description of every command.
func TestEveryCommandHelps(t *testing.T) {
	t.Parallel()
	for _, c := range cli.Commands() {
		if c.Short == "" || (c.Example == "" && c.Parent() != nil && c.Name() != "help" && c.Parent().Name() != "completion") {
			t.Errorf("%s has no description or no example", c.CommandPath())
		}
		if fmt.Sprint(c.Short) != "" && strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short description ends with a full stop", c.CommandPath())
		}
	}
}
