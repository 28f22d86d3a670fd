package verify

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// settled runs a check and judges what it found.
func (s *subject) settled(ctx context.Context, c check) task.Result {
	if c.id == idSites || c.id == idFarmSites {
		defer s.listed.end() // no more will come, not even after a panic
	}
	r := s.repeated(ctx, c)
	if c.id == idGraphToken && r.Status == task.Fail {
		s.listed.end() // there will be no list
	}
	if c.judge == nil || errors.Is(ctx.Err(), context.Canceled) { // what was cut short is nobody's finding
		return r
	}
	r.ID = c.id
	return c.judge(s, r)
}

// repeated runs a check, again and again while Options.Fresh lasts and the answer
// shows a service that has not heard of the application or its consent yet.
func (s *subject) repeated(ctx context.Context, c check) task.Result {
	end := s.o.Clock.Now().Add(s.o.Fresh)
	for backoff := (transport.Backoff{}); ; {
		r := c.run(s, ctx, c.takes)
		if s.o.Fresh == 0 || r.Status != task.Fail || !lagging(r.Err) || s.expected(r.Err) ||
			!backoff.Wait(ctx, s.o.Clock, end, "not known there yet ("+advice.Short(r.Err, s.facts)+")") {
			return r
		}
	}
}

// lagging reports whether err is what a service answers that does not know a new
// application, its credential or its consent yet. A lasting fault may look alike:
// that is why it is only asked of fresh ones, and for a limited time.
//
// Source: "Designing for eventual consistency for Microsoft Entra",
// devblogs.microsoft.com/identity, 2026-03-24; for sign-ins see entra.Lagging.
func lagging(err error) bool {
	var (
		answer *graph.Error
		soap   *ews.Error
	)
	switch {
	case entra.Lagging(err):
		return true
	case errors.As(err, &answer):
		return answer.Status == http.StatusUnauthorized && answer.Code == "Authorization_IdentityNotFound" ||
			answer.Status == http.StatusForbidden && (answer.Code == "Authorization_RequestDenied" ||
				strings.EqualFold(answer.Code, "accessDenied")) // the sites of Graph are SharePoint's
	case errors.As(err, &soap):
		return soap.Status == http.StatusUnauthorized
	}
	return sharepoint.NoPermission(err)
}
