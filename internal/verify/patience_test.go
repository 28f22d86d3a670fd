package verify_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// Where Microsoft Graph alone gives no answer, SharePoint is asked all the same, and
// the whole takes no longer than one check and the share of it that was spent on the
// real address.
func TestGraphHangs(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate)
	s.client.Transport = hang{s.client.Transport, "/v1.0/"}
	s.o.Limit = 3 * time.Second
	began := time.Now()
	r := s.run(t, nil)
	if took := time.Since(began); took > 2*s.o.Limit { // what two checks one after the other would take
		t.Errorf("took %v", took)
	}
	for id, want := range map[string]task.Status{"token.sharepoint": task.Pass, "sharepoint.site": task.Pass, "sharepoint.admin": task.Pass, "graph.organization": task.Fail, "sharepoint.sites": task.Fail} {
		if result(t, r, id).Status != want {
			t.Fatal(describe(r))
		}
	}
	if one := result(t, r, "token.sharepoint"); !strings.HasSuffix(one.Finding, "; address not compared with Graph") {
		t.Error(one.Finding)
	}
	one := result(t, r, "sharepoint.sites")
	if host := strings.TrimPrefix(s.target.Cloud.Graph, "https://"); one.Advice == nil || !strings.Contains(one.Advice.What, host+" did not answer") {
		t.Errorf("%+v", one.Advice)
	}
	if r.Found.SharePoint != "" {
		t.Errorf("found %+v", r.Found)
	}
}

// The admin centre may be that of another geography than the sites.
func TestAdminCentreOfAnotherGeography(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, "multi-geo")
	s.target.Connection.Endpoints.Admin = "https://contosoeur-admin." + s.target.Cloud.SharePointSuffix
	r := s.run(t, nil)
	outcome{checks: quiet, state: verified}.hold(t, s, r)
	if r.Found.Admin != s.target.Connection.Endpoints.Admin || r.Found.SharePoint != s.world.SharePointSite() {
		t.Errorf("found %+v", r.Found)
	}
}

// second gives no answer to any page of the list but the first.
type second struct {
	next  http.RoundTripper
	pages *atomic.Int32
}

func (t second) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/getAllSites") && t.pages.Add(1) > 1 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return t.next.RoundTrip(r)
}

// onSecond does something when the second page of a list is asked for.
type onSecond struct {
	next second
	do   func()
}

// RoundTrip implements http.RoundTripper.
func (o onSecond) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/getAllSites") && o.next.pages.Load() == 1 {
		o.do()
	}
	return o.next.RoundTrip(r)
}

// expiring is a context whose deadline passes when the test says so.
type expiring struct {
	context.Context
	end chan struct{}
}

func (e expiring) Deadline() (time.Time, bool) { return time.Now().Add(time.Minute), true }

func (e expiring) Done() <-chan struct{} { return e.end }

func (e expiring) Err() error {
	select {
	case <-e.end:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A list that the time does not suffice for is no trouble of the network; one that
// stops in the middle is.
func TestListIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit         time.Duration
		up            bool // the time of the whole is up when the second page is asked for
		finding, says string
	}{
		"time up": {time.Minute, true, "500 site collections listed when the time was up", "--timeout"},
		"silent":  {5 * time.Second, false, "after 500 site collections: no answer in time", "firewall"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.SharePoint, "", connections.TypeCertificate, "sites=2000")
			pages := second{s.client.Transport, new(atomic.Int32)}
			s.client.Transport = pages
			s.o.Limit = c.limit
			ctx := expiring{t.Context(), make(chan struct{})}
			if c.up {
				s.client.Transport = onSecond{pages, func() { close(ctx.end) }}
			}
			heard := ""
			r := verify.Run(ctx, s.o, s.target, func(e task.Event) {
				if e.Kind == task.Finished && e.ID == "sharepoint.sites" {
					heard = e.Result.Finding
				}
			})
			one := result(t, r, "sharepoint.sites")
			if one.Status != task.Fail || one.Finding != c.finding || heard != c.finding || one.Advice == nil || !strings.Contains(strings.Join(one.Advice.Next, "\n"), c.says) {
				t.Errorf("heard %q; %s; %+v", heard, describe(r), one.Advice)
			}
		})
	}
}

// What the checks say must not contradict what they have shown.
func TestAdviceKnowsWhatIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind                  connections.Kind
		fault, id, says, lies string
	}{
		{connections.SharePoint, "admin-denied", "sharepoint.admin", "although the application has the permission Sites.FullControl.All", "lacks"},
		{connections.SharePoint, "graph-denied=sites", "sharepoint.sites", "although the application has the permission Sites.Read.All", "lacks"},
		{connections.SharePoint, "throttle-forever=600s,sharepoint", "sharepoint.site", "asks to wait 10 minutes, longer than c2conn waits", "had waited as asked"},
		{connections.SharePoint, "throttle-forever=600s,graph", "graph.organization", "asks to wait 10 minutes, longer than c2conn waits", "had waited as asked"},
		{connections.MigrationSource, "throttle-forever=600s,outlook", "ews", "asks to wait 10 minutes, longer than c2conn waits", "had waited as asked"},
		{connections.SharePoint, "graph-error=404,itemNotFound", "graph.organization", "does not find what was asked for", "no user"},
		{connections.MigrationSource, "graph-error=404,itemNotFound", "graph.user", "has no user", "what was asked for"},
	} {
		t.Run(c.fault+" "+c.id, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, c.kind, "", connections.TypeCertificate, c.fault)
			r := s.run(t, nil)
			one := result(t, r, c.id)
			if one.Status != task.Fail || one.Advice == nil {
				t.Fatal(describe(r))
			}
			text := one.Advice.What + " " + one.Advice.Why + " " + strings.Join(one.Advice.Next, " ")
			if !strings.Contains(text, c.says) || strings.Contains(text, c.lies) {
				t.Error(text)
			}
			if strings.HasPrefix(c.fault, "throttle") && !strings.Contains(text, "Wait until ") {
				t.Error(text)
			}
		})
	}
}

// Checks that were never begun, because the time was up, show nothing.
func TestNoTimeIsNoProof(t *testing.T) {
	t.Parallel()
	s := stageOf(t, connections.Exchange, "", connections.TypeCertificate)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if r := verify.Run(ctx, s.o, s.target, nil); r.State != connections.StateUnverified || r.Class != advice.ClassCheck {
		t.Errorf("%s, %d: %s", r.State, r.Class, describe(r))
	}
}
