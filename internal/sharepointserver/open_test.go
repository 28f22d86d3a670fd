package sharepointserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sharepointserver"
)

const denied = `{"error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Access denied. You do not have permission to perform this action or access this resource."}}}`

func TestOpen(t *testing.T) {
	t.Parallel()
	for name, verbose := range map[string]bool{"the plain form": false, "the verbose form alone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, true)
			f.verbose = verbose
			got, err := f.client(t).Open(t.Context(), f.URL+"/")
			want := sharepointserver.Site{
				URL: f.URL, Title: "Intranet",
				Build: sharepointserver.Build{Major: 16, Revision: 10417}, LoginName: `i:0#.w|corp\spadmin`, SiteAdmin: true,
			}
			if err != nil || got != want {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// A site beneath a managed path, on a server that has another name for it.
func TestOpenBeneathPath(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	f.at["/sites/a b/_api/site"] = answers(200, "application/json", `{"Url":"http://sp01/sites/a b","Id":"1"}`)
	f.at["/sites/a b/_api/web"] = answers(200, "application/json", `{"Title":"Te\u001b[31mam","WebTemplate":"STS","Url":"http://sp01/sites/a b"}`)
	f.at["/sites/a b/_api/web/currentuser"] = answers(403, "application/json", denied)
	got, err := f.client(t).Open(t.Context(), f.URL+"/sites/a%20b/?Web=1#x")
	if err != nil || got.URL != "http://sp01/sites/a b" || got.Title != "Te[31mam" || got.LoginName != "" {
		t.Errorf("%+v %v", got, err)
	}
}

// A site that lets everybody in does not tell who the account is.
func TestOpenAnonymously(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	f.at["/_api/web/currentuser"] = answers(200, "application/json", `{"d":{"CurrentUser":null}}`)
	got, err := f.client(t).Open(t.Context(), f.URL)
	if err != nil || got.Title != "Intranet" || got.LoginName != "" || got.SiteAdmin {
		t.Errorf("%+v %v", got, err)
	}
}

// What the answers mean that are not the wanted one.
func TestOpenRefused(t *testing.T) {
	t.Parallel()
	const html = "text/html; charset=utf-8"
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   sharepointserver.Reason
		say    string // in the error's text
		other  bool   // it is not SharePoint's answer
	}{
		{name: "no site collection", answer: answers(404, "text/plain", "404 FILE NOT FOUND"), want: sharepointserver.NotThere, say: "404"},
		{name: "no SharePoint", answer: bare(answers(404, html, "<!DOCTYPE html><title>Apache</title>")), want: sharepointserver.NotThere, other: true},
		{name: "access denied, REST", answer: answers(403, "application/json", denied), want: sharepointserver.Denied, say: "Access denied."},
		{name: "access denied, JSON light", answer: answers(403, "application/json", strings.Replace(denied, "error", "odata.error", 1)), want: sharepointserver.Denied, say: "-2147024891"},
		{name: "access denied, Atom", answer: answers(403, "application/xml", `<?xml version="1.0"?><m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:code>-2147024891, System.UnauthorizedAccessException</m:code><m:message xml:lang="en-US">Access denied.</m:message></m:error>`), want: sharepointserver.Denied, say: "Access denied."},
		{name: "access denied, plain", answer: answers(403, "text/plain", "403 FORBIDDEN"), want: sharepointserver.Denied, say: "403 FORBIDDEN"},
		{name: "access denied, with another status", answer: answers(500, "application/json", denied), want: sharepointserver.Denied},
		{name: "access denied, redirect", answer: answers(302, html, "", "Location", "/_layouts/15/AccessDenied.aspx?Source=x"), want: sharepointserver.Denied},
		{name: "sign-in page, redirect", answer: answers(302, html, "", "Location", "/_login/default.aspx?ReturnUrl=%2f"), want: sharepointserver.LoginPage, say: "/_login/default.aspx"},
		{name: "sign-in page, Authenticate.aspx", answer: answers(302, html, "", "Location", "/_layouts/15/Authenticate.aspx?Source=%2F"), want: sharepointserver.LoginPage},
		{name: "sign-in page, trusted provider", answer: answers(302, html, "", "Location", "https://sts.corp.test/adfs/ls/?wa=wsignin1.0&wtrealm=urn:sp"), want: sharepointserver.LoginPage, say: "sts.corp.test"},
		{name: "sign-in page, proxy of Entra ID", answer: bare(answers(302, html, "", "Location", "https://login.microsoftonline.com/contoso/oauth2/authorize?client_id=x")), want: sharepointserver.LoginPage, say: "login.microsoftonline.com", other: true},
		{name: "sign-in page, MS-OFBA", answer: answers(403, "text/plain", "Access denied. Before opening files in this location, you must first browse to the web site", "X-Forms_Based_Auth_Required", "https://sp.corp.test/_forms/default.aspx"), want: sharepointserver.LoginPage, say: "/_forms/default.aspx"},
		{name: "sign-in page of a proxy", answer: bare(answers(200, html, `<html><form action="/logon"><INPUT Type="Password" name=p></form>`)), want: sharepointserver.LoginPage, other: true},
		{name: "other host", answer: answers(301, html, "", "Location", "https://user:pw@portal.corp.test/sites/a/_api/site?$select=Url,Id"), want: sharepointserver.Moved, say: "moved (301) to https://portal.corp.test/sites/a"},
		{name: "other page", answer: answers(301, html, "", "Location", "/portal?x=1"), want: sharepointserver.Moved, say: "/portal"},
		{name: "other server", answer: bare(answers(200, html, "<html>It works!</html>")), want: sharepointserver.NotSharePoint, other: true},
		{name: "other JSON", answer: bare(answers(200, "application/json", `[1,2]`)), want: sharepointserver.NotSharePoint, other: true},
		{name: "a page instead of data", answer: answers(200, html, "<html>Home</html>"), want: sharepointserver.Unreadable},
		{name: "broken JSON", answer: answers(200, "application/json", `{"d":{"Url":`), want: sharepointserver.Unreadable},
		{name: "an object without an address", answer: answers(200, "application/json", `{"d":{"Title":"x"}}`), want: sharepointserver.Unreadable},
		{name: "an address of something else", answer: answers(200, "application/json", `{"Url":"javascript:alert(1)"}`), want: sharepointserver.Unreadable},
		{name: "busy", answer: answers(503, html, "<h2>Service Unavailable</h2>"), want: sharepointserver.Busy, say: "503"},
		{name: "throttled", answer: answers(429, "text/plain", ""), want: sharepointserver.Busy},
		{name: "broken server", answer: answers(500, html, "<!DOCTYPE html><title>Runtime Error</title>"), want: sharepointserver.Busy},
		{name: "fault", answer: answers(400, "application/json", `{"error":{"code":"-1, Microsoft.SharePoint.Client.InvalidClientQueryException","message":{"value":"The expression \u009b31m is not valid."}}}`), want: sharepointserver.Fault, say: "The expression 31m is not valid."},
		{name: "nothing known", answer: answers(418, "text/plain", "teapot"), want: sharepointserver.Unreadable, say: "teapot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, true)
			f.at["/_api/site"] = c.answer
			_, err := f.client(t).Open(t.Context(), f.URL)
			var e *sharepointserver.Error
			if !errors.As(err, &e) || e.Reason != c.want || e.Op != "site" || e.URL != f.URL+"/_api/site" || e.Time.IsZero() || !strings.Contains(err.Error(), c.say) {
				t.Fatalf("%#v %v", e, err)
			}
			if e.SharePoint == c.other || !c.other && (e.Build.Revision != 10417 || e.RequestID == "") {
				t.Errorf("%+v", e)
			}
			if strings.Contains(err.Error(), "pw@") || e.Reason == sharepointserver.Moved && strings.ContainsAny(e.To, "_?") {
				t.Errorf("more of a redirect than the site: %v", err)
			}
		})
	}
}

func TestOpenNoAddress(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	for _, s := range []string{"", "sharepoint.corp.test", "ftp://sharepoint.corp.test", "https://", "https:///x", "https://a b", "%"} {
		if _, err := f.client(t).Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), "no address of a site") {
			t.Errorf("%q: %v", s, err)
		}
	}
	if f.log() != "" {
		t.Errorf("asked: %s", f.log())
	}
}

func TestOpenEnded(t *testing.T) {
	t.Parallel()
	f := newFarm(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	f.at["/_api/site"] = ends(cancel)
	if _, err := f.client(t).Open(ctx, f.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	b := func(n ...int) sharepointserver.Build {
		return sharepointserver.Build{Major: n[0], Minor: n[1], Build: n[2], Revision: n[3]}
	}
	for _, c := range []struct {
		build       sharepointserver.Build
		name, ended string
	}{
		{b(15, 0, 0, 4569), "SharePoint Server 2013", "2023-04-11"},
		{b(15, 0, 4420, 1017), "SharePoint Server 2013", "2023-04-11"},
		{b(16, 0, 0, 4351), "SharePoint Server 2016", "2026-07-14"},
		{b(16, 0, 5565, 1001), "SharePoint Server 2016", "2026-07-14"},
		{b(16, 0, 0, 10337), "SharePoint Server 2019", "2026-07-14"},
		{b(16, 0, 10417, 20198), "SharePoint Server 2019", "2026-07-14"},
		{b(16, 0, 0, 14326), "SharePoint Server Subscription Edition", ""},
		{b(16, 0, 19725, 20522), "SharePoint Server Subscription Edition", ""},
		{b(14, 0, 0, 7175), "SharePoint Server 2010", "2021-04-13"},
		{b(12, 0, 0, 6421), "SharePoint Server 2007", "2017-10-10"},
		{b(16, 0, 0, 8000), "SharePoint Server (build 16.0.0.8000)", ""},
		{b(17, 0, 0, 1), "SharePoint Server (build 17.0.0.1)", ""},
		{sharepointserver.Build{}, "SharePoint Server", ""},
	} {
		if v := sharepointserver.VersionOf(c.build); v.Name != c.name || v.Ended != c.ended {
			t.Errorf("%v: %+v", c.build, v)
		}
	}
	if s := b(16, 0, 0, 10337).String(); s != "16.0.0.10337" {
		t.Error(s)
	}
}
