package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
)

// clean makes text of foreign origin safe for a terminal.
func clean(s string) string { return transport.CleanText(s, 1000) }

// printable is a result in the forms that --output offers. An empty name or a
// nil table means that the form makes no sense for it.
type printable struct {
	value  any
	name   string
	table  func() string
	report func() report.Report // of the commands with the forms of a report
}

// reports marks a command that offers the forms of a report, too.
const reports = "reports"

// formsOf lists the forms of output that a command offers.
func formsOf(cmd *cobra.Command) []string {
	forms := []string{"table", "json", "yaml", "name"}
	if cmd.Annotations[reports] != "" {
		forms = append(forms, report.Forms()...)
	}
	return forms
}

func (a *app) checkOutput(cmd *cobra.Command) error {
	if a.Getenv("ACCESSIBLE") != "" && a.Getenv("ACCESSIBLE") != "0" {
		a.accessible = true
	}
	if !cmd.Flags().Changed("output") {
		if v := a.Getenv("C2CONN_OUTPUT"); v != "" {
			a.output = v
		}
	}
	if forms := formsOf(cmd); !slices.Contains(forms, a.output) {
		bad := a.output
		a.output = "table"
		text := fmt.Sprintf("--output %q is not one of %s", bad, strings.Join(forms, ", "))
		if slices.Contains(report.Forms(), bad) {
			text += "; reports are made by c2conn verify"
		}
		return &usageError{err: errors.New(text), command: cmd.CommandPath()}
	}
	return nil
}

// print writes a result to standard output in the chosen form.
func (a *app) print(p printable) error {
	text, err := p.in(a.output)
	if err != nil {
		return err
	}
	if _, err := a.Out.Write(text); err != nil {
		return fmt.Errorf("writing the result: %w", connections.Full("standard output", err))
	}
	return nil
}

// in is the result in one of the forms.
func (p printable) in(form string) ([]byte, error) {
	switch {
	case form == "json" || form == "yaml":
		return encode(p.value, form)
	case form == "name" && p.name != "":
		return []byte(p.name + "\n"), nil
	case p.report != nil && slices.Contains(report.Forms(), form):
		var b bytes.Buffer
		err := report.Write(&b, form, p.report())
		return b.Bytes(), err
	case form == "table" && p.table != nil:
		return []byte(p.table()), nil
	}
	return nil, nil
}

func encode(v any, form string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	if form == "json" {
		return b.Bytes(), nil
	}
	// YAML is made from the JSON, so that both have the same names.
	var node yaml.Node
	if err := yaml.Unmarshal(b.Bytes(), &node); err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	blockStyle(&node)
	return yaml.Marshal(&node)
}

func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// errorf writes to standard error; there is nobody to tell when that fails.
func (a *app) errorf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = fmt.Fprintf(a.Err, format, args...)
}

// jsonError is the answer of a command that failed, where scripts expect one.
func (a *app) jsonError(code string, adv *advice.Advice) {
	if a.output != "json" && a.output != "yaml" {
		return
	}
	doc := struct {
		Error struct {
			Code string `json:"code"`
			*advice.Advice
		} `json:"error"`
	}{}
	doc.Error.Code, doc.Error.Advice = code, a.dated(adv)
	if text, err := encode(doc, a.output); err == nil {
		_, _ = a.Out.Write(text)
	}
}

// dated gives an advice that no service dated the time of now.
func (a *app) dated(adv *advice.Advice) *advice.Advice {
	if adv == nil || !adv.Time.IsZero() {
		return adv
	}
	with := *adv
	with.Time = a.Clock.Now().UTC().Truncate(time.Second)
	return &with
}

// checkJSON is a check as the JSON contract has it.
type checkJSON struct {
	ID         string         `json:"id"`
	Title      string         `json:"title"`
	Status     string         `json:"status"`
	Finding    string         `json:"finding"`
	Details    []string       `json:"details,omitempty"`
	DurationMS int64          `json:"duration_ms"`
	Advice     *advice.Advice `json:"advice"`
}

// answerJSON is the answer of new, verify and show.
type answerJSON struct {
	Connection connections.Connection `json:"connection"`
	Verified   bool                   `json:"verified"`
	Saved      bool                   `json:"saved"`
	Checks     []checkJSON            `json:"checks"`
	Steps      []checkJSON            `json:"steps,omitempty"` // of a registration, in the form of checks
	Command    string                 `json:"command,omitempty"`
	Notes      []string               `json:"notes,omitempty"`
	ConsentURL string                 `json:"consent_url,omitempty"` // where an administrator consents, while that is waited for
}

func (a *app) checksJSON(results []task.Result) []checkJSON {
	list := make([]checkJSON, len(results))
	for i, r := range results {
		list[i] = checkJSON{ID: r.ID, Title: r.Title, Status: string(r.Status), Finding: r.Finding, Details: r.Details, DurationMS: r.Duration.Milliseconds(), Advice: a.dated(r.Advice)}
	}
	return list
}

// renderAdvice is an advice as paragraphs: what, why, what next, link, codes.
// Its first line has no indent.
func renderAdvice(adv *advice.Advice, indent string) string {
	var b strings.Builder
	b.WriteString(adv.What + "\n")
	hang := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%s%-5s %s\n", indent, label, wrap(text, 96-len(indent), indent+"      "))
		}
	}
	hang("Why", adv.Why)
	n := 0
	for i, step := range adv.Next {
		label := ""
		if i == 0 {
			label = "Next"
		}
		if strings.HasPrefix(step, "$ ") || strings.HasPrefix(step, "PS> ") {
			fmt.Fprintf(&b, "%s%-5s    %s\n", indent, label, step) // a command stays in one line, to be copied
			continue
		}
		n++
		fmt.Fprintf(&b, "%s%-5s %d. %s\n", indent, label, n, wrap(step, 93-len(indent), indent+"         "))
	}
	hang("Link", adv.Link)
	var codes []string
	codes = append(codes, adv.Codes...)
	if adv.TraceID != "" {
		codes = append(codes, "trace "+adv.TraceID)
	}
	if adv.CorrelationID != "" {
		codes = append(codes, "correlation "+adv.CorrelationID)
	}
	if !adv.Time.IsZero() {
		codes = append(codes, adv.Time.UTC().Format(time.DateTime)+" UTC")
	}
	hang("Codes", strings.Join(codes, " · "))
	return strings.TrimRight(b.String(), "\n")
}

// wrap breaks text at spaces; what has no spaces, such as a link, is not broken.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		w := len([]rune(word))
		switch {
		case i == 0:
		case used+1+w > width:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += w
	}
	return b.String()
}

// columns aligns rows by their display width, two spaces apart.
func columns(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	total := 1
	for _, w := range widths {
		total += w + 4 // room for signs of several bytes
	}
	out := make([]byte, 0, total*len(rows))
	for _, row := range rows {
		for i, cell := range row {
			out = append(out, cell...)
			for pad := widths[i] - width(cell) + 2; i < len(row)-1 && pad > 0; pad-- {
				out = append(out, ' ')
			}
		}
		out = append(bytes.TrimRight(out, " "), '\n')
	}
	return string(out)
}

// width is how many columns of a terminal a text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x80 || strings.ContainsRune("✓✗–…·›", r):
			n++
		default:
			return ansi.StringWidth(s)
		}
	}
	return n
}

// sign is a status as a sign; the word always stands beside it.
func sign(status string) string {
	switch status {
	case string(task.Pass), connections.StateVerified:
		return "✓"
	case string(task.Warn), connections.StateWaiting, connections.StateUnverified:
		return "!"
	case string(task.Fail), connections.StateFailed:
		return "✗"
	}
	return "–"
}

// ago says how long before now t was, in one unit.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// left says how far t is ahead of now.
func left(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	d := t.Sub(now)
	days := int(d.Hours() / 24)
	switch {
	case d <= 0:
		return "✗ expired"
	case d < connections.ExpirySoon:
		return fmt.Sprintf("! %d d, soon", days)
	case days < 730:
		return fmt.Sprintf("%d d", days)
	}
	return fmt.Sprintf("%d y", days/365)
}
