package registration

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Text is the guide for a terminal of that many columns. Commands and links are
// not broken, so that they can be copied.
func (g Guide) Text(width int) string {
	width = max(width, 40)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", fold(g.Title, width, ""), strings.Repeat("─", min(width, utf8.RuneCountInString(g.Title))), fold(g.Intro, width, ""))
	for i, step := range g.Steps {
		fmt.Fprintf(&b, "\n%d  %s\n", i+1, step.Title)
		for j, item := range step.Items {
			const indent = "      "
			fmt.Fprintf(&b, "   %c) %s\n", 'a'+j, fold(item.Text, width-len(indent), indent))
			for _, p := range item.Permissions {
				fmt.Fprintf(&b, "%s[ ] %s%s\n", indent, p.Role, marks(p.Required, p.Writes))
				fmt.Fprintf(&b, "%s    %s\n", indent, fold(strings.TrimSpace("Allows: "+p.Allows+". Wanted "+p.Why+". "+p.Least), width-len(indent)-4, indent+"    "))
			}
			if item.Command != "" {
				fmt.Fprintf(&b, "%s$ %s\n", indent, item.Command)
			}
			if item.PowerShell != "" {
				fmt.Fprintf(&b, "%sPS> %s\n", indent, item.PowerShell)
			}
			if item.Link != "" {
				fmt.Fprintf(&b, "%s%s\n", indent, item.Link)
			}
		}
	}
	return b.String()
}

// Markdown is the guide as a page: headings, numbered lists, a table of permissions.
func (g Guide) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", markdown(g.Title), markdown(g.Intro))
	for i, step := range g.Steps {
		fmt.Fprintf(&b, "\n## %d. %s\n\n", i+1, markdown(step.Title))
		for j, item := range step.Items {
			fmt.Fprintf(&b, "%d. %s\n", j+1, markdown(item.Text))
			for _, p := range item.Permissions {
				fmt.Fprintf(&b, "   - [ ] `%s`%s. Allows: %s. Wanted %s. %s([source](%s))\n", p.Role, marks(p.Required, p.Writes), p.Allows, p.Why, sentence(p.Least), p.Source)
			}
			for _, line := range []string{item.Command, item.PowerShell} {
				if line != "" {
					fmt.Fprintf(&b, "\n       %s\n\n", line)
				}
			}
			if item.Link != "" {
				fmt.Fprintf(&b, "\n   <%s>\n\n", item.Link)
			}
		}
	}
	b.WriteString("\n## The permissions\n\n| API | permission | id | needed | writes |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range g.Permissions {
		needed, writes := "required", ""
		if !p.Required {
			needed = "optional"
		}
		if p.Writes {
			writes = "yes"
		}
		fmt.Fprintf(&b, "| %s | `%s` | `%s` | %s | %s |\n", p.ResourceTitle(), p.Role, p.RoleID, needed, writes)
	}
	fmt.Fprintf(&b, "\nCatalogue %s.\n", g.Version)
	return b.String()
}

// marks are what is said of a permission behind its name.
func marks(required, writes bool) string {
	var words []string
	if !required {
		words = append(words, "optional")
	}
	if writes {
		words = append(words, "writes")
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// sentence is text with a space behind it, or nothing.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return text + " "
}

// markdown escapes what Markdown would take for its own, in prose.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`, "#", `\#`).Replace(s)
}

// fold breaks text at spaces into lines of that many runes; all but the first are
// indented. What has no spaces is not broken.
func fold(text string, width int, indent string) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > width:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}
