package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestOneCommandIsMade wants the command that the arguments name, and no other, and
// the same command as beside all the others.
func TestOneCommandIsMade(t *testing.T) {
	t.Parallel()
	all := newRoot(&app{}, nil)
	for _, c := range all.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		for _, name := range append([]string{c.Name()}, c.Aliases...) {
			for _, before := range [][]string{nil, {"--output", "json"}, {"--output=json"}, {"-o", "json"}, {"-ojson"}, {"--no-input", "--accessible=false"}} {
				args := append(slices.Clone(before), name)
				if got := made(newRoot(&app{}, args)); !slices.Equal(got, []string{c.Name()}) {
					t.Errorf("%q makes %q", args, got)
				}
			}
		}
		alone, _, err := newRoot(&app{}, []string{c.Name()}).Find([]string{c.Name()})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := helpOf(t, alone), helpOf(t, c); got != want {
			t.Errorf("the help of %s is another one alone:\n%s\nand beside the others:\n%s", c.Name(), got, want)
		}
	}
	if got := made(newRoot(&app{}, []string{"completion", "bash"})); len(got) > 1 {
		t.Errorf("completion makes %q", got)
	}
	if got := made(newRoot(&app{}, []string{watchCommand})); !slices.Equal(got, []string{watchCommand}) {
		t.Errorf("%s makes %q", watchCommand, got)
	}
}

// TestAllCommandsAreMade wants all of them where the arguments do not name one.
func TestAllCommandsAreMade(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil, {""}, {"--help"}, {"-h", "list"}, {"help"}, {"help", "list"}, {"--no-input"}, {"--output"}, {"-o", "list"}, {"--unknown", "list"},
		{"lsit"}, {cobra.ShellCompRequestCmd, "l"}, {cobra.ShellCompNoDescRequestCmd, ""}, {"--", "list"},
	} {
		if got := made(newRoot(&app{}, args)); len(got) != len(allCommands()) {
			t.Errorf("%q makes %q", args, got)
		}
	}
}

// TestCompletionScriptNeedsNoCommands wants the script of every shell as with all
// commands made.
func TestCompletionScriptNeedsNoCommands(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := func(made []string) string {
			var out bytes.Buffer
			a := &app{Streams: Streams{Out: &out, Err: &out}, Environment: Environment{Getenv: func(string) string { return "" }}}
			root := newRoot(a, made)
			root.SetArgs([]string{"completion", shell})
			if err := root.Execute(); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		if got, want := script([]string{"completion", shell}), script(nil); got != want || len(want) < 1000 {
			t.Errorf("%s: another script", shell)
		}
	}
}

// made are the names of the commands that a command line has, without cobra's own.
func made(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if c.Name() != "help" && c.Name() != "completion" {
			names = append(names, c.Name())
		}
	}
	return names
}

// helpOf is the help of a command and of all beneath it.
func helpOf(t *testing.T, c *cobra.Command) string {
	t.Helper()
	var out strings.Builder
	c.SetOut(&out)
	if err := c.Help(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range c.Commands() {
		out.WriteString(helpOf(t, sub))
	}
	return out.String()
}
