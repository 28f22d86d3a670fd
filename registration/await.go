package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/transport"
)

// Await asks for new tokens of the application until they hold all wanted
// permissions, need times in a row: of several replicas one may know before the
// others. The tokens of the last time stay in app. A limit of 0 asks once.
//
// Errors: *advice.ReplicationError when the time is up; the error of the sign-in
// where waiting does not help.
func Await(ctx context.Context, app *entra.App, c cloud.Cloud, wanted []Permission, need int, limit time.Duration, clock transport.Clock) error {
	return await(ctx, waiting{app: app, cloud: c, wanted: wanted, first: need, need: need, limit: limit, clock: clock})
}

// waiting is one wait for an application's tokens.
type waiting struct {
	app    *entra.App
	cloud  cloud.Cloud
	wanted []Permission
	also   []Resource // services for which a token is enough, whatever it holds
	calm   bool       // an unreachable or busy Entra ID is waited for, too
	first  int        // successes in a row that are enough while nothing was refused
	need   int        // successes in a row that are enough afterwards
	limit  time.Duration
	clock  transport.Clock
}

// confirmPause is between two successes.
const confirmPause = time.Second

func await(ctx context.Context, w waiting) error {
	begin := w.clock.Now()
	end := begin.Add(w.limit)
	var backoff transport.Backoff
	for good, enough := 0, w.first; ; {
		// Roles never enter a token that exists.
		w.app.Forget()
		last, err := w.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !entra.Lagging(err) && (!w.calm || !passing(err)):
			return err
		case err == nil && len(last.Missing) == 0:
			if good++; good >= enough {
				return nil
			}
		default:
			good, enough = 0, w.need
		}
		now := w.clock.Now()
		if err != nil && w.limit > DefaultConsistency && now.Sub(begin) >= DefaultConsistency && !unconsented(err) {
			return err // no replica takes that long: it is wrong
		}
		switch {
		case good > 0 && !now.Before(end):
			return nil
		case good > 0:
			if err := w.clock.Sleep(ctx, min(confirmPause, end.Sub(now))); err != nil {
				return err
			}
		case !backoff.Wait(ctx, w.clock, end, notThere(last, err)):
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return late(now.Sub(begin), last, err)
		}
	}
}

// passing tells whether err is of the network or of a service that is down or busy.
//
// Source: learn.microsoft.com/entra/identity-platform/reference-error-codes.
func passing(err error) bool {
	if e, ok := errors.AsType[*entra.Error](err); ok {
		return slices.Contains([]int{90033, 90006, 90024, 90055, 90090, 50000, 50033}, e.Code())
	}
	return errors.As(err, new(*transport.Error))
}

// ask gets a token for each service, side by side, and compares their roles.
func (w waiting) ask(ctx context.Context) (last advice.MissingRolesError, err error) {
	services := slices.Clone(w.also)
	for _, p := range w.wanted {
		if !slices.Contains(services, p.Resource) {
			services = append(services, p.Resource)
		}
	}
	tokens, errs := make([]entra.Token, len(services)), make([]error, len(services))
	var all sync.WaitGroup
	for i, r := range services {
		all.Go(func() { tokens[i], errs[i] = w.app.Token(ctx, scopeOf(w.cloud, r), "") })
	}
	all.Wait()
	for _, e := range errs {
		if e != nil && (err == nil || entra.Lagging(err) && !entra.Lagging(e)) {
			err = e // what waiting does not help decides
		}
	}
	if err != nil {
		return last, err
	}
	for _, p := range w.wanted {
		if c := tokens[slices.Index(services, p.Resource)].Claims; !c.Opaque && !slices.Contains(c.Roles, p.Role) {
			last.Missing = append(last.Missing, roleOf(p))
		}
	}
	last.None = len(last.Missing) == len(w.wanted)
	return last, nil
}

// scopeOf asks for what was granted on a service. SharePoint's address differs
// from tenant to tenant; its application id stands for it.
func scopeOf(c cloud.Cloud, r Resource) string {
	switch r {
	case Graph:
		return c.GraphScope()
	case Exchange:
		return c.ExchangeScope()
	default:
		return r.AppID() + "/.default"
	}
}

func unconsented(err error) bool {
	e, ok := errors.AsType[*entra.Error](err)
	return ok && e.Code() == entra.CodeNoConsent
}

// notThere says what was not there yet when the token was asked for.
func notThere(last advice.MissingRolesError, err error) string {
	if err != nil && passing(err) {
		return "Entra ID cannot be reached, or is busy"
	}
	if e, ok := errors.AsType[*entra.Error](err); ok {
		what := map[int]string{entra.CodePrincipalUnknown: "the service principal", entra.CodeSecretUnknown: "the client secret", entra.CodeKeyUnknown: "the certificate", entra.CodeNoConsent: "the consent"}[e.Code()]
		if what == "" {
			what = "the application"
		}
		return fmt.Sprintf("Entra ID does not know %s everywhere yet (AADSTS%d)", what, e.Code())
	}
	names := make([]string, 0, len(last.Missing))
	for _, r := range last.Missing {
		names = append(names, r.Name)
	}
	return "The application's token does not hold " + strings.Join(names, ", ") + " yet"
}

func late(waited time.Duration, last advice.MissingRolesError, err error) error {
	if err != nil && passing(err) {
		return err
	}
	e := &advice.ReplicationError{What: "the application", Waited: waited, Last: err}
	if err == nil {
		e.What, e.Last = "the consent", &last
	}
	return e
}
