package winauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/winauth"
)

// basicOnly is a server over TLS that offers Basic; answer says what it does with it.
func basicOnly(t *testing.T, answer func(w http.ResponseWriter, n int64)) (server *httptest.Server, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, sent.Add(1))
	}))
	t.Cleanup(server.Close)
	return server, sent
}

func doubter(server *httptest.Server, trust winauth.TrustOptions) *http.Client {
	host := strings.TrimPrefix(server.URL, "https://")
	if trust.Pins == nil && !trust.FirstUse {
		trust.Pins = map[string]string{host: winauth.SHA256(server.Certificate())}
	}
	a := winauth.NewAccount(winauth.AccountOptions{Name: "admin@corp.invalid", Password: connections.NewSecret("right or wrong")})
	return a.HTTP(winauth.HTTPOptions{Trust: winauth.NewTrust(trust), Methods: []winauth.Method{winauth.Basic}})
}

func asked(t *testing.T, c *http.Client, url string) (int, error) {
	t.Helper()
	res, err := c.Post(url, "text/xml", strings.NewReader("<a/>")) //nolint:noctx // as all that is sent with a sign-in; a GET is repeated by net/http
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}

// TestNoAnswerEndsTheAttempts: a password whose fate is unknown is not sent again and again.
func TestNoAnswerEndsTheAttempts(t *testing.T) {
	t.Parallel()
	server, sent := basicOnly(t, func(http.ResponseWriter, int64) { panic(http.ErrAbortHandler) })
	c := doubter(server, winauth.TrustOptions{})
	for range 6 {
		_, err := asked(t, c, server.URL)
		var unsure *winauth.UnsureError
		if !errors.As(err, &unsure) || !winauth.Refusal(err) {
			t.Fatalf("%v", err)
		}
	}
	if n := sent.Load(); n != 2 {
		t.Errorf("the password was sent %d times", n)
	}
}

// TestAnswersThatProveNothing: a 503 does not show that the password is right, so the 401
// after it is a wrong password, and the last word.
func TestAnswersThatProveNothing(t *testing.T) {
	t.Parallel()
	server, sent := basicOnly(t, func(w http.ResponseWriter, n int64) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	c := doubter(server, winauth.TrustOptions{})
	if status, err := asked(t, c, server.URL); err != nil || status != http.StatusServiceUnavailable {
		t.Fatalf("%d %v", status, err)
	}
	for range 4 {
		if _, err := asked(t, c, server.URL); err == nil {
			t.Fatal("no error")
		}
	}
	if n := sent.Load(); n > 3 {
		t.Errorf("the password was sent %d times", n)
	}
}

// TestNoPasswordToAStranger: a certificate that counts because it is the first one gets no
// password as it is.
func TestNoPasswordToAStranger(t *testing.T) {
	t.Parallel()
	server, sent := basicOnly(t, func(w http.ResponseWriter, _ int64) { w.WriteHeader(http.StatusOK) })
	c := doubter(server, winauth.TrustOptions{FirstUse: true})
	_, err := asked(t, c, server.URL)
	var none *winauth.NoMethodError
	if !errors.As(err, &none) || sent.Load() != 0 {
		t.Errorf("sent %d times, %v", sent.Load(), err)
	}
	if status, err := asked(t, doubter(server, winauth.TrustOptions{}), server.URL); err != nil || status != http.StatusOK {
		t.Errorf("pinned: %d %v", status, err)
	}
}
