package entra

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/c2conn/c2conn/internal/transport"
)

// sample is the documented refusal (learn.microsoft.com, client credentials flow), with its line breaks.
const sample = `{"error":"invalid_scope",
"error_description":"AADSTS70011: The provided value for the input parameter 'scope' isn't valid.\r\nTrace ID: 0000aaaa-11bb-cccc-dd33-eeeeee333333\r\nCorrelation ID: aaaa0000-bb11-2222-33cc-444444dddddd\r\nTimestamp: 2016-01-09 02:02:12Z",
"error_codes":[70011],"timestamp":"2016-01-09 02:02:12Z","trace_id":"0000aaaa-11bb-cccc-dd33-eeeeee333333","correlation_id":"aaaa0000-bb11-2222-33cc-444444dddddd",
"error_uri":"https://login.microsoftonline.com/error?code=70011"}`

func TestParseError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       Error
	}{
		{"documented", sample, Error{
			OAuth: "invalid_scope", Codes: []int{70011}, Description: "The provided value for the input parameter 'scope' isn't valid.",
			TraceID: "0000aaaa-11bb-cccc-dd33-eeeeee333333", CorrelationID: "aaaa0000-bb11-2222-33cc-444444dddddd",
			Time: time.Date(2016, 1, 9, 2, 2, 12, 0, time.UTC),
		}},
		{"one line, newer form", `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: t Correlation ID: c Timestamp: 2026-11-22 04:00:00Z","error_codes":[7000215]}`,
			Error{OAuth: "invalid_client", Codes: []int{7000215}, Description: "Invalid client secret provided."}},
		{"code only in the text", `{"error":"invalid_client","error_description":"AADSTS700027: The certificate is not registered."}`,
			Error{OAuth: "invalid_client", Codes: []int{700027}, Description: "The certificate is not registered."}},
		{"several codes", `{"error":"x","error_codes":[50020,"90002",-1,1.5,null,99999999999]}`, Error{OAuth: "x", Codes: []int{50020, 90002}}},
		{"suberror and claims", `{"error":"interaction_required","suberror":"message_only","claims":"{\"access_token\":{}}"}`,
			Error{OAuth: "interaction_required", Suberror: "message_only", Claims: `{"access_token":{}}`}},
		{"terminal escapes", `{"error":"\u001b[2Jx","error_description":"AADSTS1234: a\u001b]0;b\u0007 \u202egnp.exe\u200b"}`,
			Error{OAuth: "[2Jx", Codes: []int{1234}, Description: "a]0;b gnp.exe"}},
		{"wrong types", `{"error":5,"error_description":["x"],"error_codes":["a",{}],"timestamp":7}`, Error{}},
		{"codes no list", `{"error":"x","error_codes":7}`, Error{}},
		{"proxy page", `<html>Access denied</html>`, Error{}},
		{"empty", ``, Error{}},
		{"array", `[]`, Error{}},
		{"null", `null`, Error{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.want.Status = 400
			if got := parseError(400, []byte(c.body)); !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got  %+v\nwant %+v", *got, c.want)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	if got := parseError(400, []byte(sample)).Error(); got != "Entra ID refused the sign-in (AADSTS70011): The provided value for the input parameter 'scope' isn't valid." {
		t.Errorf("%s", got)
	}
}

func TestErrorStamp(t *testing.T) {
	t.Parallel()
	e := &Error{}
	h := http.Header{}
	h.Set("x-ms-request-id", "trace\x1b[1m")
	h.Set("client-request-id", "corr")
	h.Set("Date", "Sun, 22 Nov 2026 12:00:00 GMT")
	e.stamp(&http.Response{Header: h})
	if e.TraceID != "trace[1m" || e.CorrelationID != "corr" || e.Time.Hour() != 12 {
		t.Errorf("%+v", e)
	}
}

func FuzzTokenError(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"error_codes":["1",2],"error_description":"AADSTS999999999999: x"}`))
	f.Add([]byte(`<html>`))
	f.Add([]byte(`{"error_description":"\u001b\u009b\u202e Trace ID: "}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := parseError(400, b)
		if e.Status != 400 || len(e.Codes) > codesLimit {
			t.Fatalf("%+v", e)
		}
		noHidden(t, e.Error(), e.OAuth, e.Suberror, e.Description, e.TraceID, e.CorrelationID)
	})
}

func noHidden(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		for _, r := range s {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q holds %U", s, r)
			}
		}
	}
}

// jwt makes an unsigned token with these claims.
func jwt(claims any) string {
	b, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(b) + ".c2ln"
}

func TestParseClaims(t *testing.T) {
	t.Parallel()
	opaque := Claims{Opaque: true}
	for _, c := range []struct {
		name, token string
		want        Claims
	}{
		{"version 1", jwt(map[string]any{"aud": "https://graph.microsoft.com", "tid": "T", "appid": "A", "oid": "O", "roles": []string{"User.Read.All", "Group.Read.All", "User.Read.All"}, "appidacr": "2"}),
			Claims{Audience: "https://graph.microsoft.com", TenantID: "T", AppID: "A", ObjectID: "O", Roles: []string{"Group.Read.All", "User.Read.All"}, AppIDACR: "2"}},
		{"version 2", jwt(map[string]any{"aud": []string{"x", "y"}, "azp": "A", "azpacr": "1", "xms_cc": []string{"CP1"}}),
			Claims{Audience: "x", AppID: "A", AppIDACR: "1", CAE: true}},
		{"no roles", jwt(map[string]any{"aud": "x"}), Claims{Audience: "x"}},
		{"one role as a string", jwt(map[string]any{"roles": "full_access_as_app"}), Claims{Roles: []string{"full_access_as_app"}}},
		{"wrong types", jwt(map[string]any{"aud": 7, "roles": map[string]int{"a": 1}, "tid": nil}), Claims{}},
		{"hostile", jwt(map[string]any{"roles": []string{"\x1b[2J\u202eevil", "\x07"}}), Claims{Roles: []string{"[2Jevil"}}},
		{"opaque", "EwBwA8l6BAAU", opaque},
		{"encrypted, five parts", "a.b.c.d.e", opaque},
		{"bad base64", "a.%.c", opaque},
		{"bad JSON", "a." + base64.RawURLEncoding.EncodeToString([]byte("{")) + ".c", opaque},
		{"too long", "a." + strings.Repeat("A", tokenLimit) + ".c", opaque},
		{"empty", "", opaque},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := parseClaims([]byte(c.token)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(jwt(map[string]any{"aud": []string{"x"}, "roles": []string{"a"}})))
	f.Add([]byte("a.b.c"))
	f.Add([]byte(jwt(map[string]any{"aud": 1, "roles": 2, "xms_cc": 3})))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseClaims(b)
		if len(c.Roles) > rolesLimit {
			t.Fatalf("%d roles", len(c.Roles))
		}
		noHidden(t, append(c.Roles, c.Audience, c.AppID, c.TenantID, c.ObjectID, c.AppIDACR)...)
	})
}

func TestCleanTextIsUsed(t *testing.T) {
	t.Parallel()
	e := parseError(400, []byte(`{"error_description":"`+strings.Repeat("long ", 1000)+`"}`))
	if len(e.Description) > 1003 || e.Description != transport.CleanText(e.Description, 2000) {
		t.Errorf("%d bytes", len(e.Description))
	}
}
