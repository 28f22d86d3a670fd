package verify_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// What the application may do on services that its connection does not use is
// superfluous, too.
func TestRolesElsewhere(t *testing.T) {
	t.Parallel()
	const (
		mail  = "Superfluous: Office 365 Exchange Online › full_access_as_app (writes): read, change"
		sites = "Superfluous: SharePoint › Sites.FullControl.All (writes): full control"
	)
	for _, c := range []struct {
		kind   connections.Kind
		app    string
		faults []string
		says   string
		status task.Status
		also   connections.Kind // another connection with the application, that uses it
	}{
		{connections.SharePoint, "", []string{"superfluous-role=full_access_as_app"}, mail, task.Warn, connections.Exchange},
		{connections.MigrationSource, sim.AppSharePoint, nil, sites, task.Fail, connections.SharePoint},
		{connections.Exchange, sim.AppSharePoint, nil, sites, task.Fail, connections.SharePoint},
	} {
		s := stageOf(t, c.kind, c.app, connections.TypeCertificate, c.faults...)
		r := s.run(t, nil)
		one := result(t, r, "permissions")
		if one.Status != c.status || !strings.Contains(strings.Join(one.Details, "\n"), c.says) {
			t.Errorf("%s: %s\n%q", c.kind, one.Finding, one.Details)
		}
		for _, other := range r.Results {
			if c.status == task.Warn && other.Status == task.Fail {
				t.Errorf("%s: %s", c.kind, describe(r))
			}
		}
		other := s.target.Connection
		other.ID, other.Kind = "01ARZ3NDEKTSV4RRFFQ69G5FAV", c.also
		s.o.Saved = savedAs(nil, other)
		if one := result(t, s.run(t, nil), "permissions"); strings.Contains(strings.Join(one.Details, "\n"), c.says) {
			t.Errorf("%s, also %s: %q", c.kind, c.also, one.Details)
		}
	}
}

// elsewhere watches the sign-ins for a service that the connection does not use.
type elsewhere struct {
	next  http.RoundTripper
	scope string // part of it
	asked *atomic.Int32
	do    func(*http.Request) (*http.Response, error) // instead; nil: as usual
}

func (t elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		return t.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil || !strings.Contains(form.Get("scope"), t.scope) {
		return t.next.RoundTrip(r)
	}
	t.asked.Add(1)
	if t.do != nil {
		return t.do(r)
	}
	return t.next.RoundTrip(r)
}

const sharePointApp = "00000003-0000-0ff1-ce00-000000000000/.default"

// watched watches a backup's sign-in for SharePoint.
func watched(t *testing.T, do func(*http.Request) (*http.Response, error), faults ...string) (*scene, *atomic.Int32) {
	t.Helper()
	s, asked := stage(t, "", connections.TypeCertificate, faults...), &atomic.Int32{}
	s.client.Transport = elsewhere{s.client.Transport, sharePointApp, asked, do}
	return s, asked
}

// A service that gives no token is not known, and nothing else: no failure, no word,
// no second try.
func TestNothingElsewhere(t *testing.T) {
	t.Parallel()
	refuse := func(status int, body string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: readCloser(body), Request: r}, nil
		}
	}
	for name, do := range map[string]func(*http.Request) (*http.Response, error){
		"refused":      refuse(400, `{"error":"invalid_resource","error_description":"AADSTS500011: x","error_codes":[500011]}`),
		"not known":    refuse(401, `{"error":"invalid_client","error_description":"AADSTS7000215: x","error_codes":[7000215]}`),
		"garbage":      refuse(200, `<html>`),
		"no network":   func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") },
		"opaque token": refuse(200, `{"token_type":"Bearer","expires_in":3599,"access_token":"opaque"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, asked := watched(t, do)
			s.o.Fresh = time.Minute
			r := s.run(t, nil)
			if one := result(t, r, "permissions"); r.State != verified || one.Finding != "5 of 5, none superfluous" || asked.Load() == 0 {
				t.Error(describe(r))
			}
			if n := asked.Load(); n != 1 && name != "no network" {
				t.Errorf("asked %d times", n)
			}
		})
	}
	s := stageOf(t, connections.Exchange, "", connections.TypeCertificate, "no-sharepoint")
	if r := s.run(t, nil); r.State != verified || r.Class != advice.ClassNone {
		t.Error(describe(r))
	}
	// Who cannot sign in at all does not try for other services.
	s, asked := watched(t, nil, "wrong-thumbprint")
	if r := s.run(t, nil); result(t, r, "permissions").Status != task.Skip || asked.Load() != 0 {
		t.Errorf("asked %d times: %s", asked.Load(), describe(r))
	}
}

// The token comes while the checks ask their services, which do not wait for it.
func TestElsewhereAtTheSameTime(t *testing.T) {
	t.Parallel()
	come, organization := make(chan struct{}), make(chan struct{})
	s, _ := watched(t, nil)
	network := s.client.Transport.(elsewhere)
	inner := network.next
	network.do = func(r *http.Request) (*http.Response, error) {
		close(come)
		select {
		case <-organization:
			return inner.RoundTrip(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	network.next = either{inner, come, organization}
	s.client.Transport = network
	if r := s.run(t, nil); r.State != verified || result(t, r, "permissions").Finding != "5 of 5, none superfluous" {
		t.Error(describe(r))
	}
}

// either holds back the question for the tenant's name until the token was asked for,
// and tells when it was answered.
type either struct {
	next        http.RoundTripper
	come, asked chan struct{}
}

func (t either) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/organization") {
		return t.next.RoundTrip(r)
	}
	select {
	case <-t.come:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	defer close(t.asked)
	return t.next.RoundTrip(r)
}

// It ends with the run, and holds nobody up for long.
func TestElsewhereEnds(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	hangs := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		close(over)
		return nil, r.Context().Err()
	}
	s, _ := watched(t, hangs)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := verify.Run(ctx, s.o, s.target, func(e task.Event) {
		if e.ID == "ews" && e.Kind == task.Finished {
			cancel()
		}
	})
	if r.Class != advice.ClassCancelled {
		t.Error(describe(r))
	}
	<-over
	over = make(chan struct{})
	s, _ = watched(t, hangs)
	s.o.Limit = 2 * time.Second
	if r := s.run(t, nil); result(t, r, "permissions").Status != task.Pass {
		t.Error(describe(r))
	}
	<-over
}
