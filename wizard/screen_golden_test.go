package wizard

import (
	"context"
	"errors"
	goflag "flag" // script.go has a function of that name
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

var update = goflag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./wizard -run %s -update", err, t.Name())
	}
	if got != string(want) {
		t.Errorf("the screen has changed; if that is right: go test ./wizard -run %s -update\n%s", t.Name(), got)
	}
}

// scene brings a screen into a state that a user can see.
type scene struct {
	name string
	play func(t *testing.T) *driver
}

var scenes = slices.Concat(manualScenes, autoScenes, sharePointScenes, migrationScenes, serverScenes, sharePointServerScenes, editScenes)

var manualScenes = []scene{
	{"location", func(t *testing.T) *driver { return drive(t, testSession()) }},
	{"location-on-premises-by-flag", func(t *testing.T) *driver {
		s := testSession()
		_ = s.Set(keyLocation, string(connections.OnPremises), FromFlag, "--on-premises")
		return drive(t, s)
	}},
	{"registration", func(t *testing.T) *driver { return drive(t, testSession()).keys("enter", "enter") }},
	{"registration-manual", func(t *testing.T) *driver { return drive(t, testSession()).toRegistration() }},
	{"details-empty", func(t *testing.T) *driver { return drive(t, testSession()).toDetails() }},
	{"details-wrong", func(t *testing.T) *driver {
		d := drive(t, testSession()).toDetails().typed("admin").keys("tab").typed("object id?").keys("tab").typed("https://contoso.com").keys("tab", "down", "up", "tab")
		return d.keys("enter", "enter")
	}},
	{"details-tenant-unknown", func(t *testing.T) *driver {
		return drive(t, testSession()).toDetails().keys("tab", "tab").typed("nowhere.example").keys("tab")
	}},
	{"details-looking", func(t *testing.T) *driver {
		d := drive(t, testSession()).toDetails().keys("tab", "tab").typed("contoso.com")
		d.hold = true
		return d.keys("tab")
	}},
	{"details-thumbprint", func(t *testing.T) *driver {
		return drive(t, answered()).toDetails().keys("tab", "tab", "tab", "tab", "ctrl+u")
	}},
	{"details-thumbprint-choosing", func(t *testing.T) *driver {
		return drive(t, answered()).toDetails().keys("tab", "tab", "tab", "tab", "ctrl+u", "down", "down")
	}},
	{"details-secret", func(t *testing.T) *driver {
		return drive(t, answered()).toDetails().keys("tab", "tab", "tab", "down", "down", "tab").typed("abc~defghijklmnopqrstuvwxyz0123456789012")
	}},
	{"details-file-paths", func(t *testing.T) *driver { return drive(t, answered()).toDetails().keys("ctrl+o").typed("/certs/a") }},
	{"details-file-password", func(t *testing.T) *driver {
		return drive(t, answered()).toDetails().keys("ctrl+o").typed("/certs/app.pfx").keys("enter")
	}},
	{"details-reference", func(t *testing.T) *driver {
		return drive(t, answered()).toDetails().keys("tab", "tab", "tab", "up", "tab").typed("exec:pass show c2conn").keys("tab")
	}},
	{"details-leaving", func(t *testing.T) *driver {
		s := answered()
		v := s.Answers[keyTenantID]
		v.Resolved, v.Note = "", ""
		s.Answers[keyTenantID] = v
		d := drive(t, s).toDetails().keys("tab", "tab", "tab", "tab")
		d.hold = true
		return d.keys("enter")
	}},
	{"configuration", func(t *testing.T) *driver { return drive(t, answered()).toConfiguration() }},
	{"configuration-name-taken", func(t *testing.T) *driver {
		return drive(t, answered()).toConfiguration().keys("ctrl+u").typed("taken").keys("enter")
	}},
	{"configuration-running", running},
	{"configuration-passed", func(t *testing.T) *driver { return drive(t, answered()).toConfiguration().keys("enter") }},
	{"configuration-passed-selected", func(t *testing.T) *driver {
		return drive(t, answered()).toConfiguration().keys("enter", "down", "up")
	}},
	{"configuration-failed", failed},
	{"configuration-answer-wrong", func(t *testing.T) *driver {
		d := drive(t, answered()).toConfiguration()
		d.m.configure = func(_ context.Context, s *Session, _ func(task.Event)) (*Outcome, error) {
			return nil, problem(s, keyThumbprint, errors.New("the certificate's private key is not on this machine"))
		}
		return d.keys("enter")
	}},
	{"configuration-broke-off", func(t *testing.T) *driver {
		d := drive(t, answered()).toConfiguration()
		d.m.configure = func(context.Context, *Session, func(task.Event)) (*Outcome, error) {
			return nil, errors.New("the store could not be opened")
		}
		return d.keys("enter")
	}},
	{"configuration-save-unverified", func(t *testing.T) *driver { return failed(t).keys("f") }},
	{"configuration-saving", func(t *testing.T) *driver {
		d := drive(t, answered()).toConfiguration().keys("enter")
		d.hold = true
		return d.keys("f")
	}},
	{"configuration-not-saved", func(t *testing.T) *driver {
		d := drive(t, answered()).toConfiguration().keys("enter")
		d.saveErr = errors.New("no space left on device")
		return d.keys("f")
	}},
	{"advice", func(t *testing.T) *driver { return failed(t).keys("d") }},
	{"advice-end-copied", func(t *testing.T) *driver {
		d := failed(t).keys("d")
		d.sees("What happened") // the height of the text is reckoned when it is drawn
		return d.keys("end", "y")
	}},
	{"advice-none", func(t *testing.T) *driver {
		return drive(t, answered()).toConfiguration().keys("enter", "d")
	}},
	{"help", func(t *testing.T) *driver { return drive(t, testSession()).toDetails().keys("ctrl+g") }},
	{"leave", func(t *testing.T) *driver { return drive(t, testSession()).keys("esc") }},
	{"passphrase", func(t *testing.T) *driver {
		d := drive(t, answered())
		d.send(askPassphraseMsg{reply: make(chan passphraseReply, 1)})
		return d.typed("four words")
	}},
	{"passphrase-new-differs", func(t *testing.T) *driver {
		d := drive(t, answered())
		d.send(askPassphraseMsg{confirm: true, reply: make(chan passphraseReply, 1)})
		return d.typed("one").keys("enter").typed("two").keys("enter")
	}},
}

// running is a run of which some tasks have ended and one waits.
func running(t *testing.T) *driver {
	d := drive(t, answered()).toConfiguration()
	if err := d.m.s.Lookup(t.Context(), keyName); err != nil {
		t.Fatal(err)
	}
	d.hold = true
	d.keys("enter")
	results := fine()
	for i := range results {
		d.event(task.Event{Kind: task.Started, ID: results[i].ID})
	}
	for _, i := range []int{0, 1, 3} {
		d.event(task.Event{Kind: task.Finished, ID: results[i].ID, Result: &results[i]})
	}
	d.event(task.Event{Kind: task.Progress, ID: "ews", Text: "Exchange is busy (503), waiting 7 s, try 2 of 5", Attempt: 2, Until: testNow.Add(16 * time.Second)})
	d.m.now = func() time.Time { return testNow.Add(9 * time.Second) }
	return d
}

// failed is a run in a tenant that blocks EWS.
func failed(t *testing.T) *driver {
	d := drive(t, answered()).toConfiguration()
	d.m.configure = ending(blocked())
	return d.keys("enter")
}

func TestScenes(t *testing.T) {
	t.Parallel()
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			for _, size := range [][2]int{{80, 24}, {120, 40}, {60, 16}, {40, 10}} {
				d := scene.play(t)
				d.hold = true
				d.size(size[0], size[1])
				view := d.m.View()
				lines := strings.Split(ansi.Strip(view.Content), "\n")
				if len(lines) > size[1] {
					t.Errorf("%d lines in a window of %d", len(lines), size[1])
				}
				for i, line := range lines {
					lines[i] = strings.TrimRight(line, " ")
					if ansi.StringWidth(line) > size[0] {
						t.Errorf("a line is wider than %d: %q", size[0], line)
					}
				}
				where := "none"
				if c := view.Cursor; c != nil {
					where = fmt.Sprintf("column %d, line %d", c.X, c.Y)
				}
				fmt.Fprintf(&out, "== %d×%d, cursor: %s\n%s\n", size[0], size[1], where, strings.Join(lines, "\n"))
			}
			golden(t, "screen-"+scene.name, out.String())
		})
	}
}

// TestStyles keeps an eye on the colours: sixteen of the terminal's own, no more.
func TestStyles(t *testing.T) {
	t.Parallel()
	golden(t, "styled-failed", strings.ReplaceAll(failed(t).m.View().Content, "\x1b", "␛"))
	golden(t, "styled-details", strings.ReplaceAll(drive(t, answered()).toDetails().m.View().Content, "\x1b", "␛"))
}
