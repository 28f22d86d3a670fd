package autodiscover_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/c2conn/c2conn/internal/autodiscover"
	"golang.org/x/net/dns/dnsmessage"
)

const (
	inside  = "https://exch01.contoso.example/EWS/Exchange.asmx"
	outside = "https://mail.contoso.example/EWS/Exchange.asmx"
)

type hosts = map[string]http.Handler

func published(list ...autodiscover.Endpoint) func(*autodiscover.Options) {
	return func(o *autodiscover.Options) {
		o.SCP = func(context.Context, string) ([]autodiscover.Endpoint, error) { return list, nil }
	}
}

func TestFound(t *testing.T) {
	t.Parallel()
	webSite := hosts{"contoso.example": site(404)}
	with := func(more hosts) hosts {
		all := hosts{"contoso.example": webSite["contoso.example"]}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	for name, c := range map[string]struct {
		w        *world
		change   func(*autodiscover.Options)
		want     autodiscover.Result // Tried is not compared
		outcomes []string
		signIns  int
	}{
		"json, nothing else": {
			w:        &world{https: with(hosts{"autodiscover.contoso.example": exchange{json: jsonAnswer(outside)}}), names: []string{"mail.contoso.example"}},
			want:     autodiscover.Result{EWS: outside, URL: "https://autodiscover.contoso.example/autodiscover/autodiscover.json/v1.0/alice@contoso.example?Protocol=EWS&RedirectCount=3", Step: "autodiscover", Version: "15.2.1544.4", PowerShell: "http://mail.contoso.example/PowerShell/"},
			outcomes: []string{"domain not-autodiscover", "autodiscover found", "http no-such-host", "srv nothing"},
		},
		"json names a host that does not resolve, plain XML one that does": {
			w: &world{https: with(hosts{"autodiscover.contoso.example": exchange{json: jsonAnswer(outside)}, "exch01.contoso.example": site(404),
				"contoso.example": exchange{pox: poxSettings(exch(inside) + expr(outside))}})},
			want:    autodiscover.Result{EWS: inside, URL: "https://contoso.example/autodiscover/autodiscover.xml", Step: "domain", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://exch01.contoso.example/PowerShell/"},
			signIns: 1,
		},
		"json names a host that does not resolve, and there is nothing else": {
			w:    &world{https: hosts{"autodiscover.contoso.example": exchange{json: jsonAnswer(outside), refuse: "refused"}}},
			want: autodiscover.Result{EWS: outside, URL: "https://autodiscover.contoso.example/autodiscover/autodiscover.json/v1.0/alice@contoso.example?Protocol=EWS&RedirectCount=3", Step: "autodiscover", Version: "15.2.1544.4", PowerShell: "http://mail.contoso.example/PowerShell/"},
		},
		"plain XML at the domain": {
			w:        &world{https: hosts{"contoso.example": exchange{pox: poxSettings(exch(inside))}}, names: []string{"exch01.contoso.example"}},
			want:     autodiscover.Result{EWS: inside, URL: "https://contoso.example/autodiscover/autodiscover.xml", Step: "domain", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://exch01.contoso.example/PowerShell/"},
			outcomes: []string{"domain sign-in", "domain found", "autodiscover no-such-host"},
			signIns:  1,
		},
		"web site that answers everything with a page": {
			w: &world{https: hosts{"contoso.example": site(200), "autodiscover.contoso.example": exchange{pox: poxSettings(exch(inside))}}, names: []string{"exch01.contoso.example"}},
			want: autodiscover.Result{EWS: inside, URL: "https://autodiscover.contoso.example/autodiscover/autodiscover.xml", Step: "autodiscover", Server: "exch01.contoso.example",
				Version: "15.2.1544", PowerShell: "http://exch01.contoso.example/PowerShell/"},
			outcomes: []string{"domain not-autodiscover", "autodiscover found"},
			signIns:  1,
		},
		"inside does not resolve": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxSettings(expr(outside) + exch(inside))}}, names: []string{"mail.contoso.example"}},
			want:    autodiscover.Result{EWS: outside, URL: "https://contoso.example/autodiscover/autodiscover.xml", Step: "domain", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://exch01.contoso.example/PowerShell/"},
			signIns: 1,
		},
		"only the protocols for browsers name it": {
			w: &world{https: hosts{"contoso.example": exchange{pox: poxSettings(`<Protocol><Type>WEB</Type><External><OWAUrl>x</OWAUrl><Protocol><Type>EXPR</Type><ASUrl>` + outside +
				`</ASUrl></Protocol></External></Protocol>`)}}},
			want:    autodiscover.Result{EWS: outside, URL: "https://contoso.example/autodiscover/autodiscover.xml", Step: "domain", PowerShell: "http://mail.contoso.example/PowerShell/"},
			signIns: 1,
		},
		"Exchange 2007, and an IP address": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxSettings(`<Protocol><Type>EXCH</Type><ASUrl>https://192.0.2.7/EWS/Exchange.asmx</ASUrl></Protocol>`)}}},
			change:  func(o *autodiscover.Options) { o.Consent = func(context.Context, string, string) error { return nil } },
			want:    autodiscover.Result{EWS: "https://192.0.2.7/EWS/Exchange.asmx", URL: "https://contoso.example/autodiscover/autodiscover.xml", Step: "domain"},
			signIns: 1,
		},
		"SOAP where plain XML is not there": {
			w:        &world{https: hosts{"contoso.example": exchange{soap: soapSettings(inside, outside)}}, names: []string{"exch01.contoso.example"}},
			want:     autodiscover.Result{EWS: inside, URL: "https://contoso.example/autodiscover/autodiscover.svc", Step: "domain", Version: "15.2.1544.4", PowerShell: "http://exch01.contoso.example/PowerShell/"},
			outcomes: []string{"domain not-autodiscover", "domain found"},
			signIns:  2,
		},
		"SOAP where plain XML has no provider": {
			w:        &world{https: hosts{"contoso.example": exchange{pox: poxError("601", "Provider is not available"), soap: soapSettings("", outside)}}},
			want:     autodiscover.Result{EWS: outside, URL: "https://contoso.example/autodiscover/autodiscover.svc", Step: "domain", Version: "15.2.1544.4", PowerShell: "http://mail.contoso.example/PowerShell/"},
			outcomes: []string{"domain error", "domain found"},
			signIns:  2,
		},
		"SRV only: the lowest priority, then the highest weight; none without TLS": {
			w: &world{
				https: hosts{"mail.contoso.example": exchange{pox: poxSettings(exch(outside))}, "light.contoso.example": exchange{refuse: "refused"}, "late.contoso.example": exchange{refuse: "refused"}},
				srv: []dnsmessage.SRVResource{srv("late.contoso.example", 443, 20, 100), srv("light.contoso.example", 443, 10, 1), srv("mail.contoso.example", 443, 10, 50),
					srv("plain.contoso.example", 80, 0, 0)},
			},
			want:     autodiscover.Result{EWS: outside, URL: "https://mail.contoso.example/autodiscover/autodiscover.xml", Step: "srv", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://mail.contoso.example/PowerShell/"},
			outcomes: []string{"domain no-such-host", "autodiscover no-such-host", "srv redirect", "srv skipped", "srv sign-in", "srv found"},
			signIns:  1,
		},
		"SRV with another port": {
			w:    &world{https: hosts{"mail.contoso.example:8443": exchange{json: jsonAnswer(outside)}}, names: []string{"mail.contoso.example"}, srv: []dnsmessage.SRVResource{srv("mail.contoso.example", 8443, 0, 0)}},
			want: autodiscover.Result{EWS: outside, URL: "https://mail.contoso.example:8443/autodiscover/autodiscover.json/v1.0/alice@contoso.example?Protocol=EWS&RedirectCount=3", Step: "srv", Version: "15.2.1544.4", PowerShell: "http://mail.contoso.example/PowerShell/"},
		},
		"redirect of plain http": {
			w: &world{
				https: hosts{"mail.contoso.example": exchange{pox: poxSettings(exch(outside))}},
				http:  hosts{"autodiscover.contoso.example": redirectTo("https://mail.contoso.example/Autodiscover/Autodiscover.xml")},
			},
			want:     autodiscover.Result{EWS: outside, URL: "https://mail.contoso.example/Autodiscover/Autodiscover.xml", Step: "http", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://mail.contoso.example/PowerShell/"},
			outcomes: []string{"http redirect", "http sign-in", "http found"},
			signIns:  1,
		},
		"Active Directory comes first, and vouches for its hosts": {
			w: &world{
				https: hosts{"exch01.corp.test": exchange{pox: poxSettings(exch("https://exch01.corp.test/EWS/Exchange.asmx"))}, "contoso.example": exchange{pox: poxSettings(exch(outside))}},
			},
			change:   published(autodiscover.Endpoint{URL: "https://exch01.corp.test/Autodiscover/Autodiscover.xml"}),
			want:     autodiscover.Result{EWS: "https://exch01.corp.test/EWS/Exchange.asmx", URL: "https://exch01.corp.test/Autodiscover/Autodiscover.xml", Step: "scp", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://exch01.corp.test/PowerShell/"},
			outcomes: []string{"scp sign-in", "scp found"},
			signIns:  1,
		},
		"Active Directory has pointers to other forests, too, and https comes after http": {
			w: &world{https: hosts{"mail.resource.test": exchange{pox: poxSettings(exch("https://mail.resource.test/EWS/Exchange.asmx"))}}},
			change: published(autodiscover.Endpoint{URL: "LDAP://other.test", Err: errors.New("no trust")}, autodiscover.Endpoint{URL: "http://mail.resource.test/autodiscover/autodiscover.xml"},
				autodiscover.Endpoint{URL: "https://mail.resource.test/autodiscover/autodiscover.xml"}),
			want:     autodiscover.Result{EWS: "https://mail.resource.test/EWS/Exchange.asmx", URL: "https://mail.resource.test/autodiscover/autodiscover.xml", Step: "scp", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://mail.resource.test/PowerShell/"},
			outcomes: []string{"scp error", "scp bad-redirect", "scp found"},
			signIns:  1,
		},
		"a refused sign-in is not the last one": {
			w: &world{https: hosts{"contoso.example": exchange{refuse: "refused"}, "autodiscover.contoso.example": exchange{refuse: "no-method"},
				"mail.contoso.example": exchange{pox: poxSettings(exch(outside))}}, srv: []dnsmessage.SRVResource{srv("mail.contoso.example", 443, 0, 0)}},
			want:     autodiscover.Result{EWS: outside, URL: "https://mail.contoso.example/autodiscover/autodiscover.xml", Step: "srv", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://mail.contoso.example/PowerShell/"},
			outcomes: []string{"domain refused", "autodiscover refused", "srv found"},
			signIns:  3,
		},
		"a 401 that says nothing is not the last one": {
			w:        &world{https: hosts{"contoso.example": exchange{refuse: "plain"}, "autodiscover.contoso.example": exchange{pox: poxSettings(exch(outside))}}},
			want:     autodiscover.Result{EWS: outside, URL: "https://autodiscover.contoso.example/autodiscover/autodiscover.xml", Step: "autodiscover", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://mail.contoso.example/PowerShell/"},
			outcomes: []string{"domain refused", "autodiscover found"},
			signIns:  2,
		},
		"another forest's domain of Active Directory": {
			w:       &world{https: hosts{"contoso.example": exchange{pox: poxSettings(exch("https://exch01.corp/EWS/Exchange.asmx"))}}},
			change:  func(o *autodiscover.Options) { o.Domain = "CORP" },
			want:    autodiscover.Result{EWS: "https://exch01.corp/EWS/Exchange.asmx", URL: "https://contoso.example/autodiscover/autodiscover.xml", Step: "domain", Server: "exch01.contoso.example", Version: "15.2.1544", PowerShell: "http://exch01.corp/PowerShell/"},
			signIns: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := c.w
			r, err := w.find(t, c.change)
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(w.outcomes(), "\n"))
			}
			r.Tried = nil
			c.want.Address = address
			if !equal(r, c.want) {
				t.Errorf("got  %+v\nwant %+v", r, c.want)
			}
			for _, o := range c.outcomes {
				if !slices.Contains(w.outcomes(), o) {
					t.Errorf("%q is missing in %q", o, w.outcomes())
				}
			}
			if len(w.signedIn) != c.signIns {
				t.Errorf("signed in: %q, want %d", w.signedIn, c.signIns)
			}
		})
	}
}

func equal(a, b autodiscover.Result) bool {
	return a.EWS == b.EWS && a.URL == b.URL && a.Step == b.Step && a.Address == b.Address && a.Server == b.Server && a.Version == b.Version && a.PowerShell == b.PowerShell
}

// What two ways lead to counts as found by the better one, also where the other one
// was quicker.
func TestFoundTwice(t *testing.T) {
	t.Parallel()
	for step, host := range map[string]string{"scp": "autodiscover.contoso.example", "http": "mail.contoso.example"} {
		for form, answers := range map[string]exchange{"json": {json: jsonAnswer(inside)}, "plain XML": {pox: poxSettings(exch(inside))}} {
			t.Run(step+", "+form, func(t *testing.T) {
				t.Parallel()
				url := "https://" + host + "/Autodiscover/autodiscover.xml"
				asked := make(chan struct{})
				first := sync.OnceFunc(func() { close(asked) })
				w := &world{
					https: hosts{host: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						first()
						answers.ServeHTTP(rw, r)
					})},
					names: []string{"exch01.contoso.example"},
				}
				change := func(o *autodiscover.Options) {
					o.SCP = func(context.Context, string) ([]autodiscover.Endpoint, error) {
						<-asked
						return []autodiscover.Endpoint{{URL: url}}, nil
					}
				}
				if step == "http" {
					change = nil
					w.srv = []dnsmessage.SRVResource{srv(host, 443, 0, 0)}
					w.http = hosts{"autodiscover.contoso.example": http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						<-asked
						http.Redirect(rw, r, url, http.StatusFound)
					})}
				}
				r, err := w.find(t, change)
				if err != nil || r.Step != step || r.EWS != inside || len(w.signedIn) > 1 || len(w.signedIn) == 1 && r.URL != url {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
	}
}
