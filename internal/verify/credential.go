package verify

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

const (
	minBits   = 2048 // of an RSA key that Entra ID accepts
	hoursADay = 24
	daysAYear = 365
)

// certificate looks at the local certificate only; nothing is sent.
func (s *subject) certificate(context.Context, need) task.Result {
	id := s.target.Credential.Identity
	if id == nil {
		return task.Result{Status: task.Skip, Finding: "the connection uses a client secret"}
	}
	if id.Certificate == nil {
		return s.fail("the certificate cannot be read", certs.ErrNotACertificate)
	}
	key, ok := id.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return s.fail("", &certs.UnsupportedKeyError{Kind: id.Certificate.PublicKeyAlgorithm.String()})
	}
	bits := key.N.BitLen()
	if bits < minBits {
		return s.fail(fmt.Sprintf("%d bits, at least %d are needed", bits, minBits), &certs.KeyTooSmallError{Bits: bits})
	}
	now := s.o.Clock.Now()
	validity := &advice.ValidityError{NotBefore: id.Certificate.NotBefore, NotAfter: id.Certificate.NotAfter, Now: now}
	left := validity.NotAfter.Sub(now)
	switch {
	case now.Before(validity.NotBefore):
		return s.fail("not valid before "+validity.NotBefore.UTC().Format(time.DateOnly), validity)
	case left <= 0:
		return s.fail("expired on "+validity.NotAfter.UTC().Format(time.DateOnly), validity)
	case left < connections.ExpirySoon:
		return s.warn(fmt.Sprintf("%d bits, expires in %s", bits, span(left)), validity)
	}
	return pass(fmt.Sprintf("%d bits, %s left", bits, span(left)))
}

// Expiry is the check that the credential of a connection lasts for longer than within
// from now. It asks nobody: the end of a client secret is known where c2conn made it,
// and what is not known is skipped. in is the zero Cloud while it is not known.
func Expiry(c connections.Connection, in cloud.Cloud, now time.Time, within time.Duration) task.Result {
	r := task.Result{ID: "expiry", Title: "Expiry"}
	end := c.Credential.NotAfter
	switch {
	case end.IsZero():
		r.Status, r.Finding = task.Skip, "the end of the "+strings.ReplaceAll(c.Credential.Type, "-", " ")+" is not known"
	case !c.Credential.ExpiresWithin(now, within):
		r.Status, r.Finding = task.Pass, span(end.Sub(now))+" left, until "+end.UTC().Format(time.DateOnly)
	default:
		r.Err = &advice.ValidityError{NotAfter: end, Now: now}
		r.Status, r.Advice = task.Fail, advice.For(r.Err, FactsOf(c, in, now))
		if r.Finding = "expired on " + end.UTC().Format(time.DateOnly); end.After(now) {
			r.Finding = "ends in " + span(end.Sub(now)) + ", on " + end.UTC().Format(time.DateOnly)
		}
	}
	return r
}

// span writes a duration of days as people say it: "4 y 364 d", "29 d", "5 h".
func span(d time.Duration) string {
	days := int(d.Hours() / hoursADay)
	switch {
	case days >= daysAYear:
		return fmt.Sprintf("%d y %d d", days/daysAYear, days%daysAYear)
	case days > 0:
		return fmt.Sprintf("%d d", days)
	default:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
}

// registered adds to a good certificate what Entra ID says of it: it took it, or
// the application has none like it.
func (s *subject) registered(r task.Result) task.Result {
	if r.Status != task.Pass && r.Status != task.Warn {
		return r
	}
	s.mu.Lock()
	_, signedIn := s.tokens[registration.Graph]
	refusal := s.refusal
	s.mu.Unlock()
	if e, ok := errors.AsType[*entra.Error](refusal); ok && e.Code() == entra.CodeKeyUnknown {
		return s.fail("", refusal)
	}
	if signedIn {
		r.Finding = short(r.Finding + ", registered")
	}
	return r
}

// scope is what a token for a service is asked with. SharePoint's depends on the
// address of the tenant's sites.
func (s *subject) scope(ctx context.Context, resource registration.Resource) (string, error) {
	in := s.target.Cloud
	switch resource {
	case registration.Exchange:
		return in.ExchangeScope(), nil
	case registration.SharePoint:
		p, err := s.locate(ctx)
		return in.SharePointScope(p.site), err
	}
	return in.GraphScope(), nil
}

// token signs in for one service.
func (s *subject) token(ctx context.Context, resource registration.Resource, takes need) task.Result {
	app, err := s.app()
	if err != nil {
		return s.fail("", err)
	}
	scope, err := s.scope(ctx, resource)
	if err != nil {
		return s.fail("", err, takes)
	}
	t, err := app.Token(ctx, scope, "")
	if err != nil {
		s.refused(resource, err)
		return s.fail("", err)
	}
	s.keep(resource, t)
	host, note := "", ""
	if resource == registration.SharePoint {
		p := s.located()
		if !sameHost(p.site, s.target.Connection.Endpoints.SharePoint) {
			host = strings.TrimPrefix(p.site, "https://") + ": "
		}
		if p.unasked {
			note = "; address not compared with Graph"
		}
	}
	if t.Claims.Opaque {
		return pass(host + "issued; its content cannot be read" + note)
	}
	how := ""
	switch t.Claims.AppIDACR {
	case "1":
		how = ", client secret"
	case "2":
		how = ", certificate"
	}
	switch n := len(t.Claims.Roles); n {
	case 0:
		return pass(host + "no roles" + how + note)
	case 1:
		return pass(host + "1 role" + how + note)
	default:
		return pass(fmt.Sprintf("%s%d roles%s%s", host, n, how, note))
	}
}

// bearer gives the clients of the services their tokens.
func (s *subject) bearer(scope string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, claims string) (string, error) {
		app, err := s.app()
		if err != nil {
			return "", err
		}
		t, err := app.Token(ctx, scope, claims)
		if err != nil {
			return "", err
		}
		raw := t.Raw.Reveal()
		if len(raw) == 0 {
			return "", errors.New("the token is empty")
		}
		return string(raw), nil
	}
}
