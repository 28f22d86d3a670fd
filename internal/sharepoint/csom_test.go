package sharepoint

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/transport"
)

const (
	digestText = `{"FormDigestTimeoutSeconds":1800,"FormDigestValue":"0xAB,22 Nov 2026 08:00:00 -0000","LibraryVersion":"16.0.26628.12008","SiteFullUrl":"https://contoso-admin.sharepoint.com"}`
	headText   = `{"SchemaVersion":"15.0.0.0","LibraryVersion":"16.0.26628.12008","ErrorInfo":null,"TraceCorrelationId":"trace"}`
	pageText   = `[` + headText + `,2,{"IsNull":false},4,{"IsNull":false},5,{"_ObjectType_":"Microsoft.Online.SharePoint.TenantAdministration.SPOSitePropertiesEnumerable","NextStartIndex":-1,"NextStartIndexFromSharePoint":%[2]s,"_Child_Items_":[%[1]s]}]`
	refusalOf  = `[{"SchemaVersion":"15.0.0.0","LibraryVersion":"16.0.26628.12008","ErrorInfo":%s,"TraceCorrelationId":"trace"}]`
)

func TestTenant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		next string
		more bool
	}{{`null`, false}, {`"-1"`, false}, {`-1`, false}, {`""`, false}, {`"300"`, true}, {`300`, true}} {
		s, client := newServer(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				if r.ContentLength != 0 || r.Header.Get("Content-Length") != "0" {
					t.Errorf("length %d %q", r.ContentLength, r.Header.Get("Content-Length"))
				}
				say(w, 200, jsonType, digestText)
				return
			}
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("X-RequestDigest") != "0xAB,22 Nov 2026 08:00:00 -0000" || r.Header.Get("Content-Type") != "text/xml" ||
				!strings.Contains(string(body), `Name="GetSitePropertiesFromSharePointByFilters"`) {
				t.Errorf("%v %s", r.Header, body)
			}
			say(w, 200, "application/json; charset=utf-8", fmt.Sprintf(pageText, `{"Url":"a"},{"Url":"b"},{"Url":"c"}`, c.next))
		})
		info, err := client.Tenant(t.Context())
		if err != nil || info != (TenantInfo{Sites: 3, More: c.more}) {
			t.Errorf("%s: %+v %v", c.next, info, err)
		}
		if got := s.asked(); !slices.Equal(got, []string{"POST /_api/contextinfo", "POST /_vti_bin/client.svc/ProcessQuery"}) {
			t.Errorf("%q", got)
		}
	}
}

func TestTenantRefusals(t *testing.T) {
	t.Parallel()
	denied := fmt.Sprintf(refusalOf, `{"ErrorMessage":"Access denied. You do not have permission to perform this action or access this resource.\u202e","ErrorValue":null,"TraceCorrelationId":"trace","ErrorCode":-2147024891,"ErrorTypeName":"System.UnauthorizedAccessException"}`)
	for _, c := range []struct {
		name, digest, query string
		want                Error // without what is the same in all
		denied, unreadable  bool
	}{
		{"no digest", `{}`, ``, Error{Op: "open the admin centre"}, false, true},
		{"no JSON", `<html>`, ``, Error{Op: "open the admin centre"}, false, true},
		{"a digest that no header may hold", `{"FormDigestValue":"a\r\nX: y"}`, ``, Error{Op: "open the admin centre"}, false, true},
		{"denied", digestText, denied, Error{Code: "-2147024891, System.UnauthorizedAccessException", Message: "Access denied. You do not have permission to perform this action or access this resource."}, true, false},
		{"another refusal", digestText, fmt.Sprintf(refusalOf, `{"ErrorMessage":"Unknown Error","ErrorCode":-1,"ErrorTypeName":"Microsoft.SharePoint.Client.UnknownError"}`), Error{Code: "-1, Microsoft.SharePoint.Client.UnknownError", Message: "Unknown Error"}, false, false},
		{"odd types", digestText, fmt.Sprintf(refusalOf, `{"ErrorMessage":5,"ErrorCode":{"a":1},"ErrorTypeName":[]}`), Error{}, false, false},
		{"error is a text", digestText, fmt.Sprintf(refusalOf, `"x"`), Error{}, false, true},
		{"an object", digestText, `{"value":[]}`, Error{}, false, true},
		{"nothing", digestText, `[]`, Error{}, false, true},
		{"no head", digestText, `[{"_Child_Items_":[]},{"_Child_Items_":[]}]`, Error{}, false, true},
		{"null for a head", digestText, `[null]`, Error{}, false, true},
		{"no sites", digestText, `[` + headText + `,2,{"IsNull":true}]`, Error{}, false, true},
		{"null sites", digestText, `[` + headText + `,{"_Child_Items_":null}]`, Error{}, false, true},
		{"empty", digestText, ``, Error{}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, client := newServer(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				say(w, 200, jsonType, []string{c.digest, c.query}[n-1])
			})
			info, err := client.Tenant(t.Context())
			e, ok := errors.AsType[*Error](err)
			if !ok || info != (TenantInfo{}) {
				t.Fatalf("%+v %T %v", info, err, err)
			}
			if c.want.Op == "" {
				c.want.Op = "list sites in the admin centre"
			}
			if e.Op != c.want.Op || e.Code != c.want.Code || e.Message != c.want.Message || e.Status != 200 || e.RequestID != "guid" || "https://"+e.Host != s.URL || errors.Is(err, errUnreadable) != c.unreadable {
				t.Errorf("%+v", e)
			}
			if NoPermission(err) != c.denied || AppOnlySecret(err) || WrongAudience(err) || NotFound(err) || Locked(err) {
				t.Errorf("taken for something else: %v", err)
			}
		})
	}
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(pageText, `{},null`, `"5"`)))
	f.Add([]byte(fmt.Sprintf(refusalOf, `{"ErrorMessage":"a\u202e","ErrorCode":"\u001b5","ErrorTypeName":"\n"}`)))
	f.Add([]byte(`[{"LibraryVersion":"1"},1,[],{"_Child_Items_":{}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		info, refusal, ok := readQuery(body)
		if refusal != nil && (!ok || info != (TenantInfo{})) || !ok && info != (TenantInfo{}) {
			t.Errorf("%+v %+v %v", info, refusal, ok)
		}
		if refusal != nil && refusal.code() != transport.CleanText(refusal.code(), 300) {
			t.Errorf("%q", refusal.code())
		}
	})
}
