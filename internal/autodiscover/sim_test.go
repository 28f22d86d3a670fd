package autodiscover_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

const simEWS = "https://exch01.corp.test/EWS/Exchange.asmx"

// company runs a search with winauth's client in the simulated network.
func company(t *testing.T, password string, trusted bool, faults []string, change func(*autodiscover.Options)) (*onprem.World, autodiscover.Result, error) {
	t.Helper()
	w, err := onprem.Start(onprem.Options{Now: time.Now, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	reach, err := transport.NewReach(func(name string) string {
		for _, v := range w.Env() {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	// C2CONN_CONNECT_TO knows names that DNS may not.
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if _, err := reach.Resolver.LookupHost(ctx, host); err != nil {
			return nil, err
		}
		return reach.Dial(ctx, network, addr)
	}
	o := winauth.TrustOptions{Roots: x509.NewCertPool(), Pins: map[string]string{}}
	o.Roots.AppendCertsFromPEM(w.Authority()) // of the other company's server
	for _, host := range []string{onprem.Server, onprem.Autodiscover, "autodiscover." + onprem.Suffix} {
		if trusted {
			o.Pins[host+":443"] = w.Fingerprint()
		}
	}
	trust := winauth.NewTrust(o)
	account := winauth.NewAccount(winauth.AccountOptions{
		Name: onprem.Admin, Password: connections.NewSecret([]byte(password)), Domain: onprem.Domain, Resolver: reach.Resolver, Dial: dial,
	})
	anonymous := &http.Transport{DialContext: dial, DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := tls.Client(conn, trust.TLS(addr))
		if err := c.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		return c, nil
	}}
	t.Cleanup(anonymous.CloseIdleConnections)
	signedIn := account.HTTP(winauth.HTTPOptions{Trust: trust})
	t.Cleanup(signedIn.CloseIdleConnections)
	find := autodiscover.Options{
		Address: onprem.Admin, Domain: onprem.Domain, Anonymous: &http.Client{Transport: anonymous}, SignedIn: signedIn,
		Resolver: reach.Resolver, Clock: patient{}, Limit: time.Hour,
	}
	if change != nil {
		change(&find)
	}
	r, err := autodiscover.Find(t.Context(), find)
	return w, r, err
}

func TestSimulatedExchangeFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []string
		change func(*autodiscover.Options)
		step   string
		end    string // of the URL that answered
		ews    string
		signs  bool
	}{
		"without a sign-in": {step: "autodiscover", end: "RedirectCount=3"},
		"plain XML":         {faults: []string{"autodiscover-no-json"}, step: "autodiscover", end: ".xml", signs: true},
		"plain XML, NTLM":   {faults: []string{"autodiscover-no-json", "no-kerberos"}, step: "autodiscover", end: ".xml", signs: true},
		"plain XML, Basic":  {faults: []string{"autodiscover-no-json", "basic-only"}, step: "autodiscover", end: ".xml", signs: true},
		"SRV alone":         {faults: []string{"srv-only", "autodiscover-no-json"}, step: "srv", end: ".xml", signs: true},
		"Active Directory": {faults: []string{"autodiscover-no-json"}, step: "scp", end: "https://exch01.corp.test/Autodiscover/Autodiscover.xml", signs: true,
			change: func(o *autodiscover.Options) {
				o.SCP = func(context.Context, string) ([]autodiscover.Endpoint, error) {
					return []autodiscover.Endpoint{{URL: "https://exch01.corp.test/Autodiscover/Autodiscover.xml"}}, nil
				}
			}},
		"another mail domain": {change: func(o *autodiscover.Options) { o.Address = onprem.Messaging }, step: "autodiscover", end: "RedirectCount=3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r, err := company(t, onprem.AdminPassword, true, c.faults, c.change)
			if err != nil || r.EWS != simEWS || r.Step != c.step || !strings.HasSuffix(r.URL, c.end) || r.PowerShell != "http://exch01.corp.test/PowerShell/" {
				t.Errorf("%+v, %v", r, err)
			}
			if c.signs && r.Version == "" {
				t.Errorf("no version: %+v", r)
			}
			signed := false
			for _, a := range r.Tried {
				signed = signed || a.SignedIn
			}
			if signed != c.signs || w.FailedSignIns() != 0 {
				t.Errorf("signed in: %v, failed: %d", signed, w.FailedSignIns())
			}
		})
	}
}

func TestSimulatedExchangeNotFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults    []string
		password  string
		untrusted bool
		address   string
		err       func(error) bool
		failed    int
	}{
		"wrong password":       {faults: []string{"autodiscover-no-json"}, password: "no", err: kind[*winauth.WrongPasswordError](nil), failed: 1},
		"wrong password, NTLM": {faults: []string{"autodiscover-no-json", "no-kerberos", "no-kdc"}, password: "no", err: kind[*winauth.WrongPasswordError](nil), failed: 1},
		"locked":               {faults: []string{"autodiscover-no-json", "account-locked"}, err: kind[*winauth.LockedError](nil), failed: 1},
		"untrusted":            {untrusted: true, err: kind(func(e *winauth.UntrustedError) bool { return e.Host == "autodiscover.corp.test:443" })},
		"nowhere":              {faults: []string{"no-autodiscover"}},
		"no way to sign in":    {faults: []string{"autodiscover-no-json", "no-sign-in"}, err: kind[*winauth.NoMethodError](nil)},
		"no such address":      {faults: []string{"autodiscover-error"}, err: kind(func(e *autodiscover.AnswerError) bool { return e.Code == "500" })},
		"addresses that lead in a circle": {faults: []string{"autodiscover-loop", "autodiscover-no-json"},
			err: kind(func(e *autodiscover.ConsentError) bool { return e.To == onprem.Suffix })},
		"a URL that leads to itself": {faults: []string{"autodiscover-url-loop", "autodiscover-no-json"}},
		"twenty redirects":           {faults: []string{"autodiscover-chain", "autodiscover-no-json"}},
		"redirect to http":           {faults: []string{"autodiscover-to-http", "autodiscover-no-json"}},
		"redirect to a foreign host": {faults: []string{"autodiscover-to-foreign", "autodiscover-no-json"},
			err: kind(func(e *autodiscover.ConsentError) bool { return e.To == "autodiscover.fabrikam.example" })},
		"huge":    {faults: []string{"autodiscover-huge"}},
		"deep":    {faults: []string{"autodiscover-deep"}},
		"bomb":    {faults: []string{"autodiscover-bomb"}},
		"garbage": {faults: []string{"autodiscover-garbage"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.password == "" {
				c.password = onprem.AdminPassword
			}
			if c.err == nil {
				c.err = func(err error) bool { return errors.Unwrap(err) == nil }
			}
			w, r, err := company(t, c.password, !c.untrusted, c.faults, nil)
			var missing *autodiscover.NotFoundError
			if !errors.As(err, &missing) || !c.err(err) || r.EWS != "" {
				t.Errorf("%q, %v", r.EWS, err)
			}
			if w.FailedSignIns() != c.failed {
				t.Errorf("%d failed sign-ins, want %d", w.FailedSignIns(), c.failed)
			}
			if t.Failed() {
				for _, a := range r.Tried {
					t.Logf("%+v", a)
				}
			}
		})
	}
}
