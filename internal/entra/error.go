package entra

import (
	"fmt"
	"strings"
	"time"
)

// Error is a refusal by Entra ID's token or metadata endpoint, read from its
// JSON body (never from MSAL's text).
//
// Source: "Microsoft Entra authentication and authorization error codes",
// learn.microsoft.com/entra/identity-platform/reference-error-codes.
type Error struct {
	Status        int    // HTTP status
	OAuth         string // "error", e.g. invalid_client
	Suberror      string
	Codes         []int  // "error_codes": AADSTS numbers, the first one decides
	Description   string // "error_description" without trace ids, control characters removed
	TraceID       string
	CorrelationID string
	Time          time.Time // "timestamp", UTC; zero when missing
	Claims        string    // "claims" challenge, empty when none
	Resource      string    // the scope that was asked for
}

// Code returns the deciding AADSTS number, 0 when the answer named none.
func (e *Error) Code() int {
	if len(e.Codes) == 0 {
		return 0
	}
	return e.Codes[0]
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("Entra ID refused the sign-in")
	if c := e.Code(); c != 0 {
		fmt.Fprintf(&b, " (AADSTS%d)", c)
	} else if e.OAuth != "" {
		fmt.Fprintf(&b, " (%s)", e.OAuth)
	}
	if e.Description != "" {
		b.WriteString(": " + e.Description)
	}
	return b.String()
}

// MetadataError is an answer of the login service that cannot be believed: a
// page of something in between, or endpoints on a host that is not the
// cloud's. It comes before anything secret is sent, and nothing is sent after it.
type MetadataError struct {
	Host   string // of the login service
	Status int
	Reason string
}

func (e *MetadataError) Error() string {
	return fmt.Sprintf("the sign-in metadata of %s (answer %d) cannot be used: %s", e.Host, e.Status, e.Reason)
}

// TokenAnswerError is an answer to the request for a token that holds none. That
// request had been sent, with the client secret or a proof signed with the
// certificate in it, so whatever answered may have read them.
type TokenAnswerError struct {
	Host   string // of the token endpoint
	Status int
	Reason string
}

func (e *TokenAnswerError) Error() string {
	return fmt.Sprintf("the answer of %s (%d) to the sign-in cannot be used: %s", e.Host, e.Status, e.Reason)
}
