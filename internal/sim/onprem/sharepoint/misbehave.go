package sharepoint

import (
	"net/http"
	"strings"
)

const huge = 64 << 20

// broken is what the faults make of every answer; nil: nothing.
func (f *Farm) broken(r *Request) *Answer {
	if r.Central {
		switch {
		case f.has("ca-401"):
			return denied401(r, "denied")
		case f.has("ca-denied"):
			return f.refuse(r)
		}
		return nil
	}
	busy := f.o.Strikes != nil && f.has("sp-busy") && f.o.Strikes("sp-busy", 2)
	switch {
	case busy:
		status, text := http.StatusServiceUnavailable, "The server is busy now. Try again later."
		if f.version.Name == "SE" { // as SharePoint Online does; unsure
			status, text = http.StatusTooManyRequests, "429 TOO MANY REQUESTS"
		}
		a := newAnswer(r.label("throttled"), status, "text/plain; charset=utf-8", text).because("throttled")
		a.Header.Set("Retry-After", "1")
		a.Header["X-SharePointHealthScore"] = []string{"10"}
		return a
	case f.has("sp-401"):
		return denied401(r, "denied")
	case f.has("sp-403"):
		return f.refuse(r)
	case f.has("sp-500"):
		return newAnswer(r.label("error"), http.StatusInternalServerError, "text/html; charset=utf-8", "<!DOCTYPE html>\r\n<html><head><title>Runtime Error</title></head><body><h1>Server Error in '/' Application.</h1><h2><i>Runtime Error</i></h2></body></html>").because("runtime error")
	case f.has("sp-garbage"):
		return newAnswer(r.label("garbage"), http.StatusOK, r.usualType(), "\x00\x01}{<<<&&& neither \xff\xfe nor")
	case f.has("sp-huge"):
		return newAnswer(r.label("huge"), http.StatusOK, r.usualType(), r.wrap(strings.Repeat("A", huge), strings.Repeat("A", huge)))
	case f.has("sp-deep"):
		const depth = 100_000
		return newAnswer(r.label("deep"), http.StatusOK, r.usualType(), r.wrap(escaped(strings.Repeat("<a>", depth)+strings.Repeat("</a>", depth)), strings.Repeat("[", depth)+strings.Repeat("]", depth)))
	case f.has("sp-bomb"):
		if r.soap() {
			return newAnswer(r.label("bomb"), http.StatusOK, r.usualType(), r.wrap(escaped(bomb()), ""))
		}
		return newAnswer(r.label("bomb"), http.StatusOK, "text/xml; charset=utf-8", bomb())
	}
	return nil
}

// refuse denies access as the service does that was asked.
func (f *Farm) refuse(r *Request) *Answer {
	if strings.HasPrefix(strings.ToLower(r.rest), "/_api") {
		as, _ := f.formatOf(r.Header.Get("Accept"))
		return r.denied("denied", as)
	}
	return newAnswer(r.label("denied"), http.StatusForbidden, "text/plain; charset=utf-8", "403 FORBIDDEN").because("access denied")
}

func (r *Request) soap() bool { return strings.HasPrefix(strings.ToLower(r.rest), "/_vti_bin") }

func (r *Request) usualType() string {
	if r.soap() {
		return "text/xml; charset=utf-8"
	}
	return none.contentType(true)
}

// wrap puts a text where the service's data would be.
func (r *Request) wrap(xml, json string) string {
	if r.soap() {
		c := call{version: soap11, operation: "GetContent"}
		return c.envelope(`<GetContentResponse xmlns="` + service + `"><GetContentResult>` + xml + `</GetContentResult></GetContentResponse>`)
	}
	if json[0] == '[' {
		return `{"Title":` + json + `}`
	}
	return `{"Title":"` + json + `"}`
}

func bomb() string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY l0 \"lol\">")
	for i := range 9 {
		n := string(rune('0' + i))
		b.WriteString("<!ENTITY l" + string(rune('1'+i)) + " \"" + strings.Repeat("&l"+n+";", 10) + "\">")
	}
	b.WriteString(`]><lolz>&l9;</lolz>`)
	return b.String()
}
