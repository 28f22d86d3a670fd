package sharepoint

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

var errUnreadable = errors.New("the answer cannot be read")

// Error is a refusal by SharePoint Online, or an answer that is not SharePoint's.
//
// Source: learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service.
type Error struct {
	Op          string // what was asked for, e.g. "open root site"
	Host        string // who was asked
	Status      int    // HTTP status, 0 when no answer came; 200 when CSOM refused
	Code        string // e.g. "-2147024891, System.UnauthorizedAccessException"
	Message     string // control characters removed
	RequestID   string // header SPRequestGuid; empty when the answer is not SharePoint's
	MovedTo     string // host that a redirect names, which was not followed; empty when it is Host
	ContentType string // of an answer in no form that SharePoint uses, e.g. a proxy's page
	Diagnostics string // header x-ms-diagnostics: a number and why a token is refused
	RetryAfter  time.Duration
	Time        time.Time // of the answer, UTC
	Err         error     // transport error, or that the answer cannot be read
}

// Unwrap returns the transport's error, if no answer came.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	s := e.Op + ": "
	switch {
	case e.Err != nil:
		return s + e.Err.Error()
	case e.MovedTo != "":
		return s + fmt.Sprintf("%s answered %d and sends to %s", e.Host, e.Status, e.MovedTo)
	case e.Code != "" && e.Message != "":
		return s + fmt.Sprintf("SharePoint answered %d (%s): %s", e.Status, e.Code, e.Message)
	case e.Code != "" || e.Message != "":
		return s + fmt.Sprintf("SharePoint answered %d: %s", e.Status, e.Code+e.Message)
	default:
		return s + fmt.Sprintf("%s answered %d without a SharePoint error body", e.Host, e.Status)
	}
}

// AppOnlySecret reports whether err says that SharePoint takes no application
// that signed in with a client secret.
//
// Source: learn.microsoft.com/sharepoint/dev/solution-guidance/security-apponly-azuread.
func AppOnlySecret(err error) bool { return says(err, "unsupported app only token") }

// WrongAudience reports whether err says that the token was made for another
// host or service, or by another tenant. A token that SharePoint can validate is
// refused in other words than one that it cannot.
//
// Source: SharePoint/sp-dev-docs issue 5889; pnp/powershell issue 5133 and
// learn.microsoft.com/answers/questions/1376708 (with the header).
func WrongAudience(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	number, _, _ := strings.Cut(e.Diagnostics, ";")
	return number == "3000003" || says(err, "invalid issuer or signature") || says(err, "audienceurivalidationfailedexception")
}

// NoPermission reports whether err says that the application may not do this:
// its token holds no role of SharePoint at all, or not the one that is needed.
//
// Source: pnp/pnpjs issue 1501 for "Unsupported security token."
func NoPermission(err error) bool {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok || AppOnlySecret(err) || WrongAudience(err) || Locked(err):
		return false
	case e.Status == http.StatusUnauthorized:
		return true
	case e.Status == http.StatusForbidden:
		return e.own()
	}
	// E_ACCESSDENIED, which CSOM tells with status 200.
	return strings.HasPrefix(e.Code, "-2147024891") || strings.Contains(e.Code, "UnauthorizedAccessException")
}

// NotFound reports whether err says that there is no site at that address.
func NotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound && e.own()
}

// Locked reports whether err says that the site is locked or archived, so that
// nobody may open it.
//
// Source: learn.microsoft.com/sharepoint/manage-lock-status.
func Locked(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusLocked || e.Status == http.StatusForbidden && e.own() && says(err, "locked")) // "blocked", too
}

// own reports whether it was SharePoint that answered, and no proxy.
func (e *Error) own() bool { return e.RequestID != "" || e.Code != "" }

func says(err error, words string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && strings.Contains(strings.ToLower(e.Message), words)
}

// errorLimit is how much of an error's body is read; real ones are under 4 KiB.
const errorLimit = 64 << 10

// fill takes everything that an Error tells from an answer.
func (e *Error) fill(res *http.Response, body []byte, now time.Time) {
	h := func(name string, limit int) string { return transport.CleanText(res.Header.Get(name), limit) }
	e.Status = res.StatusCode
	e.RequestID = h("SPRequestGuid", 64)
	e.RetryAfter = transport.RetryAfter(res.Header, now)
	e.Time = now.UTC()
	if t, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		e.Time = t.UTC()
	}
	if u, err := res.Location(); e.Status/100 == 3 && err == nil && !strings.EqualFold(u.Host, e.Host) {
		e.MovedTo = transport.CleanText(u.Host, 255)
	}
	if !e.read(bytes.TrimSpace(body[:min(len(body), errorLimit)]), h("Content-Type", 100)) {
		e.ContentType = h("Content-Type", 100)
	}
	e.Diagnostics = h("x-ms-diagnostics", 1000)
	if e.Message == "" && e.Status >= 400 {
		e.Message = e.Diagnostics // where a token is refused without a body
	}
}

// read takes code and message from a body, in whichever of SharePoint's forms it
// came; false when it is none of them.
func (e *Error) read(body []byte, contentType string) bool {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	switch {
	case e.Status == http.StatusOK:
		return bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("["))
	case len(body) == 0:
	case body[0] == '{':
		var j struct {
			Error       json.RawMessage `json:"error"`
			OData       json.RawMessage `json:"odata.error"`
			Description Text            `json:"error_description"`
		}
		if json.Unmarshal(body, &j) != nil {
			return false
		}
		raw := j.Error
		if raw == nil {
			raw = j.OData
		}
		var r struct{ Code, Message Text }
		if raw != nil && json.Unmarshal(raw, &r) != nil {
			_ = json.Unmarshal(raw, &r.Code) // OAuth's form: the code alone
		}
		if r.Message == "" {
			r.Message = j.Description
		}
		e.Code, e.Message = r.Code.Clean(200), r.Message.Clean(1000)
	case body[0] == '<' && strings.Contains(contentType, "xml"):
		var x struct {
			Code    string `xml:"code"`
			Message string `xml:"message"`
		}
		if xml.Unmarshal(body, &x) != nil || x.Code == "" {
			return false
		}
		e.Code, e.Message = transport.CleanText(x.Code, 200), transport.CleanText(x.Message, 1000)
	case body[0] == '<':
		return false
	default:
		e.Message = transport.CleanText(string(body), 1000)
	}
	return true
}

// Text is a JSON text, alone or as the "value" of an object, as the forms of OData have it;
// anything else counts as missing.
type Text string

// Clean is t as it may be shown, cut off at limit bytes.
func (t Text) Clean(limit int) string { return transport.CleanText(string(t), limit) }

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	var o struct{ Value string }
	if json.Unmarshal(b, &s) == nil {
		*t = Text(s)
	} else if json.Unmarshal(b, &o) == nil {
		*t = Text(o.Value)
	}
	return nil
}
