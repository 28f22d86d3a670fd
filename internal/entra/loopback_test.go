package entra

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestStrays sends everything but the answer; then the answer, which still counts.
func TestStrays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := newPipes()
	browser := p.browser()
	var wait sync.WaitGroup
	_, err := d.user(func(o *UserOptions) { o.Listen = p.listen }).Browser(t.Context(), func(b BrowserPrompt) {
		wait.Go(func() {
			good := d.enter(b.URL)
			const home = "http://localhost:4711/"
			with := func(name, value string) url.Values {
				f := url.Values{}
				for k, v := range good {
					f[k] = v
				}
				f.Set(name, value)
				return f
			}
			for _, c := range []struct {
				method, address, host string
				form                  url.Values
				status                int
				says                  string
			}{
				{"GET", home, "", nil, 405, "Waiting for the sign-in"},
				{"GET", home + "?" + good.Encode(), "", nil, 405, "Waiting for the sign-in"}, // a code in the address is in the history
				{"HEAD", home, "", nil, 405, ""},
				{"OPTIONS", home, "", nil, 405, "Waiting for the sign-in"},
				{"PUT", home, "", good, 405, "Waiting for the sign-in"},
				{"GET", home + "favicon.ico", "", nil, 404, "Waiting for the sign-in"},
				{"POST", home + "other", "", good, 404, "Waiting for the sign-in"},
				{"POST", home, "evil.example:4711", good, 421, "Not an answer to this sign-in"},
				{"POST", home, "", with("state", "wrong"), 400, "Not an answer to this sign-in"},
				{"POST", home, "", with("state", ""), 400, "Not an answer to this sign-in"},
				{"POST", home, "", url.Values{"state": good["state"]}, 400, "Not an answer to this sign-in"},
				{"POST", home + "?" + good.Encode(), "", url.Values{"x": {"1"}}, 400, "Not an answer to this sign-in"},
				{"POST", home, "", with("padding", strings.Repeat("x", 2*formLimit)), 400, "Not an answer to this sign-in"},
				{"POST", home, "", url.Values{}, 400, "Not an answer to this sign-in"},
				{"POST", home, "", good, 200, "Signed in"},
			} {
				res, page := fetch(t, browser, c.method, c.address, c.host, c.form)
				if res == nil {
					if len(c.form.Encode()) > formLimit && strings.Contains(page, "closed pipe") {
						continue // the rest of a huge body is not waited for
					}
					t.Errorf("%s %s: %s", c.method, c.address, page)
					continue
				}
				if res.StatusCode != c.status || !strings.Contains(page, c.says) || strings.Contains(page, good.Get("state")) {
					t.Errorf("%s %s %s: %d %s", c.method, c.address, c.host, res.StatusCode, page)
				}
				for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8"} {
					if res.Header.Get(name) != want {
						t.Errorf("%s: %q", name, res.Header.Get(name))
					}
				}
				if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
					t.Errorf("policy %q", csp)
				}
			}
		})
	})
	wait.Wait()
	if err != nil || d.count("authorization_code") != 1 {
		t.Errorf("%v after %d redemptions", err, d.count("authorization_code"))
	}
}

// TestAnswerTwice reloads the window while the code is redeemed: it is redeemed
// once, and both windows learn how it ended.
func TestAnswerTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.refuse = func(url.Values) map[string]any { time.Sleep(3 * time.Second); return nil }
		p := newPipes()
		pages := make([]string, 2)
		var wait sync.WaitGroup
		_, err := d.user(func(o *UserOptions) { o.Listen = p.listen }).Browser(t.Context(), func(b BrowserPrompt) {
			form := d.enter(b.URL)
			for i := range pages {
				wait.Go(func() {
					time.Sleep(time.Duration(i) * time.Second)
					_, pages[i] = fetch(t, p.browser(), "POST", "http://localhost:4711/", "", form)
				})
			}
		})
		wait.Wait()
		if err != nil || d.count("authorization_code") != 1 || !strings.Contains(pages[0], "Signed in") || pages[0] != pages[1] {
			t.Errorf("%v, %d redemptions, pages %q", err, d.count("authorization_code"), pages)
		}
	})
}

func TestNobodyComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		u := newDesk(t).user(func(o *UserOptions) { o.Listen = p.listen })
		began := time.Now()
		_, err := u.Browser(t.Context(), func(b BrowserPrompt) {
			if b.Until.Sub(began) != browserLimit {
				t.Errorf("until %v", b.Until)
			}
		})
		var late *SignInTimeoutError
		if !errors.As(err, &late) || late.Limit != 5*time.Minute || late.DeviceCode || time.Since(began) != 5*time.Minute || late.Error() != "nobody signed in with the browser within 5 minutes" {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		select {
		case <-p.shut:
		default:
			t.Error("the port is still open")
		}
	})
}

func TestCtrlC(t *testing.T) {
	t.Parallel()
	for name, during := range map[string]func(*testing.T, *desk, *pipes, BrowserPrompt, *sync.WaitGroup, *string){
		"before the answer": func(*testing.T, *desk, *pipes, BrowserPrompt, *sync.WaitGroup, *string) {},
		"after the answer": func(t *testing.T, d *desk, p *pipes, b BrowserPrompt, wait *sync.WaitGroup, page *string) {
			form := d.enter(b.URL)
			wait.Go(func() { _, *page = fetch(t, p.browser(), "POST", "http://localhost:4711", "", form) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				// Entra ID is busy for as long as it takes.
				d.refuse = func(url.Values) map[string]any { return map[string]any{"error": "temporarily_unavailable"} }
				p := newPipes()
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, cancel)
				began := time.Now()
				var wait sync.WaitGroup
				var page string
				_, err := d.user(func(o *UserOptions) { o.Listen, o.HTTP = p.listen, slow(o.HTTP) }).Browser(ctx, func(b BrowserPrompt) { during(t, d, p, b, &wait, &page) })
				wait.Wait()
				if !errors.Is(err, context.Canceled) || time.Since(began) != 10*time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				if page != "" && !strings.Contains(page, "cancelled in c2conn") {
					t.Error(page)
				}
				select {
				case <-p.shut:
				default:
					t.Error("the port is still open")
				}
			})
		})
	}
}

// slow lets requests for a token hang until their context ends.
func slow(c *http.Client) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return c.Transport.RoundTrip(r)
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoPort(t *testing.T) {
	t.Parallel()
	why := errors.New("not permitted")
	u := newDesk(t).user(func(o *UserOptions) {
		o.Listen = func(context.Context) (net.Listener, error) { return nil, why }
	})
	_, err := u.Browser(t.Context(), func(BrowserPrompt) { t.Error("shown") })
	var e *ListenError
	if !errors.As(err, &e) || !errors.Is(err, why) || !WantsOtherWay(err) {
		t.Error(err)
	}
}

func TestTwoAddressesOnePort(t *testing.T) {
	t.Parallel()
	list, err := listenLoopback(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]bool{}
	for _, l := range list {
		host, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil || !net.ParseIP(host).IsLoopback() {
			t.Errorf("listens on %s", l.Addr())
		}
		ports[port] = true
		l.Close()
	}
	if len(ports) != 1 {
		t.Errorf("ports %v", ports)
	}
}
