//go:build integration

// Package integration drives the finished programs from outside: c2conn against
// real keychains, full and foreign disks, and clients that nobody here wrote
// against the simulated tenant and the simulated Exchange Server. The cases of
// Domain import the packages that sign in to Windows networks, and try them on
// servers that nobody here wrote; the others import nothing of ours.
//
// scripts/integration installs what it needs and runs it in namespaces of its own,
// so that no mount outlives it, and so that the network is its own loopback.
package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// marker is in the environment of every process that is started here; its value
// is the folder of this run. What still has it at the end was left behind.
const marker = "C2CONN_INTEGRATION_DIR"

// settings come from scripts/integration.
type settings struct {
	dir     string // of this run
	bin     string // with c2conn and c2conn-sim
	clients string
	servers string
	npm     string // node_modules

	sharePointNPM string // another one, of the clients of SharePoint
}

var suite struct {
	settings

	passed, failed, skipped int
}

func TestMain(m *testing.M) {
	here, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(1)
	}
	suite.settings = settings{
		dir:     os.Getenv(marker),
		bin:     filepath.Join(filepath.Dir(here), "bin"),
		clients: filepath.Join(here, "clients"),
		servers: filepath.Join(here, "servers"),
		npm:     os.Getenv("C2CONN_NPM"),

		sharePointNPM: os.Getenv("C2CONN_SHAREPOINT_NPM"),
	}
	if suite.dir == "" || suite.npm == "" || suite.sharePointNPM == "" {
		fmt.Fprintln(os.Stderr, "integration: start it with scripts/integration, which prepares what it needs")
		os.Exit(1)
	}
	began := time.Now()
	code := m.Run()
	if code == 0 && suite.failed > 0 {
		code = 1
	}
	left := leftBehind()
	if len(left) > 0 {
		suite.failed++
		code = 1
		fmt.Printf("FAIL          processes were left behind:\n")
		for _, p := range left {
			fmt.Printf("                %d %s\n", p.pid, p.command)
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	} else {
		suite.passed++
		fmt.Printf("pass          nothing was left running\n")
	}
	fmt.Printf("all cases: %.0f s\n", time.Since(began).Seconds())
	fmt.Printf("%d passed, %d failed, %d skipped\n", suite.passed, suite.failed, suite.skipped)
	os.Exit(code)
}

// check runs one case and prints its line as soon as it has ended.
func check(t *testing.T, title string, f func(t *testing.T)) {
	t.Helper()
	began := time.Now()
	t.Run(title, func(t *testing.T) {
		defer func() {
			word := "pass"
			switch {
			case t.Failed():
				word = "FAIL"
				suite.failed++
			case t.Skipped():
				word = "skip"
				suite.skipped++
			default:
				suite.passed++
			}
			group, _, _ := strings.Cut(strings.TrimPrefix(t.Name(), "Test"), "/")
			fmt.Printf("%s  %5.2f s  %-12s %s\n", word, time.Since(began).Seconds(), group, title)
		}()
		f(t)
	})
}

type process struct {
	pid     int
	command string
}

// leftBehind lists the processes of this run that are still there.
func leftBehind() []process {
	var left []process
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || pid == os.Getpid() || pid == os.Getppid() {
			continue
		}
		environ, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+childMarker()+"\x00")) {
			continue
		}
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		left = append(left, process{pid, string(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))})
	}
	return left
}

// childMarker tells the processes that the cases start from the script's own.
func childMarker() string { return marker + "=" + suite.dir + "/cases" }
