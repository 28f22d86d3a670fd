package report

import (
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

// markdown is the report for the summary of a job, an issue or a wiki: a table of all
// connections, then a section for each that needs somebody.
//
// Source: GitHub Flavored Markdown 0.29, tables and backslash escapes. GitHub cuts a
// job's summary at 1 MiB, so the many that work take a line each.
func markdown(r Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s\n\n", r.worst().sign(), r.headline())
	fmt.Fprintf(&b, "%s, c2conn %s\n\n", stamp(r.At), plain(r.Version))
	if len(r.Connections) > 0 {
		b.WriteString("| State | Connection | Kind | Tenant | Expires |\n| :-- | :-- | :-- | :-- | :-- |\n")
		for _, c := range r.urgent() {
			expires := strings.TrimSpace(c.expirySign(r.At) + " " + c.expiry(r.At))
			fmt.Fprintf(&b, "| %s %s | %s | %s | %s | %s |\n", c.level(r.At).sign(), c.outcome(r.At), plain(c.Profile.Name), plain(c.kind()), plain(c.tenant()), plain(expires))
		}
		b.WriteString("\n")
	}
	for _, c := range r.urgent() {
		if c.level(r.At) != good {
			c.section(&b, r)
		}
	}
	if len(r.Problems) > 0 {
		b.WriteString("### ✗ Damaged files\n\n")
		for _, p := range r.Problems {
			fmt.Fprintf(&b, "- %s\n", plain(p.Error))
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (c Connection) section(b *strings.Builder, r Report) {
	fmt.Fprintf(b, "### %s %s: %s\n\n", c.level(r.At).sign(), plain(c.Profile.Name), c.outcome(r.At))
	if c.Error != nil {
		counsel(b, c.Error)
	}
	for i, check := range c.Checks {
		if check.Status != task.Fail && check.Status != task.Warn {
			continue
		}
		sign, word, _ := statusWord(check.Status)
		fmt.Fprintf(b, "**%s %s** (%s): %s\n\n", sign, plain(check.Title), word, plain(check.Finding))
		switch {
		case check.Advice == nil:
		case told(c.Checks[:i], check.Advice):
			b.WriteString("As above.\n\n")
		default:
			counsel(b, check.Advice)
		}
	}
}

// counsel is an advice: what, why, and the steps as a list.
func counsel(b *strings.Builder, a *advice.Advice) {
	b.WriteString(strings.TrimSpace(plain(a.What)+" "+plain(a.Why)) + "\n\n")
	for i, step := range a.Next {
		if line, ok := command(step); ok {
			fmt.Fprintf(b, "%d. %s\n", i+1, code(line))
			continue
		}
		fmt.Fprintf(b, "%d. %s\n", i+1, plain(step))
	}
	if len(a.Next) > 0 {
		b.WriteString("\n")
	}
	if link, ok := https(a.Link); ok {
		fmt.Fprintf(b, "<%s>\n\n", link)
	}
	if codes := codesOf(a); codes != "" {
		fmt.Fprintf(b, "%s\n\n", code(codes))
	}
}

// plain makes text mean itself, in one line: what Markdown, the HTML in it or GitHub's
// additions (links by themselves, emoji, formulas, issue numbers) would take for more is
// escaped. An address of mail may still become a link to write to it.
func plain(s string) string {
	s = clean(s)
	var b strings.Builder
	last := rune(' ')
	for i, r := range s {
		switch {
		case strings.ContainsRune("\\`*_[]<>&|~$#!", r),
			r == ':' && i+1 < len(s) && s[i+1] != ' ', // a link or an emoji
			i == 0 && strings.ContainsRune("+-=", r),
			(r == '.' || r == ')') && (last == 'w' || last == 'W' || last >= '0' && last <= '9'): // www. and the number of a list
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

// code is text in a code span, whose fence is longer than any within.
func code(s string) string {
	if s = clean(s); s == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// https returns a link that is safe to click on: to a web page, and without anything
// that would end it.
func https(link string) (string, bool) {
	link = clean(link)
	return link, strings.HasPrefix(link, "https://") && len(link) > len("https://") && !strings.ContainsAny(link, " <>\"'`\\|")
}
