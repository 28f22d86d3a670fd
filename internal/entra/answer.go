package entra

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// Limits of what is read from a refusal; the real ones are under 2 KiB.
const (
	answerLimit = 256 << 10
	codesLimit  = 16
)

// aadsts finds the number in a description, for answers without error_codes.
var aadsts = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`AADSTS(\d{4,9})\b`) })

// trailer is where the ids begin that Entra ID appends to each description.
var trailer = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\s*(Trace ID|Correlation ID|Timestamp): `) })

// parseError reads the body of a refusal. It never fails: of a body that is no
// OAuth error (a proxy's page) only the status remains.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
// "Error response".
func parseError(status int, body []byte) *Error {
	e := &Error{Status: status}
	var j struct {
		Error         text   `json:"error"`
		Suberror      text   `json:"suberror"`
		Description   text   `json:"error_description"`
		Codes         []code `json:"error_codes"`
		Timestamp     text   `json:"timestamp"`
		TraceID       text   `json:"trace_id"`
		CorrelationID text   `json:"correlation_id"`
		Claims        text   `json:"claims"`
	}
	if len(body) > answerLimit || json.Unmarshal(body, &j) != nil {
		return e
	}
	e.OAuth = transport.CleanText(string(j.Error), 100)
	e.Suberror = transport.CleanText(string(j.Suberror), 100)
	e.TraceID = transport.CleanText(string(j.TraceID), 64)
	e.CorrelationID = transport.CleanText(string(j.CorrelationID), 64)
	if len(j.Claims) <= 16<<10 {
		e.Claims = string(j.Claims)
	}
	for _, c := range j.Codes {
		if c > 0 && len(e.Codes) < codesLimit {
			e.Codes = append(e.Codes, int(c))
		}
	}
	desc := string(j.Description)
	if at := trailer().FindStringIndex(desc); at != nil {
		desc = desc[:at[0]]
	}
	e.Description = transport.CleanText(desc, 1000)
	if m := aadsts().FindStringSubmatch(e.Description); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && len(e.Codes) == 0 {
			e.Codes = []int{n}
		}
		// Error puts the number before the text itself.
		e.Description = strings.TrimPrefix(e.Description, m[0]+": ")
	}
	for _, layout := range []string{"2006-01-02 15:04:05Z", time.RFC3339Nano} {
		if t, err := time.Parse(layout, string(j.Timestamp)); err == nil {
			e.Time = t.UTC()
			break
		}
	}
	return e
}

// text is a JSON string; any other value counts as missing.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// code is an AADSTS number, which some servers send as a string.
type code int

// UnmarshalJSON never fails.
func (c *code) UnmarshalJSON(b []byte) error {
	if n, err := strconv.Atoi(strings.Trim(string(b), `"`)); err == nil && n < 1e9 {
		*c = code(n)
	}
	return nil
}
