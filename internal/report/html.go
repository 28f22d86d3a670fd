package report

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/webpage"
)

// page is the report as one file for a browser and for paper. It has no script, and
// its policy forbids everything but its own style.
func page(r Report) string {
	var b document
	b.tag(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="`, webpage.Policy(style),
		`"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">`)
	b.tag("<title>", r.headline(), " – c2conn</title>")
	b.markup(`<link rel="icon" href="data:,"><style>` + style + `</style></head><body><header>c2conn · connection report</header><main>`)
	b.markup(`<h1><span class="` + tone(r.worst()) + `" aria-hidden="true">` + markup(r.worst().sign()) + `</span> `)
	b.tag("", r.headline(), "</h1>")
	b.tag(`<p class="soft">`, "Verified "+stamp(r.At)+" by c2conn "+clean(r.Version), "</p>")
	b.overview(r)
	if len(r.Problems) > 0 {
		b.markup(`<section aria-labelledby="damaged"><h2 id="damaged">Damaged files</h2><ul>`)
		for _, p := range r.Problems {
			b.tag(`<li><span class="bad">✗</span> `, clean(p.Error), "</li>")
		}
		b.markup("</ul></section>")
	}
	if list := r.urgent(); len(list) > 0 {
		b.table(r, list)
		b.markup(`<section aria-labelledby="details"><h2 id="details">Each connection</h2>`)
		for i, c := range list {
			b.connection(r, c, i)
		}
		b.markup("</section>")
	}
	b.tag("</main><footer>", "Made by c2conn "+clean(r.Version)+". It holds no secret, but names of tenants, accounts and applications.", "</footer></body></html>\n")
	return b.String()
}

// markup is text of this package only; all else goes through document.tag.
type markup string

// document is a page that is written; it knows no way for foreign text but escaped.
type document struct{ strings.Builder }

func (b *document) markup(m markup) { b.WriteString(string(m)) }

// tag writes text, escaped, between two pieces of markup.
func (b *document) tag(before markup, text string, after markup) {
	b.markup(before)
	b.WriteString(html.EscapeString(text))
	b.markup(after)
}

func tone(l level) markup { return [...]markup{"bad", "calm", "good"}[l] }

// overview are the counts, as a bar and in words.
func (b *document) overview(r Report) {
	n := r.counts()
	all := n[bad] + n[calm] + n[good]
	if all == 0 {
		b.markup("<p>There is nothing to verify yet: c2conn new makes the first connection.</p>")
		return
	}
	b.markup(`<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">`)
	x := 0.0
	for _, l := range []level{good, calm, bad} {
		w := 100 * float64(n[l]) / float64(all)
		b.markup(markup(fmt.Sprintf(`<rect class="%s" x="%.2f" width="%.2f" height="10"></rect>`, tone(l), x, w)))
		x += w
	}
	b.markup(`</svg><ul class="counts">`)
	for _, l := range []level{good, calm, bad} {
		words := [...]string{"failed", "worth a look", "fine"}
		b.markup(`<li class="` + tone(l) + `">` + markup(l.sign()) + " ")
		b.tag("", fmt.Sprintf("%d %s", n[l], words[l]), "</li>")
	}
	b.markup("</ul>")
}

func (b *document) table(r Report, list []Connection) {
	b.markup(`<section aria-labelledby="connections"><h2 id="connections">Connections</h2><table><thead><tr><th scope="col">State</th><th scope="col">Connection</th>` +
		`<th scope="col" class="wide">Kind</th><th scope="col" class="wide">Tenant</th><th scope="col">Credential</th></tr></thead><tbody>`)
	for i, c := range list {
		l := c.level(r.At)
		b.markup(`<tr><td class="` + tone(l) + `">` + markup(l.sign()) + " ")
		b.tag("", c.outcome(r.At), `</td><th scope="row">`)
		b.tag(anchor(`<a href="#c%d">`, i), clean(c.Profile.Name), `</a></th>`)
		b.tag(`<td class="wide">`, c.kind(), "</td>")
		b.tag(`<td class="wide">`, c.tenant(), "</td><td>")
		b.expiry(c, r.At)
		b.markup("</td></tr>")
	}
	b.markup("</tbody></table></section>")
}

// anchor fills a number into markup.
func anchor(format string, i int) markup { return markup(fmt.Sprintf(format, i+1)) }

// expiry says when the credential ends: in words, with a sign where that is soon, and
// as a bar of a year.
func (b *document) expiry(c Connection, at time.Time) {
	end := c.Profile.Credential.NotAfter
	l := good
	switch c.expirySign(at) {
	case "✗":
		l = bad
	case "!":
		l = calm
	}
	if end.IsZero() || l == good {
		b.tag("<span>", c.expiry(at), "</span>")
	} else {
		b.markup(`<span class="` + tone(l) + `">` + markup(c.expirySign(at)) + " ")
		b.tag("", c.expiry(at), "</span>")
	}
	if end.IsZero() {
		return
	}
	const year = 365 * 24 * time.Hour
	part := min(max(float64(end.Sub(at))/float64(year), 0.02), 1)
	b.markup(markup(fmt.Sprintf(`<svg class="left" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="4"></rect><rect class="%s" width="%.1f" height="4"></rect></svg>`, tone(l), 100*part)))
}

// connection is all about one; it is open where somebody should read it.
func (b *document) connection(r Report, c Connection, i int) {
	l := c.level(r.At)
	b.markup(anchor(`<details id="c%d"`, i))
	if l != good {
		b.markup(" open")
	}
	b.markup(`><summary><span class="` + tone(l) + `" aria-hidden="true">` + markup(l.sign()) + `</span> `)
	b.tag("<h3>", clean(c.Profile.Name), "</h3> ")
	b.tag(`<span class="`+tone(l)+`">`, c.outcome(r.At), "</span></summary><dl>")
	p := c.Profile
	end := ""
	if t := p.Credential.NotAfter; !t.IsZero() {
		if end = c.expiry(r.At); t.After(r.At) {
			end = t.UTC().Format(time.DateOnly) + ", " + end
		}
	} else if p.Credential.Type != connections.TypePassword {
		end = "unknown: the portal shows the end of the " + strings.ReplaceAll(p.Credential.Type, "-", " ")
	}
	verified := ""
	if t := p.Verification.At; !t.IsZero() {
		verified = stamp(t)
	}
	for _, f := range [][2]string{{"Kind", c.kind()}, {"Tenant", joined(p.Tenant.Name, p.Tenant.Domain, p.Tenant.ID)}, {"Account", p.Account}, {"Application", joined(p.Registration.AppName, p.Registration.ClientID)},
		{"Credential", joined(strings.ReplaceAll(p.Credential.Type, "-", " "), p.Credential.Thumbprint)}, {"Ends", end}, {"Checks ran", verified}} {
		if v := clean(f[1]); v != "" {
			b.tag("<dt>", f[0], "</dt>")
			b.tag("<dd>", v, "</dd>")
		}
	}
	b.markup("</dl>")
	if c.Error != nil {
		b.advice(c.Error, bad, "")
	}
	if len(c.Checks) > 0 {
		b.checks(c.Checks)
	}
	b.markup("</details>")
}

func (b *document) checks(list []task.Result) {
	b.markup(`<table><thead><tr><th scope="col">Status</th><th scope="col">Check</th><th scope="col">Finding</th><th scope="col" class="took wide">Took</th></tr></thead><tbody>`)
	for _, r := range list {
		sign, word, l := statusWord(r.Status)
		class := tone(l)
		if r.Status == task.Skip {
			class = "soft"
		}
		b.markup(`<tr><td class="status ` + class + `">` + markup(sign) + " ")
		b.tag("", word, "</td>")
		b.tag(`<th scope="row">`, clean(r.Title), "</th>")
		b.tag("<td>", clean(r.Finding), "")
		if len(r.Details) > 0 {
			b.markup("<ul>")
			for _, d := range r.Details {
				b.tag("<li>", clean(d), "</li>")
			}
			b.markup("</ul>")
		}
		b.tag(`</td><td class="took wide">`, took(r.Duration), "</td></tr>")
	}
	b.markup("</tbody></table>")
	for i, r := range list {
		if _, _, l := statusWord(r.Status); l != good && r.Advice != nil && !told(list[:i], r.Advice) {
			b.advice(r.Advice, l, clean(r.Title)+": ")
		}
	}
}

func (b *document) advice(a *advice.Advice, l level, about string) {
	b.markup(`<div class="advice ` + tone(l) + `">`)
	b.tag("<h4>", about+clean(a.What), "</h4>")
	if a.Why != "" {
		b.tag("<p>", clean(a.Why), "</p>")
	}
	if len(a.Next) > 0 {
		b.markup("<ol>")
		for _, step := range a.Next {
			if line, ok := command(step); ok {
				b.tag("<li><code>", clean(line), "</code></li>")
				continue
			}
			b.tag("<li>", clean(step), "</li>")
		}
		b.markup("</ol>")
	}
	if link, ok := https(a.Link); ok {
		b.tag(`<p><a rel="noreferrer" href="`, link, `">`)
		b.tag("", link, "</a></p>")
	}
	if codes := codesOf(a); codes != "" {
		b.tag(`<p class="soft">`, codes, "</p>")
	}
	b.markup("</div>")
}

func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " · ")
}

// took writes a duration in a unit that fits.
func took(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
