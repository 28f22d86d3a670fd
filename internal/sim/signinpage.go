package sim

import (
	"bytes"
	"html/template"
	"net/http"
)

// page is what one page of a sign-in shows.
type page struct {
	Step, Flow   string // which page of which sign-in; the form sends both back
	Title        string
	Tenant       string
	Client       string
	Account      string
	Complaint    string
	Text         string
	Action       string   // where the form goes
	Tiles        []string // accounts that the browser is signed in with
	Permissions  []permission
	Organisation bool    // offer to consent on behalf of the organisation
	Fields       []field // of a form that a script sends
	Details      []field // at the end of an error
	Nonce        string
	Done         bool // nothing is left to do
}

// permission is a line of a consent page.
type permission struct{ Words, Name string }

// field is a name with a value.
type field struct{ Name, Value string }

// page makes a page of this sign-in.
func (f *flow) page(step, title string) page {
	return page{Step: step, Flow: f.id, Title: title, Client: f.client.name, Action: "/common/login"}
}

// pages is the look of the sign-in: its own design, nothing loaded from
// elsewhere, usable without scripts.
const pages = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --ink: #1d2330; --soft: #5b6475; --line: #c9ced8; --paper: #ffffff; --ground: #eef0f4; --act: #1f4fa3; --bad: #a4262c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --soft: #a3abbb; --line: #454c5a; --paper: #20242d; --ground: #14171d; --act: #7ea6f0; --bad: #ff8a8f; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: min(28rem, 100% - 2rem); margin: 2rem 0; padding: 2rem; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; }
h1 { margin: .5rem 0 1rem; font-size: 1.4rem; line-height: 1.25; }
p, ul { margin: .75rem 0; }
ul { padding-left: 1.2rem; }
.from, .note, dt, small { color: var(--soft); font-size: .875rem; }
.account { font-weight: 600; overflow-wrap: anywhere; }
.complaint { color: var(--bad); overflow-wrap: anywhere; white-space: pre-line; }
label { display: block; margin: .75rem 0 .25rem; }
input[type=text], input[type=email], input[type=password] { width: 100%; padding: .5rem .6rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 4px; }
.buttons { display: flex; gap: .75rem; justify-content: flex-end; margin-top: 1.5rem; }
button { padding: .45rem 1.3rem; font: inherit; border: 1px solid var(--line); border-radius: 4px; background: transparent; color: inherit; cursor: pointer; }
button.act { background: var(--act); border-color: var(--act); color: var(--paper); }
button.tile { display: block; width: 100%; margin: .5rem 0; text-align: left; overflow-wrap: anywhere; }
button.enter { position: absolute; left: -9999px; } /* what the Enter key presses: the first button of the form */
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
dl { margin: 1rem 0 0; } dt { margin-top: .4rem; } dd { margin: 0; font-size: .875rem; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main data-step="{{.Step}}">
{{with .Tenant}}<div class="from">{{.}}</div>{{end}}
<h1>{{.Title}}</h1>
{{if eq .Step "reply"}}
<form id="reply" method="post" action="{{.Action | target}}">
{{range .Fields}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">
{{end}}<noscript><p>Script is off. Select Submit to go on.</p></noscript>
<div class="buttons"><button class="act" type="submit">Submit</button></div>
</form>
<script nonce="{{.Nonce}}">document.getElementById("reply").submit();</script>
{{else}}
{{if and .Account (ne .Step "account")}}<p class="account" id="account">{{.Account}}</p>{{end}}
{{with .Text}}<p>{{.}}</p>{{end}}
{{with .Complaint}}<p class="complaint" id="complaint" role="alert">{{.}}</p>{{end}}
{{if .Action}}<form id="form" method="post" action="{{.Action}}">
<input type="hidden" name="flow" value="{{.Flow}}"><input type="hidden" name="step" value="{{.Step}}">
{{if ne .Step "blocked"}}<button class="enter" type="submit" name="action" value="next" tabindex="-1" aria-hidden="true"></button>{{end}}
{{if eq .Step "account"}}
{{range .Tiles}}<button class="tile" type="submit" name="tile" value="{{.}}">{{.}}</button>{{end}}
<label for="login">{{if .Tiles}}Or use another account{{else}}Email or user name{{end}}</label>
<input id="login" name="login" type="text" inputmode="email" autocomplete="username" spellcheck="false" value="{{.Account}}"{{if not .Tiles}} autofocus{{end}}>
<p class="note">to continue to {{.Client}}</p>
{{else if eq .Step "password"}}
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" autofocus>
{{else if eq .Step "mfa"}}
<p>Your organisation asks for a second proof that it is you. In this simulation, nothing rings: approve it here.</p>
{{else if eq .Step "confirm"}}
<p>Only continue if you started this sign-in yourself, at a device or window that showed you the code. If somebody sent you the code, select Cancel.</p>
{{else if eq .Step "code"}}
<label for="code">Code</label>
<input id="code" name="code" type="text" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="20" autofocus>
<p class="note">Enter the code that your app or device displays.</p>
{{else if eq .Step "consent"}}
<p><strong>{{.Client}}</strong> would like to:</p>
<ul>{{range .Permissions}}<li>{{.Words}}<br><small>{{.Name}}</small></li>{{else}}<li>Nothing beyond signing in</li>{{end}}</ul>
{{if .Organisation}}<label><input type="checkbox" id="organisation" name="organisation" value="yes"> Consent on behalf of your organisation</label>{{end}}
<p class="note">If you accept, this application gets access to these resources. You can withdraw it in the admin center at any time.</p>
{{else if eq .Step "blocked"}}
<p><strong>{{.Client}}</strong> needs permission to access resources in your organisation that only an administrator can grant.</p>
{{end}}
<div class="buttons">
{{if eq .Step "blocked"}}<button id="cancel" type="submit" name="action" value="cancel">Return to the application without granting consent</button>
{{else}}{{if eq .Step "password"}}<button id="back" type="submit" name="action" value="back" formnovalidate>Back</button>{{end}}
<button id="next" class="act" type="submit" name="action" value="next">{{if eq .Step "password"}}Sign in{{else if eq .Step "consent"}}Accept{{else if eq .Step "mfa"}}Approve{{else if eq .Step "confirm"}}Continue{{else}}Next{{end}}</button>
{{if ne .Step "code"}}<button id="cancel" type="submit" name="action" value="cancel" formnovalidate>Cancel</button>{{end}}{{end}}
</div>
</form>{{end}}
{{with .Details}}<dl>{{range .}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}</dl>{{end}}
{{end}}
<p class="note">Simulated sign-in. No real account works here.</p>
</main>
</body>
</html>
`

// showPage writes a page.
func (w *World) showPage(p page) *answer {
	if p.Tenant == "" {
		p.Tenant = w.dir.organization.DisplayName
	}
	p.Nonce = w.dice.guid()
	// A registered redirect address may have any scheme; the template would
	// write "#ZgotmplZ" for those that it does not know.
	look, err := template.New("page").Funcs(template.FuncMap{"target": func(s string) template.URL { return template.URL(s) }}).Parse(pages) //nolint:gosec // registered before it gets here
	var out bytes.Buffer
	if err == nil {
		err = look.Execute(&out, p)
	}
	if err != nil {
		return newAnswer(http.StatusInternalServerError, "text/plain", []byte(err.Error()))
	}
	a := newAnswer(http.StatusOK, "text/html; charset=utf-8", out.Bytes())
	a.header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-"+p.Nonce+"'; base-uri 'none'; frame-ancestors 'none'")
	a.header.Set("Referrer-Policy", "no-referrer")
	a.secret = p.Step == "reply" // it holds a code
	return a
}

// refusePage shows an error to the person at the browser: where no redirect
// address can be trusted with it, and where Entra ID keeps it to itself.
func (w *World) refusePage(r *request, f refusal) *answer {
	body, status := w.explain(r, f)
	p := page{Step: "error", Title: "Sorry, but we're having trouble signing you in.", Complaint: body.text}
	switch f.code {
	case 53000:
		p.Title, p.Complaint = "You can't get there from here", "Your sign-in was successful, but your admin requires the device that's requesting access to be managed. ("+body.text+")"
	case 53003:
		p.Title, p.Complaint = "You don't have access to this", "Your sign-in was successful but does not meet the criteria to access this resource. ("+body.text+")"
	}
	p.Details = []field{{"Error Code", body.code()}, {"Request Id", body.TraceID}, {"Correlation Id", body.CorrelationID}, {"Timestamp", body.Timestamp}}
	if f.app != "" {
		p.Details = append(p.Details, field{"App name", f.app}, field{"App id", f.appID}, field{"Device identifier", "Not available"}, field{"Device state", "Unregistered"})
	}
	a := w.showPage(p)
	a.status = max(status, http.StatusBadRequest)
	return a
}

// donePage is the end of a sign-in that leads nowhere else.
func (w *World) donePage(title, text string) *answer {
	return w.showPage(page{Step: "done", Title: title, Text: text})
}
