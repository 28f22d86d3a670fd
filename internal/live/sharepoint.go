package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/registration"
)

// sharePoint asks for the sites as an application: Graph, SharePoint itself with the
// right token, and with tokens for another host and another service.
func (p *probe) sharePoint(ctx context.Context) error {
	token, what := appToken(ctx, p.app, p.cloud.GraphScope())
	if p.services[registration.SharePoint.AppID()].ObjectID == "" || what != "" {
		p.report.open("the tenant has no SharePoint Online, or no token for Graph came "+what, "sites-root", "sites-top", "sharepoint-rest", "sharepoint-admin", "audience-host", "audience-graph")
		return nil
	}
	bearer := string(token.Raw.Reveal())
	var page struct {
		Value []struct{}
		Next  string `json:"@odata.nextLink"`
	}
	a := p.ask(ctx, bearer, http.MethodGet, "/sites/getAllSites?$select=id&$top=2", "", nil)
	_ = json.Unmarshal(a.body, &page) // what is no list has no sites
	p.report.settle("sites-top", len(page.Value) == 2, "%s, %d sites on a page of 2", a, len(page.Value))
	if a.good() && len(page.Value) <= 2 && page.Next == "" {
		p.report.open("it takes a tenant of more than two sites", "sites-top")
	}
	var root struct{ WebURL string }
	a = p.ask(ctx, bearer, http.MethodGet, "/sites/root?$select=webUrl", "", nil)
	_ = json.Unmarshal(a.body, &root)
	p.report.settle("sites-root", p.cloud.SharePointHost(root.WebURL), "%s, %s", a, transport.CleanText(root.WebURL, 200))
	at, err := p.cloud.ParseSharePoint(root.WebURL)
	if !p.cloud.SharePointHost(root.WebURL) || err != nil {
		p.report.open("SharePoint's address is not known: "+a.String(), "sharepoint-rest", "sharepoint-admin", "audience-host", "audience-graph")
		return nil
	}
	for _, try := range []struct {
		fact, base, scope string
		refusal, number   string // empty: it is to be taken
	}{
		{"sharepoint-rest", at.Site, p.cloud.SharePointScope(at.Site), "", ""},
		{"sharepoint-admin", at.Admin, p.cloud.SharePointScope(at.Admin), "", ""},
		{"audience-host", at.Site, p.cloud.SharePointScope(at.Admin), "AudienceUriValidationFailedException", "3000003;"},
		{"audience-graph", at.Site, p.cloud.GraphScope(), "Invalid issuer or signature.", ""},
	} {
		client, err := sharepoint.New(sharepoint.Options{BaseURL: try.base, HTTP: p.http, Clock: p.clock, Token: func(ctx context.Context, _ string) (string, error) {
			t, err := p.app.Token(ctx, try.scope, "")
			return string(t.Raw.Reveal()), err
		}})
		if err != nil {
			return err
		}
		call := func() (string, bool) {
			if try.base == at.Admin {
				_, err = client.Tenant(ctx)
			} else {
				_, err = client.Web(ctx, "")
			}
			return spoken(err, try.refusal, try.number)
		}
		evidence, holds := call()
		if !holds && try.refusal == "" { // services learn of a consent one by one
			s := p.poll(ctx, p.clock.Now(), 1, call)
			evidence, holds = s.last+": "+s.String(), s.ok
		}
		p.report.settle(try.fact, holds, "%s", evidence)
	}
	return ctx.Err()
}

// spoken is what SharePoint said, and whether it is what was expected: no refusal, or
// this one with this number of x-ms-diagnostics.
func spoken(err error, refusal, number string) (what string, expected bool) {
	e, refused := errors.AsType[*sharepoint.Error](err)
	switch {
	case err == nil:
		return "200", refusal == ""
	case !refused || e.Err != nil && e.Status == 0:
		return noAnswer + transport.CleanText(err.Error(), 300), false
	}
	what = transport.CleanText(err.Error(), 300)
	if e.Diagnostics != "" {
		what += ", x-ms-diagnostics " + e.Diagnostics
	}
	return what, refusal != "" && strings.Contains(e.Message, refusal) && strings.HasPrefix(e.Diagnostics, number)
}
