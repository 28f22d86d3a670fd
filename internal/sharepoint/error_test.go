package sharepoint

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// TestRefusals holds every form in which SharePoint, or somebody on the way,
// says no.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		html   = "text/html; charset=utf-8"
		plain  = "text/plain; charset=utf-8"
		noGUID = "SPRequestGuid"

		diagnosticsHeader = "x-ms-diagnostics"
		wrongAudience     = `3000003;reason="Invalid audience Uri 'https://contoso-admin.sharepoint.com'.";category="invalid_client"`

		code     = "-2147024891, System.UnauthorizedAccessException"
		denied   = "Attempted to perform an unauthorized operation."
		blocked  = "Access to this Web site has been blocked."
		insecure = `{"odata.error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Attempted to perform an unauthorized operation."}}}`
	)
	for _, c := range []struct {
		name   string
		status int
		kind   string // content type
		body   string
		header []string
		want   Error // without Op, Host, RequestID and Time
		is     string
	}{
		{"secret, JSON", 401, jsonType, `{"error_description":"Unsupported app only token."}`, nil, Error{Message: "Unsupported app only token."}, "secret"},
		{"secret, plain", 401, plain, "Unsupported app only token.", nil, Error{Message: "Unsupported app only token."}, "secret"},
		{"secret, plain but called a page", 401, html, "\ufeff Unsupported App Only token.\r\n", nil, Error{Message: "Unsupported App Only token."}, "secret"},
		{"secret, OAuth", 401, jsonType, `{"error":"invalid_client","error_description":"Unsupported app only token."}`, nil, Error{Code: "invalid_client", Message: "Unsupported app only token."}, "secret"},
		{"audience", 401, jsonType, `{"error_description":"Invalid issuer or signature."}`, nil, Error{Message: "Invalid issuer or signature."}, "audience"},
		{"audience, as Entra ID's library says it", 401, jsonType, `{"error_description":"Exception of type 'Microsoft.IdentityModel.Tokens.AudienceUriValidationFailedException' was thrown."}`,
			[]string{diagnosticsHeader, wrongAudience}, Error{Message: "Exception of type 'Microsoft.IdentityModel.Tokens.AudienceUriValidationFailedException' was thrown.", Diagnostics: wrongAudience}, "audience"},
		{"audience, without its header", 401, jsonType, `{"error_description":"Exception of type 'Microsoft.IdentityModel.Tokens.AudienceUriValidationFailedException' was thrown."}`,
			nil, Error{Message: "Exception of type 'Microsoft.IdentityModel.Tokens.AudienceUriValidationFailedException' was thrown."}, "audience"},
		{"audience, in the header only", 401, "", "", []string{diagnosticsHeader, wrongAudience}, Error{Message: wrongAudience, Diagnostics: wrongAudience}, "audience"},
		{"audience, with a page", 401, html, "<html>", []string{diagnosticsHeader, wrongAudience}, Error{Message: wrongAudience, Diagnostics: wrongAudience, ContentType: html}, "audience"},
		{"audience, the page is another's", 401, html, "<html>", []string{diagnosticsHeader, "30000031", noGUID, ""}, Error{Message: "30000031", Diagnostics: "30000031", ContentType: html}, "permission"},
		{"no roles", 401, jsonType, `{"error_description":"Unsupported security token."}`, nil, Error{Message: "Unsupported security token."}, "permission"},
		{"401 without a word", 401, "", "", nil, Error{}, "permission"},
		{"401, a header", 401, "", "", []string{diagnosticsHeader, `3001000;reason="There has been an error."`}, Error{Message: `3001000;reason="There has been an error."`, Diagnostics: `3001000;reason="There has been an error."`}, "permission"},
		{"denied, nometadata", 403, jsonType, insecure, nil, Error{Code: code, Message: denied}, "permission"},
		{"denied, verbose", 403, jsonType, strings.Replace(insecure, "odata.error", "error", 1), nil, Error{Code: code, Message: denied}, "permission"},
		{"denied, a message that is a text", 403, jsonType, `{"error":{"code":"accessDenied","message":"Access denied\u001b[2J\u202e"}}`, nil, Error{Code: "accessDenied", Message: "Access denied[2J"}, "permission"},
		{"denied, XML", 403, "application/xml;charset=utf-8", `<?xml version="1.0" encoding="utf-8"?><m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:code>` + code + `</m:code><m:message xml:lang="pt-BR">` + denied + `</m:message></m:error>`, nil, Error{Code: code, Message: denied}, "permission"},
		{"denied, plain", 403, plain, "403 FORBIDDEN", nil, Error{Message: "403 FORBIDDEN"}, "permission"},
		{"a proxy's no", 403, html, "<html><body>Blocked by Contoso's proxy</body></html>", []string{noGUID, ""}, Error{ContentType: html}, ""},
		{"a proxy's plain no", 403, plain, "Blocked by Contoso's proxy", []string{noGUID, ""}, Error{Message: "Blocked by Contoso's proxy"}, ""},
		{"a proxy's XML", 403, "application/xml", "<a/>", []string{noGUID, ""}, Error{ContentType: "application/xml"}, ""},
		{"locked", 403, jsonType, `{"error":{"code":"-1, x","message":{"lang":"en-US","value":"Access to this Web site has been blocked."}}}`, nil, Error{Code: "-1, x", Message: blocked}, "locked"},
		{"locked 423", 423, jsonType, `{"error":{"code":"notAllowed","message":"x"}}`, nil, Error{Code: "notAllowed", Message: "x"}, "locked"},
		{"not found", 404, plain, "404 FILE NOT FOUND", nil, Error{Message: "404 FILE NOT FOUND"}, "missing"},
		{"a proxy's not found", 404, html, "<html>", []string{noGUID, ""}, Error{ContentType: html}, ""},
		{"renamed", 308, "", "", []string{"Location", "https://fabrikam.sharepoint.com/sites/t"}, Error{MovedTo: "fabrikam.sharepoint.com"}, ""},
		{"renamed 301, a page", 301, html, "<html>", []string{"Location", "https://fabri\u202ekam.sharepoint.com/"}, Error{MovedTo: "fabrikam.sharepoint.com", ContentType: html}, ""},
		{"to the same host", 302, "", "", []string{"Location", "/_layouts/15/Authenticate.aspx"}, Error{}, ""},
		{"a redirect to nowhere", 302, "", "", nil, Error{}, ""},
		{"error null", 400, jsonType, `{"error":null}`, nil, Error{}, ""},
		{"wrong types", 400, jsonType, `{"error":{"code":5,"message":[]},"error_description":{}}`, nil, Error{}, ""},
		{"a list", 400, jsonType, `[1]`, nil, Error{Message: "[1]"}, ""},
		{"broken JSON", 400, jsonType, `{"error":`, nil, Error{ContentType: jsonType}, ""},
		{"huge", 500, plain, strings.Repeat("a", 1<<20), nil, Error{Message: strings.Repeat("a", 1000) + "…"}, ""},
		{"a page with 200", 200, html, "<html>sign in to the hotel</html>", nil, Error{ContentType: html, Err: errUnreadable}, ""},
		{"nothing with 200", 200, jsonType, "", nil, Error{ContentType: jsonType, Err: errUnreadable}, ""},
		{"no address with 200", 200, jsonType, `{"Title":"x"}`, nil, Error{Err: errUnreadable}, ""},
		{"204", 204, "", "", nil, Error{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, client := newServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) { say(w, c.status, c.kind, c.body, c.header...) })
			_, err := client.Web(t.Context(), "")
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("%T %v", err, err)
			}
			if e.Op != "open root site" || "https://"+e.Host != s.URL || e.Time.IsZero() || (e.RequestID == "guid") == slices.Contains(c.header, noGUID) || e.Status != c.status || len(s.asked()) != 1 {
				t.Errorf("%+v after %q", e, s.asked())
			}
			got := *e
			got.Op, got.Host, got.RequestID, got.Time, got.Status = "", "", "", time.Time{}, 0
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			wrapped := fmt.Errorf("x: %w", err)
			is := map[string]bool{"secret": AppOnlySecret(wrapped), "audience": WrongAudience(wrapped), "permission": NoPermission(wrapped), "missing": NotFound(wrapped), "locked": Locked(wrapped)}
			for name, yes := range is {
				if yes != (name == c.is) {
					t.Errorf("%s: %v", name, yes)
				}
			}
			if text := e.Error(); text == "" || text != transport.CleanText(text, 4000) {
				t.Errorf("%q", text)
			}
		})
	}
	other := errors.New("Unsupported app only token. locked")
	if AppOnlySecret(other) || WrongAudience(other) || NoPermission(other) || NotFound(other) || Locked(other) || NoPermission(nil) {
		t.Error("an error of somebody else")
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	})
	_, err := c.Web(t.Context(), "")
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 0 || transport.KindOf(err) != transport.KindCut || len(s.asked()) != 5 {
		t.Errorf("%v after %d", err, len(s.asked()))
	}
	_, c = newServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Write(bytes.Repeat([]byte(" "), transport.BodyLimit+1))
	})
	if _, err = c.Web(t.Context(), ""); transport.KindOf(err) != transport.KindTooLarge {
		t.Error(err)
	}
}

func FuzzError(f *testing.F) {
	for _, s := range []string{`{"error":{"code":"a\u202e","message":{"value":"b"}}}`, `{"odata.error":"x"}`, "\ufeffplain \x1b[31m", `<a><code>x</code></a>`, `{"error_description":[]}`, `[`} {
		f.Add(403, "application/xml", []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		e := &Error{Op: "x", Host: "h"}
		e.fill(&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Location": {string(body)}}}, body, time.Time{})
		if s := e.Error(); s != transport.CleanText(s, len(s)+4) || len(s) > 4096 {
			t.Errorf("%q", s)
		}
	})
}
