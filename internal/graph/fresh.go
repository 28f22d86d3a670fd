package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

const (
	// roleLimit bounds the wait for a role that the resource does not show: a wrong
	// id looks the same, and for ever.
	roleLimit = 30 * time.Second
	// knownLimit bounds the wait for what Graph itself has just said exists, where
	// the caller set no limit.
	knownLimit = time.Minute
	busyPause  = time.Second // after a conflict with another write, doubled each time
)

type freshKey struct{}

// Fresh says that the objects which the calls of ctx name were just written:
// answers that mean "not replicated yet" (see Replicating) are waited for and
// asked again, for up to limit per call by the Client's clock. Each wait is
// reported to the context's progress listener. A limit of 0 takes it back.
//
// Source: "Designing for eventual consistency for Microsoft Entra",
// devblogs.microsoft.com/identity, 2026-03-24.
func Fresh(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, freshKey{}, limit)
}

// known is ctx for reading what exists for certain.
func known(ctx context.Context) context.Context {
	if freshLimit(ctx) > 0 {
		return ctx
	}
	return Fresh(ctx, knownLimit)
}

func freshLimit(ctx context.Context) time.Duration {
	d, _ := ctx.Value(freshKey{}).(time.Duration)
	return d
}

// Replicating reports whether err is one of the answers of Microsoft Graph that
// mean, for an object just written, that the server asked does not know it yet.
// For an object that is not fresh they mean what they say.
//
// Sources: the strings that azure-cli (role/custom.py), terraform-provider-azuread
// and Agent365-devTools wait for.
func Replicating(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && replicating(e)
}

func replicating(e *Error) bool {
	switch e.Status {
	case http.StatusNotFound:
		return e.Says("Request_ResourceNotFound", "ResourceNotFound", "reference-property objects are not present")
	case http.StatusBadRequest:
		return e.Says("NoBackingApplicationObject", "does not reference a valid application object",
			"reference-property objects are not present", "not a valid reference update") || unknownRole(e)
	case http.StatusForbidden:
		return e.Says("in the local tenant") // "the backing application of the service principal … must in the local tenant"
	case http.StatusFailedDependency:
		return true
	}
	return false
}

func unknownRole(e *Error) bool { return e.Says("permission being assigned was not found") }

// concurrent reports whether e is a conflict with another write of the tenant:
// nothing was done, and it may be asked again.
func concurrent(e *Error) bool {
	return e.Status == http.StatusConflict && e.Says("ConcurrencyViolation") ||
		e.Status == http.StatusServiceUnavailable && e.Says("concurrent requests")
}

// Says looks for any of words in the answer's codes and texts, in any case.
func (e *Error) Says(words ...string) bool {
	found := func(s string) bool {
		s = strings.ToLower(s)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, strings.ToLower(w)) })
	}
	return found(e.Code) || found(e.Message) ||
		slices.ContainsFunc(e.Details, func(d ErrorDetail) bool { return found(d.Code) || found(d.Message) })
}

// patience is how long one call may still wait for Graph's replicas. For those of
// Entra ID and of Exchange, registration and internal/verify wait.
type patience struct {
	c      *Client
	start  time.Time
	limit  time.Duration // 0: nothing is fresh
	lag    transport.Backoff
	busied int // tries that a busy tenant refused
	waited time.Duration
}

func (c *Client) patience(ctx context.Context) *patience {
	return &patience{c: c, start: c.o.Clock.Now(), limit: freshLimit(ctx)}
}

// wait reports whether to ask again after e, and has waited for it then.
func (p *patience) wait(ctx context.Context, object string, e *Error) bool {
	switch {
	case e.Err != nil:
		return false
	case concurrent(e):
		return p.busy(ctx, fmt.Sprintf("%s is busy with another change in the tenant (%d)", service, e.Status), e.RetryAfter)
	case p.limit == 0 || !replicating(e):
		return false
	}
	limit := p.limit
	if unknownRole(e) {
		limit = min(limit, roleLimit)
	}
	if deadline, ok := ctx.Deadline(); ok && !p.c.o.Clock.Now().Add(p.lag.Next()).Before(deadline) {
		return false // the last answer says more than an ended context
	}
	last := fmt.Sprint(e.Status)
	if e.Code != "" {
		last += " " + e.Code
	}
	return p.lag.Wait(ctx, p.c.o.Clock, p.start.Add(limit), fmt.Sprintf("%s has not replicated %s yet (%s)", service, object, last))
}

// busy waits as a busy service asks, or a little longer each time.
func (p *patience) busy(ctx context.Context, what string, asked time.Duration) bool {
	p.busied++
	pause := max(asked, busyPause<<(p.busied-1))
	if !transport.Again(ctx, p.c.o.Clock, what, pause, p.waited, p.busied) {
		return false
	}
	p.waited += pause
	return true
}
