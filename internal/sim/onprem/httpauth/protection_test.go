package httpauth_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	ntlmssp "github.com/Azure/go-ntlmssp"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
)

// NTLM's channel binding over https, with the binding injected into the challenge.
func TestExtendedProtectionOverTLS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode   binding.Mode
		bind   string
		status int
	}{
		{binding.Require, "right", 200}, {binding.Require, "wrong", 401}, {binding.Require, "", 401},
		{binding.Allow, "right", 200}, {binding.Allow, "wrong", 401}, {binding.Allow, "", 200}, {binding.None, "wrong", 200},
	} {
		d := directory(t)
		s := serve(t, httpauth.Options{Directory: d, Methods: all(), SPNs: []string{spn}, ExtendedProtection: c.mode}, true)
		hc := s.Client()
		negotiate, err := ntlmssp.NewNegotiateMessage("", "")
		if err != nil {
			t.Fatal(err)
		}
		_, _, h := get(t, hc, s.URL, "NTLM "+base64.StdEncoding.EncodeToString(negotiate), "")
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.Get("WWW-Authenticate"), "NTLM "))
		if err != nil {
			t.Fatal(err)
		}
		if c.bind != "" {
			hash, err := binding.EndPoint(s.Certificate().Raw)
			if err != nil {
				t.Fatal(err)
			}
			if c.bind == "wrong" {
				hash[0] ^= 1
			}
			challenge = inject(challenge, hash)
		}
		m, err := ntlmssp.NewAuthenticateMessage(challenge, "exadmin@corp.test", password, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, _, _ := get(t, hc, s.URL, "NTLM "+base64.StdEncoding.EncodeToString(m), "")
		if status != c.status {
			t.Errorf("mode %d, %s binding: %d, want %d", c.mode, c.bind, status, c.status)
		}
		if d.BadPasswords("exadmin") != 0 {
			t.Errorf("mode %d, %s binding counts as a wrong password", c.mode, c.bind)
		}
	}
}

// inject puts MsvAvChannelBindings into the target info, which go-ntlmssp sends back.
func inject(challenge, hash []byte) []byte {
	n, off := int(binary.LittleEndian.Uint16(challenge[40:])), int(binary.LittleEndian.Uint32(challenge[44:]))
	info := bytes.Clone(challenge[off : off+n-4])
	info = append(append(info, 10, 0, 16, 0), hash...)
	info = append(info, 0, 0, 0, 0)
	out := bytes.Clone(challenge[:off])
	binary.LittleEndian.PutUint16(out[40:], uint16(len(info)))
	binary.LittleEndian.PutUint16(out[42:], uint16(len(info)))
	return append(out, info...)
}

func TestServerMustFit(t *testing.T) {
	t.Parallel()
	h := httpauth.Authenticate(httpauth.Options{Directory: directory(t), Methods: all()})(http.HandlerFunc(site))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("without ConnContext: %d", w.Code)
	}
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnContext = httpauth.ConnContext
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("exadmin:"+password))
	if status, _, _ := get(t, s.Client(), s.URL, basic, ""); status != http.StatusHTTPVersionNotSupported {
		t.Errorf("HTTP/2: %d", status)
	}
}
