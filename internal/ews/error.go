package ews

import (
	"fmt"
	"time"
)

// Error is a refusal by Exchange Web Services, or an answer that is not EWS.
//
// Sources: learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode
// and ".../exchange-web-services/how-to-control-access-to-ews-in-exchange".
type Error struct {
	Op           string // e.g. "GetFolder inbox"
	Status       int    // HTTP status, 0 when no answer came
	Code         string // ResponseCode of a SOAP fault or of a response message, e.g. ErrorNonExistentMailbox
	Message      string // its text, control characters removed
	PolicyReason string // header X-EWS-Policy-Reason
	Diagnostics  string // header x-ms-diagnostics
	WWWAuth      string // header WWW-Authenticate of a 401
	RequestID    string // header request-id
	RetryAfter   time.Duration
	ContentType  string // of an answer that was not XML
	Time         time.Time
	Err          error // transport or XML error
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	switch {
	case e.Code != "":
		return fmt.Sprintf("%s: Exchange answered %d %s: %s", e.Op, e.Status, e.Code, e.Message)
	case e.PolicyReason != "":
		return fmt.Sprintf("%s: Exchange answered %d: %s", e.Op, e.Status, e.PolicyReason)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	default:
		return fmt.Sprintf("%s: Exchange answered %d", e.Op, e.Status)
	}
}
