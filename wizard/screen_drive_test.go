package wizard

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/internal/task"
)

// driver plays the terminal and the runtime for a screen: it sends messages, runs
// the commands that come back one after the other and collects what they say.
type driver struct {
	t       *testing.T
	m       *screen
	quit    bool
	hold    bool // collect commands instead of running them
	held    []tea.Cmd
	copied  string
	saves   int
	saveErr error
	deeds   *deeds
}

// drive starts a screen of 80×24 over s.
func drive(t *testing.T, s *Session) *driver { t.Helper(); return driveWith(t, s, nil) }

// driveWith does so with other deeds.
func driveWith(t *testing.T, s *Session, do *deeds) *driver {
	t.Helper()
	d := &driver{t: t, deeds: do}
	d.m = newScreen(t.Context(), s, ScreenOptions{
		Now:  func() time.Time { return testNow },
		Copy: func(text string) error { d.copied = text; return nil },
		ReadDir: func(path string) ([]fs.DirEntry, error) {
			files := fstest.MapFS{"certs/app.pfx": {}, "certs/app2.pem": {}, "certs/notes.txt": {}, "certs/archive/old.pfx": {}}
			return files.ReadDir(strings.Trim(path, "/"))
		},
	})
	t.Cleanup(d.m.cancel)
	d.m.tick = func() tea.Cmd { return nil }
	d.m.send = func(msg tea.Msg) { d.send(msg) }
	if d.deeds == nil {
		d.m.deeds = autoDeeds(found())
		d.m.configure = ending(fine())
	} else {
		d.m.deeds = *d.deeds
	}
	d.m.save = func(context.Context, *Session, *Outcome) error { d.saves++; return d.saveErr }
	d.run(d.m.Init())
	return d
}

func (d *driver) send(msg tea.Msg) {
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

func (d *driver) run(cmd tea.Cmd) {
	switch {
	case cmd == nil:
		return
	case d.hold:
		d.held = append(d.held, cmd)
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.QuitMsg:
		d.quit = true
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		d.send(msg)
	}
}

// release runs what was held back.
func (d *driver) release() {
	held := d.held
	d.hold, d.held = false, nil
	for _, cmd := range held {
		d.run(cmd)
	}
}

var keyCodes = map[string]tea.Key{
	"enter": {Code: tea.KeyEnter}, "tab": {Code: tea.KeyTab}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift},
	"esc": {Code: tea.KeyEscape}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft},
	"backspace": {Code: tea.KeyBackspace}, "space": {Code: tea.KeySpace, Text: " "}, "f1": {Code: tea.KeyF1},
	"home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "pgdown": {Code: tea.KeyPgDown}, "pgup": {Code: tea.KeyPgUp},
}

// keyPress is a key by its name.
func keyPress(t *testing.T, name string) tea.KeyPressMsg {
	t.Helper()
	k, ok := keyCodes[name]
	if letter, found := strings.CutPrefix(name, "ctrl+"); found {
		k, ok = tea.Key{Code: rune(letter[0]), Mod: tea.ModCtrl}, true
	}
	if !ok {
		if len(name) != 1 {
			t.Fatalf("there is no key %q", name)
		}
		k = tea.Key{Code: rune(name[0]), Text: name}
	}
	return tea.KeyPressMsg(k)
}

// keys presses keys by name.
func (d *driver) keys(names ...string) *driver {
	d.t.Helper()
	for _, name := range names {
		d.send(keyPress(d.t, name))
	}
	return d
}

// typed types text.
func (d *driver) typed(text string) *driver {
	for _, r := range text {
		d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return d
}

func (d *driver) size(w, h int) *driver {
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	return d
}

// event reports a moment of the run under way.
func (d *driver) event(e task.Event) {
	d.send(runMsg{of: d.m.run.events, event: e})
}

// text is the screen without styles.
func (d *driver) text() string { return ansi.Strip(d.m.View().Content) }

func (d *driver) sees(parts ...string) *driver {
	d.t.Helper()
	text := d.text()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			d.t.Fatalf("%q is not on the screen:\n%s", part, text)
		}
	}
	return d
}

func (d *driver) seesNot(parts ...string) *driver {
	d.t.Helper()
	text := d.text()
	for _, part := range parts {
		if strings.Contains(text, part) {
			d.t.Fatalf("%q is on the screen:\n%s", part, text)
		}
	}
	return d
}

// toRegistration goes to the Application registration and chooses Manual.
func (d *driver) toRegistration() *driver {
	d.keys("enter", "enter")
	if d.m.s.Value(keyRegistration).Text != byHand {
		d.keys("down")
	}
	return d
}

// toDetails goes to the Application details.
func (d *driver) toDetails() *driver { return d.toRegistration().keys("enter") }

// toSignIn goes to the Administrator sign-in, signIn on to the page that says who
// has signed in.
func (d *driver) toSignIn() *driver { return d.keys("enter", "enter", "enter") }

func (d *driver) toSignedIn() *driver { return d.toSignIn().keys("enter", "enter") }

// toPlan goes to the Plan.
func (d *driver) toPlan() *driver {
	d.toSignedIn().keys("enter")
	for d.m.step == "application" {
		d.keys("enter")
	}
	return d
}

// toRegister goes to the Configuration of an automatic registration.
func (d *driver) toRegister() *driver {
	d.t.Helper()
	d.toPlan().keys("enter")
	if d.m.step != ConfigurationStep {
		d.t.Fatalf("not at the Configuration:\n%s", d.text())
	}
	return d
}

// toConfiguration goes to the Configuration of a session that is answered.
func (d *driver) toConfiguration() *driver {
	d.t.Helper()
	d.toDetails()
	for range d.m.fields {
		d.keys("enter")
	}
	if d.m.step != ConfigurationStep {
		d.t.Fatalf("not at the Configuration:\n%s", d.text())
	}
	return d
}
