package cli_test

import (
	"strings"
	"testing"
)

// After a time-out the connection is saved: registering again would end with "that
// name exists", and no answer was wrong.
func TestAdviceAfterATimeOut(t *testing.T) {
	t.Parallel()
	x := newTenant(t, "replication-delay=40")
	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	code, out, errs := x.run(t.Context(), "new", "exchange", "--auto", "--name", "slow", "--consistency-timeout", "4s")
	said := strings.Join(strings.Fields(out+errs), " ")
	if code != 5 || !strings.Contains(said, "$ c2conn verify slow") || !strings.Contains(said, "do not register again") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	for _, no := range []string{"same command", "Object ID", "Correct the answer", "(tenant)"} {
		if strings.Contains(said, no) {
			t.Errorf("%q is in\n%s", no, errs)
		}
	}
	// A minute later it is still new.
	if code, out, errs := x.run(t.Context(), "verify", "slow"); code != 0 && strings.Contains(out+errs, "Object ID") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// The advice for a command of app names the cloud that was asked.
func TestAdviceNamesTheCloud(t *testing.T) {
	t.Parallel()
	x := newTenant(t, "graph-error=401,InvalidAuthenticationToken")
	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	code, _, errs := x.run(t.Context(), "app", "list")
	if code == 0 || !strings.Contains(errs, "now it is “sim”") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
