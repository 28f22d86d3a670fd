package graph

import (
	"fmt"
	"time"
)

// Error is a refusal by Microsoft Graph, or an answer that is not Graph's.
//
// Source: "Microsoft Graph error responses", learn.microsoft.com/graph/errors.
type Error struct {
	Op              string // what was asked for, e.g. "read organization"
	Status          int    // HTTP status, 0 when no answer came
	Code            string // "error.code"; empty when the body was not Graph's JSON
	Message         string // "error.message", control characters removed
	RequestID       string
	ClientRequestID string
	Time            time.Time // of the answer, UTC; zero when missing
	RetryAfter      time.Duration
	ContentType     string // of an answer that was not JSON, e.g. a proxy's page
	Err             error  // transport error, if no answer came
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	case e.Code != "":
		return fmt.Sprintf("%s: Graph answered %d %s: %s", e.Op, e.Status, e.Code, e.Message)
	default:
		return fmt.Sprintf("%s: answer %d without a Graph error body", e.Op, e.Status)
	}
}
