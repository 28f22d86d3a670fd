package onprem_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/internal/sim/onprem"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
)

const spn = "HTTP/exch01.corp.test"

// kerberos is a client of the domain.
func kerberos(t *testing.T, w *onprem.World, user, password string) *client.Client {
	t.Helper()
	cfg, err := config.NewFromString(fmt.Sprintf(`[libdefaults]
 default_realm = CORP.TEST
 dns_lookup_kdc = false
 udp_preference_limit = 1
 default_tkt_enctypes = aes256-cts-hmac-sha1-96
 default_tgs_enctypes = aes256-cts-hmac-sha1-96
 permitted_enctypes = aes256-cts-hmac-sha1-96
[realms]
 CORP.TEST = {
  kdc = %s
 }
`, w.ConnectTo("dc1.corp.test:88")))
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewWithPassword(user, "CORP.TEST", password, cfg, client.DisablePAFXFAST(true))
	t.Cleanup(c.Destroy)
	return c
}

// initiator is the client's side of a security context (RFC 4121), without mutual
// authentication: its keys are those of the authenticator.
type initiator struct {
	token         []byte
	key           types.EncryptionKey
	send, receive uint64
}

// initiate makes the first token for a service; bindings are those of the channel.
func initiate(t *testing.T, c *client.Client, spn string, bindings []byte) *initiator {
	t.Helper()
	ticket, key, err := c.GetServiceTicket(spn)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := types.NewAuthenticator("CORP.TEST", c.Credentials.CName())
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.GenerateSeqNumberAndSubKey(key.KeyType, len(key.KeyValue)); err != nil {
		t.Fatal(err)
	}
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	copy(sum[4:20], bindings)
	binary.LittleEndian.PutUint32(sum[20:], 4|8|16|32) // replay, sequence, confidentiality, integrity
	auth.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	req, err := messages.NewAPReq(ticket, key, auth)
	if err != nil {
		t.Fatal(err)
	}
	framed, err := spnego.NewKRB5TokenAPREQ(c, ticket, key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	framed.APReq = req
	i := &initiator{key: auth.SubKey, send: uint64(auth.SeqNumber), receive: uint64(auth.SeqNumber)}
	if i.token, err = framed.Marshal(); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *initiator) header() map[string]string {
	return map[string]string{"Authorization": "Negotiate " + base64.StdEncoding.EncodeToString(i.token)}
}

// seal makes a message of WinRM (MS-WSMV 2.2.9.1).
func (i *initiator) seal(t *testing.T, message string) string {
	t.Helper()
	et, err := crypto.GetEtype(i.key.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	h := binary.BigEndian.AppendUint64([]byte{5, 4, 2, 0xFF, 0, 0, 0, 0}, i.send)
	i.send++
	_, ct, err := et.EncryptMessage(i.key.KeyValue, append([]byte(message), h...), 24)
	if err != nil {
		t.Fatal(err)
	}
	const rotate = 28
	h[7] = rotate
	token := slices.Concat(h, ct[len(ct)-rotate:], ct[:len(ct)-rotate])
	length := len(token) - len(message)
	return fmt.Sprintf("--Encrypted Boundary\r\n\tContent-Type: application/HTTP-Kerberos-session-encrypted\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n"+
		"--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n%s%s--Encrypted Boundary--\r\n", len(message), binary.LittleEndian.AppendUint32(nil, uint32(length)), token)
}

// open opens an answer.
func (i *initiator) open(t *testing.T, body string) string {
	t.Helper()
	_, rest, found := strings.Cut(body, "application/octet-stream\r\n")
	token := []byte(strings.TrimSuffix(rest, "-- Encrypted Boundary--\r\n"))
	if !found || len(token) < 80 {
		t.Fatalf("no sealed message: %q", body)
	}
	token = token[4:]
	rotate, ct := int(binary.BigEndian.Uint16(token[6:])), token[16:]
	et, err := crypto.GetEtype(i.key.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := et.DecryptMessage(i.key.KeyValue, slices.Concat(ct[rotate:], ct[:rotate]), 22)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain[:len(plain)-16])
}

func merge(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

var xmlHeader = map[string]string{"Content-Type": "text/xml; charset=utf-8"}

func TestKerberos(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	i := initiate(t, kerberos(t, w, "exadmin", onprem.AdminPassword), spn, nil)
	a := ask(t, w, http.MethodPost, ewsURL, "", "", merge(xmlHeader, i.header()), envelope("Exchange2013_SP1", "", inbox))
	if a.status != http.StatusOK || code(t, a) != "NoError" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if n := w.SignInsBy("Kerberos"); n != 1 {
		t.Errorf("%d sign-ins by Kerberos", n)
	}
	if r := w.Requests("/EWS"); len(r) != 1 || r[0].Via != "Kerberos" || r[0].User != "exadmin" {
		t.Errorf("%+v", r)
	}
	// The same token again is a replay.
	if a := ask(t, w, http.MethodPost, ewsURL, "", "", merge(xmlHeader, i.header()), "x"); a.status != http.StatusUnauthorized {
		t.Errorf("replayed: %d", a.status)
	}
}

func TestFaultsOfKerberos(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, user, password, spn, want string }{
		{"", "exadmin", "wrong", spn, "KDC_ERR_PREAUTH_FAILED"},
		{"", "ghost", "wrong", spn, "KDC_ERR_C_PRINCIPAL_UNKNOWN"},
		{"", "exadmin", onprem.AdminPassword, "HTTP/mail.corp.test", "KDC_ERR_S_PRINCIPAL_UNKNOWN"},
		{"account-locked", "exadmin", onprem.AdminPassword, spn, "KDC_ERR_CLIENT_REVOKED"},
		{"must-change", "exadmin", onprem.AdminPassword, spn, "KDC_ERR_KEY_EXPIRED"},
		{"clock-skew", "exadmin", onprem.AdminPassword, spn, "KRB_AP_ERR_SKEW"},
		{"no-kdc", "exadmin", onprem.AdminPassword, spn, "KDC"},
	} {
		w, _ := start(t, onprem.Options{})
		if c.fault != "" {
			if err := w.SetFault(c.fault); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := kerberos(t, w, c.user, c.password).GetServiceTicket(c.spn)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.fault, c.user, err, c.want)
		}
	}
}

func TestWhatIsOffered(t *testing.T) {
	t.Parallel()
	const auto = "https://exch01.corp.test/autodiscover/autodiscover.xml"
	for _, c := range []struct {
		fault, url string
		want       []string
	}{
		{"", ewsURL, []string{"Negotiate", "NTLM"}},
		{"", auto, []string{"Negotiate", "NTLM", "Basic"}},
		{"", "https://exch01.corp.test/PowerShell/", []string{"Negotiate"}},
		{"", "http://exch01.corp.test/PowerShell/", []string{"Negotiate"}},
		{"no-kerberos", ewsURL, []string{"NTLM"}},
		{"ews-basic", ewsURL, []string{"Negotiate", "NTLM", "Basic"}},
		{"basic-only", ewsURL, []string{"Basic"}},
		{"basic-only", auto, []string{"Basic"}},
		{"powershell-basic", "https://exch01.corp.test/PowerShell/", []string{"Negotiate", "Basic"}},
		{"no-sign-in", ewsURL, []string{"Bearer"}},
	} {
		w, _ := start(t, onprem.Options{})
		if c.fault != "" {
			if err := w.SetFault(c.fault); err != nil {
				t.Fatal(err)
			}
		}
		a := ask(t, w, http.MethodPost, c.url, "", "", xmlHeader, "")
		var got []string
		for _, value := range a.header.Values("WWW-Authenticate") {
			scheme, _, _ := strings.Cut(value, " ")
			got = append(got, scheme)
		}
		if a.status != http.StatusUnauthorized || !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %d %v, want %v", c.fault, c.url, a.status, got, c.want)
		}
	}
}

func TestBasic(t *testing.T) {
	t.Parallel()
	w, _ := start(t, with("basic-only"))
	for password, want := range map[string]int{onprem.AdminPassword: 200, "wrong": 401} {
		a, err := send(w.Client(), http.MethodPost, ewsURL, onprem.Admin, password, xmlHeader, envelope("Exchange2013_SP1", "", inbox))
		if err != nil || a.status != want {
			t.Errorf("%d, %v, want %d", a.status, err, want)
		}
	}
	if w.SignInsBy("Basic") != 1 || w.FailedSignIns() != 1 {
		t.Errorf("%+v", w.Counters())
	}
	strict, _ := start(t, onprem.Options{})
	if a, err := send(strict.Client(), http.MethodPost, ewsURL, onprem.Admin, onprem.AdminPassword, xmlHeader, "x"); err != nil || a.status != 401 || strict.SignInsBy("Basic") != 0 {
		t.Errorf("Basic where it is not offered: %d, %v", a.status, err)
	}
}

func TestExtendedProtection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault, version     string
		none, right, wrong int
	}{
		{"", "SE", 200, 200, 401},
		{"", "2016", 200, 200, 200},
		{"ep-require", "SE", 401, 200, 401},
		{"ep-require-behind-proxy", "SE", 401, 401, 401},
	} {
		o := onprem.Options{Version: c.version}
		if c.fault != "" {
			o.Faults = []string{c.fault}
		}
		w, _ := start(t, o)
		block, _ := pem.Decode(w.Certificate())
		right, err := binding.EndPoint(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		user := kerberos(t, w, "exadmin", onprem.AdminPassword)
		for name, try := range map[string]struct {
			bindings []byte
			want     int
		}{"none": {nil, c.none}, "right": {right, c.right}, "wrong": {bytes.Repeat([]byte{7}, 16), c.wrong}} {
			i := initiate(t, user, spn, try.bindings)
			if a := ask(t, w, http.MethodPost, ewsURL, "", "", merge(xmlHeader, i.header()), envelope("Exchange2013_SP1", "", inbox)); a.status != try.want {
				t.Errorf("%s %s %s: %d, want %d", c.version, c.fault, name, a.status, try.want)
			}
		}
		if a := call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox); a.status != c.none { // go-ntlmssp sends none
			t.Errorf("%s %s: NTLM without a binding: %d, want %d", c.version, c.fault, a.status, c.none)
		}
	}
}

// TestNegotiateOfPython sends the first message of the ntlm-auth package for Python,
// which offers extended session security and no Unicode.
func TestNegotiateOfPython(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	a := ask(t, w, http.MethodPost, ewsURL, "", "", map[string]string{"Authorization": "NTLM TlRMTVNTUAABAAAAMpCI4gQABAAoAAAAAAAAACwAAAAGAbEdAAAAD0NPUlA="}, "")
	if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "NTLM TlRMTVNTUAAC") {
		t.Errorf("%d %q", a.status, challenge)
	}
}

func TestBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	w, _ := start(t, issued("load-balancer-name"))
	a := ask(t, w, http.MethodPost, "https://mail.corp.test/ews/exchange.asmx", onprem.Admin, onprem.AdminPassword, xmlHeader, envelope("Exchange2013_SP1", "", inbox))
	if a.status != http.StatusOK {
		t.Errorf("NTLM: %d", a.status)
	}
}

const identify = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>`

func TestRemotePowerShell(t *testing.T) {
	t.Parallel()
	const plain, secure = "http://exch01.corp.test/PowerShell/", "https://exch01.corp.test/PowerShell/"
	soap := map[string]string{"Content-Type": "application/soap+xml;charset=UTF-8"}
	sealed := map[string]string{"Content-Type": `multipart/encrypted;protocol="application/HTTP-Kerberos-session-encrypted";boundary="Encrypted Boundary"`}
	w, _ := start(t, onprem.Options{})
	user := kerberos(t, w, "exadmin", onprem.AdminPassword)

	i := initiate(t, user, spn, nil)
	a := ask(t, w, http.MethodPost, plain, "", "", merge(sealed, i.header()), i.seal(t, identify))
	if a.status != http.StatusOK || !strings.Contains(i.open(t, a.body), "IdentifyResponse") {
		t.Errorf("sealed over http: %d %q", a.status, a.body)
	}
	i = initiate(t, user, spn, nil)
	if a := ask(t, w, http.MethodPost, plain, "", "", merge(soap, i.header()), identify); a.status != http.StatusInternalServerError || a.body != "" {
		t.Errorf("unsealed over http: %d %q", a.status, a.body)
	}
	i = initiate(t, user, spn, nil)
	if a := ask(t, w, http.MethodPost, secure, "", "", merge(soap, i.header()), identify); a.status != http.StatusOK || !strings.Contains(a.body, "IdentifyResponse") {
		t.Errorf("over https: %d %q", a.status, a.body)
	}
	if a := ask(t, w, http.MethodPost, secure, onprem.Admin, onprem.AdminPassword, soap, identify); a.status != http.StatusUnauthorized {
		t.Errorf("NTLM: %d", a.status)
	}
	basic := func(url string) int {
		a, err := send(w.Client(), http.MethodPost, url, onprem.Admin, onprem.AdminPassword, soap, identify)
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	if got := basic(secure); got != http.StatusUnauthorized {
		t.Errorf("Basic: %d", got)
	}
	if err := w.SetFault("powershell-basic"); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{secure, plain, "https://192.0.2.20/powershell"} {
		if got := basic(url); got != http.StatusOK {
			t.Errorf("Basic to %s: %d", url, got)
		}
	}
	for fault, want := range map[string]int{"no-powershell": 404, "powershell-http-only": 404} {
		if err := w.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		if got := basic(secure); got != want {
			t.Errorf("%s: %d", fault, got)
		}
		if err := w.ClearFault(fault); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.Shells().Open()); n != 0 {
		t.Errorf("%d shells", n)
	}
}

func TestLockout(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{Lockout: 3})
	for range 3 {
		call(t, w, onprem.Admin, "wrong", "", inbox)
	}
	if a := call(t, w, onprem.Admin, onprem.AdminPassword, "", inbox); a.status != http.StatusUnauthorized {
		t.Errorf("not locked: %d", a.status)
	}
	if n := w.Accounts().BadPasswords("exadmin"); n != 3 {
		t.Errorf("%d bad passwords", n)
	}
}

func TestUntrusted(t *testing.T) {
	t.Parallel()
	w, _ := start(t, onprem.Options{})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.Authority())
	client := w.Client()
	transport, _ := client.Transport.(*http.Transport)
	transport.TLSClientConfig.InsecureSkipVerify, transport.TLSClientConfig.VerifyConnection, transport.TLSClientConfig.RootCAs = false, nil, roots
	transport.TLSClientConfig.Time = func() time.Time { return time.Now() }
	var unknown x509.UnknownAuthorityError
	if a, err := send(client, http.MethodGet, ewsURL, "", "", nil, ""); !errors.As(err, &unknown) {
		t.Errorf("%d, %v", a.status, err)
	}
}
