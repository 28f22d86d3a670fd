package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/graph"
)

// notFound tells whether Graph says that there is no such object.
func notFound(err error) bool {
	var e *graph.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// lost tells whether a write may have been carried out although it failed. One
// that was cancelled counts, even if it may never have been sent.
func lost(err error) bool {
	return errors.Is(err, graph.ErrOutcomeUnknown) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// denied tells whether a role is missing, which no repetition helps.
func denied(err error) bool {
	var e *graph.Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden && !graph.Replicating(err)
}

// says looks for any of words among the codes and texts of Graph's answer.
func says(err error, words ...string) bool {
	e, ok := errors.AsType[*graph.Error](err)
	return ok && e.Says(words...)
}

// The answers of tenants with rules of their own.
//
// Source: learn.microsoft.com/entra/identity/enterprise-apps/configure-app-management-policies;
// the codes as they appear in TeamsFx and azure-cli.
const (
	codeLifetime  = "CredentialInvalidLifetimeAsPerAppPolicy"
	codeForbidden = "CredentialTypeNotAllowedAsPerAppPolicy"
	codeQuota     = "Directory_QuotaExceeded"
	codeDenied    = "Authorization_RequestDenied"
	codeReference = "ServiceManagementReference"
)

// upsertRefused tells whether the tenant does not offer creating by unique name,
// rather than refuse the application itself.
func upsertRefused(err error) bool {
	var e *graph.Error
	if !errors.As(err, &e) || lost(err) || e.Err != nil {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
	default:
		return false
	}
	return !e.Says("AsPerAppPolicy", codeQuota, codeReference)
}

var policyForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)policy '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'`)
})

// refusal gives an error of Graph the meaning that it has in this step. what is
// the change in words: "create the application".
func (w *work) refusal(ctx context.Context, what string, err error) error {
	var (
		p *advice.PolicyLifetimeError
		l *advice.LostAnswerError
	)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.As(err, &p), errors.As(err, &l):
		return err
	case says(err, codeLifetime):
		wanted := w.lifetime()
		e := &advice.PolicyLifetimeError{Wanted: wanted, Allowed: shorter(wanted, w.plan.Credential.longest), PolicyID: w.plan.Credential.policyID, Err: err}
		var g *graph.Error
		if errors.As(err, &g) {
			if m := policyForm().FindStringSubmatch(g.Message); m != nil {
				e.PolicyID = m[1]
			}
		}
		return e
	case says(err, codeForbidden) && w.wish.secret():
		return &advice.SecretsForbiddenError{Err: err}
	case says(err, codeQuota):
		return &advice.QuotaError{Err: err}
	case says(err, codeReference):
		return fmt.Errorf("the tenant wants a service management reference with every registration, which c2conn cannot give; register the application by hand (c2conn app guide) and connect it with --manual: %w", err)
	case graph.Replicating(err): // before the next: it comes as a misleading 403, too
		return &advice.ReplicationError{What: "the application", Waited: w.r.o.Consistency, Last: err}
	case says(err, codeDenied):
		return &advice.RegistrationForbiddenError{Account: w.plan.Account, Roles: w.plan.Roles, Err: err}
	case lost(err):
		return &advice.LostAnswerError{What: what, Tag: tagRun(w.j.Run), Err: err}
	default:
		return err
	}
}

// lifetime is how long the credential lives that is being asked for.
func (w *work) lifetime() time.Duration {
	if w.identity != nil {
		return w.identity.Certificate.NotAfter.Sub(w.identity.Certificate.NotBefore)
	}
	now := w.r.o.Clock.Now()
	return w.plan.Credential.valid.From(now).Sub(now)
}

const day = 24 * time.Hour

// shorter is the next life to try after a refusal: what the policy allows, where
// that is known and was not tried yet, else a step down the usual lengths; 0 when
// there is none.
func shorter(than, policy time.Duration) time.Duration {
	if policy > 0 && policy < than {
		return policy
	}
	for _, d := range []time.Duration{730 * day, 365 * day, 180 * day, 90 * day} {
		if d < than-day { // leap days do not make a step
			return d
		}
	}
	return 0
}
