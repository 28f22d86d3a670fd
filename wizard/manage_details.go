package wizard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// welcome is the first screen of all.
func (m *manage) welcome() []string {
	lines := []string{"", m.th.bold.Render("No connections yet."), ""}
	lines = append(lines, wrapText("A connection is a saved profile with which your backup or migration software reaches a Microsoft 365 tenant: the application in Entra ID, its certificate, and the account it works with.", min(m.w-2, 76), "", "")...)
	lines = append(lines, "", m.th.accent.Render("n")+"  make the first one; a wizard leads through the steps", m.th.accent.Render("?")+"  what all this is about", m.th.accent.Render("esc")+" leave")
	return indent(lines)
}

// detailLines is everything about a connection.
func (m *manage) detailLines(r *manageRow, width int, now time.Time) []string {
	c := r.c
	lines := []string{m.th.bold.Render(clip(clean(c.Name), width))}
	if r.err != nil {
		return append(lines, wrapText(damagedWords(c.Name, r.err), width, "✗ ", "  ")...)
	}
	say := func(title, text string) {
		if text != "" {
			lines = append(lines, wrapText(text, width, m.th.faint.Render(pad(title, 13)), strings.Repeat(" ", 13))...)
		}
	}
	l := r.look(now)
	state := l.sign + " " + l.word
	if l.word == "obsolete" {
		state += ", verified" + since(now, c.Verification.At)
	}
	say("State", state)
	for _, why := range r.obsolete {
		say("! Obsolete", why)
	}
	if r.conflict != nil {
		say("✗ Conflict", r.conflict.Error())
	}
	if x := r.change; x != nil {
		text := ChangeWords(*x) + ", not saved"
		if x.Was != "" {
			text += "; saved as " + clean(x.Was)
		}
		if len(x.Fields) > 0 {
			text += ": " + strings.Join(x.Fields, ", ")
		}
		say("* Change", text)
	}
	for _, res := range m.found[c.ID] {
		if res.Status != task.Fail && res.Status != task.Warn {
			continue
		}
		look := m.th.status(res.Status)
		say(look.sign+" "+look.word, clean(res.Title)+": "+clean(res.Finding))
		if res.Advice != nil {
			for _, next := range res.Advice.Next {
				say("", "  "+next)
			}
		}
	}
	if len(m.found[c.ID]) == 0 {
		for _, s := range []string{"fail", "warn"} {
			var ids []string
			for id, status := range c.Verification.Checks {
				if status == s {
					ids = append(ids, clean(id))
				}
			}
			slices.Sort(ids)
			say(map[string]string{"fail": "✗ Failed", "warn": "! Warnings"}[s], strings.Join(ids, ", "))
		}
	}
	say("Kind", kindWord(c.Kind)+", "+whereWord(c))
	say("Tenant", strings.Join(nonEmpty(clean(c.Tenant.Name), clean(c.Tenant.Domain), c.Tenant.ID), " · "))
	say("Account", clean(c.Account))
	say("Application", strings.Join(nonEmpty(clean(c.Registration.AppName), c.Registration.ClientID, c.Registration.Mode), " · "))
	by := strings.ReplaceAll(c.Credential.Type, "-", " ")
	if c.Credential.Thumbprint != "" {
		by += " " + c.Credential.Thumbprint
	}
	if t := c.Credential.NotAfter; !t.IsZero() {
		text, _ := expiry(now, t)
		by += ", until " + t.UTC().Format(time.DateOnly) + " (" + text + ")"
	}
	if c.Credential.PlainNTLM {
		by += ", over http also with NTLM"
	}
	say("Signs in by", by)
	sites := []string{clean(c.Endpoints.SharePoint)}
	if c.Location == connections.OnPremises {
		sites = append(sites, clean(c.Endpoints.Admin)) // Central Administration
	}
	say("SharePoint", strings.Join(nonEmpty(sites...), " · "))
	say("Fleet", clean(c.Fleet))
	return lines
}

func nonEmpty(parts ...string) []string {
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// openHelp explains the dashboard.
func (m *manage) openHelp() {
	m.pager = &pager{title: "Help · connections", close: "?", lines: func(width int) []string {
		lines := wrapText("All saved connections. What you change here is kept on disk at once, marked with *, and takes effect when you save: OK saves all, Cancel asks. "+
			"After a crash it is still there. Three things take effect at once: what is registered in the tenant, a rotation, and the result of a verification.", width, "", "")
		lines = append(lines, "", m.th.bold.Render("States"))
		for _, s := range [][2]string{
			{"✓ verified", "every required check has passed"},
			{"! waiting", "an administrator has to consent: c2conn consent NAME"},
			{"! not verified", "saved without, or changed since"},
			{"! obsolete", "works perhaps, but should be made anew; details say why"},
			{"✗ failed", "a required check failed; details say which"},
			{"✗ in conflict", "changed here and by another program; y keeps yours, u undoes yours"},
			{"✗ damaged", "its file cannot be used; it was left as it is"},
		} {
			lines = append(lines, wrapText(fmt.Sprintf("%-14s %s", s[0], s[1]), width, "  ", strings.Repeat(" ", 17))...)
		}
		lines = append(lines, "", m.th.bold.Render("Keys"))
		for _, k := range manageHelpKeys {
			lines = append(lines, wrapText(fmt.Sprintf("%-14s %s", k[0], k[1]), width, "  ", strings.Repeat(" ", 17))...)
		}
		return lines
	}}
}

var manageHelpKeys = [][2]string{
	{"n", "new connection"},
	{"enter, e", "edit; also a double click"},
	{"m, F2", "rename"},
	{"v, V", "verify this one; verify all that are shown"},
	{"x", "stop verifying"},
	{"r", "rotate the credential, at once"},
	{"d", "delete, when you save"},
	{"u", "undo what is changed about this one"},
	{"y", "in conflict: keep your version"},
	{"i, space", "details"},
	{"/", "filter by words; also by state, as in: /not verified"},
	{"s, S", "sort by the next column; turn the order; also a click on the head"},
	{"o", "OK: save and leave"},
	{"ctrl+s", "save and stay"},
	{"esc, q", "cancel: asks where something is not saved"},
	{"ctrl+r, F5", "read the connections again"},
	{"ctrl+c", "leave at once; what is changed stays staged"},
}
