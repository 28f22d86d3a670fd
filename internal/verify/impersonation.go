package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/exchangeserver"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// mostTried is how many mailboxes are acted for before the answer is believed: a scope
// may leave out the first ones.
const mostTried = 5

// grantSpread is how long a new right is waited for. Exchange's servers read role
// assignments again after some minutes; how many at most is unsure.
const grantSpread = 4 * time.Minute

// impersonation acts for another mailbox, which is the proof, and reads the role
// assignments, which tell why, and over whom. Acting for the account's own mailbox
// proves nothing.
func (s *subject) impersonation(ctx context.Context, _ need) task.Result {
	account := s.target.Connection.Account
	rights, rightsErr := s.rights(ctx)
	others := s.exchange.others(account)
	if len(others) == 0 {
		return s.untried(rights, rightsErr)
	}
	as, err := s.actFor(ctx, others)
	if err == nil {
		return s.impersonates(as, rights)
	}
	if !mayNotActFor(err) {
		return s.fail("", err)
	}
	list := enabled(rights.Assignments)
	if len(list) > 0 && limited(list) {
		return s.fail("", &advice.ImpersonationScopeError{Account: account, Scopes: scopes(rights.Assignments)})
	}
	if len(list) > 0 {
		return s.notYet(ctx, everybody(list), others)
	}
	missing := &advice.NoImpersonationError{Account: account, Delegating: len(rights.Delegating) > 0, MayGrant: rightsErr == nil, Err: err}
	// A right that could not be read, or that somebody switched off, is not widened.
	if !s.target.Server.Grant || rightsErr != nil || len(rights.Assignments) > 0 {
		return s.fail("", missing)
	}
	session, openErr := s.exchange.open(ctx)
	if openErr != nil {
		return s.fail("", missing)
	}
	// Once begun it is not given up half way: somebody has to know what was made.
	granting, stop := context.WithTimeout(context.WithoutCancel(ctx), grantLimit)
	name, err := session.GrantImpersonation(granting, account)
	stop()
	if err != nil {
		r := s.fail("", &advice.GrantError{Account: account, Err: err})
		if name != "" {
			r.Details = []string{"The role assignment “" + name + "” may have been made all the same. To look: Get-ManagementRoleAssignment " + advice.Literal(name)}
			progress.Report(ctx, progress.Update{Text: r.Details[0]})
		}
		return r
	}
	granted := "Granted by the role assignment “" + name + "”. To remove it: Remove-ManagementRoleAssignment " + advice.Literal(name)
	// Whoever stops the run now has to know what stays.
	progress.Report(ctx, progress.Update{Text: granted})
	as, err = s.waitFor(ctx, others)
	if err != nil {
		if !mayNotActFor(err) {
			r := s.fail("", err)
			r.Details = []string{granted}
			return r
		}
		r := s.fail("", &advice.GrantSpreadsError{Assignment: name})
		r.Details = []string{granted}
		return r
	}
	r := pass("granted; acted for " + as)
	r.Details = []string{granted}
	return r
}

// grantLimit is how long the command that grants may take.
const grantLimit = 30 * time.Second

// notYet is the result where an assignment reaches everybody, and the server does not
// heed it: it is new. Who may have the right granted waits for it, too.
func (s *subject) notYet(ctx context.Context, assignment string, others []string) task.Result {
	if s.target.Server.Grant {
		as, err := s.waitFor(ctx, others)
		if err == nil {
			return pass("acted for " + as)
		}
		if !mayNotActFor(err) {
			return s.fail("", err)
		}
	}
	return s.fail("", &advice.GrantSpreadsError{Assignment: assignment})
}

// rights reads the role assignments of the account.
func (s *subject) rights(ctx context.Context) (exchangeserver.Rights, error) {
	session, err := s.exchange.open(ctx)
	if err != nil {
		return exchangeserver.Rights{}, err
	}
	return session.Impersonation(ctx, s.target.Connection.Account)
}

// impersonates tells of a proved right, and whom it reaches.
func (s *subject) impersonates(as string, rights exchangeserver.Rights) task.Result {
	r := pass("acted for " + as)
	for _, a := range enabled(rights.Assignments) {
		line := fmt.Sprintf("Role assignment %s of %s, scope %s.", a.Name, a.Assignee, a.Scope)
		if a.Limited {
			line = fmt.Sprintf("Role assignment %s of %s reaches %s only.", a.Name, a.Assignee, a.Scope)
		}
		r.Details = append(r.Details, line)
	}
	if list := enabled(rights.Assignments); len(list) > 0 && limited(list) {
		w := s.warn("acted for "+as+"; limited to "+strings.Join(scopes(list), ", "), &advice.ImpersonationScopeError{Account: s.target.Connection.Account, Scopes: scopes(list), Reaches: as})
		w.Details = r.Details
		return w
	}
	return r
}

// untried is the result where there is no mailbox to act for.
func (s *subject) untried(rights exchangeserver.Rights, err error) task.Result {
	if err != nil {
		return task.Result{Status: task.Skip, Finding: "it takes a second mailbox, and they could not be listed"}
	}
	if list := enabled(rights.Assignments); len(list) > 0 {
		return s.warn("the role is there; no other mailbox to try it on", &advice.OneMailboxError{})
	}
	return s.fail("", &advice.NoImpersonationError{Account: s.target.Connection.Account, Delegating: len(rights.Delegating) > 0, MayGrant: true})
}

// actFor opens the inbox of one of the mailboxes and returns whose it was. Mailboxes
// that are not to be had now are passed over.
func (s *subject) actFor(ctx context.Context, mailboxes []string) (string, error) {
	var first error
	for i, mailbox := range mailboxes {
		if i >= mostTried {
			break
		}
		_, _, err := s.serverEWS().GetFolder(ctx, mailbox, "inbox")
		if err == nil {
			return mailbox, nil
		}
		if first == nil || !mayNotActFor(first) && mayNotActFor(err) {
			first = err
		}
		var e *ews.Error
		if !errors.As(err, &e) || e.Code == "" {
			break // it is not about the mailbox
		}
	}
	return "", first
}

// waitFor acts for one of the mailboxes as soon as a new right is heeded.
func (s *subject) waitFor(ctx context.Context, mailboxes []string) (string, error) {
	end := s.o.Clock.Now().Add(grantSpread)
	if limit, limited := ctx.Deadline(); limited && limit.Before(end) {
		end = limit
	}
	var pause transport.Backoff
	var last error
	for {
		as, err := s.actFor(ctx, mailboxes)
		if err != nil && last != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", last // the time was up in the middle of a question
		}
		if err == nil || !mayNotActFor(err) {
			return as, err
		}
		last = err
		if !pause.Wait(ctx, s.o.Clock, end, "waiting until the server heeds the new right") {
			return "", err
		}
	}
}

// mayNotActFor reports whether the server said that the account may not act for a mailbox.
func mayNotActFor(err error) bool {
	var e *ews.Error
	return errors.As(err, &e) && (e.Code == "ErrorImpersonateUserDenied" || e.Code == "ErrorImpersonationDenied" || e.Code == "ErrorImpersonationFailed")
}

func enabled(list []exchangeserver.Assignment) (on []exchangeserver.Assignment) {
	for _, a := range list {
		if a.Enabled {
			on = append(on, a)
		}
	}
	return on
}

// limited reports whether none of the assignments reaches everybody.
func limited(list []exchangeserver.Assignment) bool {
	for _, a := range list {
		if !a.Limited {
			return false
		}
	}
	return true
}

// everybody is the name of the first assignment that is not limited.
func everybody(list []exchangeserver.Assignment) string {
	for _, a := range list {
		if !a.Limited {
			return a.Name
		}
	}
	return ""
}

func scopes(list []exchangeserver.Assignment) (names []string) {
	for _, a := range list {
		names = append(names, a.Scope)
	}
	return names
}
