package registration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
)

// Text writes the plan for people, in lines of at most width characters where
// words allow it; 0 means 80.
func (p Plan) Text(width int) string {
	if width <= 0 {
		width = 80
	}
	var b strings.Builder
	line := func(indent, text string) {
		b.WriteString(indent + fold(text, width-len(indent), indent) + "\n")
	}
	field := func(title, text string) {
		if text != "" {
			const indent = "               "
			fmt.Fprintf(&b, "  %-12s %s\n", title, fold(text, width-len(indent), indent))
		}
	}
	field("Tenant", p.tenantText())
	field("Signed in", strings.Join(append([]string{cmp.Or(p.Account, "nobody (made offline)")}, p.rolesText()...), ""))
	if e := p.Existing; e != nil {
		text := p.AppName + " (exists: client id " + e.AppID
		if !e.Created.IsZero() {
			text += ", registered " + e.Created.UTC().Format(time.DateOnly)
		}
		if len(e.Owners) > 0 {
			text += ", owner " + strings.Join(e.Owners, ", ")
		}
		field("Application", text+")")
	} else {
		field("Application", p.AppName+" (new, for this tenant only)")
	}
	field("Credential", p.credentialText())
	field("Permissions", p.WritesText()) // above all else: it is what people consent to

	b.WriteString("\nChanges, in this order:\n")
	for i := 0; i < len(p.Changes); i++ {
		c, number := p.Changes[i], fmt.Sprint(i+1)
		if first := i; c.consent() {
			for i+1 < len(p.Changes) && p.Changes[i+1].consent() {
				i++
			}
			if i > first {
				number += "-" + fmt.Sprint(i+1)
				c.Title = fmt.Sprintf("Grant the %d permissions below", i-first+1)
			}
			c.URL, c.Why = p.base.GraphBase()+"/servicePrincipals/<service>/appRoleAssignedTo, for each", "admin consent: it takes effect at once, for the whole organisation"
		}
		fmt.Fprintf(&b, "%5s  %s\n", number, fold(c.Title, width-7, "       "))
		line("       ", c.Method+" "+strings.TrimPrefix(c.URL, p.base.GraphBase()))
		line("       ", c.Why)
		if body, ok := c.Body.(object); ok {
			for _, name := range []string{"description", "notes", "tags"} {
				switch v := body[name].(type) {
				case string:
					line("       ", name+": "+v)
				case []string:
					line("       ", name+": "+strings.Join(v, ", "))
				}
			}
		}
	}
	title := "Permissions"
	if p.Set == string(SetSeed) && HasSets(p.Kind) {
		title += ", the documented ones alone (seed)"
	}
	line("\n", title+":")
	var services []Resource
	for _, q := range p.Permissions {
		if !slices.Contains(services, q.Resource) {
			services = append(services, q.Resource)
		}
	}
	for _, r := range services {
		line("  ", r.Title())
		for _, q := range p.Permissions {
			if q.Resource != r {
				continue
			}
			line("    ", q.Role+marks(q.Required, q.Writes))
			line("      ", "Allows: "+q.Allows+".")
			line("      ", "Needed "+q.Why+".")
			if q.Granted {
				line("      ", "Consent: granted already.")
			} else {
				line("      ", "Consent: by "+q.ConsentBy+".")
			}
		}
	}
	if len(p.Warnings) > 0 {
		b.WriteString("\nMind:\n")
		for _, w := range p.Warnings {
			b.WriteString("  ! " + fold(w, width-4, "    ") + "\n")
		}
	}
	return b.String()
}

// WritesText says which of the permissions that are still to be granted can change
// data, for whoever is about to consent; "" if none can.
func (p Plan) WritesText() string {
	var roles []string
	all := 0
	for _, q := range p.Permissions {
		if q.Granted {
			continue
		}
		all++
		if q.Writes {
			roles = append(roles, q.Role)
		}
	}
	return writesText(roles, all)
}

func (c Change) consent() bool { return strings.HasPrefix(c.ID, consentID) }

func (p Plan) tenantText() string {
	t := p.Tenant
	switch {
	case t.Name != "" && t.Domain != "":
		return fmt.Sprintf("%s (%s), %s", t.Name, t.Domain, t.ID)
	default:
		return t.ID
	}
}

func (p Plan) rolesText() []string {
	if len(p.Roles) == 0 {
		return nil
	}
	return []string{" (" + strings.Join(p.Roles, ", ") + ")"}
}

func (p Plan) credentialText() string {
	c := p.Credential
	text := "new certificate " + c.Subject
	switch {
	case c.Type == connections.TypeClientSecret:
		text = "new client secret"
	case c.Own:
		text = "your certificate " + c.Subject
	}
	text += ", until " + c.NotAfter.UTC().Format(time.DateOnly)
	if c.Validity != "" {
		text += " (" + words(c.valid) + ")"
	}
	return text
}

// words writes a validity for people.
func words(v certs.Validity) string {
	var parts []string
	for _, part := range []struct {
		n    int
		unit string
	}{{v.Years, "year"}, {v.Months, "month"}, {v.Days, "day"}, {v.Hours, "hour"}} {
		if part.n > 0 {
			parts = append(parts, count(part.n, part.unit))
		}
	}
	return strings.Join(parts, ", ")
}
