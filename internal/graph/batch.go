package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	kiota "github.com/microsoft/kiota-abstractions-go"

	"github.com/c2conn/c2conn/internal/transport"
)

// mostParts is how many requests one $batch takes.
const mostParts = 20

var errNoPart = errors.New("this part of a batch got no clear answer")

// batch sends ops in one POST and returns an error (or nil) for each, in their
// order. Chained, each waits for the one before, and is answered 424 when that
// one failed. The last result is about the batch itself: then no part was read.
//
// Source: learn.microsoft.com/graph/json-batching.
func (c *Client) batch(ctx context.Context, name string, ops []operation, chained bool) ([]error, error) {
	var answers []*seen
	var outer *seen
	o := operation{name: name, request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
		outer = ctx.Value(seenKey{}).(*seen)
		body, err := c.batchBody(ctx, a, ops, chained)
		if err != nil {
			return nil, err
		}
		info, err := c.address(kiota.POST, "/$batch")(ctx, a)
		if err == nil {
			info.SetStreamContentAndContentType(body, "application/json")
		}
		return info, err
	}}
	o.read = func(status int, body []byte) (err error) {
		if status != http.StatusOK { // the one status that says the parts were looked at
			return errUnreadable
		}
		answers, err = readBatch(body, len(ops))
		return err
	}
	for _, part := range ops {
		o.effect = max(o.effect, part.effect)
	}
	if o.effect == reads {
		ctx = transport.Repeatable(ctx) // although it is a POST
	}
	if err := c.once(ctx, o); err != nil {
		return nil, err
	}
	errs := make([]error, len(ops))
	for i, part := range ops {
		errs[i] = c.partError(part, answers[i], outer.header)
	}
	return errs, nil
}

// batchBody writes the parts.
func (c *Client) batchBody(ctx context.Context, a adapter, ops []operation, chained bool) ([]byte, error) {
	type part struct {
		ID        string            `json:"id"`
		DependsOn []string          `json:"dependsOn,omitempty"`
		Method    string            `json:"method"`
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers,omitempty"`
		Body      json.RawMessage   `json:"body,omitempty"`
	}
	parts := make([]part, len(ops))
	for i, o := range ops {
		info, err := o.build(ctx, a)
		if err != nil {
			return nil, err
		}
		u, err := info.GetUri()
		if err != nil {
			return nil, err
		}
		u.RawQuery = strings.ReplaceAll(u.RawQuery, "%24", "$") // as the middleware does for single requests
		parts[i] = part{ID: strconv.Itoa(i + 1), Method: info.Method.String(), URL: strings.TrimPrefix(u.String(), c.o.BaseURL)}
		if chained && i > 0 {
			parts[i].DependsOn = []string{strconv.Itoa(i)}
		}
		if len(info.Content) > 0 {
			parts[i].Body = info.Content
			parts[i].Headers = map[string]string{"Content-Type": "application/json"}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(map[string]any{"requests": parts})
	return b.Bytes(), err
}

// readBatch sorts the answer to n parts. A part that is missing, answered twice
// or unreadable is nil.
func readBatch(body []byte, n int) ([]*seen, error) {
	var j struct {
		Responses []json.RawMessage `json:"responses"`
	}
	if json.Unmarshal(body, &j) != nil || j.Responses == nil {
		return nil, errUnreadable
	}
	answers, times := make([]*seen, n), make([]int, n)
	for _, raw := range j.Responses {
		var p struct {
			ID      text            `json:"id"`
			Status  json.RawMessage `json:"status"`
			Headers headerMap       `json:"headers"`
			Body    json.RawMessage `json:"body"`
		}
		if json.Unmarshal(raw, &p) != nil {
			continue
		}
		i, err := strconv.Atoi(string(p.ID))
		if err != nil || i < 1 || i > n {
			continue
		}
		if times[i-1]++; times[i-1] > 1 {
			answers[i-1] = nil
			continue
		}
		status, err := strconv.Atoi(strings.Trim(string(p.Status), `"`))
		if err != nil || status < 200 || status > 599 {
			continue
		}
		s := &seen{status: status, header: http.Header(p.Headers), body: p.Body}
		if s.header == nil {
			s.header = http.Header{}
		}
		if s.contentType = s.header.Get("Content-Type"); s.contentType == "" && bytes.HasPrefix(p.Body, []byte("{")) {
			s.contentType = "application/json"
		}
		answers[i-1] = s
	}
	return answers, nil
}

// headerMap is the headers of a part; what is no map of texts counts as missing.
type headerMap http.Header

// UnmarshalJSON never fails.
func (h *headerMap) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	*h = headerMap{}
	for k, raw := range m {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw) // a number
		}
		http.Header(*h).Set(k, s)
	}
	return nil
}

// partError reads the answer to one part, as once does for a request of its own.
func (c *Client) partError(o operation, s *seen, outer http.Header) error {
	var err error
	switch {
	case s == nil:
		err = &Error{Op: o.name, Err: errNoPart}
	case s.status < 300 && o.accept(s.status, s.body) == nil:
		return nil
	default:
		for _, name := range []string{"Date", "client-request-id"} {
			if s.header.Get(name) == "" {
				s.header.Set(name, outer.Get(name))
			}
		}
		err = c.failure(o.name, s, errUnreadable)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e.RequestID == "" {
			e.RequestID = transport.CleanText(outer.Get("request-id"), 64)
		}
		if o.effect != reads {
			e.lost = uncertain(e)
		}
	}
	return err
}

// readAll runs reads in one $batch, and what that leaves open one by one.
func (c *Client) readAll(ctx context.Context, name string, ops []operation) []error {
	if len(ops) > mostParts {
		return append(c.readAll(ctx, name, ops[:mostParts]), c.readAll(ctx, name, ops[mostParts:])...)
	}
	errs, err := c.batch(ctx, name, ops, false)
	if err != nil {
		errs = slices.Repeat([]error{err}, len(ops))
		if !refused(err) {
			return errs
		}
	} else if e := slowed(errs); e != nil {
		what := fmt.Sprintf("%s is busy (%d)", service, e.Status) // one wait serves all parts
		if !c.patience(ctx).busy(ctx, what, e.RetryAfter) {
			return errs
		}
	}
	for i, o := range ops {
		if e, ok := errors.AsType[*Error](errs[i]); ok && (err != nil || open(e)) {
			errs[i] = c.ask(ctx, o)
		}
	}
	return errs
}

// slowed returns the error with the longest wait among the throttled.
func slowed(errs []error) (longest *Error) {
	for _, err := range errs {
		if e, ok := errors.AsType[*Error](err); ok && throttled(e) && (longest == nil || e.RetryAfter > longest.RetryAfter) {
			longest = e
		}
	}
	return longest
}

// refused reports whether it was the $batch that was not wanted, so that single
// requests may fare better.
func refused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Err == nil && e.Status != http.StatusUnauthorized && !throttled(e)
}

// open reports whether asking for a part by itself may give another answer: a
// single request goes through the transport, which repeats, and answers claims
// challenges.
func open(e *Error) bool {
	return errors.Is(e, errNoPart) || e.Err == nil && (e.Status < 300 || e.Status >= 500 || unknownField(e) != "" ||
		e.Status == http.StatusUnauthorized || e.Status == http.StatusRequestTimeout || throttled(e))
}

func throttled(e *Error) bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
