package handout_test

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/handout"
)

// awkward are values that mean something to one shell or another.
var awkward = []string{
	"", "plain-Value_1.2~3", "with space", "a'b", `a"b`, `''`, `'`, "$HOME ${HOME} $(id) `id`", `back\slash`, `C:\Temp\`, `\\server\share`, `\'`, "line\nbreak\n", "tab\tand\rreturn",
	"!history", "#hash", "Grüße, 東京 \u2018\u2019\u201a\u201b", "-n", "*?[a]{b,c}", "a;b&c|d<e>f(g)", "%PATH% %25", "=", "~", "trailing ", " leading",
}

func TestShellsReadWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, shell := range []struct {
		format handout.Format
		args   []string // then the script
		after  string   // prints the variable
		mayLack,
		afterUnset string
	}{
		{format: handout.Bash, args: []string{"bash", "--norc", "-c"}, after: `printf %s "$V"`, afterUnset: `printf %s "${V-gone}"`},
		{format: handout.Bash, args: []string{"sh", "-c"}, after: `printf %s "$V"`, afterUnset: `printf %s "${V-gone}"`},
		{format: handout.Fish, args: []string{"fish", "--no-config", "-c"}, after: `printf %s $V`, afterUnset: `set -q V; or printf gone`, mayLack: "fish"},
		{format: handout.PowerShell, args: []string{"pwsh", "-NoProfile", "-Command"}, after: `[Console]::Write($Env:V)`, afterUnset: `if (-not (Test-Path Env:V)) { [Console]::Write('gone') }`, mayLack: "pwsh"},
	} {
		if _, err := exec.LookPath(shell.args[0]); err != nil && shell.mayLack != "" {
			t.Logf("%s is not here: the tables judge its form", shell.mayLack)
			continue
		}
		run := func(script string) string {
			out, err := exec.CommandContext(t.Context(), shell.args[0], append(shell.args[1:], script)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", script, err, out)
			}
			return string(out)
		}
		for _, value := range awkward {
			line, err := shell.format.Set(handout.Variable{Name: "V", Value: value}, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := run(line + shell.after); got != value {
				t.Errorf("%s: %q became %q by %s", shell.args[0], value, got, line)
			}
			if got := run(line + shell.format.Unset("V") + shell.afterUnset); got != "gone" {
				t.Errorf("%s: unset left %q", shell.args[0], got)
			}
		}
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format      handout.Format
		value, want string // "" where it cannot be written
	}{
		{handout.Fish, `a'b\c$d` + "\n", `set -gx V 'a\'b\\c$d` + "\n'\n"},
		{handout.PowerShell, "a'b\u2019c$d`e\n", "$Env:V = 'a''b\u2019\u2019c$d`e\n'\n"},
		{handout.Dotenv, "Abc~8Q.x-_", "V=Abc~8Q.x-_\n"},
		{handout.Dotenv, "", "V=\n"},
		{handout.Dotenv, `C:\Users\Jo Doe\c.pem`, `V='C:\Users\Jo Doe\c.pem'` + "\n"},
		{handout.Dotenv, `say "$HOME" #1`, `V='say "$HOME" #1'` + "\n"},
		{handout.Dotenv, "it's", ""},
		{handout.Dotenv, "${HOME}", ""},
		{handout.Dotenv, `\\server`, ""},
		{handout.Dotenv, `C:\`, ""},
		{handout.Dotenv, "a\nb", ""},
		{handout.GitHub, "a\nX<<EOF\nb", "V<<c2conn_R\na\nX<<EOF\nb\nc2conn_R\n"},
		{handout.GitHub, "c2conn_R\nPATH=/tmp", ""},
		{handout.Bash, "a\x00b", ""},
	} {
		got, err := test.format.Set(handout.Variable{Name: "V", Value: test.value}, "R")
		if got != test.want {
			t.Errorf("%s: %q became %q, want %q", test.format, test.value, got, test.want)
		}
		var no *handout.UnquotableError
		if (test.want == "") != errors.As(err, &no) {
			t.Errorf("%s: %q: %v", test.format, test.value, err)
		}
		if err != nil && test.value != "" && strings.Contains(err.Error(), test.value) {
			t.Errorf("the error shows the value: %v", err)
		}
	}
	if got := handout.Mask("50%\r\nsecond\n\n"); got != "::add-mask::50%25\n::add-mask::second\n" {
		t.Errorf("%q", got)
	}
}

// FuzzBash wants bash to read any value as it was.
func FuzzBash(f *testing.F) {
	for _, value := range awkward {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		line, err := handout.Bash.Set(handout.Variable{Name: "V", Value: value}, "")
		if err != nil {
			if !strings.ContainsRune(value, 0) {
				t.Fatal(err)
			}
			return
		}
		cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-s")
		cmd.Env = []string{"LC_ALL=C"}
		cmd.Stdin = strings.NewReader(line + `printf %s "$V"`)
		out, err := cmd.Output()
		if err != nil || string(out) != value {
			t.Fatalf("%q became %q: %v", value, out, err)
		}
	})
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	got := handout.Environ([]string{
		"PATH=/bin", "C2CONN_PASSPHRASE=x", "C2CONN_CLIENT_SECRET=x", "C2CONN_ACCESS_TOKEN=x", "C2CONN_IDENTITY_FILE=/x", "C2CONN_HOME=/state",
		"AZURE_CLIENT_SECRET=another", "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN=true", "AZURE_TENANT_ID=another", "AZURE_CLOUD=x", "odd",
	}, []handout.Variable{{Name: handout.TenantID, Value: "t"}, {Name: handout.CertificatePath, Value: "/p=q"}})
	want := []string{"PATH=/bin", "C2CONN_HOME=/state", "AZURE_CLOUD=x", "odd", "AZURE_TENANT_ID=t", "AZURE_CLIENT_CERTIFICATE_PATH=/p=q"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if left := handout.Competing([]handout.Variable{{Name: handout.ClientSecret}}); slices.Contains(left, handout.ClientSecret) || !slices.Contains(left, handout.CertificatePath) {
		t.Errorf("%q", left)
	}
}
