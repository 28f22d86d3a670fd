package graph

import (
	"errors"
	"fmt"
	"time"
)

// ErrOutcomeUnknown marks (for errors.Is) a write whose answer was lost or
// cannot be read: it may have been carried out. Whoever repeats it blindly makes
// a second object; look first.
var ErrOutcomeUnknown = errors.New("it is not known whether the change was made")

// Error is a refusal by Microsoft Graph, or an answer that is not Graph's.
//
// Source: "Microsoft Graph error responses", learn.microsoft.com/graph/errors.
type Error struct {
	Op              string // what was asked for, e.g. "read organization"
	Status          int    // HTTP status, 0 when no answer came
	Code            string // "error.code"; empty when the body was not Graph's JSON
	Message         string // "error.message", control characters removed
	Details         []ErrorDetail
	RequestID       string
	ClientRequestID string
	Time            time.Time // of the answer, UTC; zero when missing
	RetryAfter      time.Duration
	ContentType     string // of an answer that was not JSON, e.g. a proxy's page
	Err             error  // transport error, if no answer came

	lost bool // ErrOutcomeUnknown
}

// ErrorDetail is one of "error.details": what exactly is wrong with which
// property. Control characters are removed.
type ErrorDetail struct{ Code, Message, Target string }

// Unwrap returns the transport's error, if no answer came.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ErrOutcomeUnknown) work.
func (e *Error) Is(target error) bool { return e.lost && target == ErrOutcomeUnknown }

func (e *Error) Error() string {
	s := e.Op + ": "
	switch {
	case e.Err != nil:
		s += e.Err.Error()
	case e.Code != "":
		s += fmt.Sprintf("Graph answered %d %s: %s", e.Status, e.Code, e.Message)
	default:
		s += fmt.Sprintf("answer %d without a Graph error body", e.Status)
	}
	if e.lost {
		s += "; " + ErrOutcomeUnknown.Error()
	}
	return s
}
