package advice

import (
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/ews"
)

// registered is a connection that automatic registration is about to save.
func registered(t *testing.T) Facts {
	f := contoso(t)
	f.Registered = true
	return f
}

func nextText(a *Advice) string { return strings.Join(a.Next, "\n") }

// What c2conn registered a moment ago is not the user's mistake, and registering
// again ends with "that name exists".
func TestJustRegistered(t *testing.T) {
	t.Parallel()
	missing := &MissingRolesError{Missing: []Role{{Service: "Microsoft Graph", Name: "Group.Read.All"}}, None: true}
	for name, err := range map[string]error{
		"700016": aadsts(700016), "7000229": aadsts(7000229), "700027": aadsts(700027), "7000215": aadsts(7000215), "65001": aadsts(65001),
		"not everywhere": &ReplicationError{What: "the application", Waited: time.Minute, Last: aadsts(700016)},
		"no roles":       missing,
		"Graph, 401":     graphAnswer(401, "Authorization_IdentityNotFound", "x"),
		"Graph, 403":     graphAnswer(403, "Authorization_RequestDenied", "x"),
		"EWS, 401":       ewsAnswer(401, "", nil),
		"EWS, 401, why":  ewsAnswer(401, "", func(e *ews.Error) { e.Diagnostics = `2000004;reason="x"` }),
	} {
		f := registered(t)
		a := For(err, f)
		sound(t, name, a)
		text := a.What + a.Why + nextText(a)
		wait, verify := strings.Index(text, "ait some minutes; do not register again"), strings.Index(text, "$ c2conn verify contoso-backup")
		if wait < 0 || verify < wait {
			t.Errorf("%s: wait at %d, verify at %d:\n%s", name, wait, verify, text)
		}
		for _, no := range []string{"Object ID", "Correct the answer", "same command", "where it stopped"} {
			if strings.Contains(text, no) {
				t.Errorf("%s: %q in\n%s", name, no, text)
			}
		}
		if with, without := judge(err, f).class, ClassOf(err); with != without {
			t.Errorf("%s: class %d, without facts %d", name, with, without)
		}
	}
	// Where somebody still has to consent, waiting alone helps nobody.
	f := registered(t)
	f.Waiting = true
	for _, err := range []error{missing, aadsts(65001)} {
		if a := For(err, f); strings.Contains(nextText(a), "do not register") || !strings.Contains(nextText(a), "$ c2conn consent contoso-backup --login browser") {
			t.Errorf("%v: %s", err, nextText(a))
		}
	}
	// An answer that is wrong is corrected without a second registration.
	if a := For(graphAnswer(404, "ErrorInvalidUser", "x"), registered(t)); !strings.Contains(nextText(a), "c2conn new exchange --auto --if-exists use") {
		t.Error(nextText(a))
	}
}

// A role that is enough is not asked for again.
func TestRefusedInSpiteOfTheRole(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"Global Administrator", "Application Administrator", "Cloud Application Administrator"} {
		for _, login := range []string{"browser", "token"} {
			f := contoso(t)
			signingIn(login)(&f)
			a := For(&RegistrationForbiddenError{Account: "helga@contoso.com", Roles: []string{"Global Reader", role}}, f)
			sound(t, role, a)
			text := a.What + a.Why + nextText(a)
			if strings.Contains(text, "Sign in as") || strings.Contains(text, "is enough:") || !strings.Contains(a.What, role) {
				t.Errorf("%s: %s", role, text)
			}
			for _, want := range []string{"policy", "administrative unit", "permission"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s, %s: nothing about %q: %s", role, login, want, text)
				}
			}
		}
	}
}

// After the whole ladder of lifetimes was tried it is not proposed again.
func TestLifetimeLadder(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	f := contoso(t)
	signingIn("browser")(&f)
	for _, c := range []struct {
		wanted, allowed time.Duration
		has, hasNot     string
	}{
		{1826 * day, 730 * day, "--cert-days 730", "app guide"},
		{1826 * day, 0, "--cert-days longest", "app guide"},
		{90 * day, 0, "--cert-days 30", "longest"},
		{3 * day, 0, "--cert-days 1.", "longest"},
		{90 * day, 0, "app guide exchange", "longest"},
		{90 * day, 60 * day, "--cert-days 60", "app guide"}, // the policy could be read
	} {
		a := For(&PolicyLifetimeError{Wanted: c.wanted, Allowed: c.allowed}, f)
		sound(t, "lifetime", a)
		if text := nextText(a); !strings.Contains(text, c.has) || strings.Contains(text, c.hasNot) {
			t.Errorf("%v, %v: %s", c.wanted, c.allowed, text)
		}
	}
	if a := For(&PolicyLifetimeError{Wanted: 1826 * day, Allowed: 730 * day}, f); !strings.Contains(a.Next[0], "longest") {
		t.Errorf("a guess stands first: %s", a.Next[0])
	}
}

// Nothing is offered for removal that was removed.
func TestLostAnswerAfterRollback(t *testing.T) {
	t.Parallel()
	f := contoso(t)
	signingIn("browser")(&f)
	for _, removed := range []bool{false, true} {
		f.Removed = removed
		a := For(&LostAnswerError{What: "create the application", Tag: "c2conn:run:x"}, f)
		sound(t, "lost", a)
		text := a.What + a.Why + nextText(a)
		if strings.Contains(text, "app cleanup") == removed || strings.Contains(text, "c2conn:run:x") == removed || strings.Contains(text, "goes on from there") {
			t.Errorf("removed %v: %s", removed, text)
		}
	}
}

// The kind of credential decides what the advice is about.
func TestLifetimeOfASecret(t *testing.T) {
	t.Parallel()
	a := For(&PolicyLifetimeError{Wanted: 730 * 24 * time.Hour}, Facts{CredentialType: connections.TypeClientSecret})
	if strings.Contains(a.What+nextText(a), "certificate") {
		t.Errorf("%s %s", a.What, nextText(a))
	}
}
