package autodiscover_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/winauth"
	"golang.org/x/net/dns/dnsmessage"
)

// kind is a check that an error is of a type.
func kind[T error](more func(T) bool) func(error) bool {
	return func(err error) bool {
		var e T
		return errors.As(err, &e) && (more == nil || more(e))
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	answer := func(code string) func(error) bool {
		return kind(func(e *autodiscover.AnswerError) bool { return e.Code == code && e.Error() != "" })
	}
	mailbox := func(target string) func(error) bool {
		return kind(func(e *autodiscover.OnlineError) bool {
			return e.Target == target && e.Address == address && strings.Contains(e.Error(), "Exchange Online")
		})
	}
	own := kind(func(e *winauth.UntrustedError) bool { return e.Host == "autodiscover.contoso.example:443" })
	for name, c := range map[string]struct {
		w       *world
		change  func(*autodiscover.Options)
		err     func(error) bool
		outcome string
		signIns int
	}{
		"nothing anywhere": {
			w: &world{}, outcome: "domain no-such-host",
			err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"a web site, nothing else": {
			w: &world{https: hosts{"contoso.example": site(404), "autodiscover.contoso.example": site(200)}}, outcome: "autodiscover not-autodiscover",
			err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"a wrong password ends the search": {
			w:   &world{https: hosts{"contoso.example": exchange{refuse: "wrong"}, "autodiscover.contoso.example": exchange{pox: poxSettings(exch(outside))}}},
			err: kind[*winauth.WrongPasswordError](nil), outcome: "domain wrong-password", signIns: 1,
		},
		"a locked account ends the search": {
			w:   &world{https: hosts{"contoso.example": exchange{refuse: "locked"}, "autodiscover.contoso.example": exchange{pox: poxSettings(exch(outside))}}},
			err: kind[*winauth.LockedError](nil), outcome: "domain locked", signIns: 1,
		},
		"a wrong password in Active Directory ends the search": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxSettings(exch(outside))}}},
			change: func(o *autodiscover.Options) {
				o.SCP = func(context.Context, string) ([]autodiscover.Endpoint, error) {
					return nil, &winauth.WrongPasswordError{Account: "exadmin", Protocol: "LDAP"}
				}
			},
			err: kind[*winauth.WrongPasswordError](nil), outcome: "scp wrong-password",
		},
		"refused everywhere": {
			w:   &world{https: hosts{"contoso.example": exchange{refuse: "refused"}, "autodiscover.contoso.example": exchange{refuse: "no-method"}}},
			err: kind[*winauth.RefusedError](nil), outcome: "autodiscover refused", signIns: 2,
		},
		"plain XML: 500": {
			w:   &world{https: hosts{"contoso.example": exchange{pox: poxError("500", "The e-mail address cannot be found.")}}},
			err: answer("500"), outcome: "domain no-mailbox", signIns: 1,
		},
		"plain XML: 600, and no SOAP": {
			w:   &world{https: hosts{"contoso.example": exchange{pox: poxError("600", "Invalid Request")}}},
			err: answer("600"), outcome: "domain error", signIns: 2,
		},
		"plain XML: 601, in the namespace of Outlook": {
			w: &world{https: hosts{"contoso.example": exchange{pox: strings.Replace(poxError("601", "Provider is not available"), "<Response>",
				`<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">`, 1)}}},
			err: answer("601"), outcome: "domain error", signIns: 2,
		},
		"plain XML without an EWS URL": {
			w:   &world{https: hosts{"contoso.example": exchange{pox: poxSettings(`<Protocol><Type>EXCH</Type></Protocol>`)}}},
			err: answer("settings"), outcome: "domain error", signIns: 2,
		},
		"an EWS URL over plain http": {
			w:   &world{https: hosts{"contoso.example": exchange{pox: poxSettings(exch("http://exch01.contoso.example/EWS/Exchange.asmx"))}}},
			err: answer("url"), outcome: "domain error", signIns: 1,
		},
		"JSON with an EWS URL over plain http": {
			w:       &world{https: hosts{"contoso.example": exchange{json: jsonAnswer("http://exch01.contoso.example/EWS/Exchange.asmx")}}},
			outcome: "domain error", signIns: 2, err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"JSON with an EWS URL of another domain": {
			w: &world{https: hosts{"contoso.example": exchange{json: jsonAnswer("https://mail.evil.example/EWS/Exchange.asmx"), refuse: "refused"}}, names: []string{"mail.evil.example"}},
			err: kind(func(e *autodiscover.ConsentError) bool {
				return e.From == "contoso.example" && e.To == "mail.evil.example"
			}), outcome: "domain consent",
		},
		"SOAP: error of the request": {
			w:   &world{https: hosts{"contoso.example": exchange{soap: soapAnswer(`<ErrorCode>ServerBusy</ErrorCode><ErrorMessage>busy</ErrorMessage>`)}}},
			err: answer("ServerBusy"), outcome: "domain error", signIns: 2,
		},
		"SOAP: error of the user": {
			w:   &world{https: hosts{"contoso.example": exchange{soap: soapUser(`<ErrorCode>InvalidUser</ErrorCode><ErrorMessage>Invalid user</ErrorMessage>`)}}},
			err: answer("InvalidUser"), outcome: "domain no-mailbox", signIns: 2,
		},
		"SOAP: error of the settings": {
			w: &world{https: hosts{"contoso.example": exchange{soap: soapUser(`<ErrorCode>NoError</ErrorCode><UserSettingErrors><UserSettingError><ErrorCode>SettingIsNotAvailable</ErrorCode>` +
				`<ErrorMessage>not there</ErrorMessage><SettingName>ExternalEwsUrl</SettingName></UserSettingError></UserSettingErrors><UserSettings/>`)}}},
			err: answer("SettingIsNotAvailable"), outcome: "domain error", signIns: 2,
		},
		"SOAP: a fault": {
			w: &world{https: hosts{"contoso.example": exchange{soap: `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>` +
				`<faultcode>s:Client</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>`}}},
			err: answer("Client"), outcome: "domain error", signIns: 2,
		},
		"the namespaces are another one's": {
			w: &world{https: hosts{"contoso.example": exchange{pox: strings.ReplaceAll(poxSettings(exch(outside)), "http://schemas", "https://schemas"),
				soap: strings.ReplaceAll(soapSettings(inside, outside), "2010/Autodiscover", "2009/Autodiscover")}}},
			outcome: "domain not-autodiscover", signIns: 2, err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"a document type definition": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: `<!DOCTYPE Autodiscover [<!ENTITY a "b">]>` + poxSettings(exch(outside))}}},
			outcome: "domain not-autodiscover", signIns: 2, err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"more than 1 MiB": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxSettings(exch(outside)) + strings.Repeat(" ", 1<<20)}}},
			outcome: "domain not-autodiscover", signIns: 2, err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"too many elements": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxSettings(strings.Repeat("<x/>", 6000) + exch(outside))}}},
			outcome: "domain not-autodiscover", signIns: 2, err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"too many levels": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxSettings(strings.Repeat("<x>", 40) + strings.Repeat("</x>", 40) + exch(outside))}}},
			outcome: "domain not-autodiscover", signIns: 2, err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"a certificate that nobody vouches for": {
			w:   &world{untrusted: hosts{"autodiscover.contoso.example": exchange{pox: poxSettings(exch(outside))}}},
			err: own, outcome: "autodiscover untrusted-certificate",
		},
		"that of the own domain tells more than that of another, and than a refusal": {
			w: &world{untrusted: hosts{"autodiscover.contoso.example": site(200), "mail.hoster.example": site(200)}, https: hosts{"contoso.example": exchange{refuse: "refused"}},
				srv: []dnsmessage.SRVResource{srv("mail.hoster.example", 443, 0, 0)}},
			err: own, outcome: "srv untrusted-certificate", signIns: 1,
		},
		"a changed certificate tells most": {
			w: &world{untrusted: hosts{"contoso.example": site(200), "autodiscover.contoso.example": site(200)},
				pinned: map[string]string{"autodiscover.contoso.example:443": strings.Repeat("AB", 32)}},
			err: kind(func(e *winauth.PinChangedError) bool { return e.Host == "autodiscover.contoso.example:443" }), outcome: "autodiscover changed-certificate",
		},
		"Exchange Online, by the redirect of plain http": {
			w:   &world{https: hosts{"contoso.example": site(404)}, http: hosts{"autodiscover.contoso.example": redirectTo("https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml")}},
			err: mailbox("autodiscover-s.outlook.com"), outcome: "http online",
		},
		"Exchange Online, by SRV": {
			w:   &world{srv: []dnsmessage.SRVResource{srv("autodiscover.outlook.com", 443, 0, 0)}},
			err: mailbox("autodiscover.outlook.com"), outcome: "srv online",
		},
		"Exchange Online, by Active Directory": {
			w: &world{}, change: published(autodiscover.Endpoint{URL: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml"}),
			err: mailbox("autodiscover-s.outlook.com"), outcome: "scp online",
		},
		"Exchange Online, by the signed-in answer": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>alice@contoso.mail.onmicrosoft.com</RedirectAddr>`)},
				"autodiscover.contoso.example": exchange{refuse: "wrong"}}},
			err: mailbox("alice@contoso.mail.onmicrosoft.com"), outcome: "domain online", signIns: 1,
		},
		"Exchange Online, by a signed-in redirect": {
			w:   &world{https: hosts{"contoso.example": exchange{redirect: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml"}, "autodiscover.contoso.example": exchange{refuse: "wrong"}}},
			err: mailbox("autodiscover-s.outlook.com"), outcome: "domain online", signIns: 1,
		},
		"Exchange Online, by the EWS URL of the settings": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxSettings(expr("https://outlook.office365.com/EWS/Exchange.asmx"))},
				"autodiscover.contoso.example": exchange{refuse: "wrong"}}},
			err: mailbox("outlook.office365.com"), outcome: "domain online", signIns: 1,
		},
		"Exchange Online, by JSON": {
			w:   &world{https: hosts{"contoso.example": exchange{json: jsonAnswer("https://outlook.office365.com/EWS/Exchange.asmx"), refuse: "refused"}}},
			err: mailbox("outlook.office365.com"), outcome: "domain online", signIns: 1,
		},
		"Exchange Online, by a redirect of JSON": {
			w: &world{https: hosts{"contoso.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, ".json") {
					http.Redirect(w, r, "https://outlook.office365.com/autodiscover/autodiscover.json?Email=x", http.StatusFound)
					return
				}
				http.NotFound(w, r)
			})}},
			err: mailbox("outlook.office365.com"), outcome: "domain online",
		},
		"JSON: no such user": {
			w:   &world{https: hosts{"contoso.example": exchange{json: `{"ErrorCode":"UserNotFound","ErrorMessage":"no"}`, refuse: "refused"}}},
			err: answer("UserNotFound"), outcome: "domain no-mailbox", signIns: 1,
		},
		"Active Directory cannot be read, or names what is no https": {
			w: &world{}, change: published(autodiscover.Endpoint{URL: "http://exch01.contoso.example/autodiscover/autodiscover.xml"}), outcome: "scp bad-redirect",
			err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"Active Directory names nothing": {
			w: &world{}, change: published(), outcome: "scp nothing", err: func(err error) bool { return errors.Unwrap(err) == nil },
		},
		"Active Directory fails": {
			w: &world{}, outcome: "scp error", err: func(err error) bool { return errors.Unwrap(err) == nil },
			change: func(o *autodiscover.Options) {
				o.SCP = func(context.Context, string) ([]autodiscover.Endpoint, error) {
					return nil, errors.New("no\x1b[2J domain\ncontroller")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := c.w.find(t, c.change)
			log := strings.Join(c.w.outcomes(), "\n")
			if err == nil || !c.err(err) || r.EWS != "" {
				t.Errorf("got %+v, %v\n%s", r.EWS, err, log)
			}
			if !strings.Contains("\n"+log+"\n", "\n"+c.outcome+"\n") {
				t.Errorf("%q is missing in\n%s", c.outcome, log)
			}
			if len(c.w.signedIn) != c.signIns {
				t.Errorf("signed in: %q, want %d\n%s", c.w.signedIn, c.signIns, log)
			}
		})
	}
}

func TestNoAddress(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"", "alice", "alice@", "@contoso.example", "alice@con toso.example", "alice@contoso.example\r\nX: y", "alice@192.0.2.1", "a/../b@contoso.example", "<a>@contoso.example",
		"alice@-contoso.example", "alice@contoso.example@evil.example", strings.Repeat("a", 400) + "@contoso.example"} {
		w := &world{}
		o := w.options(t)
		o.Address = a
		_, err := autodiscover.Find(t.Context(), o)
		var no *autodiscover.AddressError
		if !errors.As(err, &no) || len(w.attempts) > 0 {
			t.Errorf("%q: %v", a, err)
		}
	}
	w := &world{https: hosts{"xn--bcher-kva.example": exchange{json: jsonAnswer("https://xn--bcher-kva.example/EWS/Exchange.asmx")}}}
	if _, err := w.find(t, func(o *autodiscover.Options) { o.Address = "alice@Bücher.example" }); err != nil {
		t.Error(err)
	}
}
