package autodiscover_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"golang.org/x/net/dns/dnsmessage"
)

// chain answers /0/autodiscover.xml with a redirect to /1/autodiscover.xml and so on;
// the last one is an Exchange Server.
func chain(host string, n int, last exchange) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := 0
		if _, err := fmt.Sscanf(r.URL.Path, "/%d/autodiscover.xml", &at); err != nil && strings.Contains(r.URL.Path, "json") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if at < n {
			http.Redirect(w, r, fmt.Sprintf("https://%s/%d/autodiscover.xml", host, at+1), http.StatusMovedPermanently)
			return
		}
		r.URL.Path = "/autodiscover/autodiscover.xml"
		last.ServeHTTP(w, r)
	})
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	server := exchange{pox: poxSettings(exch(outside))}
	agrees := func(o *autodiscover.Options) {
		o.Consent = func(context.Context, string, string) error { return nil }
	}
	for name, c := range map[string]struct {
		w       *world
		change  func(*autodiscover.Options)
		url     string // that answered; "" when none did
		address string // other than the usual one
		outcome string // step and outcome that must be there
		signIns int
		never   string // host that must not get a sign-in
	}{
		"ten in a row": {
			w:   &world{https: hosts{"contoso.example": chain("contoso.example", 10, server)}},
			url: "https://contoso.example/10/autodiscover.xml", outcome: "domain redirect", signIns: 1,
		},
		"eleven in a row": {
			w:       &world{https: hosts{"contoso.example": chain("contoso.example", 11, server)}},
			outcome: "domain bad-redirect",
		},
		"loop": {
			w: &world{https: hosts{"contoso.example": redirectTo("https://www.contoso.example/autodiscover/autodiscover.xml"),
				"www.contoso.example": redirectTo("https://contoso.example/Autodiscover/Autodiscover.xml")}},
			outcome: "domain bad-redirect",
		},
		"to itself, signed in": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: "x", redirect: "https://CONTOSO.example/autodiscover/autodiscover.xml"}}},
			outcome: "domain bad-redirect", signIns: 1,
		},
		"to http, without a sign-in": {
			w:       &world{https: hosts{"contoso.example": redirectTo("http://contoso.example/autodiscover/autodiscover.xml")}, http: hosts{"contoso.example": server}},
			outcome: "domain bad-redirect",
		},
		"to http, signed in": {
			w:       &world{https: hosts{"contoso.example": exchange{redirect: "http://contoso.example/autodiscover/autodiscover.xml"}}, http: hosts{"contoso.example": server}},
			outcome: "domain bad-redirect", signIns: 1,
		},
		"of plain http to http": {
			w:       &world{http: hosts{"autodiscover.contoso.example": redirectTo("http://mail.contoso.example/autodiscover/autodiscover.xml"), "mail.contoso.example": server}},
			outcome: "http bad-redirect",
		},
		"of plain http with another status": {
			w: &world{https: hosts{"mail.contoso.example": server}, http: hosts{"autodiscover.contoso.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://mail.contoso.example/autodiscover/autodiscover.xml", http.StatusTemporaryRedirect)
			})}},
			outcome: "http not-autodiscover",
		},
		"signed in, to the own domain": {
			w:   &world{https: hosts{"contoso.example": exchange{redirect: "https://mail.contoso.example/autodiscover/autodiscover.xml"}, "mail.contoso.example": server}},
			url: "https://mail.contoso.example/autodiscover/autodiscover.xml", outcome: "redirect found", signIns: 2,
		},
		"redirectUrl of plain XML": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectUrl</Action><RedirectUrl>https://mail.contoso.example/autodiscover/autodiscover.xml</RedirectUrl>`)},
				"mail.contoso.example": server}},
			url: "https://mail.contoso.example/autodiscover/autodiscover.xml", outcome: "redirect found", signIns: 2,
		},
		"RedirectUrl of SOAP": {
			w: &world{https: hosts{"contoso.example": exchange{soap: soapUser(`<ErrorCode>RedirectUrl</ErrorCode><RedirectTarget>https://mail.contoso.example/autodiscover/autodiscover.svc</RedirectTarget>`)},
				"mail.contoso.example": server}},
			url: "https://mail.contoso.example/autodiscover/autodiscover.xml", outcome: "redirect found", signIns: 3,
		},
		"signed in, to another domain, nobody agrees": {
			w:       &world{https: hosts{"contoso.example": exchange{redirect: "https://mail.evil.example/autodiscover/autodiscover.xml"}, "mail.evil.example": server}},
			outcome: "redirect consent", signIns: 1, never: "mail.evil.example",
		},
		"signed in, to another domain, somebody agrees": {
			w:      &world{https: hosts{"contoso.example": exchange{redirect: "https://mail.hoster.example/autodiscover/autodiscover.xml"}, "mail.hoster.example": server}},
			change: agrees, url: "https://mail.hoster.example/autodiscover/autodiscover.xml", outcome: "redirect found", signIns: 2,
		},
		"of plain http to another domain, nobody agrees": {
			w: &world{https: hosts{"mail.evil.example": exchange{pox: poxSettings(exch(outside))}},
				http: hosts{"autodiscover.contoso.example": redirectTo("https://mail.evil.example/autodiscover/autodiscover.xml")}},
			outcome: "http consent", never: "mail.evil.example",
		},
		"of plain http to another domain, which tells an EWS URL of its own to everybody": {
			w: &world{https: hosts{"mail.evil.example": exchange{json: jsonAnswer("https://mail.evil.example/EWS/Exchange.asmx")}},
				http: hosts{"autodiscover.contoso.example": redirectTo("https://mail.evil.example/autodiscover/autodiscover.xml")}},
			outcome: "http consent",
		},
		"SRV to another domain, nobody agrees": {
			w:       &world{https: hosts{"contoso.example.evil.example": server}, srv: []dnsmessage.SRVResource{srv("contoso.example.evil.example", 443, 0, 0)}},
			outcome: "srv consent", never: "contoso.example.evil.example",
		},
		"SRV to another domain, somebody agrees": {
			w:      &world{https: hosts{"mail.hoster.example": server}, srv: []dnsmessage.SRVResource{srv("mail.hoster.example", 443, 0, 0)}},
			change: agrees, url: "https://mail.hoster.example/autodiscover/autodiscover.xml", outcome: "srv found", signIns: 1,
		},
		"to another address of the same domain": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>alice@mail.contoso.example</RedirectAddr>`)},
				"mail.contoso.example": server}},
			url: "https://mail.contoso.example/autodiscover/autodiscover.xml", address: "alice@mail.contoso.example", outcome: "domain redirect", signIns: 2,
		},
		"to another address by SOAP": {
			w: &world{https: hosts{"contoso.example": exchange{soap: soapUser(`<ErrorCode>RedirectAddress</ErrorCode><RedirectTarget>alice@mail.contoso.example</RedirectTarget>`)},
				"mail.contoso.example": server}},
			url: "https://mail.contoso.example/autodiscover/autodiscover.xml", address: "alice@mail.contoso.example", outcome: "domain redirect", signIns: 3,
		},
		"to an address of another domain, nobody agrees": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>alice@fabrikam.example</RedirectAddr>`)},
				"fabrikam.example": server}},
			outcome: "redirect consent", signIns: 1, never: "fabrikam.example",
		},
		"to an address of another domain, somebody agrees": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>alice@fabrikam.example</RedirectAddr>`)},
				"fabrikam.example": server}},
			change: agrees, url: "https://fabrikam.example/autodiscover/autodiscover.xml", address: "alice@fabrikam.example", outcome: "domain found", signIns: 2,
		},
		"to the same address": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>Alice@Contoso.example</RedirectAddr>`)}}},
			outcome: "domain bad-redirect", signIns: 1,
		},
		"to no address": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>alice</RedirectAddr>`)}}},
			outcome: "domain bad-redirect", signIns: 1,
		},
		"of JSON to JSON": {
			w: &world{https: hosts{"contoso.example": redirectTo("https://mail.contoso.example/autodiscover/autodiscover.json/v1.0/alice@contoso.example?Protocol=EWS"),
				"mail.contoso.example": exchange{json: jsonAnswer(outside)}}},
			url: "https://mail.contoso.example/autodiscover/autodiscover.json/v1.0/alice@contoso.example?Protocol=EWS", outcome: "domain redirect",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := c.w.find(t, c.change)
			log := strings.Join(c.w.outcomes(), "\n")
			if c.url == "" && err == nil || c.url != "" && (err != nil || r.URL != c.url) {
				t.Errorf("got %+v, %v\n%s", r, err, log)
			}
			if c.url != "" && r.Address != cmpOr(c.address, address) {
				t.Errorf("the address is %s", r.Address)
			}
			if !slices.Contains(c.w.outcomes(), c.outcome) {
				t.Errorf("%q is missing in\n%s", c.outcome, log)
			}
			if len(c.w.signedIn) != c.signIns {
				t.Errorf("signed in: %q, want %d\n%s", c.w.signedIn, c.signIns, log)
			}
			for _, u := range c.w.signedIn {
				if c.never != "" && strings.Contains(u, c.never) {
					t.Errorf("a sign-in went to %s", u)
				}
			}
			for _, a := range c.w.asked {
				if strings.Contains(a, " http://") && !strings.HasSuffix(a, " http://autodiscover.contoso.example/autodiscover/autodiscover.xml") {
					t.Errorf("over plain http: %s", a)
				}
			}
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestAddressesOnlyTenTimes(t *testing.T) {
	t.Parallel()
	n := 0
	w := &world{https: hosts{"contoso.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".xml") && r.Header.Get("Authorization") != "" {
			n++
		}
		exchange{pox: poxAnswer(fmt.Sprintf(`<Action>redirectAddr</Action><RedirectAddr>alice%d@contoso.example</RedirectAddr>`, n))}.ServeHTTP(w, r)
	})}}
	_, err := w.find(t, nil)
	if err == nil || n != 11 || !w.has("domain", autodiscover.OutcomeBadRedirect) {
		t.Errorf("%v after %d addresses", err, n)
	}
}

func TestConsentIsAskedOnceAndSaysWhatLeadsWhere(t *testing.T) {
	t.Parallel()
	refused := errors.New("no")
	for name, c := range map[string]struct {
		answer error
		asked  int
	}{"agreed": {nil, 1}, "refused": {refused, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{https: hosts{"contoso.example": exchange{redirect: "https://one.hoster.example/autodiscover/autodiscover.xml"},
				"autodiscover.contoso.example": exchange{redirect: "https://two.hoster.example/autodiscover/autodiscover.xml"},
				"one.hoster.example":           exchange{refuse: "refused"}, "two.hoster.example": exchange{pox: poxSettings(exch("https://ews.hoster.example/EWS/Exchange.asmx"))}}}
			r, err := w.find(t, func(o *autodiscover.Options) {
				o.Consent = func(_ context.Context, from, to string) error {
					w.consents = append(w.consents, from+" "+to)
					return c.answer
				}
			})
			if !slices.Equal(w.consents, []string{"contoso.example one.hoster.example"}) {
				t.Errorf("asked: %q", w.consents)
			}
			var consent *autodiscover.ConsentError
			switch {
			case c.answer == nil && (err != nil || r.EWS != "https://ews.hoster.example/EWS/Exchange.asmx"):
				t.Errorf("%+v, %v", r, err)
			case c.answer != nil && (!errors.As(err, &consent) || consent.From != "contoso.example" || consent.To != "one.hoster.example" || !errors.Is(err, refused)):
				t.Errorf("%v", err)
			}
		})
	}
}

// Active Directory is asked for each mail domain once, and for the one that matters.
func TestActiveDirectoryIsAskedForTheNewDomain(t *testing.T) {
	t.Parallel()
	var asked []string
	w := &world{https: hosts{
		"contoso.example": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>bob@contoso.example</RedirectAddr>`)}.ServeHTTP(w, r)
		}),
		"autodiscover.contoso.example": exchange{pox: poxAnswer(`<Action>redirectAddr</Action><RedirectAddr>alice@mail.contoso.example</RedirectAddr>`)},
		"mail.contoso.example":         exchange{pox: poxSettings(exch(outside))},
	}}
	_, err := w.find(t, func(o *autodiscover.Options) {
		o.SCP = func(_ context.Context, domain string) ([]autodiscover.Endpoint, error) {
			asked = append(asked, domain)
			return nil, nil
		}
	})
	if err != nil || !slices.Equal(asked, []string{"contoso.example", "mail.contoso.example"}) {
		t.Errorf("%q, %v", asked, err)
	}
}
