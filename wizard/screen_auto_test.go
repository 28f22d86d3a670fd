package wizard

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// driveAuto starts a screen whose deeds go well in the tenant f, but for what
// change makes of them.
func driveAuto(t *testing.T, f *registration.Findings, change func(*deeds)) *driver {
	t.Helper()
	do := autoDeeds(f)
	if change != nil {
		change(&do)
	}
	return driveWith(t, testSession(), &do)
}

// waitingIn is a screen that waits for a sign-in of the given way.
func waitingIn(t *testing.T, login string, prompt func(*SignInPrompt)) *driver {
	t.Helper()
	d := driveAuto(t, found(), nil)
	if login == LoginDeviceCode {
		_ = d.m.s.Set(keyLogin, login, FromUser, "")
	}
	d.toSignIn()
	d.hold = true
	d.keys("enter", "enter")
	p := browserPrompt
	if login == LoginDeviceCode {
		p = codePrompt
	}
	if prompt != nil {
		prompt(&p)
	}
	d.send(signInMsg{of: d.m.login.news, prompt: &p})
	if d.m.copyText != nil && p.Code != "" {
		d.send(codeCopiedMsg{d.m.login.news})
	}
	return d
}

// registeringNow is a registration under way that waits for a replica.
func registeringNow(t *testing.T) *driver {
	t.Helper()
	d := driveAuto(t, found(), nil).toRegister()
	if err := d.m.s.Lookup(t.Context(), keyName); err != nil {
		t.Fatal(err)
	}
	d.hold = true
	d.keys("enter")
	results := registered()
	for i, r := range results[:3] {
		d.event(task.Event{Kind: task.Started, ID: r.ID})
		d.event(task.Event{Kind: task.Finished, ID: r.ID, Result: &results[i]})
	}
	d.event(task.Event{Kind: task.Started, ID: "consent"})
	d.event(task.Event{Kind: task.Progress, ID: "consent", Text: "the service principal is not known everywhere yet (404)", Attempt: 3, Until: testNow.Add(171 * time.Second)})
	d.m.now = func() time.Time { return testNow.Add(9 * time.Second) }
	return d
}

// existingPlan is the Plan in a tenant that has an application of the name.
func existingPlan(t *testing.T) *driver {
	t.Helper()
	f := found()
	sameName(f)
	return driveAuto(t, f, nil).toPlan()
}

func waitingForConsent(t *testing.T) *driver {
	t.Helper()
	f := found()
	halfAdmin(f)
	f.Me.Mail = "app.admin@contoso.com"
	return driveAuto(t, f, func(do *deeds) { do.configure = waiting }).toRegister().keys("enter")
}

// halfway is a registration that broke off with err.
func halfway(t *testing.T, err error) *driver {
	t.Helper()
	return driveAuto(t, found(), func(do *deeds) { do.configure = breaking(err) }).toRegister().keys("enter")
}

// without changes the deeds that are still to be done.
func (d *driver) without(change func(*deeds)) *driver {
	change(&d.m.deeds)
	return d
}

func failing(context.Context, *Session) error { return errors.New("Graph answered 503") }

func rollbackFailing(context.Context, *Session, string, func(task.Event)) error {
	return &advice.RollbackError{Left: []string{"the application CodeTwo Backup Exchange, client id " + testClientID}, Err: errors.New("Graph answered 503")}
}

var autoScenes = []scene{
	{"sign-in", func(t *testing.T) *driver { return driveAuto(t, found(), nil).toSignIn() }},
	{"sign-in-as-app", func(t *testing.T) *driver {
		return driveAuto(t, found(), nil).toSignIn().keys("down", "down", "enter")
	}},
	{"sign-in-preparing", func(t *testing.T) *driver {
		d := driveAuto(t, found(), nil).toSignIn()
		d.hold = true
		return d.keys("enter", "enter")
	}},
	{"sign-in-browser", func(t *testing.T) *driver { return waitingIn(t, LoginBrowser, nil) }},
	{"sign-in-browser-not-opened", func(t *testing.T) *driver {
		d := waitingIn(t, LoginBrowser, func(p *SignInPrompt) { p.Opened = false })
		d.send(signInMsg{of: d.m.login.news, word: "No browser could be opened: xdg-open is not there"})
		return d
	}},
	{"sign-in-code", func(t *testing.T) *driver { return waitingIn(t, LoginDeviceCode, nil) }},
	{"sign-in-other-way", func(t *testing.T) *driver {
		return driveAuto(t, found(), func(do *deeds) { do.signIn = refusing(blockedCode()) }).toSignIn().keys("down", "enter", "enter")
	}},
	{"sign-in-refused", func(t *testing.T) *driver {
		return driveAuto(t, found(), func(do *deeds) { do.signIn = refusing(blockedCode()) }).toSignIn().keys("down", "enter", "enter", "n")
	}},
	{"signed-in", func(t *testing.T) *driver { return driveAuto(t, found(), nil).toSignedIn() }},
	{"signed-in-without-rights", func(t *testing.T) *driver {
		f := found()
		halfAdmin(f)
		return driveAuto(t, f, nil).toSignedIn()
	}},
	{"application", func(t *testing.T) *driver { return driveAuto(t, found(), nil).toSignedIn().keys("enter") }},
	{"application-no-mailbox", func(t *testing.T) *driver {
		f := found()
		halfAdmin(f)
		return driveAuto(t, f, nil).toSignedIn().keys("enter", "enter")
	}},
	{"plan", func(t *testing.T) *driver { return driveAuto(t, found(), nil).toPlan() }},
	{"plan-end", func(t *testing.T) *driver {
		d := driveAuto(t, found(), nil).toPlan()
		d.sees("Tenant")
		return d.keys("end")
	}},
	{"plan-reading", func(t *testing.T) *driver {
		d := driveAuto(t, found(), nil).toSignedIn().keys("enter", "enter", "enter", "enter")
		d.hold = true
		return d.keys("enter")
	}},
	{"plan-existing", existingPlan},
	{"plan-existing-used", func(t *testing.T) *driver { return existingPlan(t).keys("up", "up") }},
	{"plan-not-read", func(t *testing.T) *driver {
		return driveAuto(t, found(), nil).toSignedIn().without(func(do *deeds) { do.look = failing }).keys("enter", "enter", "enter", "enter", "enter")
	}},
	{"register", func(t *testing.T) *driver { return driveAuto(t, found(), nil).toRegister() }},
	{"register-running", registeringNow},
	{"register-stopping", func(t *testing.T) *driver { return registeringNow(t).keys("b") }},
	{"register-leave", func(t *testing.T) *driver { return registeringNow(t).keys("ctrl+c") }},
	{"register-passed", func(t *testing.T) *driver { return driveAuto(t, found(), nil).toRegister().keys("enter") }},
	{"register-waiting", func(t *testing.T) *driver { return waitingForConsent(t) }},
	{"register-waiting-tasks", func(t *testing.T) *driver { return waitingForConsent(t).keys("t") }},
	{"register-not-verified-save", func(t *testing.T) *driver {
		return driveAuto(t, found(), func(do *deeds) { do.configure = registering(blocked()) }).toRegister().keys("enter", "f")
	}},
	{"register-halfway", func(t *testing.T) *driver { return halfway(t, errors.New("Graph answered 503")) }},
	{"register-halfway-tasks", func(t *testing.T) *driver { return halfway(t, errors.New("Graph answered 503")).keys("t") }},
	{"register-policy", func(t *testing.T) *driver {
		return driveAuto(t, strict(found()), func(do *deeds) { do.configure = breaking(lifetime()) }).toRegister().keys("enter")
	}},
	{"plan-policy", func(t *testing.T) *driver { return driveAuto(t, strict(found()), nil).toPlan() }},
	{"rollback-asked", func(t *testing.T) *driver { return halfway(t, errors.New("Graph answered 503")).keys("x") }},
	{"rollback-running", func(t *testing.T) *driver {
		d := halfway(t, errors.New("Graph answered 503")).keys("x")
		d.hold = true
		d.keys("y")
		r := pass("remove-application", "Remove the application", "")
		d.event(task.Event{Kind: task.Started, ID: "remove-application", Title: "Remove the application"})
		d.event(task.Event{Kind: task.Finished, ID: "remove-application", Title: "Remove the application", Result: &r})
		d.event(task.Event{Kind: task.Started, ID: "remove-key", Title: "Remove the credential from this computer"})
		return d
	}},
	{"rollback-failed", func(t *testing.T) *driver {
		return halfway(t, errors.New("Graph answered 503")).without(func(do *deeds) { do.rollback = rollbackFailing }).keys("x", "y")
	}},
	{"rollback-done", func(t *testing.T) *driver { return halfway(t, errors.New("Graph answered 503")).keys("x", "y") }},
	{"unfinished", func(t *testing.T) *driver {
		return driveAuto(t, found(), func(do *deeds) { do.unfinished = leftBy(unfinished()) })
	}},
	{"unfinished-cleanup", func(t *testing.T) *driver {
		return driveAuto(t, found(), func(do *deeds) { do.unfinished = leftBy(unfinished()) }).keys("c", "enter", "enter")
	}},
}
