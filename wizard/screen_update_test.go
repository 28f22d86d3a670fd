package wizard

import (
	"context"
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

func TestWholeWizard(t *testing.T) {
	t.Parallel()
	d := drive(t, testSession())
	d.sees("Where is the server?", "Microsoft cloud")
	d.keys("enter", "enter")
	d.sees("How is the application registered?", "Global Administrator")
	d.keys("down").sees("use one registration again")
	d.keys("enter")
	d.typed("admin@contoso.com").keys("enter").typed("{" + strings.ToUpper(testClientID) + "}").keys("enter")
	d.typed("contoso.com").keys("enter").sees("→ " + testTenantID + " (found)")
	d.keys("down", "down", "enter").sees("Client secrets expire")
	d.typed("abc~defghijklmnopqrstuvwxyz0123456789").keys("enter")
	d.sees("Name of the connection", "contoso-exchange", "waiting")
	d.keys("enter").sees("Verified: 9 ok", "f finish and save")
	d.keys("f")
	out := d.m.saved.Load()
	if !d.quit || out == nil || d.saves != 1 || out.Connection.Name != "contoso-exchange" {
		t.Fatalf("quit %v, saves %d, outcome %+v", d.quit, d.saves, out)
	}
	for key, want := range map[string]string{keyClientID: testClientID, keyTenantID: "contoso.com", keyCredential: bySecret} {
		if v := d.m.s.Answers[key]; v.Text != want || v.Origin != FromUser {
			t.Errorf("%s is %+v, want %q", key, v, want)
		}
	}
	if got := d.m.s.Answers.Resolved(keyTenantID); got != testTenantID {
		t.Errorf("tenant %q", got)
	}
}

func TestBackKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	d := drive(t, testSession()).toDetails().typed("admin").keys("tab").typed("not an id")
	d.keys("esc").sees("How is the application registered?")
	d.keys("shift+tab").sees("Where is the server?")
	d.toDetails().sees("admin", "not an id", "not a client ID", "is not an e-mail address")
	d.keys("tab", "shift+tab", "shift+tab").sees("How is the application registered?")
}

func TestLeavingIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"esc", "q"} {
		d := drive(t, testSession()).keys(key)
		d.sees("Leave without saving?", "thrown away")
		d.keys("x", "n").sees("Where is the server?")
		d.keys(key, "enter").sees("Where is the server?")
		if d.quit {
			t.Error("left without a yes")
		}
		d.keys(key, "y")
		if !d.quit || !errors.Is(d.m.err, ErrCancelled) {
			t.Errorf("quit %v, err %v", d.quit, d.m.err)
		}
	}
}

func TestLettersAreTextInTextFields(t *testing.T) {
	t.Parallel()
	d := drive(t, testSession()).toDetails().typed("q?fdbrny")
	d.sees("› q?fdbrny")
	d.keys("ctrl+g").sees("Help · Application details", "App registrations")
	d.keys("ctrl+g").sees("› q?fdbrny")
	d = drive(t, testSession()).keys("?")
	d.sees("Help · Server location")
	d.keys("?").sees("Where is the server?")
}

func TestCtrlCEndsEveryScene(t *testing.T) {
	t.Parallel()
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			d := scene.play(t)
			d.hold = false
			d.keys("ctrl+c")
			if !d.quit && d.m.ask != nil && d.m.ask.leaving {
				d.keys("ctrl+c") // something would be left in the tenant: it asks once
			}
			if !d.quit || !errors.Is(d.m.err, ErrCancelled) || d.m.ctx.Err() == nil {
				t.Errorf("quit %v, err %v, ctx %v", d.quit, d.m.err, d.m.ctx.Err())
			}
		})
	}
}

func TestUnavailableOptionsCannotBeTaken(t *testing.T) {
	t.Parallel()
	d := drive(t, testSession())
	d.keys("tab") // the clouds, of which one is gone
	for _, key := range []string{"down", "down", "down", "down", "down", "space", "up", "down", "space"} {
		d.keys(key)
		if got := d.m.s.Value(keyCloud).Text; got == "germany" {
			t.Fatalf("after %s the cloud is %q", key, got)
		}
	}
}

func TestPasteComesOnce(t *testing.T) {
	t.Parallel()
	d := drive(t, testSession()).toDetails()
	d.send(tea.PasteMsg{Content: "admin@contoso.com\r\n"})
	d.keys("tab")
	d.send(pastedMsg{keyClientID, tea.PasteMsg{Content: testClientID}})
	d.send(pastedMsg{keyTenantID, tea.PasteMsg{Content: "elsewhere"}})
	d.keys("tab")
	if got := d.m.s.Answers.Get(keyAccount); got != "admin@contoso.com" {
		t.Errorf("account %q", got)
	}
	if got := d.m.s.Answers.Get(keyClientID); got != testClientID {
		t.Errorf("client id %q", got)
	}
	d.keys("tab", "down", "down", "tab")
	d.send(tea.PasteMsg{Content: "one~secret~of~some~length\n"})
	d.seesNot("secret~of")
	d.keys("tab")
	if got := string(d.m.s.Answers[keySecret].Secret.Reveal()); got != "one~secret~of~some~length" {
		t.Error("the pasted secret is another")
	}
}

func TestImportFromApplicationDetails(t *testing.T) {
	t.Parallel()
	d := drive(t, answered()).keys("ctrl+o")
	d.sees("Where is the server?")
	d.toDetails()
	d.keys("ctrl+o").sees("Certificate file", "(•) Certificate file (PFX or PEM)")
	d.typed("/certs/ap").keys("tab").sees("› /certs/app", "app.pfx", "app2.pem")
	d.keys("tab", "tab", "tab", "enter").sees("→ needs its password, see below")
	d.typed("wrong").keys("enter").sees("✗ the password does not open the file", "Needs you: Password")
	d.keys("ctrl+u").typed("open sesame").keys("enter")
	if d.m.step != ConfigurationStep {
		t.Fatalf("not on the Configuration:\n%s", d.text())
	}
	if got := d.m.s.Answers.Resolved(keyCertFile); got != testThumb {
		t.Errorf("the file stands for %q", got)
	}
}

func TestSuggestedCertificateIsTaken(t *testing.T) {
	t.Parallel()
	d := drive(t, answered()).toDetails().keys("tab", "tab", "tab", "tab", "ctrl+u")
	d.sees("AB12CD34… CN=c2conn, until 2031-11-22", "Contoso backup")
	d.typed("contoso b").seesNot("AB12CD34… CN=c2conn, until 2031-11-22")
	d.keys("down", "enter")
	if got := d.m.s.Answers.Get(keyThumbprint); got != "0123456789ABCDEF0123456789ABCDEF01234567" {
		t.Errorf("thumbprint %q", got)
	}
	d.sees("no certificate with this thumbprint")
	d.keys("ctrl+u", "down", "down", "esc", "ctrl+u", "down", "enter")
	if got := d.m.s.Answers.Get(keyThumbprint); got != testThumb || d.m.step != ConfigurationStep {
		t.Errorf("thumbprint %q, step %s", got, d.m.step)
	}
}

func TestLookUpsFollowTheAnswersTheyRead(t *testing.T) {
	t.Parallel()
	d := drive(t, answered())
	tenant := func() Value { return d.m.s.Answers[keyTenantID] }
	if tenant().Resolved != testTenantID {
		t.Fatalf("tenant %+v", tenant())
	}
	d.hold = true
	d.keys("enter", "down")
	if tenant().Resolved != "" || d.m.looking[keyTenantID] == nil {
		t.Errorf("the tenant is still that of another cloud: %+v", tenant())
	}
	first := d.m.looking[keyTenantID]
	d.keys("down")
	d.send(lookedUpMsg{key: keyTenantID, of: first, resolved: "of the first cloud"})
	if tenant().Resolved != "" {
		t.Errorf("an answer that came too late was taken: %+v", tenant())
	}
	d.release()
	if tenant().Resolved != testTenantID {
		t.Errorf("tenant %+v", tenant())
	}
	d.sees("contoso.onmicrosoft.com · dod")
}

func TestNextWaitsForLookUps(t *testing.T) {
	t.Parallel()
	begin := func() *driver {
		s := answered()
		_ = s.Set(keyTenantID, "nowhere.example", FromUser, "")
		d := drive(t, s).toDetails().keys("tab", "tab", "tab", "tab")
		again(s, keyTenantID)
		d.hold = true
		return d.keys("enter")
	}
	d := begin()
	d.sees("Looking up the answers")
	d.keys("enter", "x").sees("Looking up the answers")
	d.release()
	d.sees("no tenant has the domain nowhere.example", "Application details")
	if d.m.fields[d.m.focus].def.Key != keyTenantID {
		t.Error("the focus is not on the wrong answer")
	}
	d = begin().keys("esc")
	d.seesNot("Looking up the answers")
	d.release()
	if d.m.step == ConfigurationStep {
		t.Error("went on all the same")
	}
	// Enter looks up again what could not be found.
	d = begin()
	d.release()
	d.hold = true
	d.keys("enter").sees("looking it up")
}

func TestChangedAnswersInvalidateTheOutcome(t *testing.T) {
	t.Parallel()
	d := drive(t, answered()).toConfiguration().keys("enter")
	d.sees("Verified")
	d.keys("b", "esc").toDetails2()
	d.sees("Verified") // nothing was changed
	d.keys("n", "ctrl+u").typed("another-name").keys("enter").sees("Verified")
	d.keys("b").sees("Application details")
	d.keys("ctrl+u").typed("other@contoso.com").toLast()
	d.seesNot("Verified")
	d.sees("Configure runs 9 checks")
	d.keys("f")
	if d.saves != 0 {
		t.Error("saved what was not checked")
	}
}

// toDetails2 goes on from the registration to the Configuration.
func (d *driver) toDetails2() { d.keys("enter").toLast() }

// toLast goes through the details, all of which are answered.
func (d *driver) toLast() {
	for range d.m.fields {
		d.keys("enter")
	}
}

func TestRenamedOutcomeIsSavedUnderTheNewName(t *testing.T) {
	t.Parallel()
	d := drive(t, answered()).toConfiguration().keys("enter")
	d.saveErr = connections.ErrExists
	d.keys("f").sees("Not saved", "f tries to save again", "d shows what to do")
	d.saveErr = nil
	d.keys("n").typed("-2").keys("enter").seesNot("Not saved")
	d.keys("f")
	if out := d.m.saved.Load(); !d.quit || out == nil || out.Connection.Name != "contoso-exchange-2" {
		t.Errorf("outcome %+v", out)
	}
}

func TestRunCanBeStoppedAndRunAgain(t *testing.T) {
	t.Parallel()
	d := running(t)
	d.size(150, 40).sees("7 s left, Exchange is busy (503), waiting 7 s, try 2 of 5", "0:09", "running")
	d.seesNot("try 2 of 5, try 2")
	late := runMsg{of: d.m.run.events, end: true, outcome: &Outcome{Verified: true}}
	d.keys("f", "r").sees("running")
	d.keys("b").sees("Stopped. Nothing was saved.", "waiting")
	d.send(late)
	d.seesNot("Verified")
	d.held, d.hold = nil, false
	d.keys("enter").sees("Verified: 9 ok")
	d.m.configure = ending(blocked())
	d.keys("r").sees("Not verified", "1 failed")
}

func TestSavingAsNotVerifiedIsAskedFor(t *testing.T) {
	t.Parallel()
	d := failed(t).keys("f")
	d.sees("Save as not verified?")
	d.keys("n")
	if d.saves != 0 || d.quit {
		t.Error("saved without a yes")
	}
	d.keys("f", "y")
	if out := d.m.saved.Load(); d.saves != 1 || !d.quit || out == nil || out.Verified {
		t.Errorf("saves %d, quit %v, outcome %+v", d.saves, d.quit, out)
	}
}

func TestWrongAnswerFoundByTheRunIsMended(t *testing.T) {
	t.Parallel()
	d := drive(t, answered()).toConfiguration()
	d.m.configure = func(_ context.Context, s *Session, _ func(task.Event)) (*Outcome, error) {
		return nil, problem(s, keyThumbprint, errors.New("the key is not on this machine"))
	}
	d.size(120, 40).keys("enter").sees("Certificate thumbprint: the key is not on this machine", "b back and mend")
	d.keys("b").sees("Application details", "✗ the key is not on this machine")
	if f := d.m.focused(); f == nil || f.def.Key != keyThumbprint {
		t.Error("the focus is elsewhere")
	}
}

func TestDetailsScrollAndCopy(t *testing.T) {
	t.Parallel()
	d := failed(t).keys("d")
	d.sees("Details · Exchange Web Services", "What happened", "  1. Run as Exchange", "     PS> $ids", "  2. Wait")
	d.keys("y").sees("Copied 3 command lines.")
	want := "$ids = (Get-OrganizationConfig).EwsAppIDAllowList\n" +
		"Set-OrganizationConfig -EwsAppIDAllowList (@($ids) + '" + testClientID + "' | Select-Object -Unique)\n" +
		"c2conn verify contoso-exchange"
	if d.copied != want {
		t.Errorf("copied\n%s", d.copied)
	}
	d.seesNot("Trace id")
	d.keys("pgdown", "end").sees("Trace id", "3f2a6c1e", "↑ more")
	d.keys("home", "up").sees("What happened")
	d.keys("d", "up", "up", "enter").sees("Details · Groups")
	d.keys("esc")
	d.m.copyText = func(string) error { return errors.New("no display") }
	d.keys("down", "down", "d", "y").sees("The clipboard did not take it: no display")
	d.m.copyText = nil
	d.keys("y").sees("There is no clipboard here")
}

func TestPassphraseIsAskedOnTheScreen(t *testing.T) {
	t.Parallel()
	d := drive(t, answered())
	reply := make(chan passphraseReply, 1)
	d.send(askPassphraseMsg{confirm: true, reply: reply})
	d.keys("enter").sees("A passphrase is needed.")
	d.send(tea.PasteMsg{Content: "four words of mine"})
	d.keys("enter").sees("once more")
	d.typed("four words of min").keys("enter").sees("not the same")
	d.typed("four words of mine").keys("enter").typed("four words of mine").seesNot("four words")
	d.keys("enter").sees("Where is the server?")
	if r := <-reply; !r.given || string(r.secret.Reveal()) != "four words of mine" {
		t.Error("the answer is another")
	}
	d.send(askPassphraseMsg{reply: reply})
	d.keys("esc")
	if r := <-reply; r.given {
		t.Error("a passphrase was given")
	}
	d.send(askPassphraseMsg{reply: reply})
	d.send(passphraseGoneMsg{reply})
	d.sees("Where is the server?")
	d.send(askPassphraseMsg{reply: reply})
	d.keys("ctrl+c")
	if r := <-reply; r.given || !d.quit {
		t.Error("the question is still there")
	}
}

// TestEverySize draws scenes in windows of every size: never more than there is
// room for, and never a panic.
func TestEverySize(t *testing.T) {
	t.Parallel()
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			d := scene.play(t)
			d.hold = true
			for w := 1; w < 130; w += 13 {
				for h := 1; h < 44; h += 6 {
					d.size(w, h)
					lines := strings.Split(d.text(), "\n")
					if len(lines) > h {
						t.Fatalf("%d lines at %d×%d", len(lines), w, h)
					}
					for _, line := range lines {
						if ansi.StringWidth(line) > w {
							t.Fatalf("%d×%d: too wide: %q", w, h, line)
						}
					}
				}
			}
			d.size(20, 5).sees("The window is too", "ctrl+c")
			d.keys("ctrl+c", "ctrl+c")
			if d.m.err == nil {
				t.Error("ctrl+c does nothing in a small window")
			}
		})
	}
}

func TestForeignTextMovesNothing(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\x1b]0;owned\a\u009b31m\u202egnp\u200b.y"
	s := answered()
	_ = s.Set(keyName, evil, FromUser, "")
	v := s.Answers[keyTenantID]
	v.Note = evil
	s.Answers[keyTenantID] = v
	d := drive(t, s)
	d.m.configure = ending([]task.Result{{ID: "ews", Title: evil, Status: task.Fail, Finding: evil, Advice: &advice.Advice{
		What: evil, Why: evil, Next: []string{evil, "$ " + evil}, Link: evil, Codes: []string{evil}, TraceID: evil, CorrelationID: evil}}})
	views := []string{}
	look := func() { views = append(views, d.m.View().Content) }
	look()
	d.toDetails()
	look()
	for range d.m.fields {
		d.keys("enter")
	}
	look()
	d.keys("ctrl+u").typed("good").keys("enter")
	look()
	d.keys("d")
	look()
	for _, view := range views {
		for _, bad := range []string{"\x1b[2J", "\x1b]", "\a", "\u009b", "\u202e", "\u200b"} {
			if strings.Contains(view, bad) {
				t.Errorf("%q got onto the screen:\n%q", bad, view)
			}
		}
	}
	if !strings.Contains(ansi.Strip(views[4]), "What happened") {
		t.Errorf("no details:\n%s", ansi.Strip(views[4]))
	}
}
