package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/registration"
)

var unfinishedRuns = []registration.Unfinished{
	{Run: "01K9Z7AAAAAAAAAAAAAAAAAAAA", AppName: "One"}, {Run: "01K9Z7BBBBBBBBBBBBBBBBBBBB", AppName: "Two"}, {Run: "01K9Z8CCCCCCCCCCCCCCCCCCCC", AppName: "Three"},
}

// TestCleanupChooses answers its questions as somebody at a terminal does, or gives
// the flags of a script.
func TestCleanupChooses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		args     string
		typed    string // "" where nobody can be asked
		all, yes bool
		want     string // applications, or words of the error
	}{
		{"each is asked for", "", "n\ny\n\n", false, false, "Two"},
		{"all are asked for too", "", "y\ny\ny\n", true, false, "One Two Three"},
		{"by the beginning of the id", "01k9z8", "y\n", false, false, "Three"},
		{"nothing is agreed to", "01K9Z8", "n\n", false, false, "nothing was deleted"},
		{"the terminal is closed", "", "y\n", false, false, "cancelled"},
		{"yes needs to know which", "", "y\n", false, true, "say which"},
		{"a script", "01K9Z7B 01K9Z8C", "", false, true, "Two Three"},
		{"a script, all", "", "", true, true, "One Two Three"},
		{"a script without yes", "", "", true, false, "give --yes"},
		{"a script that names none", "", "", false, false, "say which, or --all: 01K9Z7A"},
		{"several begin so", "01K9Z7", "", false, true, "2 runs begin with"},
		{"none begins so", "02", "", false, true, "there is no unfinished run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			terminal := c.typed != ""
			a := &app{
				Streams:     Streams{In: iotest.OneByteReader(strings.NewReader(c.typed)), Err: &said, InTerminal: terminal, ErrTerminal: terminal},
				Environment: Environment{Clock: transport.SystemClock()},
			}
			o := &cleanupOptions{app: a, all: c.all, yes: c.yes}
			got, err := o.choose(t.Context(), unfinishedRuns, strings.Fields(c.args))
			var names []string
			for _, u := range got {
				names = append(names, u.AppName)
			}
			text := strings.Join(names, " ")
			if err != nil {
				text = err.Error()
			}
			if text != c.want && (err == nil || !strings.Contains(text, c.want)) {
				t.Errorf("got %q, want %q\n%s", text, c.want, said.String())
			}
			var usage *usageError
			if !terminal && err != nil && !errors.As(err, &usage) {
				t.Errorf("a script must get exit code 2, not %T", err)
			}
		})
	}
}
