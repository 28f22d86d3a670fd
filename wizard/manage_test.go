package wizard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// renamedTo renames the selected connection.
func (d *manager) renamedTo(name string) *manager {
	d.t.Helper()
	return d.keys("m", "ctrl+u").typed(name).keys("enter")
}

// withChanges has one of each kind of change staged.
func withChanges(t *testing.T) *manager {
	t.Helper()
	d := manageOver(t, someProfiles()...)
	d.renamedTo("contoso-archive").keys("down", "d", "y")
	if _, err := d.stage.Add(t.Context(), profile("northwind", nil)); err != nil {
		t.Fatal(err)
	}
	return d.keys("ctrl+r")
}

var manageScenes = []struct {
	name string
	play func(t *testing.T) *manager
}{
	{"empty", func(t *testing.T) *manager { return manageOver(t) }},
	{"list", func(t *testing.T) *manager { return manageOver(t, someProfiles()...).damage("broken") }},
	{"filter", func(t *testing.T) *manager { return manageOver(t, someProfiles()...).keys("/").typed("fabrikam") }},
	{"staged", withChanges},
	{"details", func(t *testing.T) *manager {
		return manageOver(t, someProfiles()...).keys("down", "down", "down", "i")
	}},
	{"details-obsolete", func(t *testing.T) *manager {
		return manageOver(t, someProfiles()...).keys("end", "up", "i")
	}},
	{"details-damaged", func(t *testing.T) *manager {
		return manageOver(t, someProfiles()...).damage("broken").keys("home", "i")
	}},
	{"verifying", func(t *testing.T) *manager {
		d := manageOver(t, someProfiles()...)
		d.m.o.SideBySide = 2
		d.hold = true
		d.keys("V")
		j := d.m.jobs[d.m.shown[0].c.ID]
		d.send(jobMsg{id: d.m.shown[0].c.ID, of: j, text: "Exchange Web Services"})
		return d
	}},
	{"conflict", func(t *testing.T) *manager {
		d := manageOver(t, someProfiles()...).renamedTo("mine")
		if _, err := d.store.Rename(t.Context(), "contoso-backup", "theirs"); err != nil {
			t.Fatal(err)
		}
		return d.keys("ctrl+s", "i")
	}},
	{"rename", func(t *testing.T) *manager {
		return manageOver(t, someProfiles()...).keys("m", "ctrl+u").typed("old").keys("enter")
	}},
	{"delete", func(t *testing.T) *manager { return manageOver(t, someProfiles()...).keys("d") }},
	{"new", func(t *testing.T) *manager { return manageOver(t, someProfiles()...).keys("n") }},
	{"cancel", func(t *testing.T) *manager { return withChanges(t).keys("esc") }},
	{"help", func(t *testing.T) *manager { return manageOver(t, someProfiles()...).keys("?") }},
}

func TestManageScenes(t *testing.T) {
	t.Parallel()
	for _, scene := range manageScenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			for _, size := range [][2]int{{80, 24}, {120, 40}, {60, 16}, {200, 60}} {
				d := scene.play(t)
				d.hold = true
				d.size(size[0], size[1])
				lines := strings.Split(d.text(), "\n")
				if len(lines) != size[1] {
					t.Errorf("%d lines in a window of %d", len(lines), size[1])
				}
				for _, line := range lines {
					if ansi.StringWidth(line) > size[0] {
						t.Errorf("a line is wider than %d: %q", size[0], line)
					}
				}
				fmt.Fprintf(&out, "== %d×%d\n%s\n", size[0], size[1], strings.Join(lines, "\n"))
			}
			golden(t, "manage-"+scene.name, out.String())
		})
	}
}

// TestManageStyles: the look is that of the wizard.
func TestManageStyles(t *testing.T) {
	t.Parallel()
	golden(t, "styled-manage", strings.ReplaceAll(withChanges(t).m.View().Content, "\x1b", "␛"))
}

func TestManageStagesAndSaves(t *testing.T) {
	t.Parallel()
	d := withChanges(t)
	d.sees("* 3 not saved", "renamed", "will be deleted", "northwind", "o OK")
	if got := d.saved(); got != "contoso-backup contoso-sp fabrikam-source fabrikam-target old tailspin" {
		t.Errorf("saved too early: %s", got)
	}
	d.keys("ctrl+s").sees("3 changes saved.").seesNot("not saved")
	if got := d.saved(); got != "contoso-archive fabrikam-source fabrikam-target northwind old tailspin" {
		t.Error(got)
	}
	if d.quit {
		t.Error("it has left")
	}
	if d.keys("esc"); !d.quit || !d.m.done {
		t.Error("esc with nothing staged leaves at once")
	}
}

func TestManageOKLeaves(t *testing.T) {
	t.Parallel()
	d := withChanges(t).keys("o")
	if !d.quit || !d.m.done || d.m.saved != 3 || !strings.HasPrefix(d.saved(), "contoso-archive ") {
		t.Error(d.quit, d.m.saved, d.saved())
	}
}

func TestManageCancelAsks(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]struct{ staged, saved int }{"s": {0, 3}, "d": {0, 0}, "l": {3, 0}} {
		d := withChanges(t).keys("q").sees("Leave without saving?", "contoso-archive (renamed)")
		if d.keys("enter"); d.quit {
			t.Error("Enter leaves")
		}
		if d.keys("q", key); !d.quit || !d.m.done || len(d.stage.Pending()) != want.staged || d.m.saved != want.saved {
			t.Errorf("%s: %v, %d staged, %d saved", key, d.quit, len(d.stage.Pending()), d.m.saved)
		}
	}
}

// TestManageDiscardTellsOfApplications: what was registered stays in the tenant.
func TestManageDiscardTellsOfApplications(t *testing.T) {
	t.Parallel()
	d := manageOver(t)
	auto := profile("auto", func(c *connections.Connection) { c.Registration.Mode = connections.ModeAutomatic })
	if _, err := d.stage.Add(t.Context(), auto); err != nil {
		t.Fatal(err)
	}
	d.keys("ctrl+r", "esc").sees("c2conn app delete " + testClientID)
	if d.keys("d"); len(d.m.apps) != 1 {
		t.Error(d.m.apps)
	}
}

func TestManageCtrlCKeepsWhatIsStaged(t *testing.T) {
	t.Parallel()
	d := withChanges(t).keys("ctrl+c")
	if !d.quit || !errors.Is(d.m.err, ErrCancelled) || len(d.stage.Pending()) != 3 {
		t.Error(d.quit, d.m.err)
	}
	d.stage.Close()
	manageIn(t, d.store).sees("3 changes from just now were not saved.", "* 3 not saved")
}

func TestManageUndo(t *testing.T) {
	t.Parallel()
	d := withChanges(t)
	d.keys("home", "u").sees("The change of contoso-archive is undone.", "› ", "contoso-backup")
	d.keys("down", "u").sees("contoso-sp", "* 1 not saved")
	d.keys("u").sees("Nothing is changed about contoso-sp.")
	d.keys("/").typed("northwind").keys("enter", "u").sees("It was never saved").keys("y").seesNot("not saved")
}

func TestManageConflict(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...).renamedTo("mine")
	if _, err := d.store.Rename(t.Context(), "contoso-backup", "theirs"); err != nil {
		t.Fatal(err)
	}
	d.keys("o").sees("name changed here and by another program", "in conflict", "y keep yours")
	if d.quit {
		t.Fatal("it has left although nothing was saved")
	}
	d.keys("y").seesNot("in conflict").keys("o")
	if !d.quit || !strings.Contains(d.saved(), "mine") || strings.Contains(d.saved(), "theirs") {
		t.Error(d.saved())
	}
}

func TestManageVerifies(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	var names []string
	d.verify = func(_ context.Context, c connections.Connection, listen func(task.Event)) (Verified, error) {
		names = append(names, c.Name)
		listen(task.Event{Kind: task.Started, Title: "Exchange Web Services"})
		if c.Name == "old" {
			return Verified{}, errors.New("the credential cannot be read")
		}
		return Verified{State: connections.StateFailed, Results: blocked()}, nil
	}
	d.keys("/").typed("fabrikam").keys("enter", "V")
	if !slices.Equal(names, []string{"fabrikam-source", "fabrikam-target"}) || d.m.running != 0 || len(d.m.jobs) != 0 {
		t.Errorf("verified %v, %d running", names, d.m.running)
	}
	d.keys("i").sees("blocked by this tenant")
	d.keys("esc", "esc", "end", "up", "v").sees("old: the credential cannot be read")
}

func TestManageVerifyIsBoundedAndStops(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	d.m.o.SideBySide = 2
	ended := 0
	d.verify = func(ctx context.Context, _ connections.Connection, _ func(task.Event)) (Verified, error) {
		if ctx.Err() != nil {
			ended++
			return Verified{}, ctx.Err()
		}
		return Verified{State: connections.StateVerified}, nil
	}
	d.hold = true
	d.keys("V")
	if d.m.running != 2 || len(d.m.queue) != 4 {
		t.Fatalf("%d running, %d waiting", d.m.running, len(d.m.queue))
	}
	d.keys("x").sees("Stopped.")
	d.release()
	if ended != 2 || d.m.running != 0 || len(d.m.jobs) != 0 {
		t.Errorf("%d were cancelled, %d running", ended, d.m.running)
	}
}

func TestManageRotates(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	d.keys("r").sees("takes effect at once").keys("y").sees("The credential of contoso-backup is replaced.")
	d.renamedTo("mine").keys("r").sees("Save the changes of mine first")
	// The end of a message says what to do: it must not be cut off in a narrow window.
	for _, width := range []int{60, 80} {
		d.size(width, 16).keys("r")
		if whole := strings.Join(strings.Fields(d.text()), " "); !strings.Contains(whole, "a rotation takes effect at once, on what is saved.") {
			t.Error(d.text())
		}
		if n := strings.Count(d.text(), "\n") + 1; n != 16 {
			t.Errorf("%d lines in %d columns", n, width)
		}
	}
	if !slices.Equal(d.rotated, []string{"contoso-backup"}) {
		t.Error(d.rotated)
	}
}

func TestManageFilterAndSort(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	order := func() string {
		var names []string
		for _, r := range d.m.shown {
			names = append(names, r.c.Name)
		}
		return strings.Join(names, " ")
	}
	for filter, want := range map[string]string{
		"migration": "fabrikam-source fabrikam-target", "NOT verified": "tailspin", "client secret": "fabrikam-target", "consent": "contoso-sp", "nothing": "",
	} {
		if d.keys("/").typed(filter); order() != want {
			t.Errorf("/%s: %s", filter, order())
		}
		d.keys("esc")
	}
	d.keys("s") // by state
	if want := "fabrikam-target contoso-sp tailspin old contoso-backup fabrikam-source"; order() != want {
		t.Error(order())
	}
	d.keys("s") // by expiry; what has none comes last
	if got := order(); !strings.HasPrefix(got, "tailspin fabrikam-source ") || !strings.HasSuffix(got, " fabrikam-target") {
		t.Error(got)
	}
	d.keys("S").sees("EXPIRES ↓")
}

func TestManageMouse(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	click := func(x, y int) {
		d.send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	}
	head := strings.Split(d.text(), "\n")[2]
	click(ansi.StringWidth(head[:strings.Index(head, "STATE")])+1, 2)
	if d.m.sort.by != "state" {
		t.Fatalf("sorted by %s", d.m.sort.by)
	}
	click(5, 5)
	if d.m.at != 2 {
		t.Errorf("row %d is selected", d.m.at)
	}
	d.send(tea.MouseWheelMsg{Button: tea.MouseWheelDown})
	if d.m.at != 5 {
		t.Errorf("row %d after the wheel", d.m.at)
	}
	click(5, 5)
	click(5, 5)
	d.sees("edit Exchange connection " + d.m.shown[2].c.Name)
	if d.m.child == nil {
		t.Error("a double click opens")
	}
}

// TestManageFlow: a flow opens inside and gives the terminal back.
func TestManageFlow(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...).keys("n", "s").sees("new SharePoint connection")
	d.keys("q").sees("Leave without saving?").keys("y").sees("c2conn · connections", "Nothing was changed.")
	if d.quit {
		t.Fatal("the whole program has ended")
	}
	d.keys("n", "e")
	child := d.m.child
	out := &Outcome{Connection: connections.Connection{Name: "made", ID: "x"}, Notes: []string{"The certificate stays."}}
	child.saved.Store(out)
	d.run(d.m.toChild(savedMsg{outcome: out}))
	d.sees("What you should know", "The certificate stays.").keys("esc").sees("made is staged; o saves it.")
	// What an ended flow still has to say concerns nobody.
	d.send(childMsg{child, leaveMsg{ErrCancelled}})
	d.sees("c2conn · connections")
	d.keys("n", "e", "ctrl+c")
	if !d.quit {
		t.Error("Ctrl-C in a flow leaves")
	}
}

func TestManagePassphrase(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	reply := make(chan passphraseReply, 1)
	d.send(askPassphraseMsg{false, reply})
	d.sees("Passphrase").typed("open sesame").seesNot("open").keys("enter").seesNot("Passphrase")
	if r := <-reply; string(r.secret.Reveal()) != "open sesame" {
		t.Error("another passphrase")
	}
	d.keys("n", "e")
	d.send(askPassphraseMsg{false, reply})
	d.sees("Passphrase").keys("ctrl+c")
	if r := <-reply; r.given {
		t.Error("leaving declines")
	}
}

// TestManageResizeStorm: no size breaks a screen.
func TestManageResizeStorm(t *testing.T) {
	t.Parallel()
	for _, scene := range manageScenes {
		d := scene.play(t)
		d.hold = true
		for w := 1; w < 220; w += 13 {
			for h := 1; h < 64; h += 7 {
				lines := strings.Split(d.size(w, h).text(), "\n")
				if len(lines) > h {
					t.Fatalf("%s: %d lines at %d×%d", scene.name, len(lines), w, h)
				}
				for _, line := range lines {
					if ansi.StringWidth(line) > w {
						t.Fatalf("%s: a line is wider than %d×%d: %q", scene.name, w, h, line)
					}
				}
			}
		}
	}
}

// thousand is a dashboard of 120×40 with 1,000 connections.
func thousand(t testing.TB) *manage {
	m := newManage(context.Background(), ManageOptions{Env: &Env{Clouds: testClouds(), Clock: stillClock{}}, ScreenOptions: ScreenOptions{Now: func() time.Time { return testNow }}})
	t.Cleanup(m.cancel)
	m.w, m.h = 120, 40
	_ = m.took(manageLoaded{rows: manyProfiles(t, 1000)})
	return m
}

// TestManageThousand bounds what a frame costs by what does not depend on the machine:
// only what can be seen is drawn.
func TestManageThousand(t *testing.T) {
	m := thousand(t)
	down := tea.KeyPressMsg(tea.Key{Code: tea.KeyDown})
	frame := func() {
		_, _ = m.Update(down)
		_ = m.View()
	}
	if n := testing.AllocsPerRun(50, frame); n > 4000 {
		t.Errorf("%.0f allocations a frame", n)
	}
}

func BenchmarkManageFrame(b *testing.B) {
	m := thousand(b)
	down := tea.KeyPressMsg(tea.Key{Code: tea.KeyDown})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = m.Update(down)
		_ = m.View()
	}
}

func BenchmarkManageFilter(b *testing.B) {
	m := thousand(b)
	for b.Loop() {
		m.setFilter("fabrikam not")
		_ = m.View()
	}
}

// A server's password is changed in Active Directory, and nothing of it is in a tenant.
func TestManageServer(t *testing.T) {
	t.Parallel()
	farm := profile("farm", func(c *connections.Connection) {
		c.Kind, c.Location, c.Cloud, c.Account = connections.SharePoint, connections.OnPremises, "", "spadmin@corp.example"
		c.Tenant, c.Registration = connections.Tenant{}, connections.Registration{}
		c.Credential = connections.Credential{Type: connections.TypePassword, Secret: "env:PASSWORD"}
		c.Endpoints = connections.Endpoints{SharePoint: "https://sp.corp.example", Admin: "http://sp.corp.example:34567"}
	})
	d := manageOver(t, farm)
	d.keys("r").sees("Passwords are changed in Active Directory").seesNot("takes effect at once")
	var out strings.Builder
	if _, err := RunManagePlain(t.Context(), d.m.o, PlainOptions{In: strings.NewReader("1\nd\nno\nc\n"), Out: &out}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, "rotate") || strings.Contains(text, "Entra") || !strings.Contains(text, "Delete farm when you save?") {
		t.Error(text)
	}
}

// TestManagePlain leads through the dialogue line by line.
func TestManagePlain(t *testing.T) {
	t.Parallel()
	d := manageOver(t, someProfiles()...)
	var out strings.Builder
	o := d.m.o
	run := func(lines ...string) (Managed, error) {
		out.Reset()
		return RunManagePlain(t.Context(), o, PlainOptions{In: strings.NewReader(strings.Join(lines, "\n") + "\n"), Out: &out})
	}
	done, err := run("1", "m", "contoso", "2", "d", "yes", "help", "nonsense", "6", "v", "3", "r", "y", "c", "", "s")
	if err != nil || done.Saved != 2 || d.saved() != "contoso fabrikam-source fabrikam-target old tailspin" {
		t.Errorf("%v %+v\n%s", err, done, out.String())
	}
	for _, part := range []string{"1. contoso: Exchange, Online, verified 2 h ago, until 2031-01-22; renamed, not saved.", "will be deleted", "Verifying tailspin.", "is no answer here", "2 changes not saved. s save"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q was not said:\n%s", part, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("there are escape sequences")
	}
	if done, err := run("1", "m", "other"); !errors.Is(err, ErrInputEnded) || len(done.Left) != 1 {
		t.Errorf("%v %+v", err, done)
	}
	if done, err := run("1", "u", "1", "d", "y", "c", "d"); err != nil || len(done.Left) != 0 || !strings.HasPrefix(d.saved(), "contoso ") {
		t.Errorf("%v %+v", err, done)
	}
}
