// Package advice turns errors into advice: what happened, why, and what to do
// next. It is the one place that knows the meaning of the services' error codes.
package advice

import "time"

// Advice tells an administrator what happened, why, and what to do now.
// Its JSON form is part of c2conn's contract (docs/scripts.md).
type Advice struct {
	What          string    `json:"what"`
	Why           string    `json:"why"`
	Next          []string  `json:"next"` // steps in order; a line that starts with "$ " or "PS> " is a command to copy
	Link          string    `json:"link"`
	Codes         []string  `json:"codes"` // e.g. AADSTS7000215, Authorization_RequestDenied, ErrorNonExistentMailbox
	TraceID       string    `json:"trace_id"`
	CorrelationID string    `json:"correlation_id"`
	Time          time.Time `json:"time,omitzero"`
}
