package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/webpage"
)

// page is what the browser shows. It needs nothing from elsewhere: no script, no
// font, no picture.
type page struct {
	sign  string // beside the title, so that colour is not the only carrier
	tone  string // CSS class: good, bad or calm
	title string
	lead  string
	facts [][2]string // name and value, in small print
	next  []string
}

// style is the common one; the page is a short text in the upper half of the window.
const style = webpage.Base + `main{max-width:38rem;margin:0 auto;padding:12vh 1.5rem 3rem}
.good h1{color:var(--good)}.bad h1{color:var(--bad)}`

// policy forbids the page everything but its own style.
var policy = sync.OnceValue(func() string { return webpage.Policy(style) + "; frame-ancestors 'none'" })

// html renders the page; every value is escaped. (html/template would keep the
// linker from leaving out what nobody calls.)
func (p page) html() []byte {
	var b strings.Builder
	put := func(before, text, after string) { b.WriteString(before + html.EscapeString(text) + after) }
	put(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><title>`, p.title+" – c2conn", "</title>")
	b.WriteString(`<link rel="icon" href="data:,"><style>` + style + `</style></head><body><main class="` + p.tone + `"><header>c2conn</header>`)
	put(`<h1><span aria-hidden="true">`, p.sign, "</span> ")
	put("", p.title, "</h1>")
	put("<p>", p.lead, "</p>")
	if len(p.next) > 0 {
		b.WriteString("<h2>What next</h2><ul>")
		for _, n := range p.next {
			put("<li>", n, "</li>")
		}
		b.WriteString("</ul>")
	}
	if len(p.facts) > 0 {
		b.WriteString("<dl>")
		for _, f := range p.facts {
			put("<dt>", f[0], "</dt>")
			put("<dd>", f[1], "</dd>")
		}
		b.WriteString("</dl>")
	}
	b.WriteString("</main></body></html>\n")
	return []byte(b.String())
}

// waitingPage is for those who come by before the answer does.
func waitingPage() []byte {
	return page{
		sign: "○", tone: "calm", title: "Waiting for the sign-in",
		lead: "c2conn waits here for the answer of Microsoft's sign-in page. There is nothing to see yet.",
		next: []string{"Go on in the window with the sign-in page.", "If it is gone, open the link that c2conn shows."},
	}.html()
}

// strangePage is for an answer that c2conn did not ask for.
func strangePage() []byte {
	return page{
		sign: "!", tone: "calm", title: "Not an answer to this sign-in",
		lead: "What was sent here does not belong to the sign-in that c2conn waits for, so it was ignored.",
		next: []string{"Close this window.", "If a sign-in page is still open, go on there; it may belong to an earlier try. Then open the link that c2conn shows."},
	}.html()
}

// lastPage says how the sign-in ended.
func lastPage(a *Admin, err error) []byte {
	const back = "You can close this window and go back to c2conn."
	if err == nil {
		c := a.Claims()
		p := page{sign: "✓", tone: "good", title: "Signed in", lead: back}
		p.fact("Account", c.UPN)
		p.fact("Name", c.Name)
		p.fact("Tenant", c.TenantID)
		return p.html()
	}
	p := page{sign: "✗", tone: "bad", title: "Not signed in", next: []string{back + " It says what can be done. Nothing was changed in the tenant."}}
	var (
		refused *Error
		wrong   *WrongTokenError
		late    *SignInTimeoutError
	)
	switch {
	case errors.As(err, &refused):
		p.lead = refused.Error()
		if refused.OAuth == "access_denied" || refused.Code() == 65004 {
			p.title, p.lead = "Sign-in cancelled", "The sign-in or the consent was declined on Microsoft's page."
		}
		if WantsOtherWay(err) {
			p.next = append(p.next, "A policy of the tenant may allow the other way to sign in, with a code on another device. c2conn offers it.")
		}
		if refused.Code() != 0 {
			p.fact("Error", fmt.Sprintf("AADSTS%d", refused.Code()))
		} else {
			p.fact("Error", refused.OAuth)
		}
		p.fact("Trace ID", refused.TraceID)
		p.fact("Correlation ID", refused.CorrelationID)
		if !refused.Time.IsZero() {
			p.fact("Time", refused.Time.Format("2006-01-02 15:04:05 MST"))
		}
	case errors.As(err, &wrong):
		p.title, p.lead = "Wrong tenant", "You signed in, but "+wrong.Error()+"."
		p.next = append(p.next, "Choose an account of the right tenant at the next try; a private window asks for it anew.")
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		p.lead = "It took too long; c2conn no longer waits for this sign-in."
	case errors.Is(err, context.Canceled):
		p.lead = "The sign-in was cancelled in c2conn."
	default:
		p.lead = "Microsoft's page was done, but c2conn could not finish the sign-in: " + transport.CleanText(err.Error(), 600)
	}
	return p.html()
}

func (p *page) fact(name, value string) {
	if value != "" {
		p.facts = append(p.facts, [2]string{name, value})
	}
}

// formError reads a refusal that came by the browser. Unlike the token endpoint's
// it has its ids in the text only.
//
// Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow,
// "Error response"; reference-error-codes for the text's trailer.
func formError(form url.Values) *Error {
	text := form.Get("error_description")
	if len(text) > formLimit {
		text = ""
	}
	part := func(pattern *regexp.Regexp) string {
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		return ""
	}
	body, _ := json.Marshal(map[string]string{ // strings always marshal
		"error":             form.Get("error"),
		"suberror":          form.Get("error_subcode"),
		"error_description": text,
		"claims":            form.Get("claims"),
		"trace_id":          part(traceID()),
		"correlation_id":    part(correlationID()),
		"timestamp":         part(timestamp()),
	})
	return parseError(http.StatusBadRequest, body)
}

var (
	traceID       = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)Trace ID:\s*([0-9a-f-]{36})`) })
	correlationID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)Correlation ID:\s*([0-9a-f-]{36})`) })
	timestamp     = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)Timestamp:\s*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)`)
	})
)
