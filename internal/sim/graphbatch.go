package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// largestBatch is how many requests a batch may hold.
//
// Source: learn.microsoft.com/graph/json-batching.
const largestBatch = 20

// batchPart is one request of a batch.
type batchPart struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

type batchReply struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// Why a batch is refused as a whole.
var (
	errBatchForm = errors.New("Invalid batch payload format.")                                  //nolint:staticcheck // Graph's own text
	errBatchSize = errors.New("Number of batch request steps exceeds the maximum value of 20.") //nolint:staticcheck // the same
)

type batchBodyError struct{ id string }

func (e batchBodyError) Error() string {
	return "Write request id : " + e.id + " does not contain Content-Type header or body."
}

func isBatch(address string) bool { return strings.EqualFold(path.Base(address), "$batch") }

// parseBatch reads a batch as strictly as Graph: at most one dependency for each
// request, on an earlier one, and one of three patterns: none depends on another,
// each on the one before, or all that do on the same.
//
// Source: learn.microsoft.com/graph/json-batching and /graph/known-issues.
func parseBatch(data []byte) ([]batchPart, error) {
	var body struct {
		Requests []batchPart `json:"requests"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return nil, errBatchForm
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errBatchForm
	}
	switch n := len(body.Requests); {
	case n == 0:
		return nil, errBatchForm
	case n > largestBatch:
		return nil, errBatchSize
	}
	seen := map[string]bool{}
	for _, p := range body.Requests {
		if err := p.check(seen); err != nil {
			return nil, err
		}
		seen[p.ID] = true
	}
	if !batchPattern(body.Requests) {
		return nil, errBatchForm
	}
	return body.Requests, nil
}

// check holds one request against the rules; seen are the ids before it.
func (p batchPart) check(seen map[string]bool) error {
	if p.ID == "" || seen[p.ID] || !slices.Contains([]string{"GET", "POST", "PATCH", "PUT", "DELETE"}, p.Method) {
		return errBatchForm
	}
	u, err := url.Parse(p.URL)
	if err != nil || u.IsAbs() || u.Host != "" || strings.Trim(u.Path, "/") == "" || isBatch(u.Path) {
		return errBatchForm
	}
	for _, id := range p.DependsOn {
		if !seen[id] {
			return errBatchForm
		}
	}
	if hasBody := len(p.Body) > 0 && string(p.Body) != "null"; hasBody != (p.header("Content-Type") != "") && p.Method != http.MethodGet && p.Method != http.MethodDelete {
		return batchBodyError{p.ID}
	}
	return nil
}

func (p batchPart) header(name string) string {
	for key, value := range p.Headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

func batchPattern(parts []batchPart) bool {
	stated, serial, target := 0, true, ""
	same := true
	for i, p := range parts {
		switch {
		case len(p.DependsOn) > 1:
			return false
		case len(p.DependsOn) == 0:
			serial = serial && i == 0
			continue
		}
		serial = serial && i > 0 && p.DependsOn[0] == parts[i-1].ID
		same = same && (stated == 0 || p.DependsOn[0] == target)
		target = p.DependsOn[0]
		stated++
	}
	return stated == 0 || serial || same
}

// batch carries out a batch: the answer is 200 whatever becomes of the parts.
// Parts that depend on nothing unfinished run at the same time, and writes to
// one object among them collide.
func (w *World) batch(r *request) *answer {
	if r.Method != http.MethodPost {
		return r.graphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	if f := w.faults.get("no-batch"); f != nil {
		return r.graphError(statusOf(f.words, http.StatusBadRequest), "BadRequest", "Resource not found for the segment '$batch'.")
	}
	if _, bad := (graphCall{request: r}).object(); bad != nil {
		return bad
	}
	parts, err := parseBatch(r.body)
	if errors.Is(err, errBatchSize) {
		return r.graphError(http.StatusBadRequest, "MaximumValueExceeded", err.Error())
	}
	if err != nil {
		return r.badRequest(err.Error())
	}
	for _, p := range parts {
		r.touched = append(r.touched, p.Method+" /v1.0/"+strings.TrimPrefix(p.URL, "/"))
	}
	replies, secret := w.runBatch(r, parts)
	a := jsonAnswer(http.StatusOK, "application/json", map[string]any{"responses": replies})
	a.secret = secret
	return a
}

// runBatch works in waves; the replies come in no particular order.
func (w *World) runBatch(r *request, parts []batchPart) (replies []batchReply, secret bool) {
	status := map[string]int{}
	for wave := 1; len(status) < len(parts); wave++ {
		before := len(status)
		finished := map[string]int{}
		for _, p := range parts {
			if _, over := status[p.ID]; over {
				continue
			}
			failed, waits := false, false
			for _, id := range p.DependsOn {
				code, over := status[id]
				waits = waits || !over
				failed = failed || over && code >= 400
			}
			switch {
			case waits:
				continue
			case failed:
				replies = append(replies, replyOf(p.ID, r.graphError(http.StatusFailedDependency, "FailedDependency", "The request was not carried out because the request it depends on has failed.")))
				finished[p.ID] = http.StatusFailedDependency
			default:
				a := w.runPart(r, p, wave)
				secret = secret || a.secret
				replies = append(replies, replyOf(p.ID, a))
				finished[p.ID] = a.status
			}
		}
		for id, code := range finished {
			status[id] = code
		}
		if len(status) == before {
			break // cannot be: every dependency is on an earlier part
		}
	}
	for i := len(replies) - 1; i > 0; i-- {
		j := w.dice.below(i + 1)
		replies[i], replies[j] = replies[j], replies[i]
	}
	return replies, secret
}

// runPart carries one part out as a request of its own, with the batch's token.
func (w *World) runPart(r *request, p batchPart, wave int) *answer {
	inner := r.Request.Clone(r.Context())
	u, err := url.Parse("/v1.0/" + strings.TrimPrefix(p.URL, "/"))
	if err != nil {
		return r.badRequest(errBatchForm.Error())
	}
	inner.Method, inner.URL, inner.Header = p.Method, u, http.Header{"Authorization": r.Header.Values("Authorization")}
	for key, value := range p.Headers {
		if !strings.EqualFold(key, "Authorization") {
			inner.Header.Set(key, value)
		}
	}
	body := []byte(p.Body)
	var encoded string
	if json.Unmarshal(body, &encoded) == nil { // other content types travel as base64
		if body, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return r.badRequest(errBatchForm.Error())
		}
	}
	if string(body) == "null" {
		body = nil
	}
	part := &request{Request: inner, world: w, service: r.service, site: r.site, base: r.base, body: body, id: w.dice.guid(), correlation: r.correlation,
		conn: r.conn, started: r.started, outer: r, wave: wave}
	if a := w.throttle(part); a != nil {
		return a
	}
	return w.graph(part)
}

func replyOf(id string, a *answer) batchReply {
	reply := batchReply{ID: id, Status: a.status, Headers: map[string]string{}}
	for _, name := range []string{"Content-Type", "Retry-After", "Location", "Preference-Applied", "OData-Version", "Cache-Control", "WWW-Authenticate"} {
		if value := a.header.Get(name); value != "" {
			reply.Headers[name] = value
		}
	}
	if json.Valid(a.body) {
		reply.Body = a.body
	}
	return reply
}
