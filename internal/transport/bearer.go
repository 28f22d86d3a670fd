package transport

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/progress"
)

// ForeignHostError is a request with a token that was about to go to a host
// the token is not for. It was not sent.
type ForeignHostError struct{ Want, Got string }

func (e *ForeignHostError) Error() string {
	return fmt.Sprintf("a request meant for %s was about to go to %s: not sent", e.Want, e.Got)
}

// TokenError is a request that was not sent because no token came.
type TokenError struct{ Err error }

func (e *TokenError) Error() string { return e.Err.Error() }

// Unwrap returns why no token came.
func (e *TokenError) Unwrap() error { return e.Err }

// Bearer returns a RoundTripper that puts a token on each request to the host
// of base, and refuses to send one anywhere else. When the service withdraws a
// token before its time (a claims challenge of continuous access evaluation), a
// new one is asked for with those claims, once.
//
// Source: learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation.
func Bearer(next http.RoundTripper, base *url.URL, token func(ctx context.Context, claims string) (string, error)) http.RoundTripper {
	return &bearer{next: next, base: base, token: token}
}

type bearer struct {
	next  http.RoundTripper
	base  *url.URL
	token func(ctx context.Context, claims string) (string, error)
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || !strings.EqualFold(hostOf(r.URL), hostOf(b.base)) {
		return nil, &ForeignHostError{Want: hostOf(b.base), Got: r.URL.Scheme + "://" + CleanText(hostOf(r.URL), 200)}
	}
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	res, err := b.send(r, body, "")
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	claims := Challenge(res.Header)
	if claims == "" {
		return res, nil
	}
	res.Body.Close()
	progress.Report(r.Context(), progress.Update{Text: name(r) + " withdrew the token, asking for a new one", Attempt: 2})
	return b.send(r, body, claims)
}

func (b *bearer) send(r *http.Request, body []byte, claims string) (*http.Response, error) {
	token, err := b.token(r.Context(), claims)
	if err != nil {
		return nil, &TokenError{Err: err}
	}
	q := r.Clone(r.Context())
	q.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		q.Body = io.NopCloser(bytes.NewReader(body))
		q.ContentLength = int64(len(body))
	}
	return b.next.RoundTrip(q)
}

// Challenge returns the claims (JSON) that a 401 asks for in its
// WWW-Authenticate headers; empty when it asks for none.
func Challenge(h http.Header) string {
	for _, v := range h.Values("WWW-Authenticate") {
		if len(v) > 16<<10 || len(v) < 7 || !strings.EqualFold(v[:7], "Bearer ") {
			continue
		}
		if claims := decodeClaims(parameter(v[7:], "claims")); claims != "" {
			return claims
		}
	}
	return ""
}

// parameter finds name="value" in a challenge (RFC 9110, section 11.2).
func parameter(s, name string) string {
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return ""
		}
		key = strings.TrimLeft(key, " \t,")
		rest = strings.TrimLeft(rest, " \t")
		var value string
		if strings.HasPrefix(rest, `"`) {
			var b strings.Builder
			i := 1
			for i < len(rest) && rest[i] != '"' {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				b.WriteByte(rest[i])
				i++
			}
			value = b.String()
			rest = rest[min(i+1, len(rest)):]
			_, s, _ = strings.Cut(rest, ",")
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// decodeClaims reads claims as JSON or as base64 of it, in any alphabet.
func decodeClaims(s string) string {
	if s == "" {
		return ""
	}
	if !strings.HasPrefix(s, "{") {
		t := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
		b, err := base64.RawStdEncoding.DecodeString(t)
		if err != nil {
			return ""
		}
		s = string(b)
	}
	var object map[string]any
	if json.Unmarshal([]byte(s), &object) != nil {
		return ""
	}
	return s
}
