package cli_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/cli"
)

// A full disk is named, and what to do about it. Linux has a file that is always full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	x := newTenant(t)
	x.keepTwo()
	x.env["GITHUB_ENV"] = "/dev/full"
	if code, _, errs := x.run(t.Context(), "cert", "import", x.env["CERT"], "--password-file", x.env["PASS"]); code != 0 {
		t.Fatal(errs)
	}
	_, thumb, _ := x.run(t.Context(), "cert", "list", "--output", "name")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = full.Close() })
	for _, c := range []struct {
		what string
		args []string
	}{
		{"standard output", []string{"list"}},
		{"standard output", []string{"env", "secret"}},
		{"standard output", []string{"cert", "export", strings.TrimSpace(thumb)}},
		{"standard output", []string{"export", "it", "--without-secrets"}},
		{"/dev/full", []string{"env", "secret", "--unset", "--format", "github"}},
	} {
		var errs bytes.Buffer
		code := cli.Main(t.Context(), c.args, cli.Streams{Out: full, Err: &errs}, cli.Environment{
			Getenv: func(name string) string { return x.env[name] }, ReadFile: os.ReadFile, Clock: x.clock, Rand: rand.Reader})
		text := strings.Join(strings.Fields(errs.String()), " ")
		if code != 1 || strings.Contains(text, "access rights") || !strings.Contains(text, "no room left to write "+c.what) && !strings.Contains(text, "No room left to write "+c.what) || !strings.Contains(text, "Make room on the disk") {
			t.Errorf("%q: exit code %d\n%s", c.args, code, text)
		}
	}
}
