package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Exchange is one request and its answer, as recorded.
type Exchange struct {
	Name    string          `json:"name"`
	Method  string          `json:"m"`
	URL     string          `json:"url"` // of the public service
	Body    json.RawMessage `json:"body"`
	Status  int             `json:"st"` // 0: the connection broke
	Out     json.RawMessage `json:"out"`
	Conn    int64           `json:"conn"` // number of the TCP connection
	StartMS float64         `json:"start_ms"`
	EndMS   float64         `json:"end_ms"`
	Service string          `json:"service"`          // login, graph, outlook, sharepoint
	Scopes  []string        `json:"scopes,omitempty"` // what its token for Graph was delegated
	Roles   []string        `json:"roles,omitempty"`  // application permissions in that token

	// Of several tenants.
	Tenant   string `json:"tenant,omitempty"`   // the initial domain of the one that answered
	Parallel int    `json:"parallel,omitempty"` // how many requests it was answering when this one came
}

const redacted = "[redacted]"

// maxRecorded bounds what the log keeps of one body.
const maxRecorded = 8 << 20

// recorder keeps what happened and writes it to the log. What nobody reads is never
// put into its final form: for long lists that would be half of the work.
type recorder struct {
	mu     sync.Mutex
	list   []func() Exchange
	out    io.Writer
	broken error
}

func (c *recorder) add(e func() Exchange) {
	e = sync.OnceValue(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, e)
	if c.out == nil || c.broken != nil {
		return
	}
	line, err := json.Marshal(e())
	if err == nil {
		_, err = c.out.Write(append(line, '\n')) // a line at a time: complete whenever the reader looks
	}
	if err != nil {
		c.broken = fmt.Errorf("write the log: %w", err)
	}
}

func (c *recorder) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// Requests returns what was asked and answered so far, in the order of the answers:
// by the first tenant that of all, by another its own.
func (w *World) Requests() []Exchange {
	w.record.mu.Lock()
	list := slices.Clone(w.record.list)
	w.record.mu.Unlock()
	all := make([]Exchange, len(list))
	for i, e := range list {
		all[i] = e()
	}
	if w.tenants == nil { // one of several, and not the first
		all = slices.DeleteFunc(all, func(e Exchange) bool { return e.Tenant != w.TenantDomain })
	}
	return all
}

func (w *World) note(r *request, a *answer) {
	e := Exchange{Name: a.name, Method: r.Method, URL: r.publicURL(), Status: a.status, Conn: r.conn, Service: string(r.service), Scopes: r.scopes, Roles: r.roles,
		StartMS: w.millis(r.started), EndMS: w.millis(w.options.Now())}
	if e.Name == "" {
		e.Name = r.Method + " " + r.URL.Path
	}
	if a.broken != whole {
		e.Status = 0
	}
	if w.is.number > 0 || len(w.tenants) > 1 {
		e.Tenant, e.Parallel = w.TenantDomain, r.inside
	}
	asked, said, s, secret := recorded(r.body), recorded(a.body), r.service, a.secret
	w.record.add(func() Exchange {
		e.Body, e.Out = recordable(asked), recordable(said)
		if secret && s == serviceGraph {
			e.Out = redactDeep(e.Out, "secretText")
		}
		if s == serviceGraph && bytes.Contains(e.Body, []byte(`"proof"`)) {
			e.Body = redactDeep(e.Body, "proof")
		}
		if s == serviceLogin {
			e.Body = redactForm(asked)
			if secret {
				e.Out = redactToken(said)
			}
		}
		return e
	})
}

// recorded is what of a body is kept.
func recorded(body []byte) []byte {
	if len(body) > maxRecorded {
		body = append(bytes.Clone(body[:1024]), " … cut by the recorder"...)
	}
	return body
}

func (w *World) millis(t time.Time) float64 {
	return float64(t.Sub(w.start)) / float64(time.Millisecond)
}

// recordable turns a body into JSON: as it is, or as a string.
func recordable(body []byte) json.RawMessage {
	if len(body) == 0 {
		return json.RawMessage("null")
	}
	var tight bytes.Buffer
	if json.Compact(&tight, body) == nil { // which tells broken JSON, too
		return tight.Bytes()
	}
	text, err := json.Marshal(string(body))
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

// redactForm writes a token request as a JSON object without its secrets.
func redactForm(body []byte) json.RawMessage {
	if len(body) == 0 {
		return json.RawMessage("null")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return recordable([]byte("unreadable form"))
	}
	flat := map[string]string{}
	for key, values := range form {
		switch strings.ToLower(key) {
		case "client_secret", "client_assertion", "password", "refresh_token", "code", "code_verifier", "device_code", "assertion":
			flat[key] = redacted
		default:
			flat[key] = strings.Join(values, " ")
		}
	}
	line, err := json.Marshal(flat)
	if err != nil {
		return json.RawMessage("null")
	}
	return line
}

func redactToken(body []byte) json.RawMessage {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return recordable([]byte(redacted))
	}
	for _, key := range []string{"access_token", "refresh_token", "id_token", "device_code"} {
		if _, ok := fields[key]; ok {
			fields[key] = redacted
		}
	}
	line, err := json.Marshal(fields)
	if err != nil {
		return json.RawMessage("null")
	}
	return line
}

// redactDeep hides a property wherever it is in a JSON value.
func redactDeep(body json.RawMessage, key string) json.RawMessage {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return recordable([]byte(redacted))
	}
	var hide func(v any)
	hide = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			for name := range x {
				if text, ok := x[name].(string); ok && name == key && text != "" {
					x[name] = redacted
				} else {
					hide(x[name])
				}
			}
		case []any:
			for i := range x {
				hide(x[i])
			}
		}
	}
	hide(v)
	line, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return line
}
