package report_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
)

// hostile is a report in which every text of foreign origin is s.
func hostile(s string) report.Report {
	a := &advice.Advice{What: s, Why: s, Next: []string{s, "$ " + s}, Link: s, Codes: []string{s}, TraceID: s, CorrelationID: s}
	c := profile(s, connections.Kind(s), 5*day)
	c.Tenant = connections.Tenant{ID: s, Domain: s, Name: s}
	c.Account, c.Registration.AppName, c.Registration.ClientID, c.Cloud = s, s, s, s
	c.Credential.Thumbprint = s
	linked := *a
	linked.Link = "https://" + s
	return report.Report{At: now, Version: s, Problems: []report.Problem{{Path: s, Error: s}}, Connections: []report.Connection{
		{Profile: c, Error: a}, {Profile: c, State: s, Checks: []task.Result{
			{ID: s, Title: s, Status: task.Fail, Finding: s, Details: []string{s, s}, Advice: a}, {ID: s, Title: s, Status: task.Warn, Finding: s, Advice: &linked}, {ID: s, Title: s, Status: task.Skip, Finding: s}}}}}
}

// names are what foreign text must not become.
var names = []string{
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "]]>", "</style></title><b>", "a|b\n| c | d |", "`code` ``x``", "[x](javascript:alert(1))", "![i](https://evil.test/x.png)",
	"\x00\x1b]0;x\a\u202e\u200b\xff", `\" \\ {} name="x"} 1`, "# one\n1. two\n- three\n***", "&lt;b&gt; &#64;", "https://evil.test/ www.evil.test", "~~gone~~ :smile: #12 $x$", "-", "", "``", "1. a", "\\", "</system-out>", "www!.x",
}

func FuzzHTML(f *testing.F) {
	shape := skeleton(f, "plain")
	for _, n := range names {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for tag := range skeleton(t, s) {
			if !shape[tag] {
				t.Errorf("%s came in with %q", tag, s)
			}
		}
	})
}

// skeleton is each element of the page with the names of its attributes, and the values
// of those that can do something.
func skeleton(t testing.TB, s string) map[string]bool {
	t.Helper()
	root, err := html.Parse(strings.NewReader(written(t, report.HTML, hostile(s))))
	if err != nil {
		t.Fatal(err)
	}
	// The same as with harmless text, or less: an empty text leaves its paragraph out.
	out := map[string]bool{"a href rel": true}
	for n := range root.Descendants() {
		switch n.Type {
		case html.CommentNode:
			t.Errorf("a comment came in with %q", s)
		case html.ElementNode:
			var attributes []string
			for _, a := range n.Attr {
				attributes = append(attributes, a.Key)
				safe := strings.HasPrefix(a.Val, "https://") || strings.HasPrefix(a.Val, "#c") || a.Val == "data:,"
				if (a.Key == "href" || a.Key == "src") && !safe {
					t.Errorf("%s leads to %q", n.Data, a.Val)
				}
			}
			slices.Sort(attributes)
			out[strings.Join(append([]string{n.Data}, attributes...), " ")] = true
		}
	}
	return out
}

func FuzzJUnit(f *testing.F) {
	for _, n := range names {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, s string) { validJUnit(t, written(t, report.JUnit, hostile(s))) })
}

func TestJUnitOfSample(t *testing.T) {
	t.Parallel()
	validJUnit(t, written(t, report.JUnit, sample()))
}

// schema is junit-10.xsd of Jenkins' xUnit plugin, as far as an element's name decides:
// its children, its attributes, and those that it must have.
var schema = map[string]struct{ children, attributes, required string }{
	"":           {children: "testsuites"},
	"testsuites": {"testsuite", "name time tests failures errors", ""},
	"testsuite":  {"testsuite properties testcase system-out system-err", "name tests failures errors group time skipped timestamp hostname id package file log url", "name tests failures errors"},
	"properties": {children: "property"},
	"property":   {"", "name value", "name value"},
	"testcase":   {"skipped error failure system-out system-err", "name time classname group", "name"},
	"failure":    {"", "type message", ""},
	"error":      {"", "type message", ""},
	"skipped":    {"", "type message", ""},
	"system-out": {},
}

// validJUnit holds a file against the schema, and its counts against what it holds.
func validJUnit(t testing.TB, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	path := []string{""}
	count := map[string]int{}
	var said map[string]string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name, parent := token.Name.Local, path[len(path)-1]
			if !slices.Contains(strings.Fields(schema[parent].children), name) {
				t.Errorf("%s in %s", name, parent)
			}
			values := map[string]string{}
			for _, a := range token.Attr {
				if !slices.Contains(strings.Fields(schema[name].attributes), a.Name.Local) {
					t.Errorf("%s has %s", name, a.Name.Local)
				}
				values[a.Name.Local] = a.Value
			}
			for _, need := range strings.Fields(schema[name].required) {
				if _, ok := values[need]; !ok {
					t.Errorf("%s has no %s", name, need)
				}
			}
			if v, ok := values["time"]; ok && !regexp.MustCompile(`^\d+\.\d{3}$`).MatchString(v) {
				t.Errorf("%s took %q", name, v)
			}
			if name == "testsuites" {
				said = values
			}
			count[name]++
			path = append(path, name)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if in := path[len(path)-1]; strings.TrimSpace(string(token)) != "" && !slices.Contains([]string{"failure", "error", "system-out"}, in) {
				t.Errorf("text %q in %s", token, in)
			}
		}
	}
	for attribute, element := range map[string]string{"tests": "testcase", "failures": "failure", "errors": "error"} {
		if said[attribute] != strconv.Itoa(count[element]) {
			t.Errorf("%s=%q, but there are %d", attribute, said[attribute], count[element])
		}
	}
}

func FuzzPrometheus(f *testing.F) {
	for _, n := range names {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, s string) {
		validExposition(t, written(t, report.Prometheus, hostile(s)))
	})
}

func TestPrometheusOfSample(t *testing.T) {
	t.Parallel()
	series := validExposition(t, written(t, report.Prometheus, sample()))
	for want, value := range map[string]float64{
		`c2conn_connection_verified{name="contoso",kind="exchange",tenant="0f9c1a52-3e6b-4c1f-9d57-6a2b8c4e1d10"}`:                                     1,
		`c2conn_connection_verified{name="waiting",kind="sharepoint",tenant="0f9c1a52-3e6b-4c1f-9d57-6a2b8c4e1d10"}`:                                   0,
		`c2conn_check_duration_seconds{name="contoso",check="sites"}`:                                                                                  1.4,
		`c2conn_connection_credential_expiry_timestamp_seconds{name="lost key",kind="migration-source",tenant="0f9c1a52-3e6b-4c1f-9d57-6a2b8c4e1d10"}`: float64(now.Add(-day).Unix()),
	} {
		if got, ok := series[want]; !ok || got != value {
			t.Errorf("%s is %v, %v", want, got, ok)
		}
	}
	for s := range series {
		if strings.HasPrefix(s, `c2conn_connection_credential_expiry_timestamp_seconds{name="secret"`) || strings.HasPrefix(s, `c2conn_verification_timestamp_seconds{name="lost key"`) {
			t.Errorf("%s is not known", s)
		}
	}
}

// The grammar of the text format 0.0.4, as far as this file goes.
var (
	help   = regexp.MustCompile(`^# HELP ([a-z0-9_]+) [^\\\n]+$`)
	kind   = regexp.MustCompile(`^# TYPE ([a-z0-9_]+) gauge$`)
	series = regexp.MustCompile(`^([a-z_:][a-z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*\})? (-?[0-9.]+)$`)
)

// validExposition wants each family announced once and in one piece, and each series once.
func validExposition(t testing.TB, text string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	families := map[string]bool{}
	family, typed := "", false
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line has no end")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := help.FindStringSubmatch(line); m != nil {
			if families[m[1]] {
				t.Errorf("%s begins twice", m[1])
			}
			family, typed = m[1], false
			families[family] = true
			continue
		}
		if m := kind.FindStringSubmatch(line); m != nil {
			typed = m[1] == family
			continue
		}
		m := series.FindStringSubmatch(line)
		if m == nil || m[1] != family || !typed {
			t.Errorf("in %s: %q", family, line)
			continue
		}
		if _, twice := out[m[1]+m[2]]; twice {
			t.Errorf("%s comes twice", m[1]+m[2])
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Error(err)
		}
		out[m[1]+m[2]] = value
	}
	return out
}

// FuzzMarkdown wants the same lines, begun in the same way, whatever the texts are, and
// nothing that Markdown would take for more than text.
func FuzzMarkdown(f *testing.F) {
	for _, n := range names {
		f.Add(n)
	}
	begin := regexp.MustCompile(`^(## [✗!✓] \d|### [✗!✓] |\| |\|$|\d+\. |- |\*\*[✗!–] |<https://|` + "`" + `|[^#|*<` + "`" + `\-+=])`)
	// A line of code, in a fence; all else that means something stands behind a backslash.
	span := regexp.MustCompile("^(?:[0-9]+\\. )?(`+)([^`].*[^`]|[^`])(`+)$")
	f.Fuzz(func(t *testing.T, s string) {
		for line := range strings.Lines(written(t, report.Markdown, hostile(s))) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" {
				continue
			}
			if !begin.MatchString(line) {
				t.Errorf("a line begins %q", line)
			}
			if strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\|`, ""), "|") != 6 {
				t.Errorf("a row has other columns: %q", line)
			}
			if m := span.FindStringSubmatch(line); m != nil {
				for _, run := range regexp.MustCompile("`+").FindAllString(m[2], -1) {
					if run == m[1] || m[1] != m[3] {
						t.Errorf("the code ends early: %q", line)
					}
				}
				continue
			}
			bare := regexp.MustCompile(`\\[[:punct:]]`).ReplaceAllString(line, "·")
			if regexp.MustCompile(`^<https://[^<> ]+>$`).MatchString(bare) || strings.HasPrefix(bare, "| :--") {
				continue
			}
			if strings.ContainsAny(strings.TrimPrefix(bare, "**"), "<>[]`&~$_") || strings.Contains(bare, "](") || strings.Contains(strings.ToLower(bare), "www.") || strings.Contains(bare, "://") {
				t.Errorf("this means more than it says: %q", line)
			}
		}
	})
}

// TestManyConnections wants a report of a thousand connections in a moment, and each of
// them in it.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	r := report.Report{At: now, Version: "1.2.3"}
	for i := range 1000 {
		c := sample().Connections[i%5]
		c.Profile.Name = fmt.Sprintf("connection-%04d", i)
		r.Connections = append(r.Connections, c)
	}
	for _, form := range report.Forms() {
		began := time.Now()
		got := written(t, form, r)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", form, took)
		}
		for _, c := range r.Connections {
			if !strings.Contains(got, c.Profile.Name) {
				t.Fatalf("%s lacks %s", form, c.Profile.Name)
			}
		}
		if form == report.Markdown && len(got) > 1<<20 {
			t.Errorf("GitHub takes 1 MiB, this is %d", len(got))
		}
	}
}
