package ews

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/transport"
)

const (
	okAnswer = `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>` +
		`<h:ServerVersionInfo MajorVersion="15" MinorVersion="20" MajorBuildNumber="8400" MinorBuildNumber="19" Version="V2018_01_08" xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types"/></s:Header>` +
		`<s:Body><m:GetFolderResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">` +
		`<m:ResponseMessages><m:GetFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>` +
		`<m:Folders><t:Folder><t:FolderId Id="AAMk" ChangeKey="AQ=="/><t:DisplayName>Inbox</t:DisplayName><t:TotalCount>7</t:TotalCount></t:Folder></m:Folders>` +
		`</m:GetFolderResponseMessage></m:ResponseMessages></m:GetFolderResponse></s:Body></s:Envelope>`
	soapFault = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>` +
		`<faultcode xmlns:a="http://schemas.microsoft.com/exchange/services/2006/types">a:%[1]s</faultcode><faultstring xml:lang="en-US">%[2]s</faultstring>` +
		`<detail><e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">%[1]s</e:ResponseCode>` +
		`<e:Message xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">%[2]s</e:Message>` +
		`<t:MessageXml xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><t:Value Name="BackOffMilliseconds">%[3]d</t:Value></t:MessageXml></detail></s:Fault></s:Body></s:Envelope>`
	messageError = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:GetFolderResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">` +
		`<m:ResponseMessages><m:GetFolderResponseMessage ResponseClass="Error"><m:MessageText>%[2]s</m:MessageText><m:ResponseCode>%[1]s</m:ResponseCode>` +
		`<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey><m:Folders/></m:GetFolderResponseMessage></m:ResponseMessages></m:GetFolderResponse></s:Body></s:Envelope>`
)

// quick is a clock whose waits take no time; it notes them.
type quick struct{ sleeps []time.Duration }

func (q *quick) Now() time.Time { return time.Now() }

func (q *quick) Sleep(ctx context.Context, d time.Duration) error {
	q.sleeps = append(q.sleeps, d)
	return ctx.Err()
}

type server struct {
	*httptest.Server
	clock *quick
	n     atomic.Int32
}

func newServer(t *testing.T, handle func(n int, w http.ResponseWriter, r *http.Request)) (*server, *Client) {
	t.Helper()
	s := &server{clock: &quick{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(int(s.n.Add(1)), w, r)
	}))
	t.Cleanup(s.Close)
	client, err := transport.New(transport.Options{Base: s.Client().Transport, Clock: s.clock, UserAgent: "c2conn/test"})
	if err != nil {
		t.Fatal(err)
	}
	return s, New(Options{
		URL: s.URL + "/EWS/Exchange.asmx", HTTP: client, Clock: s.clock,
		Token: func(_ context.Context, claims string) (string, error) { return "token" + claims, nil },
	})
}

func xmlAnswer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("request-id", "rid")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func TestGetFolder(t *testing.T) {
	t.Parallel()
	_, c := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, want := range map[string]string{
			"Authorization": "Bearer token", "X-AnchorMailbox": "o'neil&co@contoso.com", "Content-Type": "text/xml; charset=utf-8",
			"Return-Client-Request-Id": "true", "User-Agent": "c2conn/test",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if r.Header.Get("client-request-id") == "" || !strings.Contains(string(body), "<t:SmtpAddress>o&#39;neil&amp;co@contoso.com</t:SmtpAddress>") {
			t.Errorf("%v %s", r.Header, body)
		}
		xmlAnswer(w, 200, okAnswer)
	})
	f, v, err := c.GetFolder(t.Context(), "o'neil&co@contoso.com", "inbox")
	if err != nil || f != (Folder{ID: "AAMk", ChangeKey: "AQ==", DisplayName: "Inbox", TotalCount: 7}) {
		t.Errorf("%+v %v", f, err)
	}
	if v.String() != "15.20.8400.19" || v.Version != "V2018_01_08" || (ServerVersion{}).String() != "" {
		t.Errorf("%+v", v)
	}
}

// TestRequestIsValid checks the request against the official schema.
func TestRequestIsValid(t *testing.T) {
	t.Parallel()
	schema := os.Getenv("C2CONN_EWS_SCHEMA")
	lint, err := exec.LookPath("xmllint")
	if schema == "" || err != nil {
		// Without the schema at hand, the request is compared with the documented one.
		want := `<soap:Header><t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>a@b.c</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></soap:Header>` +
			`<soap:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></soap:Body></soap:Envelope>`
		if got := string(getFolder("a@b.c", "inbox")); !strings.HasSuffix(got, want) {
			t.Errorf("%s", got)
		}
		more := `<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:EffectiveRights"/><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties></m:FolderShape>`
		want = strings.NewReplacer("<t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>", more, `"inbox"`, `"publicfoldersroot"`).Replace(want)
		if got := string(getFolder("a@b.c", "publicfoldersroot", "folder:EffectiveRights", "folder:PermissionSet")); !strings.HasSuffix(got, want) {
			t.Errorf("%s", got)
		}
		return
	}
	for i, request := range [][]byte{getFolder("a@b.c", "inbox"), getFolder(`<>&"'ż@contoso.com`, "inbox"), getFolder("a@b.c", "publicfoldersroot", "folder:EffectiveRights", "folder:PermissionSet")} {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(file, request, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), lint, "--noout", "--nonet", "--schema", schema, file).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	fault := func(code, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { xmlAnswer(w, 500, fmt.Sprintf(soapFault, code, text, 0)) }
	}
	message := func(code, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { xmlAnswer(w, 200, fmt.Sprintf(messageError, code, text)) }
	}
	header := func(status int, kv ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i < len(kv); i += 2 {
				w.Header().Set(kv[i], kv[i+1])
			}
			w.WriteHeader(status)
		}
	}
	page := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(status)
			io.WriteString(w, "<html><body>Blocked by Contoso's proxy</body></html>")
		}
	}
	xml := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { xmlAnswer(w, status, body) }
	}
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>`
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   Error
	}{
		{"blocked for the tenant", header(403, "X-EWS-Policy-Reason", "EWS is disabled for this user or tenant"), Error{Status: 403, PolicyReason: "EWS is disabled for this user or tenant"}},
		{"blocked by the list", header(403, "X-EWS-Policy-Reason", "EWS is blocked by policy for this user or tenant"), Error{Status: 403, PolicyReason: "EWS is blocked by policy for this user or tenant"}},
		{"403 without a word", header(403), Error{Status: 403}},
		{"no permission", header(403, "x-ms-diagnostics", `2000008;reason="The token contains not enough scope to make this call.";error_category="invalid_grant"`), Error{Status: 403, Diagnostics: `2000008;reason="The token contains not enough scope to make this call.";error_category="invalid_grant"`}},
		{"wrong audience", header(401, "x-ms-diagnostics", "2000003;reason=\"\u202ex\"", "WWW-Authenticate", `Bearer client_id="x", error="invalid_token"`), Error{Status: 401, Diagnostics: `2000003;reason="x"`, WWWAuth: `Bearer client_id="x", error="invalid_token"`}},
		{"no mailbox", fault("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it."), Error{Status: 500, Code: "ErrorNonExistentMailbox", Message: "The SMTP address has no mailbox associated with it."}},
		{"no mailbox, as message", message("ErrorNonExistentMailbox", "None."), Error{Status: 200, Code: "ErrorNonExistentMailbox", Message: "None."}},
		{"impersonation", fault("ErrorImpersonateUserDenied", "No."), Error{Status: 500, Code: "ErrorImpersonateUserDenied", Message: "No."}},
		{"access denied", message("ErrorAccessDenied", "Access is denied."), Error{Status: 200, Code: "ErrorAccessDenied", Message: "Access is denied."}},
		{"user token", fault("ErrorInvalidExchangeImpersonationHeaderData", "x"), Error{Status: 500, Code: "ErrorInvalidExchangeImpersonationHeaderData", Message: "x"}},
		{"hostile text", fault("ErrorAccessDenied", "a\u009b31m\u202eb\u200b"), Error{Status: 500, Code: "ErrorAccessDenied", Message: "a31mb"}},
		{"code in faultcode alone", xml(500, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>a:ErrorSchemaValidation</faultcode><faultstring>bad</faultstring></s:Fault></s:Body></s:Envelope>`), Error{Status: 500, Code: "ErrorSchemaValidation", Message: "bad"}},
		{"gone 404", header(404), Error{Status: 404}},
		{"gone 410", header(410), Error{Status: 410}},
		{"proxy page", page(502), Error{Status: 502, ContentType: "text/html; charset=utf-8", Err: errNotSOAP}},
		{"proxy page with 200", page(200), Error{Status: 200, ContentType: "text/html; charset=utf-8", Err: errNotSOAP}},
		{"empty 200", xml(200, ""), Error{Status: 200, Err: errNotSOAP}},
		{"broken XML", xml(200, okAnswer[:300]), Error{Status: 200, Err: errNotSOAP}},
		{"other XML", xml(200, "<x/>"), Error{Status: 200, Err: errNotSOAP}},
		{"DOCTYPE", xml(200, bomb), Error{Status: 200, Err: errDoctype}},
		{"deep", xml(200, deep), Error{Status: 200, Err: errTooDeep}},
		{"many", xml(200, "<a>"+strings.Repeat("<b/>", 30_000)+"</a>"), Error{Status: 200, Err: errTooDeep}},
		{"huge", xml(200, "<a>"+strings.Repeat("b", 5<<20)+"</a>"), Error{Status: 200, Err: errTooBig}},
		{"redirect", header(302, "Location", "https://elsewhere.test/"), Error{Status: 302}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, client := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) { c.answer(w) })
			_, _, err := client.GetFolder(t.Context(), "a@contoso.com", "inbox")
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.Op != "GetFolder inbox" || e.Time.IsZero() {
				t.Errorf("%+v", e)
			}
			if e.Status != 403 && e.Code != "" && e.RequestID != "rid" {
				t.Errorf("request id %q", e.RequestID)
			}
			got := *e
			got.Op, got.Time, got.RequestID = "", time.Time{}, ""
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if s.n.Load() != 1 {
				t.Errorf("%d requests", s.n.Load())
			}
			if e.Error() == "" || e.Error() != transport.CleanText(e.Error(), 0) {
				t.Errorf("%q", e.Error())
			}
		})
	}
}

func TestBusyIsRepeated(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			xmlAnswer(w, 500, fmt.Sprintf(soapFault, "ErrorServerBusy", "busy", 9000))
		case 2:
			w.Header().Set("Retry-After", "11")
			xmlAnswer(w, 200, fmt.Sprintf(messageError, "ErrorServerBusy", "busy"))
		case 3:
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(503)
		default:
			xmlAnswer(w, 200, okAnswer)
		}
	})
	var words []string
	ctx := progress.With(t.Context(), func(u progress.Update) { words = append(words, u.Text) })
	if _, _, err := c.GetFolder(ctx, "a@contoso.com", "inbox"); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{9 * time.Second, 11 * time.Second, 3 * time.Second}; !slices.Equal(s.clock.sleeps, want) {
		t.Errorf("slept %v, want %v", s.clock.sleeps, want)
	}
	if len(words) != 3 || words[0] != "Exchange Web Services is busy (ErrorServerBusy), waiting 9 s, try 2 of 5" || words[2] != "Exchange Web Services is not available (503), waiting 3 s, try 2 of 5" {
		t.Errorf("%q", words)
	}
}

func TestBusyForEver(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(n int, w http.ResponseWriter, r *http.Request) {
		xmlAnswer(w, 500, fmt.Sprintf(soapFault, "ErrorServerBusy", "busy", 0))
	})
	_, _, err := c.GetFolder(t.Context(), "a@contoso.com", "inbox")
	var e *Error
	if !errors.As(err, &e) || e.Code != "ErrorServerBusy" || s.n.Load() != 5 {
		t.Errorf("%v after %d tries", err, s.n.Load())
	}
	// A wait that does not fit into the time left is not begun.
	ctx, cancel := context.WithTimeout(t.Context(), 1900*time.Millisecond)
	defer cancel()
	s.n.Store(0)
	if _, _, err = c.GetFolder(ctx, "a@contoso.com", "inbox"); !errors.As(err, &e) || s.n.Load() > 1 {
		t.Errorf("%v after %d tries", err, s.n.Load())
	}
}

func TestClaimsChallenge(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != `Bearer token{"a":1}` {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_claims", claims="`+base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))+`"`)
			w.WriteHeader(401)
			return
		}
		xmlAnswer(w, 200, okAnswer)
	})
	if _, _, err := c.GetFolder(t.Context(), "a@contoso.com", "inbox"); err != nil || s.n.Load() != 2 {
		t.Errorf("%v after %d requests", err, s.n.Load())
	}
}

func TestCutConnection(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	}
	_, c := newServer(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n < 3 {
			cut(w)
			return
		}
		xmlAnswer(w, 200, okAnswer)
	})
	if _, _, err := c.GetFolder(t.Context(), "a@contoso.com", "inbox"); err != nil {
		t.Error(err)
	}
	_, c = newServer(t, func(n int, w http.ResponseWriter, r *http.Request) { cut(w) })
	_, _, err := c.GetFolder(t.Context(), "a@contoso.com", "inbox")
	var e *Error
	if !errors.As(err, &e) || e.Status != 0 || transport.KindOf(err) != transport.KindCut {
		t.Errorf("%v", err)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	s, c := newServer(t, func(n int, w http.ResponseWriter, r *http.Request) {})
	for _, m := range []string{"", "a", "@b", "a@", "a b@c.d", "a@b\r\nX: y", "a@b\u202e", "<a@b.c>", strings.Repeat("a", 400) + "@b.c"} {
		_, _, err := c.GetFolder(t.Context(), m, "inbox")
		var e *MailboxError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", m, err)
		}
	}
	for _, u := range []string{"", "http://outlook.office365.com/EWS/Exchange.asmx", "::", "https://"} {
		if _, _, err := New(Options{URL: u, HTTP: s.Client(), Token: c.o.Token}).GetFolder(t.Context(), "a@b.c", "inbox"); err == nil {
			t.Errorf("%q: accepted", u)
		}
	}
	if s.n.Load() != 0 {
		t.Error("something was sent")
	}
	why := errors.New("no token")
	c.http = New(Options{URL: s.URL, HTTP: s.Client(), Token: func(context.Context, string) (string, error) { return "", why }}).http
	_, _, err := c.GetFolder(t.Context(), "a@b.c", "inbox")
	var e *Error
	if !errors.Is(err, why) || errors.As(err, &e) {
		t.Errorf("%T %v", err, err)
	}
}

func FuzzSOAP(f *testing.F) {
	f.Add([]byte(okAnswer))
	f.Add([]byte(rightsAnswer(effective("true", "1", "0", "true"), "")))
	f.Add([]byte(rightsAnswer("<t:EffectiveRights/>", "<t:Permission><t:UserId><t:PrimarySmtpAddress>a@b.c</t:PrimarySmtpAddress></t:UserId><t:PermissionLevel>Own\u202eer</t:PermissionLevel></t:Permission>")))
	f.Add([]byte(fmt.Sprintf(soapFault, "ErrorServerBusy", "x\u202e", 5)))
	f.Add([]byte(fmt.Sprintf(messageError, "ErrorAccessDenied", "&#133;")))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	f.Add([]byte(strings.Repeat("<a>", 70)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parse(b)
		if err != nil && (a.folder.ID != "" || a.code != "") {
			t.Fatalf("%+v with %v", a, err)
		}
		r := a.rights.of("a@b.c")
		if r.Owner && !r.Known || !r.Known && r != (FolderRights{}) {
			t.Fatalf("%+v", r)
		}
		for _, s := range []string{a.code, a.text, a.folder.ID, a.folder.DisplayName, a.version.String(), a.version.Version, r.Level} {
			if s != transport.CleanText(s, 0) {
				t.Fatalf("%q", s)
			}
		}
		if a.backOff < 0 || a.folder.TotalCount < 0 {
			t.Fatalf("%+v", a)
		}
	})
}
