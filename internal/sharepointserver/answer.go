package sharepointserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/sharepoint"
	"github.com/c2conn/c2conn/internal/transport"
)

// answer is what a server said, whatever it is.
type answer struct {
	body     []byte
	kind     string // content type
	location string // absolute
	site     string // address of the site in location
	form     string // address of the sign-in form that a header names
	e        Error  // what an Error about it tells
}

// answer takes everything that is used later.
func (c *Client) answer(op string, at *url.URL, res *http.Response, body []byte) answer {
	h := func(name string, limit int) string { return transport.CleanText(res.Header.Get(name), limit) }
	a := answer{
		body: bytes.TrimPrefix(body, []byte("\ufeff")), kind: strings.ToLower(h("Content-Type", 100)),
		form: h("X-Forms_Based_Auth_Required", urlLimit),
	}
	build := res.Header.Get("MicrosoftSharePointTeamServices")
	a.e = Error{
		Op: op, URL: plain(at), Status: res.StatusCode, Build: parseBuild(build),
		RequestID: h("SPRequestGuid", 64), Time: c.clock.Now().UTC(),
	}
	if t, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		a.e.Time = t.UTC()
	}
	a.e.SharePoint = build != "" || a.e.RequestID != "" || res.Header.Get("X-SharePointHealthScore") != ""
	if to := res.Header.Get("Location"); to != "" && res.StatusCode/100 == 3 {
		if u, err := at.Parse(to); err == nil {
			u.User = nil
			a.location = u.String()
			a.site, _, _ = strings.Cut(plain(u), "/_api/")
			a.site, _, _ = strings.Cut(a.site, "/_vti_bin/")
		}
	}
	return a
}

// failure is nil for an answer with status 200 that is no web page.
func (a answer) failure() error {
	page := strings.HasPrefix(a.kind, "text/html") || strings.HasPrefix(a.kind, "application/xhtml")
	if a.e.Status != http.StatusOK {
		a.e.Code, a.e.Text = said(a.body)
	}
	e := a.e
	switch {
	case a.location != "":
		e.To = transport.CleanText(a.location, urlLimit)
		switch path := strings.ToLower(a.location); {
		case strings.Contains(path, "/accessdenied.aspx"):
			e.Reason = Denied
		case loginAddress(path):
			e.Reason = LoginPage
		default:
			e.Reason, e.To = Moved, a.site
		}
	case a.form != "" && e.Status != http.StatusOK:
		// Also with 403: MS-OFBA, section 2.2.2.
		e.Reason, e.To = LoginPage, a.form
	case page && loginForm(a.body):
		e.Reason = LoginPage
	case denied(e.Code, e.Text), e.Status == http.StatusForbidden, e.Status == http.StatusUnauthorized:
		e.Reason = Denied
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		e.Reason = NotThere
	case e.Code != "" && e.Status >= 400:
		e.Reason = Fault
	case e.Status == http.StatusTooManyRequests, e.Status >= 500:
		e.Reason = Busy
	case page && e.Status == http.StatusOK, e.Status != http.StatusOK:
		return a.unreadable(errPage)
	default:
		return nil
	}
	return &e
}

// unreadable says that an answer is none of the documented ones.
func (a answer) unreadable(why error) error {
	e := a.e
	e.Reason, e.Err = Unreadable, why
	if !e.SharePoint {
		e.Reason = NotSharePoint
	}
	return &e
}

var errPage = errors.New("the answer is no data")

// denied recognises the access denied of REST, of SOAP and of the search: E_ACCESSDENIED
// as a number, or the words of SharePoint, which it has in the language asked for.
func denied(code, said string) bool {
	if strings.HasPrefix(code, "-2147024891") || strings.Contains(code, "UnauthorizedAccessException") || strings.EqualFold(code, "0x80070005") {
		return true
	}
	said = strings.ToLower(said)
	for _, words := range []string{"0x80070005", "unauthorized operation", "access denied", "access is denied", "unauthorizedaccessexception"} {
		if strings.Contains(said, words) {
			return true
		}
	}
	return false
}

// loginAddress recognises, in lower case, the pages to which SharePoint sends whoever
// has not signed in, and those of identity providers (WS-Federation, SAML).
func loginAddress(s string) bool {
	for _, part := range []string{"/_login/", "/_forms/", "/_trust/", "/_windows/", "/authenticate.aspx", "/login.aspx", "/signin", "/adfs/", "/oauth2/", "wa=wsignin", "samlrequest="} {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// loginForm recognises a sign-in form by its field for a password, or by the message
// for an identity provider that a browser would post on.
func loginForm(page []byte) bool {
	page = bytes.ToLower(page[:min(len(page), pageLimit)])
	for _, part := range []string{`type="password"`, `type='password'`, "type=password", `name="samlrequest"`, `name="wresult"`, "wa=wsignin"} {
		if bytes.Contains(page, []byte(part)) {
			return true
		}
	}
	return false
}

// pageLimit is how much of a page or of an error's body is looked at, in bytes.
const pageLimit = 256 << 10

// said takes code and text from the body of a refusal: JSON, Atom, a SOAP fault or plain
// text. Of web pages nothing is taken.
func said(body []byte) (code, words string) {
	body = bytes.TrimSpace(body[:min(len(body), pageLimit)])
	switch {
	case len(body) == 0:
	case body[0] == '{':
		var j struct {
			Error refusal `json:"error"`
			OData refusal `json:"odata.error"`
		}
		if json.Unmarshal(body, &j) == nil {
			r := cmp.Or(j.Error, j.OData)
			code, words = r.Code.Clean(200), r.Message.Clean(1000)
		}
	case body[0] == '<':
		_, found, _ := texts(body) // what came before an error counts
		code = transport.CleanText(cmp.Or(found["errorcode"], found["code"], found["faultcode"]), 200)
		words = transport.CleanText(cmp.Or(found["errorstring"], found["message"], found["faultstring"]), 1000)
	default:
		words = transport.CleanText(string(body), 300)
	}
	return code, words
}

// refusal is the error of OData; its message is a text or an object.
type refusal struct{ Code, Message text }

// decode reads an object, which the verbose form of OData puts into "d".
func decode(body []byte, into any) error {
	var verbose struct{ D json.RawMessage }
	if err := json.Unmarshal(body, &verbose); err != nil {
		return errJSON
	}
	if len(verbose.D) > 0 {
		body = verbose.D
	}
	if json.Unmarshal(body, into) != nil {
		return errJSON
	}
	return nil
}

var errJSON = errors.New("the answer is no JSON of SharePoint")

// text is what both SharePoints write in two ways.
type text = sharepoint.Text
