package advice

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sharepointserver"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

const (
	farmURL    = "https://sharepoint.corp.test/sites/it"
	centralURL = "http://sharepoint.corp.test:34567"
)

// atFarm makes the facts those of a connection to SharePoint Server.
func atFarm(f *Facts) {
	f.Kind, f.OnPremises, f.Connection, f.Account, f.Site, f.Central = connections.SharePoint, true, "farm", "spadmin@contoso.example", farmURL, centralURL
	f.CredentialType, f.ClientID, f.TenantID, f.TenantDomain, f.Thumbprint = connections.TypePassword, "", "", "", ""
}

func unsaved(f *Facts) { f.Connection = "" }

func refusedBefore(f *Facts) { f.Refused = true }

func atSite(err error) error    { return &FarmError{Part: FarmSite, URL: farmURL, Err: err} }
func atList(err error) error    { return &FarmError{Part: FarmSites, URL: farmURL, Err: err} }
func atCentral(err error) error { return &FarmError{Part: FarmCentral, URL: centralURL, Err: err} }

func farmAnswer(op string, reason sharepointserver.Reason, status int, change ...func(*sharepointserver.Error)) error {
	e := &sharepointserver.Error{Op: op, URL: farmURL, Reason: reason, Status: status, SharePoint: true, RequestID: "1f2e0000-1111-4222-8333-444455556666", Time: then}
	if op == "Central Administration" {
		e.URL = centralURL
	}
	for _, c := range change {
		c(e)
	}
	return e
}

func central(err error) error {
	return atCentral(&sharepointserver.CentralError{URL: centralURL, Tried: map[string]error{"http": err}, Likely: err})
}

func ntlmOverHTTP(port int) error {
	return &winauth.PlainError{Server: fmt.Sprintf("sharepoint.corp.test:%d", port), Offered: []string{"NTLM"}, NTLM: true}
}

// farmErrors are the errors that connections to SharePoint Server alone meet.
func farmErrors() []known {
	const account, server = "spadmin@contoso.example", "sharepoint.corp.test:443"
	refused := func(m winauth.Method, proven bool, why error) error {
		return &winauth.RefusedError{Account: account, Server: server, Method: m, Proven: proven, Status: 401, Err: why}
	}
	elsewhere := func(to string) func(*sharepointserver.Error) {
		return func(e *sharepointserver.Error) { e.To = to }
	}
	stranger := func(e *sharepointserver.Error) { e.SharePoint = false }
	list := []known{
		{name: "the domain says that the password is wrong", err: atSite(&winauth.WrongPasswordError{Account: account, Protocol: "Kerberos", Server: "CORP.TEST"}), class: ClassAuth},
		{name: "401, and no domain controller", err: atSite(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: server}), class: ClassAuth},
		{name: "401, and no domain controller, not saved", err: atSite(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: server}), class: ClassAuth, facts: unsaved},
		{name: "401, and no domain controller, once more", err: atSite(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: server}), class: ClassAuth, facts: refusedBefore},
		{name: "401 of Central Administration, and no domain controller", err: central(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: server}), class: ClassAuth},
		{name: "401 of the port of Central Administration, and no domain controller", err: central(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: "sharepoint.corp.test:34567"}), class: ClassAuth},
		{name: "the list after a 401 of Central Administration, and no domain controller", err: atList(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: "sharepoint.corp.test:34567"}), class: ClassAuth},
		{name: "a 401 of another connection's server, and no domain controller", err: atSite(&winauth.WrongPasswordError{Account: account, Protocol: "NTLM", Server: "exch01.corp.test:443"}), class: ClassAuth, facts: refusedBefore},
		{name: "401 with a proven password", err: atSite(refused(winauth.NTLM, true, nil)), class: ClassCheck},
		{name: "401 of the list with a proven password", err: atList(refused(winauth.NTLM, true, nil)), class: ClassCheck},
		{name: "401 of Central Administration with a proven password", err: central(refused(winauth.NTLM, true, nil)), class: ClassCheck},
		{name: "401 to a ticket", err: atSite(refused(winauth.Kerberos, false, &winauth.TicketRefusedError{Server: server, SPN: "HTTP/sharepoint.corp.test"})), class: ClassAuth},
		{name: "401, nothing known", err: atSite(refused(winauth.NTLM, false, nil)), class: ClassAuth},
		{name: "NTLM over http", err: atSite(ntlmOverHTTP(80)), class: ClassAuth},
		{name: "NTLM over http, not saved", err: atSite(ntlmOverHTTP(80)), class: ClassAuth, facts: unsaved},
		{name: "NTLM over http, Central Administration", err: central(ntlmOverHTTP(34567)), class: ClassAuth},
		{name: "Basic over http", err: atSite(&winauth.PlainError{Server: "sharepoint.corp.test:80", Offered: []string{"Basic"}}), class: ClassAuth},
		{name: "Bearer over http", err: central(&winauth.NoMethodError{Account: account, Server: "sharepoint.corp.test:34567", Offered: []string{"Bearer"}}), class: ClassAuth},
		{name: "NTLM over http, no service principal name", err: atSite(&winauth.PlainError{
			Server: "sharepoint.corp.test:80", NTLM: true, Err: &winauth.UnknownSPNError{SPN: "HTTP/sharepoint.corp.test", Domain: "corp.test"},
		}), class: ClassAuth},
		{name: "no Windows authentication", err: atSite(&winauth.NoMethodError{Account: account, Server: server, Offered: []string{"Bearer"}}), class: ClassAuth},
		{name: "Central Administration as the site", err: atSite(&CentralSiteError{URL: centralURL}), class: ClassCheck},
		{name: "Kerberos alone, no service principal name", err: atSite(&winauth.NoMethodError{
			Account: account, Server: server, Offered: []string{"Negotiate"}, KerberosOnly: true, Err: &winauth.UnknownSPNError{SPN: "HTTP/sharepoint.corp.test", Domain: "corp.test"},
		}), class: ClassAuth},
		{name: "no sign-in", err: atList(&AnonymousError{URL: farmURL}), class: ClassCheck},
		{name: "no sign-in to Central Administration", err: atCentral(&AnonymousError{URL: centralURL}), class: ClassCheck},
		{name: "Basic alone", err: atSite(&winauth.NoMethodError{Account: account, Server: server, Offered: []string{"Basic"}}), class: ClassAuth},
		{name: "no service principal name", err: atSite(&winauth.UnknownSPNError{SPN: "HTTP/sharepoint.corp.test", Domain: "corp.test"}), class: ClassAuth},
		{name: "an untrusted certificate", err: atSite(&winauth.UntrustedError{Host: server, SHA256: strings.Repeat("AB", 32), Reason: "no authority vouches for it"}), class: ClassAuth},
		{name: "an untrusted certificate, not saved", err: atSite(&winauth.UntrustedError{Host: server, SHA256: strings.Repeat("AB", 32), Reason: "no authority vouches for it"}), class: ClassAuth, facts: unsaved},
		{name: "the site may not be opened", err: atSite(farmAnswer("site", sharepointserver.Denied, 403)), class: ClassCheck},
		{name: "the list is denied both ways", err: atList(&sharepointserver.ListError{SiteData: farmAnswer("SiteData", sharepointserver.Denied, 403), Search: farmAnswer("search", sharepointserver.Denied, 403)}), class: ClassCheck},
		{name: "the list fails in two ways", err: atList(&sharepointserver.ListError{SiteData: farmAnswer("SiteData", sharepointserver.Denied, 403), Search: farmAnswer("search", sharepointserver.Fault, 500, func(e *sharepointserver.Error) { e.Text = "The search service is not running." })}), class: ClassCheck},
		{name: "the list, name not found", err: atList(&sharepointserver.ListError{
			SiteData: &transport.Error{Kind: transport.KindDNS, Host: "sharepoint.corp.test", Err: errors.New("no such host")}, Search: &transport.Error{Kind: transport.KindDNS, Host: "sharepoint.corp.test", Err: errors.New("no such host")},
		}), class: ClassOther},
		{name: "http instead of https at Central Administration", err: atCentral(&sharepointserver.CentralError{URL: "https://sharepoint.corp.test:34567/", Likely: http.ErrSchemeMismatch, Plain: true}), class: ClassAuth},
		{name: "Central Administration may not be opened", err: central(farmAnswer("Central Administration", sharepointserver.Denied, 403)), class: ClassCheck},
		{name: "no site collection", err: atSite(farmAnswer("site", sharepointserver.NotThere, 404)), class: ClassCheck},
		{name: "not found, and no SharePoint", err: atSite(farmAnswer("site", sharepointserver.NotThere, 404, stranger)), class: ClassCheck},
		{name: "a sign-in form", err: atSite(farmAnswer("site", sharepointserver.LoginPage, 302)), class: ClassCheck},
		{name: "moved", err: atSite(farmAnswer("site", sharepointserver.Moved, 302, elsewhere("https://portal.contoso.example/sites/it"))), class: ClassCheck},
		{name: "moved, not saved", err: atSite(farmAnswer("site", sharepointserver.Moved, 302, elsewhere("https://portal.contoso.example/sites/it"))), class: ClassCheck, facts: unsaved},
		{name: "moved to https", err: &FarmError{Part: FarmSite, URL: "http://sharepoint.corp.test", Err: farmAnswer("site", sharepointserver.Moved, 301, elsewhere("https://sharepoint.corp.test/"))}, class: ClassCheck},
		{name: "moved to http", err: &FarmError{Part: FarmSite, URL: "https://sharepoint.corp.test", Err: farmAnswer("site", sharepointserver.Moved, 301, elsewhere("http://sharepoint.corp.test/"))}, class: ClassCheck},
		{name: "not SharePoint", err: atSite(farmAnswer("site", sharepointserver.NotSharePoint, 200, stranger)), class: ClassCheck},
		{name: "not SharePoint at the port", err: central(farmAnswer("Central Administration", sharepointserver.NotSharePoint, 200, stranger)), class: ClassCheck},
		{name: "not Central Administration", err: central(farmAnswer("Central Administration", sharepointserver.NotCentral, 200)), class: ClassCheck},
		{name: "not Central Administration, not saved", err: central(farmAnswer("Central Administration", sharepointserver.NotCentral, 200)), class: ClassCheck, facts: unsaved},
		{name: "wrong port", err: central(&transport.Error{Kind: transport.KindRefused, Host: "sharepoint.corp.test:34567", Err: errors.New("refused")}), class: ClassCheck},
		{name: "silent port", err: central(&transport.Error{Kind: transport.KindTimeout, Host: "sharepoint.corp.test:34567", Err: errors.New("timeout")}), class: ClassCheck},
		{name: "nothing listens", err: atSite(&transport.Error{Kind: transport.KindRefused, Host: "sharepoint.corp.test:443", Err: errors.New("refused")}), class: ClassCheck},
		{name: "no TLS", err: atSite(&transport.Error{Kind: transport.KindTLS, Host: "sharepoint.corp.test:80", Err: errors.New("first record does not look like a TLS handshake")}), class: ClassCheck},
		{name: "busy", err: atSite(farmAnswer("site", sharepointserver.Busy, 503)), class: ClassCheck},
		{name: "unreadable", err: atSite(farmAnswer("site", sharepointserver.Unreadable, 200)), class: ClassCheck},
		{name: "a fault", err: atSite(farmAnswer("site", sharepointserver.Fault, 500, func(e *sharepointserver.Error) {
			e.Code, e.Text = "-2147467259, Microsoft.SharePoint.SPException", "Cannot complete this action."
		})), class: ClassCheck},
		{name: "cancelled", err: atSite(context.Canceled), class: ClassCancelled},
		{name: "no site collection is listed", err: &NoCollectionsError{URL: farmURL, Way: sharepointserver.SiteData}, class: ClassCheck},
		{name: "no site collection is indexed", err: &NoCollectionsError{URL: farmURL, Way: sharepointserver.Search}, class: ClassCheck},
		{name: "a part of the list", err: &PartialListError{URL: farmURL, Way: sharepointserver.SiteData, Err: farmAnswer("SiteData", sharepointserver.Fault, 500)}, class: ClassCheck},
		{name: "a part of the list, by search", err: &PartialListError{URL: farmURL, Way: sharepointserver.Search, Err: errors.New("the search gives no more than 50500 of 100000 results")}, class: ClassCheck},
		{name: "no site collection is indexed, no SiteData", err: &NoCollectionsError{URL: farmURL, Way: sharepointserver.Search, WhyNot: &sharepointserver.Error{Op: "SiteData", URL: farmURL, Reason: sharepointserver.NotThere, Status: 404, SharePoint: true}}, class: ClassCheck},
		{name: "a list that is too long", err: &PartialListError{URL: farmURL, Err: &sharepointserver.FullError{Kept: 1_000_000}}, class: ClassCheck},
		{name: "a part of the list that cannot be used", err: &PartialListError{URL: farmURL, Err: &sharepointserver.UnusableError{Count: 3}}, class: ClassCheck},
		{name: "out of support", err: &OldServerError{Name: "SharePoint Server 2016", Build: "16.0.5161.1000", Ended: "2026-07-14"}, class: ClassCheck},
	}
	for i := range list {
		more := list[i].facts
		list[i].name = "SharePoint Server: " + list[i].name
		list[i].facts = func(f *Facts) {
			atFarm(f)
			if more != nil {
				more(f)
			}
		}
	}
	return list
}

// Advice about a farm is for its administrators: no words of Exchange, Microsoft Graph or
// the cloud.
func TestFarmAdviceIsAboutSharePoint(t *testing.T) {
	t.Parallel()
	for _, k := range farmErrors() {
		f := contoso(t)
		k.facts(&f)
		a := For(k.err, f)
		text := a.What + a.Why + a.Link + nextText(a)
		for _, not := range []string{"Exchange", "Graph", "Entra", "cloud", "tenant"} {
			if strings.Contains(text, not) {
				t.Errorf("%s: speaks of %s: %s", k.name, not, text)
			}
		}
		if n := len([]rune(Short(k.err, f))); n == 0 || n > shortLimit {
			t.Errorf("%s: the finding has %d characters", k.name, n)
		}
	}
}

// A list that search cut off is not mended at the content databases: SiteData lists all.
func TestPartOfASearch(t *testing.T) {
	t.Parallel()
	f := contoso(t)
	atFarm(&f)
	a := For(&PartialListError{URL: farmURL, Way: sharepointserver.Search, Err: errors.New("the search gives no more than 50500 of 100000 results")}, f)
	text := a.What + a.Why + nextText(a)
	if strings.Contains(text, "database") || !strings.Contains(text, "SiteData") || !strings.Contains(text, "Full Read") {
		t.Errorf("the advice is %s", text)
	}
}

// What a server writes cannot end a command, nor lead the terminal astray.
func TestFarmTextInACommand(t *testing.T) {
	t.Parallel()
	const nasty = "https://x.example/'; Remove-SPSite\x1b[31m"
	for _, reason := range []sharepointserver.Reason{sharepointserver.Moved, sharepointserver.Fault, sharepointserver.Unreadable, sharepointserver.LoginPage} {
		f := Facts{}
		atFarm(&f)
		f.Account = "o'neill@contoso.com"
		err := &FarmError{Part: FarmSite, URL: nasty, Err: &sharepointserver.Error{Op: "site", URL: nasty, Reason: reason, Code: nasty, Text: nasty, To: nasty, SharePoint: true}}
		a := For(err, f)
		sound(t, string(reason), a)
		for _, step := range a.Next {
			switch {
			case !strings.Contains(step, "Remove-SPSite"):
			case strings.HasPrefix(step, "PS> ") && strings.Count(step, "'")%2 != 0, // each is doubled
				strings.HasPrefix(step, "$ ") && !strings.Contains(step, `'\''; Remove-SPSite`):
				t.Errorf("%s: %s", reason, step)
			}
		}
	}
}

// Advice proposes no address with http instead of https without saying what that gives
// up, and speaks of the decryption of TLS only where there is TLS.
func TestFarmAdviceAboutEncryption(t *testing.T) {
	t.Parallel()
	const protection, open = "Extended Protection", "nothing is encrypted"
	refused := func(scheme string) error {
		err := &winauth.RefusedError{Account: "spadmin@contoso.example", Server: "sharepoint.corp.test:34567", Method: winauth.NTLM, Proven: true, Status: 401}
		return atCentral(&sharepointserver.CentralError{URL: "http://sharepoint.corp.test:34567", Tried: map[string]error{scheme: err}, Likely: err, At: scheme + "://sharepoint.corp.test:34567"})
	}
	moved := func(from, to string) error {
		return &FarmError{Part: FarmSite, URL: from, Err: &sharepointserver.Error{Op: "site", URL: from, Reason: sharepointserver.Moved, Status: 302, SharePoint: true, To: to}}
	}
	for _, c := range []struct {
		name, text string
		err        error
		says       bool
	}{
		{"401 over http", protection, refused("http"), false},
		{"401 over https", protection, refused("https"), true},
		{"to http", open, moved("https://sp.corp.test", "http://sp.corp.test/"), true},
		{"to http of another host", open, moved("https://sp.corp.test", "http://portal.corp.test/"), true},
		{"to https", open, moved("http://sp.corp.test", "https://sp.corp.test/"), false},
		{"to another host", open, moved("https://sp.corp.test", "https://portal.corp.test/"), false},
	} {
		f := contoso(t)
		atFarm(&f)
		if a := For(c.err, f); strings.Contains(a.Why, c.text) != c.says {
			t.Errorf("%s: %s", c.name, a.Why)
		}
	}
}

// What trusts a renewed certificate of one server keeps that of the other, whether the
// connection is as it is saved or is being changed.
func TestFarmKeepsTheOtherCertificate(t *testing.T) {
	t.Parallel()
	kept, renewed := strings.Repeat("B2", 32), strings.Repeat("C3", 32)
	for _, edited := range []bool{false, true} {
		f := contoso(t)
		atFarm(&f)
		f.Pins = map[string]string{"sharepoint.corp.test:443": strings.Repeat("A1", 32), "sharepoint.corp.test:34567": kept}
		if edited {
			f.Connection, f.Edited = "", true
		}
		a := For(atSite(&winauth.PinChangedError{Host: "sharepoint.corp.test:443", Want: strings.Repeat("A1", 32), Got: renewed}), f)
		if text := nextText(a); !strings.Contains(text, "--set certificate-sha256="+renewed+","+kept) {
			t.Errorf("edited %t: %s", edited, text)
		}
	}
}
