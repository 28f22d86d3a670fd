package wizard

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/registration"
)

// SignInAs is SignIn for an administrator who has signed in already: several sessions
// share one sign-in.
func (s *Session) SignInAs(ctx context.Context, admin *registration.Admin) error {
	st := s.shared()
	st.mu.Lock()
	st.admin, st.findings = admin, nil
	st.mu.Unlock()
	return s.Look(ctx)
}

// Wanted is the connection that the answers describe, as far as they tell: without
// credential, and without what only the tenant knows.
func (s *Session) Wanted() connections.Connection {
	a := s.answersInForce()
	c := s.asked(a)
	if c.Location == connections.OnPremises {
		return c
	}
	c.Tenant.ID = a.Resolved(keyTenantID)
	if !isGUID(c.Tenant.ID) {
		c.Tenant = connections.Tenant{Domain: c.Tenant.ID}
	}
	c.Registration.Mode, c.Registration.ClientID = connections.ModeManual, a.Get(keyClientID)
	if s.Automatic() {
		c.Registration.Mode, c.Registration.ClientID = connections.ModeAutomatic, a.Get(keyUseApp)
		c.Registration.AppName = a.Get(keyAppName)
		c.Credential.Type = connections.TypeCertificate
		if a.Get(keyNewCred) == newSecret {
			c.Credential.Type = connections.TypeClientSecret
		}
	}
	return c
}

// SameCredential reports whether the answers name the credential that the saved
// connection has. It reads what they point at; what cannot be read is not the same.
func (s *Session) SameCredential(ctx context.Context, saved connections.Connection) bool {
	a, c := s.answersInForce(), saved.Credential
	if saved.Location == connections.OnPremises {
		return s.samePassword(ctx, a, c)
	}
	switch a.Get(keyCredential) {
	case byReference:
		return string(c.Secret) == a.Get(keyReference)
	case byThumbprint:
		t := a.Get(keyThumbprint)
		return t != "" && (t == c.Thumbprint || t == c.ThumbprintSHA256)
	case byFile:
		id, err := identityFromFile(s.Env, a)
		return err == nil && cmp.Or(c.Thumbprint, c.ThumbprintSHA256) != "" && (string(id.Thumbprint()) == c.Thumbprint || string(id.ThumbprintSHA256()) == c.ThumbprintSHA256)
	case bySecret:
		if c.Type != connections.TypeClientSecret {
			return false
		}
		kept, err := s.Env.Store.Secret(ctx, c.Secret)
		return err == nil && trim(string(kept.Reveal())) == trim(string(a[keySecret].Secret.Reveal()))
	}
	return false
}

// samePassword is SameCredential for a connection to a server.
func (s *Session) samePassword(ctx context.Context, a Answers, c connections.Credential) bool {
	if c.PlainNTLM != s.plainNTLM(a) {
		return false
	}
	switch a.Get(keySignInBy) {
	case byTickets:
		return c.Type == connections.TypeTicketCache && c.Cache == expandHome(s.Env, a.Get(keyTickets))
	case byReference:
		return c.Type == connections.TypePassword && string(c.Secret) == a.Get(keyPassRef)
	case byPassword:
		kept, err := LoadPassword(ctx, s.Env.Store, connections.Connection{Credential: c})
		return err == nil && c.Type == connections.TypePassword && kept.Equal(a[keyAdminSecret].Secret)
	}
	return false
}

// SameServer reports whether the answers name the server that the saved connection has,
// and the certificates that it trusts.
func (s *Session) SameServer(saved connections.Connection) bool {
	a, e := s.answersInForce(), saved.Endpoints
	pins := slices.Collect(maps.Values(saved.Pins))
	for sum := range strings.SplitSeq(a.Get(keyCertSum), ",") {
		if sum != "" && !slices.Contains(pins, sum) {
			return false
		}
	}
	if s.Flow.Kind == connections.SharePoint {
		return true // its addresses are fields of their own
	}
	if discovered := e.Autodiscover != "" || e.EWS == ""; discovered != (a.Get(keyReach) == byAutodiscover) {
		return false
	}
	return a.Get(keyReach) != byAddress || a.Get(keyServer) == e.Server && a.Get(keyEWS) == e.EWS
}
