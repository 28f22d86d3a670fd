package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// before answers in place of a service: what happens on the way to it, or in
// front of its own code.
func (w *World) before(r *request) *answer {
	path := r.Method + " " + r.URL.Path
	at := func(name string) *activeFault { return w.faults.at(name, r.service) }
	switch {
	case at("hang") != nil:
		return &answer{name: "hang", broken: hung}
	case at("proxy-page") != nil:
		return proxyPage(http.StatusOK, "Sign in to the network", "Please accept the terms of use of this network.")
	case at("proxy-denied") != nil:
		return proxyPage(http.StatusForbidden, "Access denied", "The web site is blocked by the policy of your organisation. Category: Cloud services.")
	case at("redirect") != nil:
		a := newAnswer(http.StatusFound, "text/html", []byte("<html><body>Moved</body></html>"))
		a.header.Set("Location", "https://portal.captive.invalid/login")
		return a
	case at("empty") != nil:
		return newAnswer(http.StatusOK, contentTypeOf(r.service), nil)
	case at("login-down") != nil, at("graph-down") != nil, at("outlook-down") != nil, at("sharepoint-down") != nil:
		return w.unavailable(r)
	}
	if f := at("unavailable"); f != nil && f.take(path) {
		a := w.unavailable(r)
		a.header.Set("Retry-After", w.now().Add(f.wait).UTC().Format(http.TimeFormat))
		return a
	}
	if f := at("gateway-timeout"); f != nil && f.take(path) {
		return newAnswer(http.StatusGatewayTimeout, "text/html", []byte("<html><body><h1>504 Gateway Time-out</h1></body></html>"))
	}
	if f := at("parallel"); f != nil && r.inside > f.count {
		return w.throttled(r, "parallel", f.wait)
	}
	if r.service == serviceGraph && isBatch(r.URL.Path) {
		return nil // its parts are throttled, one by one
	}
	return w.throttle(r)
}

// throttle is what the faults of busy services say to one request.
func (w *World) throttle(r *request) *answer {
	for _, name := range []string{"throttle", "throttle-date", "throttle-fraction", "throttle-forever"} {
		if f := w.faults.at(name, r.service); f != nil && f.take(r.Method+" "+r.URL.Path) {
			return w.throttled(r, name, f.wait)
		}
	}
	return nil
}

func (w *World) unavailable(r *request) *answer {
	switch r.service {
	case serviceLogin:
		return w.refuse(r, refusal{code: 90033, status: http.StatusServiceUnavailable})
	case serviceGraph:
		return r.graphError(http.StatusServiceUnavailable, "serviceNotAvailable", "The service is temporarily unavailable for maintenance or is overloaded.")
	default:
		a := newAnswer(http.StatusServiceUnavailable, "text/html", []byte("<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body><h2>Service Unavailable</h2><hr><p>HTTP Error 503. The service is unavailable.</p></body></html>"))
		a.header.Set("request-id", r.id)
		return a
	}
}

// throttled is the refusal of a busy service. Graph's wording and the
// fractional Retry-After are from learn.microsoft.com/graph/throttling.
func (w *World) throttled(r *request, name string, wait time.Duration) *answer {
	var a *answer
	switch r.service {
	case serviceGraph:
		a = w.tooManyRequests(r)
	case serviceLogin:
		a = w.refuse(r, refusal{code: 90055, status: http.StatusTooManyRequests})
	default:
		a = newAnswer(http.StatusTooManyRequests, "", nil)
		a.header.Set("request-id", r.id)
	}
	switch name {
	case "throttle-date":
		a.header.Set("Retry-After", w.now().Add(wait).UTC().Format(http.TimeFormat))
	case "throttle-fraction":
		a.header.Set("Retry-After", strconv.FormatFloat(wait.Seconds(), 'f', -1, 64))
	default:
		seconds := int((wait + time.Second - 1) / time.Second)
		a.header.Set("Retry-After", strconv.Itoa(seconds))
	}
	return a
}

func proxyPage(status int, title, text string) *answer {
	a := newAnswer(status, "text/html; charset=utf-8", []byte("<!DOCTYPE html>\n<html><head><title>"+title+"</title></head>\n<body><h1>"+title+"</h1><p>"+text+"</p></body></html>\n"))
	a.header.Set("Via", "1.1 proxy.contoso.invalid")
	a.header.Set("Server", "NetworkGuard/7.2")
	return a
}

func contentTypeOf(s service) string {
	switch s {
	case serviceOutlook:
		return ewsContentType
	case serviceGraph:
		return graphContentType
	default:
		return "application/json; charset=utf-8"
	}
}

// after spoils a finished answer.
func (w *World) after(r *request, a *answer) *answer {
	at := func(name string) *activeFault { return w.faults.at(name, r.service) }
	path := r.Method + " " + r.URL.Path
	if at("hostile-text") != nil {
		w.hostile(r, a)
	}
	if at("garbage") != nil {
		a.body = garble(a.body)
	}
	if f := at("huge"); f != nil {
		a.body = blowUp(a.body, f.words)
	}
	if at("deep-json") != nil {
		a.body = []byte(strings.Repeat(`{"value":[`, 50_000) + strings.Repeat("]}", 50_000))
	}
	if at("deep-xml") != nil {
		a.body = []byte(soap.Declaration + strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000))
	}
	if at("xml-bomb") != nil {
		a.body = xmlBomb()
	}
	if f := at("cut"); f != nil && f.take(path) {
		a.broken = cutOff
	}
	if at("cut-always") != nil {
		a.broken = cutOff
	}
	if f := at("lost-answer"); f != nil && f.loses(r) {
		a.broken = lost
	}
	return a
}

// garble makes a well-formed answer ill-formed, early enough that no parser
// gets past it.
func garble(body []byte) []byte {
	if len(body) < 2 {
		return []byte("}{<")
	}
	return append(append([]byte{}, body[:len(body)/2]...), []byte("\x00<<{{&;\"")...)
}

// blowUp fills an answer with white space that every parser has to read.
func blowUp(body []byte, words []string) []byte {
	size := 64
	for _, word := range words {
		if n, err := strconv.Atoi(word); err == nil && n > 0 && n <= 1024 {
			size = n
		}
	}
	if len(body) == 0 {
		return bytes.Repeat([]byte(" "), size<<20)
	}
	at := 1
	if i := bytes.LastIndexByte(body, '<'); i > 0 {
		at = i
	}
	grown := make([]byte, 0, len(body)+size<<20)
	grown = append(grown, body[:at]...)
	grown = append(grown, bytes.Repeat([]byte(" "), size<<20)...)
	return append(grown, body[at:]...)
}

func xmlBomb() []byte {
	var b strings.Builder
	b.WriteString(soap.Declaration + "<!DOCTYPE bomb [<!ENTITY a0 \"boom\">")
	for i := 1; i <= 9; i++ {
		b.WriteString("<!ENTITY a" + strconv.Itoa(i) + " \"" + strings.Repeat("&a"+strconv.Itoa(i-1)+";", 10) + "\">")
	}
	b.WriteString("]><bomb>&a9;</bomb>")
	return []byte(b.String())
}

// hostileJSON and hostileXML are what an attacker, or a careless administrator,
// could put into any text: escapes that clear a terminal or change its title,
// C1 codes, overrides of the writing direction, marks of no width, new lines
// that forge log lines, and length. XML cannot hold the C0 codes.
func hostileXML(text string) string {
	return text + "\u009b31m\u202egnp.exe\u2066\u200b\r\nFAKE: all is well\n\t" + strings.Repeat("A", 20_000)
}

func hostileJSON(text string) string {
	return "\x1b]0;owned\x07\x1b[2J\x1b[31m\x00\b" + hostileXML(text)
}

func (w *World) hostile(r *request, a *answer) {
	for key, values := range a.header {
		switch strings.ToLower(key) {
		case "x-ews-policy-reason", "x-ms-diagnostics":
			for i := range values {
				values[i] += " \u202e\u009b31m\u2066"
			}
		}
	}
	if r.service == serviceOutlook {
		return // EWS puts the text in where it writes it
	}
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return
	}
	if body, err := json.Marshal(poison(v, "")); err == nil {
		a.body = body
	}
}

// poison changes every text for people in a JSON value; ids, URLs and tokens stay.
func poison(v any, key string) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = poison(x[k], k)
		}
		if text, ok := x["Value"].(string); ok && x["Key"] == "Title" { // a cell of SharePoint's search
			x["Value"] = hostileJSON(text)
		}
		if text, ok := x["value"].(string); ok && x["lang"] != nil { // the text of an error of SharePoint's
			x["value"] = hostileJSON(text)
		}
	case []any:
		for i := range x {
			x[i] = poison(x[i], key)
		}
	case string:
		switch key {
		case "displayName", "appDisplayName", "principalDisplayName", "resourceDisplayName", "description", "message", "error_description", "givenName", "surname",
			"jobTitle", "city", "street", "suberror", "businessPhones", "technicalNotificationMails", "mailNickname", "timeZone", "notes", "tags",
			"Title", "ErrorMessage":
			return hostileJSON(x)
		}
	}
	return v
}
