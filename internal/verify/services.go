package verify

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// graphClient is made anew for each check: it costs next to nothing, and the
// connections are the transport's.
func (s *subject) graphClient() (*graph.Client, error) {
	return graph.New(graph.Options{
		BaseURL: s.target.Cloud.GraphBase(), Token: s.bearer(s.target.Cloud.GraphScope()),
		HTTP: s.o.HTTP, Now: s.o.Clock.Now,
	})
}

// organization reads the tenant's name and compares its id with the profile's.
func (s *subject) organization(ctx context.Context, takes need) task.Result {
	client, err := s.graphClient()
	if err != nil {
		return s.fail("", err, takes)
	}
	org, err := client.Organization(ctx)
	if refused, ok := errors.AsType[*graph.Error](err); ok && refused.Status == http.StatusForbidden && !s.wanted(takes) {
		return task.Result{Status: task.Skip, Finding: "its name cannot be read with these permissions"}
	}
	if err != nil {
		return s.fail("", err, takes)
	}
	domain := org.DefaultDomain
	if domain == "" {
		domain = org.InitialDomain
	}
	want := s.target.Connection.Tenant.ID
	if want != "" && !strings.EqualFold(want, org.ID) {
		return s.fail("another tenant answered: "+org.DisplayName, &advice.WrongTenantError{Want: want, Got: org.ID, Name: org.DisplayName})
	}
	s.note(func(f *Found) { f.Tenant = Tenant{ID: strings.ToLower(org.ID), Domain: domain, Name: org.DisplayName} })
	if domain == "" {
		return pass(org.DisplayName)
	}
	return pass(org.DisplayName + ", " + domain)
}

// wanted reports whether a permission that the connection is made with meets a need.
func (s *subject) wanted(n need) bool {
	return slices.ContainsFunc(registration.Catalogue(s.purpose), func(p registration.Permission) bool {
		return p.Resource == n.service && registration.Covers(p.Resource, p.Role, n.role)
	})
}

// user looks for the dedicated account.
func (s *subject) user(ctx context.Context, takes need) task.Result {
	if s.target.Connection.Account == "" {
		return task.Result{Status: task.Skip, Finding: "the connection names no account"}
	}
	client, err := s.graphClient()
	if err != nil {
		return s.fail("", err, takes)
	}
	account := s.target.Connection.Account
	u, err := client.User(ctx, account)
	if err != nil {
		return s.fail("", err, takes)
	}
	s.mu.Lock()
	s.addresses = u.Addresses
	if guidShape().MatchString(u.ID) { // else it could not be saved
		s.found.AccountID = strings.ToLower(strings.TrimSpace(u.ID))
	}
	s.mu.Unlock()
	if u.UPN != "" && !strings.EqualFold(u.UPN, account) {
		return pass("found as " + u.UPN)
	}
	if u.DisplayName != "" {
		return pass("found: " + u.DisplayName)
	}
	return pass("found")
}

// groups asks for one group.
func (s *subject) groups(ctx context.Context, takes need) task.Result {
	client, err := s.graphClient()
	if err != nil {
		return s.fail("", err, takes)
	}
	if err := client.Groups(ctx); err != nil {
		return s.fail("", err, takes)
	}
	return pass("can be read")
}

// mailboxSettings asks what the dedicated account's mailbox is for.
func (s *subject) mailboxSettings(ctx context.Context, takes need) task.Result {
	client, err := s.graphClient()
	if err != nil {
		return s.fail("", err, takes)
	}
	account := s.target.Connection.Account
	purpose, err := client.MailboxPurpose(ctx, account)
	if noSuchUser(err) {
		// An address that is no user name is found through the user's mail address.
		if u, second := client.User(ctx, account); second == nil && u.ID != "" {
			purpose, err = client.MailboxPurpose(ctx, u.ID)
		}
	}
	switch {
	case err != nil:
		return s.fail("", err, takes)
	case purpose == "":
		return pass("can be read")
	case purpose == "room", purpose == "equipment":
		return s.warn("a "+purpose+" mailbox", &advice.NoMailboxError{Purpose: purpose})
	case purpose == "others":
		return pass("can be read, a special mailbox")
	default:
		return pass("can be read, a " + purpose + " mailbox")
	}
}

func noSuchUser(err error) bool {
	var e *graph.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code != "MailboxNotEnabledForRESTAPI"
}

// ewsAddress is the profile's address if the cloud's tokens may travel there. A
// profile is a file that others may have edited, so it does not decide where a
// token goes: that would hand over every mailbox of the tenant.
func (s *subject) ewsAddress() (string, error) {
	in, address := s.target.Cloud, s.target.Connection.Endpoints.EWS
	switch {
	case address == "":
		return in.EWS(), nil
	case in.Allows(address) && sameHost(address, in.EWS()):
		return address, nil
	}
	return "", &advice.ForeignEndpointError{Field: "endpoints.ews", Got: originOf(address), Want: in.EWS()}
}

// ewsClient asks the profile's address, if the token may travel there.
func (s *subject) ewsClient() (*ews.Client, error) {
	address, err := s.ewsAddress()
	if err != nil {
		return nil, err
	}
	return ews.New(ews.Options{
		URL: address, Token: s.bearer(s.target.Cloud.ExchangeScope()), HTTP: s.o.HTTP, Clock: s.o.Clock,
	}), nil
}

// sameHost reports whether two addresses name one host and port.
func sameHost(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && strings.EqualFold(x.Host, y.Host)
}

// exchangeWebServices opens the inbox of the dedicated mailbox, acting as it.
func (s *subject) exchangeWebServices(ctx context.Context, takes need) task.Result {
	client, err := s.ewsClient()
	if err != nil {
		return s.fail("", err)
	}
	_, version, err := client.GetFolder(ctx, s.target.Connection.Account, "inbox")
	build := version.String()
	if err != nil {
		return s.fail("", err, takes)
	}
	s.mu.Lock()
	s.ews = true
	s.mu.Unlock()
	if build == "" {
		return pass("inbox opened")
	}
	return pass("inbox opened, Exchange " + build)
}
