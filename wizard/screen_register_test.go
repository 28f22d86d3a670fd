package wizard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

func TestWholeRegistration(t *testing.T) {
	t.Parallel()
	d := driveAuto(t, found(), nil)
	d.keys("enter", "enter").sees("(•) Automatic registration")
	d.keys("enter").sees("How do you sign in?", "Signing in changes nothing.")
	d.keys("enter").sees("enter sign in")
	d.keys("enter").sees("✓ Signed in; nothing is changed yet", "admin@contoso.com", "Contoso (contoso.onmicrosoft.com)", testTenantID, "Global Administrator")
	d.keys("enter").sees("› admin@contoso.com", "CodeTwo Backup Exchange", "1826")
	d.keys("enter", "enter", "enter", "enter").sees("Changes, in this order:", "Create the application", "Nothing has been changed so far.")
	d.keys("y").sees("Copied the plan.")
	if !strings.Contains(d.copied, "User.Read.All") {
		t.Errorf("copied %q", d.copied)
	}
	d.keys("pgdown", "end").sees("User.Read.All").keys("home")
	d.keys("enter").sees("Configure carries out the plan, then runs 9 checks.", "Admin consent", "Exchange Web Services")
	d.keys("enter").sees("Verified: 14 ok").keys("f")
	if out := d.m.saved.Load(); !d.quit || out == nil || out.Connection.Name != "contoso-exchange" || out.Run != testRun {
		t.Fatalf("quit %v, outcome %+v", d.quit, out)
	}
}

func TestSignInIsConfirmedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	d := driveAuto(t, found(), nil).toSignedIn()
	d.keys("o").sees("How do you sign in?")
	if d.m.s.SignedIn() != nil || d.m.s.Answers.Has(foundMailbox) {
		t.Error("somebody is still signed in")
	}
	d.keys("enter", "enter", "enter").sees("Name of the application")
	// Back on the page it still says who it is; another cloud is another sign-in.
	d.keys("esc").sees("✓ Signed in")
	d.keys("esc", "esc").sees("Microsoft cloud").keys("tab", "down", "enter", "enter").sees("How do you sign in?", " usgov")
	d.seesNot("✓ Signed in", "connection                       contoso")
}

func TestWaitingForTheBrowser(t *testing.T) {
	t.Parallel()
	d := waitingIn(t, LoginBrowser, nil)
	d.sees("Your browser shows the sign-in page of Microsoft", "4:32 left, waiting for the browser.", "https://login.microsoftonline.com/organizations")
	d.hold = false
	d.keys("y").sees("Copied the address.")
	if d.copied != browserPrompt.URL {
		t.Errorf("copied %q", d.copied)
	}
	before := d.m.login.news
	d.hold = true
	d.keys("c")
	if got := d.m.s.Value(keyLogin).Text; got != LoginDeviceCode || !d.m.login.active {
		t.Errorf("signs in by %s", got)
	}
	d.send(signInMsg{of: before, end: true})
	d.sees("Preparing the sign-in with a code")
	d.send(signInMsg{of: d.m.login.news, prompt: &codePrompt})
	d.sees("FJC3GH2K9", "█").seesNot("clipboard")
	d.hold = false
	d.run(d.m.copyCode())
	d.hold = true
	d.sees("it is on the clipboard")
	if d.copied != codePrompt.Code {
		t.Errorf("copied %q", d.copied)
	}
	d.keys("w", "esc").sees("Stopped waiting. Nobody is signed in.", "How do you sign in?")
	if d.m.login.active || d.m.s.SignedIn() != nil {
		t.Error("still signing in")
	}
}

func TestCodeWithoutClipboard(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(string) error{"none": nil, "failing": func(string) error { return errors.New("no display") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := driveAuto(t, found(), func(do *deeds) { do.signIn = signingIn(nil) }).toSignIn().keys("down")
			d.m.copyText = put
			d.hold = true
			d.keys("enter", "enter")
			d.send(signInMsg{of: d.m.login.news, prompt: &codePrompt})
			if put != nil {
				d.run(d.m.copyCode())
			}
			d.sees("FJC3GH2K9").seesNot("clipboard")
		})
	}
}

func TestOtherWayIsOfferedOnce(t *testing.T) {
	t.Parallel()
	tries := 0
	d := driveAuto(t, found(), func(do *deeds) {
		do.signIn = func(context.Context, *Session, func(SignInPrompt)) error { tries++; return blockedCode() }
	}).toSignIn().keys("down", "enter", "enter")
	d.sees("Sign in the other way?", "in a browser on this computer")
	d.keys("y").sees("What happened", "Not signed in. Nothing was changed.").seesNot("Sign in the other way?")
	if tries != 2 || d.m.s.Value(keyLogin).Text != LoginBrowser {
		t.Errorf("%d tries, the last by %s", tries, d.m.s.Value(keyLogin).Text)
	}
	d.keys("enter").seesNot("Sign in the other way?")
	d.keys("c", "r", "esc").sees("(•) Code, in a browser anywhere")
	if tries != 5 {
		t.Errorf("%d tries", tries)
	}
	d.m.signIn = refusing(problem(d.m.s, keyTenantID, errors.New("an application signs in to one tenant: say which")))
	d.keys("enter", "enter").sees("Administrator sign-in")
	if f := d.m.focused(); f == nil || f.def.Key != keyTenantID {
		t.Errorf("the focus is on %+v", f)
	}
}

func TestPlanFollowsTheAnswers(t *testing.T) {
	t.Parallel()
	looks := 0
	f := found()
	sameName(f)
	d := driveAuto(t, f, func(do *deeds) {
		look := do.look
		do.look = func(ctx context.Context, s *Session) error { looks++; return look(ctx, s) }
	}).toPlan()
	d.sees("(•) Stop", "(14", "owner meike@contoso.com", "1 certificate").seesNot("Changes, in this order")
	d.keys("enter").sees("Choose what to do about it")
	if d.m.step != "plan" {
		t.Fatal("went on although Stop is chosen")
	}
	d.keys("up").size(120, 60).sees("Create the application", "(new, for this tenant only)")
	d.keys("up").sees("Add the certificate", "(exists: client id", "enter agree and go on")
	d.keys("enter").sees("Configure carries out the plan")
	d.keys("esc", "esc").sees("Name of the application")
	was := looks
	d.keys("tab", "ctrl+u").typed("Backup").keys("enter", "enter", "enter")
	if looks == was {
		t.Error("the tenant was not looked at for the other name")
	}
	// Several of the name: which one is asked.
	f.Same = append(f.Same, f.Same[0])
	f.Same[1].AppID = strings.Replace(testClientID, "77aa", "77bb", 1)
	d = driveAuto(t, f, nil).toPlan().keys("up", "up").sees("Client ID of the registration to use", "Give the client ID of the one to use.")
	d.keys("enter", "enter").sees("Give the client ID of the one to use.")
	d.keys("down", "down", "enter").size(120, 60).sees("Add the certificate", "77bb, registered").seesNot("Give the client ID")
	d.keys("enter").sees("Configure carries out the plan")
}

func TestPlanThatCannotBeMade(t *testing.T) {
	t.Parallel()
	d := driveAuto(t, found(), nil).toSignedIn().without(func(do *deeds) { do.look = failing }).keys("enter", "enter", "enter", "enter", "enter")
	d.sees("Graph answered 503", "There is no plan.")
	d.keys("enter").sees("There is no plan to agree to.")
	d.without(func(do *deeds) { do.look = autoDeeds(found()).look }).keys("r").sees("Changes, in this order:")
}

func TestShorterLifeIsAskedFor(t *testing.T) {
	t.Parallel()
	d := halfway(t, lifetime()).size(120, 40).sees("This tenant does not allow a certificate that lives this long.")
	d.keys("y").sees("x  Roll back").seesNot("This tenant")
	if got := d.m.s.Answers.Get(keyCertDays); got != Longest {
		t.Errorf("days %q", got)
	}
	d = driveAuto(t, strict(found()), func(do *deeds) { do.configure = breaking(lifetime()) }).toRegister().keys("enter").size(120, 40)
	d.sees("This tenant allows 180 days at most. Use a certificate of 180 days?")
	d.keys("n").sees("x  Roll back")
	d.keys("r").sees("This tenant allows 180 days")
	d.m.configure = registering(fine())
	d.keys("y").sees("Verified: 14 ok")
	if got := d.m.s.Answers.Get(keyCertDays); got != "180" {
		t.Errorf("days %q", got)
	}
}

func TestHalfway(t *testing.T) {
	t.Parallel()
	bad := errors.New("the service is unavailable")
	d := halfway(t, bad).sees("✗ The service is unavailable.", "r  Try again", "x  Roll back", "k  Keep it and leave", "c2conn app cleanup")
	d.keys("d").sees("What happened").keys("d")
	d.keys("t").sees("✗ Service principal", "failed").keys("t")
	d.keys("k").sees("Keep it and leave?").keys("n")
	d.m.configure = registering(fine())
	d.keys("r").sees("Verified: 14 ok")

	d = halfway(t, bad).keys("x", "n").sees("x  Roll back")
	d.keys("x", "y").sees("Rolled back. Nothing of it is left in your tenant.", "Changes, in this order:")
	if d.m.s.begun() != "" || d.m.s.SignedIn() == nil {
		t.Errorf("begun %q, signed in %v", d.m.s.begun(), d.m.s.SignedIn())
	}
	d.m.configure = registering(fine())
	d.keys("enter", "enter").sees("Verified: 14 ok")

	d = halfway(t, bad).without(func(do *deeds) { do.rollback = rollbackFailing }).keys("x", "y")
	d.sees("could not be removed completely", "r  Try again to remove it.").seesNot("x  Roll back")
	d.without(func(do *deeds) { do.rollback = autoDeeds(found()).rollback }).keys("r").sees("Rolled back.")

	d = halfway(t, bad).keys("k", "y")
	var half *HalfwayError
	if err := d.m.s.left(d.m.err); !d.quit || !errors.As(err, &half) || !errors.Is(err, ErrCancelled) || half.Run != testRun || half.AppName != "CodeTwo Backup Exchange" {
		t.Errorf("quit %v, err %v", d.quit, err)
	}
}

// TestLeavingARegistrationAsksOnce presses Ctrl-C while one is under way.
func TestLeavingARegistrationAsksOnce(t *testing.T) {
	t.Parallel()
	d := registeringNow(t).keys("ctrl+c")
	d.sees("Leave the registration unfinished?", "c2conn app cleanup removes")
	d.keys("enter").sees("Admin consent")
	if !d.m.run.active {
		t.Error("asking has stopped the registration")
	}
	d.keys("q").sees("Leave the registration unfinished?").keys("esc", "ctrl+c")
	d.hold = false
	d.keys("ctrl+c")
	if !d.quit {
		t.Error("did not leave")
	}

	// Rolling back waits for what is under way, and leaves then.
	var removed []string
	d = registeringNow(t).without(func(do *deeds) {
		do.rollback = func(_ context.Context, s *Session, run string, _ func(task.Event)) error {
			removed = append(removed, run)
			s.letGo()
			return nil
		}
	}).keys("ctrl+c", "x").sees("Stopping")
	d.m.s.begin()
	d.hold = false
	d.send(runMsg{of: d.m.run.events, end: true, err: &HalfwayError{Run: testRun, Err: context.Canceled}})
	if err := d.m.s.left(d.m.err); !d.quit || !slices.Equal(removed, []string{testRun}) || !errors.Is(err, ErrCancelled) || d.m.s.begun() != "" {
		t.Errorf("quit %v, removed %v, err %v", d.quit, removed, err)
	}

	// Stopping keeps what was made until something is decided.
	d = registeringNow(t).keys("b").sees("Stopping")
	d.m.s.begin()
	d.send(runMsg{of: d.m.run.events, end: true, err: &HalfwayError{Run: testRun, AppName: "App", Err: context.Canceled}})
	d.sees("You stopped the registration of “App”.", "x  Roll back")
	d = registeringNow(t).keys("b")
	d.send(runMsg{of: d.m.run.events, end: true, err: context.Canceled})
	d.sees("Stopped before anything was changed.", "waiting")
}

func TestWaitingForConsent(t *testing.T) {
	t.Parallel()
	d := waitingForConsent(t).size(150, 40)
	d.sees("An administrator still has to consent to", "adminco", "contoso-exchange", "Waiting for consent")
	d.keys("y").sees("Copied the address.")
	if want := "https://login.microsoftonline.com/" + testTenantID + "/adminconsent?client_id=" + testClientID; d.copied != want {
		t.Errorf("copied %q", d.copied)
	}
	d.keys("t").sees("! Admin consent").keys("n", "ctrl+u").typed("other").keys("enter").sees("c2conn consent", "other")
	d.keys("f")
	if out := d.m.saved.Load(); !d.quit || out == nil || !out.Waiting || out.Connection.Name != "other" {
		t.Errorf("quit %v, outcome %+v", d.quit, out)
	}
}

func TestUnfinishedIsOffered(t *testing.T) {
	t.Parallel()
	other := unfinished()
	other.Run, other.AppName, other.RollingBack = "01KAA0000000000000000000R2", "Half removed", true
	both := func(do *deeds) { do.unfinished = leftBy(unfinished(), other) }

	d := driveAuto(t, found(), both).sees("An unfinished registration (1 of 2)", "CodeTwo Backup Exchange", "admin@contoso.com", "2026-11-21 07:00 UTC")
	d.keys("enter").sees("Half removed", "It was being removed").seesNot("resume")
	d.keys("r", "enter").sees("Where is the server?")
	if d.m.s.begun() != "" {
		t.Error("resumes what was to be left")
	}

	d = driveAuto(t, found(), both).keys("r").sees("How do you sign in?", testTenantID)
	d.keys("enter", "enter").sees("✓ Signed in")
	if d.m.s.begun() != testRun {
		t.Error("nothing is resumed")
	}
	d.keys("ctrl+c").sees("Leave the registration unfinished?")

	var removed string
	d = driveAuto(t, found(), func(do *deeds) {
		both(do)
		do.rollback = func(_ context.Context, _ *Session, run string, _ func(task.Event)) error { removed = run; return nil }
	})
	d.keys("c", "enter", "enter").sees("Going on removes from this tenant", "enter clean up")
	d.keys("enter").sees("Rolled back.", "✓", "enter continue")
	if removed != testRun || d.m.s.begun() != "" || d.m.s.Answers.Has(keyAppName) || d.m.s.Answers.Has(keyName) {
		t.Errorf("removed %q, answers %v", removed, d.m.s.Answers)
	}
	d.keys("enter").sees("Name of the application")

	s := testSession()
	_ = s.Set(keyRegistration, byHand, FromFlag, "manual")
	do := autoDeeds(found())
	both(&do)
	driveWith(t, s, &do).sees("Where is the server?").seesNot("unfinished")
}

// TestEditingAnAutomaticConnection chooses Manual for a connection that was
// registered automatically: everything is filled in.
func TestEditingAnAutomaticConnection(t *testing.T) {
	t.Parallel()
	s := testSession()
	s.Load(connections.Connection{
		Name: "contoso-backup", Kind: connections.Exchange, Location: connections.Online, Cloud: "global", Account: "admin@contoso.com",
		Tenant:       connections.Tenant{ID: testTenantID, Domain: "contoso.onmicrosoft.com", Name: "Contoso"},
		Registration: connections.Registration{Mode: connections.ModeAutomatic, ClientID: testClientID, AppName: "CodeTwo Backup Exchange"},
		Credential:   connections.Credential{Type: connections.TypeCertificate, Thumbprint: testThumb, Secret: "store:01KAA0000000000000000000KY"},
	})
	d := drive(t, s).keys("enter", "enter").sees("(•) Automatic registration")
	d.keys("down").sees("use one registration again").keys("enter")
	d.sees("Application details", "admin@contoso.com", testClientID, testTenantID, "(•) Certificate in my personal store", testThumb)
	for range d.m.fields {
		d.keys("enter")
	}
	d.sees("contoso-backup", "Configure runs 9 checks. Nothing in your tenant is changed.")
	d.keys("enter").sees("Verified: 9 ok")
}

func TestForeignTextOfATenantMovesNothing(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2J\x1b]0;owned\a\u009b31m\u202egnp\u200b.y"
	f := found()
	f.Tenant.Name, f.Tenant.Domain, f.Account, f.Me.UPN, f.Notes = evil, evil, evil, evil, []string{evil}
	f.Roles[0].Name, f.Roles[0].TemplateID = evil, ""
	sameName(f)
	f.Same[0].DisplayName, f.Same[0].Owners[0].UPN = evil, evil
	u := unfinished()
	u.AppName, u.Account, u.Last, u.Tenant.Name = evil, evil, evil, evil
	d := driveAuto(t, f, func(do *deeds) {
		do.unfinished = leftBy(u)
		do.configure = breaking(errors.New(evil))
	})
	var views []string
	look := func() { views = append(views, d.m.View().Content) }
	look()
	d.keys("enter").toSignIn()
	d.hold = true
	d.keys("enter", "enter")
	p := SignInPrompt{Method: LoginDeviceCode, Code: evil, URL: "https://" + evil, Until: testNow}
	d.send(signInMsg{of: d.m.login.news, prompt: &p, word: evil})
	look()
	d.keys("esc")
	d.held, d.hold = nil, false
	d.keys("enter", "enter")
	look()
	d.keys("enter").typed("").keys("enter", "enter", "enter", "enter")
	look()
	d.keys("up", "up")
	look()
	d.keys("enter", "enter")
	look()
	for i, view := range views {
		for _, bad := range []string{"\x1b[2J", "\x1b]", "\a", "\u009b", "\u202e", "\u200b"} {
			if strings.Contains(view, bad) {
				t.Errorf("view %d: %q got onto the screen:\n%s", i, bad, ansi.Strip(view))
			}
		}
	}
	d.sees("Try again")
}
