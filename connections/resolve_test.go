package connections

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), fileMode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text, large := write("text", "hunter2\r\n"), write("large", strings.Repeat("x", fileLimit+1))
	s := testStore(t, func(o *Options) { o.Getenv = environment("GOOD", "hunter2\n", "EMPTY", "") })
	for _, tc := range []struct {
		ref       Ref
		want, raw string // want "" = an error
		unix      bool   // needs a Unix shell
	}{
		{"env:GOOD", "hunter2", "hunter2\n", false},
		{"env:EMPTY", "", "", false},
		{"env:NOT-A-NAME", "", "", false},
		{Ref("file:" + text), "hunter2", "hunter2\r\n", false},
		{Ref("file:" + large), "", "", false},
		{Ref("file:" + dir), "", "", false},
		{Ref("file:" + filepath.Join(dir, "none")), "", "", false},
		{"file:relative", "", "", false},
		{"file:/dev/zero", "", "", true},
		{"exec:printf '%s\\n' hunter2", "hunter2", "hunter2\n", true},
		{"exec:sh -c 'echo leaked-output; echo no such $0 >&2; exit 3' item", "", "", true},
		{"exec:c2conn-no-such-command --token leaked-output", "", "", false},
		{"exec:head -c 2000000 /dev/zero", "", "", true},
		{"windows:My/AB", "", "", false},
		{"leaked-output", "", "", false},
		{"leaked-output:x", "", "", false},
		{"", "", "", false},
	} {
		if tc.unix && runtime.GOOS == "windows" {
			continue
		}
		got, err := s.Secret(t.Context(), tc.ref)
		raw, rawErr := s.SecretBytes(t.Context(), tc.ref)
		var bad *ReferenceError
		switch {
		case tc.want != "" && (err != nil || string(got.Reveal()) != tc.want || rawErr != nil || string(raw.Reveal()) != tc.raw):
			t.Errorf("%s: %v, %v", tc.ref, err, rawErr)
		case tc.want == "" && (!errors.As(err, &bad) || strings.Contains(err.Error(), "leaked")):
			t.Errorf("%s: %v", tc.ref, err)
		}
	}
	if runtime.GOOS != "windows" {
		_, err := s.Secret(t.Context(), "exec:sh -c 'printf \"no \\033[31mitem\" >&2; exit 3'")
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no [31mitem") {
			t.Errorf("what the command said: %q", err)
		}
	}
}

func TestSplitCommand(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   string
		want []string // nil = an error
	}{
		{"pass show c2conn", []string{"pass", "show", "c2conn"}},
		{"  a\t b  ", []string{"a", "b"}},
		{`a 'b c' "d e"f`, []string{"a", "b c", "d ef"}},
		{`a '' ""`, []string{"a", "", ""}},
		{`C:\tools\x.exe "C:\Program Files\y"`, []string{`C:\tools\x.exe`, `C:\Program Files\y`}},
		{`a "b \"c\" \\ \d"`, []string{"a", `b "c" \ \d`}},
		{`a $HOME * | b`, []string{"a", "$HOME", "*", "|", "b"}},
		{"", nil}, {"   ", nil}, {"''", nil}, {"a 'b", nil}, {`a "b`, nil}, {"a\nb", nil}, {"a\x00", nil},
	} {
		got, err := SplitCommand(tc.in)
		if !reflect.DeepEqual(got, tc.want) || (err != nil) != (tc.want == nil) {
			t.Errorf("SplitCommand(%q) = %q, %v", tc.in, got, err)
		}
	}
}
