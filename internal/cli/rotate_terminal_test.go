//go:build unix

package cli_test

import (
	"testing"
)

// In a terminal a rotation shows what it will do and asks; where the application cannot
// do it by itself, it offers to sign in.
func TestRotateAsks(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.env["C2CONN_ACCESS_TOKEN"] = adminToken(t, x.world)
	for name, more := range map[string][]string{"certificate": nil, "secret": {"--secret"}} {
		args := append([]string{"new", "exchange", "--auto", "--app-name", name, "--name", name}, more...)
		if code, _, stderr := x.run(t.Context(), args...); code != 0 {
			t.Fatal(stderr)
		}
	}
	delete(x.env, "C2CONN_ACCESS_TOKEN")
	s := x.screen("rotate", "certificate")
	s.wait("Old credential")
	s.wait("c2conn rotate --finish certificate")
	s.wait("Renew 1 credential in this way? [y/N]")
	s.typing("n\r")
	s.wait("nothing was changed")
	if code := s.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	s = x.screen("rotate", "certificate")
	s.wait("in this way? [y/N]")
	s.typing("y\r")
	s.wait("The old one is valid until it is removed")
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s = x.screen("rotate", "--finish", "--now", "certificate")
	s.wait("copies of it do not work any more")
	s.wait("Do that? [y/N]")
	s.typing("y\r")
	s.wait("the old credential is removed")
	if code := s.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	s = x.screen("rotate", "secret")
	s.wait("which takes an administrator")
	s.wait("in this way? [y/N]")
	s.typing("y\r")
	s.wait("Only a certificate can prove")
	s.wait("Sign in as an administrator now? [y/N]")
	s.typing("n\r")
	s.wait("secret was not changed, and nothing is left in the tenant.")
	if code := s.exit(); code != 2 {
		t.Errorf("exit code %d", code)
	}
}
