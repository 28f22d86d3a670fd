package sharepointserver

import (
	"fmt"
	"strings"
	"time"
)

// Reason says what an answer that is not the wanted one means.
type Reason string

// The reasons.
const (
	NotThere      Reason = "not-there"      // 404: no site collection at this address, or no SharePoint (see Error.SharePoint)
	Denied        Reason = "denied"         // signed in, but without the right: 403, or SharePoint's own access denied
	LoginPage     Reason = "login-page"     // a sign-in form, or a redirect to one: forms or SAML claims without Windows beside them
	Moved         Reason = "moved"          // a redirect to another address (Error.To): an alternate access mapping, or another scheme
	NotSharePoint Reason = "not-sharepoint" // something else answers
	NotCentral    Reason = "not-central"    // SharePoint, but not Central Administration
	Unreadable    Reason = "unreadable"     // an answer that is none of the documented ones
	Busy          Reason = "busy"           // 429, 503 or another 5xx, also after all waits
	Fault         Reason = "fault"          // an error that SharePoint tells: Code and Text
)

// Error is an answer that is not the wanted one.
type Error struct {
	Op         string // "site", "SiteData", "search" or "Central Administration"
	URL        string
	Reason     Reason
	Status     int       // of HTTP
	SharePoint bool      // the answer bears SharePoint's headers
	Build      Build     // where it tells one
	Code, Text string    // of SharePoint, cleaned
	To         string    // where a redirect leads (of Moved: the site there), or the sign-in form is; cleaned
	RequestID  string    // of SharePoint (SPRequestGuid): the correlation id in its logs
	Time       time.Time // of the answer, UTC
	Err        error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s at %s: %s", e.Op, e.URL, e.Reason)
	if e.Status != 0 {
		text += fmt.Sprintf(" (%d)", e.Status)
	}
	if e.To != "" {
		text += " to " + e.To
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if s := strings.TrimSpace(e.Code + " " + e.Text); s != "" {
		text += ": " + s
	}
	return text
}

// Unwrap returns what is behind it.
func (e *Error) Unwrap() error { return e.Err }

// ListError is a list that neither way gives.
type ListError struct{ SiteData, Search error }

func (e *ListError) Error() string {
	return fmt.Sprintf("the site collections cannot be listed: SiteData: %v; search: %v", e.SiteData, e.Search)
}

// Unwrap returns both.
func (e *ListError) Unwrap() []error { return []error{e.SiteData, e.Search} }

// CentralError is a Central Administration that neither scheme reaches, or that the
// first one reaches but does not open.
type CentralError struct {
	URL    string           // as it was asked for
	Tried  map[string]error // by scheme: "http", "https"
	Likely error            // the one of them that tells most
	Scheme string           // with which Likely came
	Plain  bool             // the port speaks http, which was not allowed to be asked
}

func (e *CentralError) Error() string {
	return fmt.Sprintf("Central Administration at %s: %v", e.URL, e.Likely)
}

// Unwrap returns the one that tells most.
func (e *CentralError) Unwrap() error { return e.Likely }
