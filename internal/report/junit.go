package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

// junit is the report as Jenkins, GitLab and the readers on GitHub take it: a suite
// for each connection, a case for each check.
//
// Source: junit-10.xsd of Jenkins' xUnit plugin (the common schema of Surefire and
// Jenkins); docs.gitlab.com/ci/testing/unit_test_reports reads the text of a failure
// and of system-out.
func junit(r Report) string {
	var suites []suite
	for _, c := range r.Connections {
		suites = append(suites, suiteOf(c))
	}
	if len(r.Problems) > 0 {
		s := suite{name: "damaged files"}
		for _, p := range r.Problems {
			s.cases = append(s.cases, testcase{class: "c2conn.store", name: clean(p.Path), element: "error", kind: "damaged", message: clean(p.Error), text: clean(p.Error)})
		}
		suites = append(suites, s)
	}
	var body tags
	var all suite
	for i, s := range suites {
		all.cases = append(all.cases, s.cases...)
		s.write(&body, i, r.At)
	}
	var out tags
	out.WriteString(xml.Header)
	out.open("testsuites", all.totals("c2conn verify")...)
	out.WriteString("\n" + body.String())
	out.close("testsuites")
	return out.String()
}

type suite struct {
	name       string
	properties [][2]string
	cases      []testcase
}

// testcase is a check. element is what it holds when it did not pass.
type testcase struct {
	class, name string
	took        time.Duration
	element     string // failure, error, skipped or ""
	kind        string
	message     string
	text        string
	said        string // system-out
}

func suiteOf(c Connection) suite {
	p := c.Profile
	s := suite{name: clean(p.Name)}
	for _, one := range [][2]string{{"kind", string(p.Kind)}, {"location", string(p.Location)}, {"cloud", p.Cloud}, {"tenant_id", p.Tenant.ID}, {"tenant_domain", p.Tenant.Domain},
		{"tenant_name", p.Tenant.Name}, {"client_id", p.Registration.ClientID}, {"account", p.Account}, {"credential", p.Credential.Type}, {"state", c.state()}} {
		if v := clean(one[1]); v != "" {
			s.properties = append(s.properties, [2]string{one[0], v})
		}
	}
	if end := p.Credential.NotAfter; !end.IsZero() {
		s.properties = append(s.properties, [2]string{"credential_expires", end.UTC().Format(time.RFC3339)})
	}
	class := "c2conn." + strings.ReplaceAll(s.name, ".", "_") // readers make a tree of the dots
	if c.Error != nil {
		s.cases = append(s.cases, testcase{class: class, name: "Verification", element: "error", kind: "error", message: clean(c.Error.What), text: paragraphs(c.Error)})
	}
	for _, r := range c.Checks {
		t := testcase{class: class, name: clean(r.Title), took: r.Duration}
		lines := []string{clean(r.Finding)}
		for _, d := range r.Details {
			lines = append(lines, clean(d))
		}
		found := strings.Trim(strings.Join(lines, "\n"), "\n")
		told := strings.Trim(found+"\n\n"+paragraphs(r.Advice), "\n")
		switch r.Status {
		case task.Fail:
			t.element, t.kind, t.message, t.text = "failure", clean(r.ID), lines[0], told
		case task.Skip:
			t.element, t.message, t.said = "skipped", lines[0], strings.Join(lines[1:], "\n")
		case task.Warn:
			t.said = strings.Trim("Warning: "+told, "\n")
		case task.Pass:
			t.said = found
		}
		s.cases = append(s.cases, t)
	}
	return s
}

// totals are the counts that every suite and their whole begin with.
func (s suite) totals(name string) []string {
	n := map[string]int{}
	var took time.Duration
	for _, c := range s.cases {
		n[c.element]++
		took += c.took
	}
	return []string{"name", name, "tests", fmt.Sprint(len(s.cases)), "failures", fmt.Sprint(n["failure"]), "errors", fmt.Sprint(n["error"]), "time", seconds(took)}
}

func (s suite) write(b *tags, id int, at time.Time) {
	skipped := 0
	for _, c := range s.cases {
		if c.element == "skipped" {
			skipped++
		}
	}
	b.WriteString("  ")
	// JUnit's timestamps have no zone; this one is UTC.
	b.open("testsuite", append(s.totals(s.name), "skipped", fmt.Sprint(skipped), "timestamp", at.UTC().Format("2006-01-02T15:04:05"), "id", fmt.Sprint(id))...)
	b.WriteString("\n")
	if len(s.properties) > 0 {
		b.WriteString("    <properties>\n")
		for _, p := range s.properties {
			b.WriteString("      ")
			b.open("property", "name", p[0], "value", p[1])
			b.close("property")
		}
		b.WriteString("    </properties>\n")
	}
	for _, c := range s.cases {
		b.WriteString("    ")
		b.open("testcase", "name", c.name, "classname", c.class, "time", seconds(c.took))
		switch c.element {
		case "":
		case "skipped":
			b.open(c.element, "message", c.message)
			b.WriteString("</skipped>")
		default:
			b.open(c.element, "message", c.message, "type", c.kind)
			b.text(c.text)
			b.WriteString("</" + c.element + ">")
		}
		if c.said != "" {
			b.WriteString("<system-out>")
			b.text(c.said)
			b.WriteString("</system-out>")
		}
		b.close("testcase")
	}
	b.WriteString("  ")
	b.close("testsuite")
}

// tags writes XML; every value and text is escaped.
type tags struct{ strings.Builder }

func (b *tags) open(name string, attributes ...string) {
	b.WriteString("<" + name)
	for i := 0; i < len(attributes); i += 2 {
		b.WriteString(" " + attributes[i] + `="`)
		_ = xml.EscapeText(b, []byte(attributes[i+1])) // a strings.Builder takes everything
		b.WriteString(`"`)
	}
	b.WriteString(">")
}

func (b *tags) close(name string) { b.WriteString("</" + name + ">\n") }

// text keeps the line breaks, which the escape would hide.
func (b *tags) text(s string) {
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			b.WriteString("\n")
		}
		_ = xml.EscapeText(b, []byte(line))
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// paragraphs is an advice in plain lines.
func paragraphs(a *advice.Advice) string {
	if a == nil {
		return ""
	}
	lines := []string{clean(a.What)}
	if a.Why != "" {
		lines = append(lines, "Why: "+clean(a.Why))
	}
	if len(a.Next) > 0 {
		lines = append(lines, "Next:")
	}
	for _, step := range a.Next {
		lines = append(lines, "  "+clean(step))
	}
	if a.Link != "" {
		lines = append(lines, "Link: "+clean(a.Link))
	}
	if codes := codesOf(a); codes != "" {
		lines = append(lines, "Codes: "+codes)
	}
	return strings.Join(lines, "\n")
}

// codesOf is what support asks for.
func codesOf(a *advice.Advice) string {
	var codes []string
	for _, c := range a.Codes {
		codes = append(codes, clean(c))
	}
	if a.TraceID != "" {
		codes = append(codes, "trace "+clean(a.TraceID))
	}
	if a.CorrelationID != "" {
		codes = append(codes, "correlation "+clean(a.CorrelationID))
	}
	return strings.Join(codes, " · ")
}
