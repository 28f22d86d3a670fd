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
	"github.com/c2conn/c2conn/internal/progress"
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
	first  int // successes in a row that are enough while nothing was refused
	need   int // successes in a row that are enough afterwards
	limit  time.Duration
	clock  transport.Clock
}

// confirmPause is between two successes.
const confirmPause = time.Second

func await(ctx context.Context, w waiting) error {
	begin := w.clock.Now()
	end, pause := begin.Add(w.limit), firstPause
	good, enough := 0, w.first
	for n := 1; ; n++ {
		// Roles never enter a token that exists.
		w.app.Forget()
		last, err := w.ask(ctx)
		wait := pause
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !lagging(err):
			return err
		case err == nil && len(last.Missing) == 0:
			if good++; good >= enough {
				return nil
			}
			wait = confirmPause
		default:
			good, enough = 0, w.need
			pause = min(pause*3/2, longestPause)
		}
		now := w.clock.Now()
		if err != nil && w.limit > DefaultConsistency && now.Sub(begin) >= DefaultConsistency && !unconsented(err) {
			return err // no replica takes that long: it is wrong
		}
		if !now.Before(end) {
			if good > 0 {
				return nil
			}
			return w.late(now.Sub(begin), last, err)
		}
		wait = min(wait, end.Sub(now))
		if good == 0 {
			progress.Report(ctx, progress.Update{Text: w.words(last, err) + fmt.Sprintf("; asking again in %d s", (wait+time.Second-1)/time.Second), Attempt: n + 1, Until: end})
		}
		if err := w.clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// ask gets a token for each service, side by side, and compares their roles.
func (w waiting) ask(ctx context.Context) (last advice.MissingRolesError, err error) {
	var services []Resource
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
		if e != nil && (err == nil || lagging(err) && !lagging(e)) {
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

// lagging tells whether Entra ID answers like that while it does not know a new
// application, its credential or its consent yet.
//
// Source: learn.microsoft.com/entra/identity-platform/reference-error-codes.
func lagging(err error) bool {
	var e *entra.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case 700016, // application not found
		7000229, // service principal not found
		7000215, // client secret not known
		700027,  // certificate not known
		65001:   // no consent
		return true
	}
	return false
}

func unconsented(err error) bool {
	var e *entra.Error
	return errors.As(err, &e) && e.Code() == 65001
}

func (w waiting) words(last advice.MissingRolesError, err error) string {
	var e *entra.Error
	if errors.As(err, &e) {
		what := map[int]string{7000229: "the service principal", 7000215: "the client secret", 700027: "the certificate", 65001: "the consent"}[e.Code()]
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

func (w waiting) late(waited time.Duration, last advice.MissingRolesError, err error) error {
	e := &advice.ReplicationError{What: "the application", Waited: waited, Last: err}
	if err == nil {
		e.What, e.Last = "the consent", &last
	}
	return e
}
