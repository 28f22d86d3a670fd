//go:build unix

package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// registrationTrips measures from the signed-in administrator to the verified
// connection; up to three times, because what else runs can only make it longer.
func (b *bench) registrationTrips() error {
	var err error
	for range 3 {
		bound := fmt.Sprintf("C2CONN_WALL_BOUND=%.3f", 1.15*b.slack)
		if err = b.proofs("^TestRegistrationRoundTrips$", bound); err == nil {
			return nil
		}
	}
	return err
}

// registrationProofs runs the tests that are too long for the race detector: 200
// registrations with replication delays, and a kill at every point of one, and of a
// rotation.
func (b *bench) registrationProofs() error {
	return b.proofs("^(TestReplication|TestKilledRegistering|TestKilledRotating|TestKilledWhileSaving)$",
		"C2CONN_REPLICATION_RUNS="+cmp.Or(os.Getenv("C2CONN_REPLICATION_RUNS"), "200"), "C2CONN_KILL_STEP="+cmp.Or(os.Getenv("C2CONN_KILL_STEP"), "1"))
}

// proofs runs tests of the commands and prints what they log.
func (b *bench) proofs(tests string, env ...string) error {
	cmd := exec.CommandContext(b.ctx, "go", "test", "-count=1", "-v", "-timeout", "20m", "-run", tests, "./internal/cli")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("the proofs: %w\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if _, text, ok := strings.Cut(line, "_test.go:"); ok {
			_, text, _ = strings.Cut(text, ": ")
			b.note("%s", strings.TrimSpace(text))
		}
	}
	return nil
}
