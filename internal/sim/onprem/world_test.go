package onprem_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem"
)

func resolver(w *onprem.World, network string) *net.Resolver {
	server := ""
	for _, v := range w.Env() {
		if rest, ok := strings.CutPrefix(v, "C2CONN_DNS="); ok {
			server = rest
		}
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, network := range []string{"udp", "tcp"} {
		r := resolver(w, network)
		for _, host := range []string{"exch01.corp.test", "EXCH01.corp.test", "autodiscover.contoso.example", "dc1.corp.test", "corp.test"} {
			if got, err := r.LookupHost(t.Context(), host); err != nil || !slices.Equal(got, []string{"127.0.0.1"}) {
				t.Errorf("%s %s: %v, %v", network, host, got, err)
			}
		}
		var missing *net.DNSError
		if _, err := r.LookupHost(t.Context(), "example.org."); !errors.As(err, &missing) || !missing.IsNotFound {
			t.Errorf("%s: a name that is not of the world: %v", network, err)
		}
		for _, c := range []struct {
			service, domain string
			port            uint16
		}{{"autodiscover", "contoso.example", 443}, {"kerberos", "corp.test", 0}, {"ldap", "corp.test", 0}, {"ldap", "dc._msdcs.corp.test", 0}} {
			name := c.domain
			_, list, err := r.LookupSRV(t.Context(), c.service, "tcp", name)
			if err != nil || len(list) != 1 || list[0].Port == 0 || c.port != 0 && list[0].Port != c.port {
				t.Errorf("%s %s: %v, %v", c.service, c.domain, list, err)
			}
		}
	}
	for fault, gone := range map[string]string{"no-kdc": "kerberos", "no-ldap": "ldap", "no-autodiscover": "autodiscover"} {
		if err := w.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		var missing *net.DNSError
		if _, _, err := resolver(w, "udp").LookupSRV(t.Context(), gone, "tcp", "corp.test"); !errors.As(err, &missing) || !missing.IsNotFound {
			t.Errorf("%s: %v", fault, err)
		}
	}
	if err := w.SetFault("dns-silent"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := resolver(w, "udp").LookupHost(ctx, "exch01.corp.test."); err == nil {
		t.Errorf("dns-silent: %v", got)
	}
}

func TestConnectTo(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, address := range []string{"exch01.corp.test:443", "EXCH01:443", "192.0.2.20:443", "exch01.corp.test:80", "dc1.corp.test:636", "dc1.corp.test:389", "dc1.corp.test:88"} {
		c, err := w.Dial(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = c.Close()
	}
	for _, address := range []string{"corp.test:443", "contoso.example:80", "exch00.corp.test:443", "example.org:443"} {
		if c, err := w.Dial(t.Context(), "tcp", address); err == nil {
			t.Errorf("%s: somebody is there", address)
			_ = c.Close()
		}
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	w, c := start(t, onprem.Options{})
	shown := func() *x509.Certificate {
		block, _ := pem.Decode(w.Certificate())
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(leaf.Raw)
		if !strings.EqualFold(hex.EncodeToString(sum[:]), w.Fingerprint()) {
			t.Error("the fingerprint is not that of the certificate")
		}
		if a := ask(t, w, http.MethodGet, "https://exch01.corp.test/", "", "", nil, ""); a.status != http.StatusFound {
			t.Errorf("the certificate is not what the server shows: %d", a.status)
		}
		return leaf
	}
	first := shown()
	if first.Subject.CommonName != "EXCH01" || first.VerifyHostname("exch01.corp.test") != nil || first.VerifyHostname("EXCH01") != nil || first.VerifyHostname("192.0.2.20") == nil || first.VerifyHostname("autodiscover.corp.test") == nil {
		t.Errorf("%s %v", first.Subject, first.DNSNames)
	}
	if years := first.NotAfter.Sub(c.now()).Hours() / 24 / 365; years < 4.9 || years > 5.1 || first.CheckSignature(first.SignatureAlgorithm, first.RawTBSCertificate, first.Signature) != nil {
		t.Errorf("%.1f years", years)
	}
	for _, fault := range []string{"certificate-changed", "wrong-certificate", "certificate-expired", "ep-require-behind-proxy"} {
		if err := w.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		if other := shown(); other.Equal(first) {
			t.Errorf("%s: the same certificate", fault)
		} else if fault == "certificate-expired" && other.NotAfter.After(c.now()) {
			t.Error("not expired")
		} else if fault == "wrong-certificate" && other.VerifyHostname("exch01.corp.test") == nil {
			t.Error("the right name")
		}
		if err := w.ClearFault(fault); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, url string }{
		{"silent", "https://exch01.corp.test/"}, {"silent", "http://exch01.corp.test/"},
		{"autodiscover-silent", "https://autodiscover.corp.test/"}, {"autodiscover-silent", "http://autodiscover.contoso.example/"},
		{"scp-silent", "https://exch99.corp.test/"}, {"autodiscover-dead", "https://autodiscover.corp.test/"}, {"autodiscover-dead", "http://autodiscover.corp.test/"},
	} {
		w, _ := start(t, issued(c.fault))
		dead := c.fault == "autodiscover-dead"
		patience := 100 * time.Millisecond
		if dead {
			patience = time.Minute // it says at once that there is nobody
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := w.Client().Do(r)
		if err == nil {
			_ = res.Body.Close()
			t.Errorf("%s %s: %d", c.fault, c.url, res.StatusCode)
		}
		if dead == (ctx.Err() != nil) {
			t.Errorf("%s %s: dead %t, waited until the end %t", c.fault, c.url, dead, ctx.Err() != nil)
		}
		cancel()
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, err := onprem.Start(onprem.Options{Now: time.Now, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox)
	call(t, w, onprem.Admin, "S3cret-typo", "", inbox)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{onprem.AdminPassword, "S3cret-typo", "TlRMTVNT"} { // the last one begins every NTLM message in base64
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	last := ""
	lines := bufio.NewScanner(&log)
	for n := 0; lines.Scan(); n++ {
		var r onprem.Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.URL != ewsURL || r.Scheme == "" && n > 0 && r.Status != 401 {
			t.Errorf("%s: %v", lines.Text(), err)
		}
		last = r.Name
	}
	if last != "ews sign-in" {
		t.Errorf("the last request is %q", last)
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	for _, f := range onprem.Faults() {
		if f.Help == "" {
			t.Errorf("%s is not explained", f.Name)
		}
		spec := f.Name
		switch {
		case f.Args == "CODE":
			spec += "=ErrorServerBusy"
		case f.Args == "WAIT":
			spec += "=1s"
		case f.Args == "URL":
			spec += "=https://other.corp.test/"
		case f.Args != "" && !strings.HasPrefix(f.Args, "["):
			spec += "=" + strings.Split(f.Args, "|")[0]
		}
		if err := w.SetFault(spec); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, f := range onprem.Faults() {
		if err := w.ClearFault(f.Name); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	if a := call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox); a.status != http.StatusOK || code(t, a) != "NoError" {
		t.Errorf("all faults on and off again: %d %s", a.status, a.body)
	}
	for _, spec := range []string{"nothing", "ews-403=1", "ews-fault", "slow=fast", "slow=", "ews-busy=many", "account-locked=ghost", "powershell-hostile=friendly"} {
		if err := w.SetFault(spec); !errors.Is(err, onprem.ErrFault) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	if _, err := onprem.Start(onprem.Options{Now: time.Now, Faults: []string{"nothing"}}); !errors.Is(err, onprem.ErrFault) {
		t.Errorf("at the start: %v", err)
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	var waited []time.Duration
	w, err := onprem.Start(onprem.Options{Now: time.Now, Faults: []string{"slow=90s"}, Sleep: func(_ context.Context, d time.Duration) error {
		waited = append(waited, d) // one request at a time
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(t, w, http.MethodGet, "https://exch01.corp.test/ews/healthcheck.htm", "", "", nil, ""); a.status != http.StatusOK || !strings.Contains(a.body, "EXCH01.CORP.TEST") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(waited, []time.Duration{90 * time.Second}) {
		t.Errorf("waited %v", waited)
	}
}

func TestThousandsOfMailboxes(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{Mailboxes: 3000, Faults: []string{"granted"}})
	if n := w.Mailboxes(); n != 3000 {
		t.Errorf("%d mailboxes", n)
	}
	if got := code(t, call(t, w, onprem.Admin, onprem.AdminPassword, `<t:SmtpAddress>user02998@contoso.example</t:SmtpAddress>`, inbox)); got != "NoError" {
		t.Error(got)
	}
}
