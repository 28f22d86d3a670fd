package wizard_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// seedsFile is the table of everything that the five documents ask for.
const seedsFile = "../docs/seeds.md"

// seedRow is a row of the table. Commands may hold KIND, which stands for each kind.
type seedRow struct {
	line      int
	section   string
	kind      string   // step, field, choice, button, info, warning, after or check
	check     string   // the id of a check
	commands  []string // without "c2conn"
	flags     []string // "--name", or with a value "--name value"
	variables []string // "NAME", or with a value "NAME=value"
	path      []string // step, field, option
	place     string   // a page; the words stand there
	words     []string
	nowhere   bool // it is on no screen
}

const seedsHeader = "| what | kind | command | flag, variable | on the screen | remarks |"

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	quoted   = regexp.MustCompile(`“([^”]+)”`)
)

// parseSeeds reads the tables. What is no table is text for people.
func parseSeeds(text string) (rows []seedRow, complaints []string) {
	section := ""
	inTable := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			section, inTable = strings.TrimSpace(strings.TrimLeft(line, "#")), false
		case line == seedsHeader:
			inTable = true
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case strings.HasPrefix(line, "| ---"):
		case !inTable:
			complaints = append(complaints, complaint(i+1, "the table begins with another head than %q", seedsHeader))
		default:
			row, err := parseSeedRow(line)
			row.line, row.section = i+1, section
			if err != nil {
				complaints = append(complaints, complaint(i+1, "%v", err))
				continue
			}
			rows = append(rows, row)
		}
	}
	return rows, complaints
}

func complaint(line int, format string, args ...any) string {
	return fmt.Sprintf("docs/seeds.md:%d: %s", line, fmt.Sprintf(format, args...))
}

func parseSeedRow(line string) (seedRow, error) {
	var row seedRow
	cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
	if len(cells) != 6 {
		return row, fmt.Errorf("%d cells, want 6", len(cells))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	row.kind, row.check, _ = strings.Cut(cells[1], " ")
	row.check = strings.Trim(row.check, "`")
	switch {
	case !slices.Contains([]string{"step", "field", "choice", "button", "info", "warning", "after", "check"}, row.kind):
		return row, fmt.Errorf("%q is no kind of row", cells[1])
	case (row.kind == "check") != (row.check != ""):
		return row, fmt.Errorf("%q: a check, and nothing else, has an id", cells[1])
	}
	row.commands = codeSpans(cells[2])
	if len(row.commands) == 0 {
		return row, fmt.Errorf("no command in %q", cells[2])
	}
	for _, span := range codeSpans(cells[3]) {
		if strings.HasPrefix(span, "--") {
			row.flags = append(row.flags, span)
		} else {
			row.variables = append(row.variables, span)
		}
	}
	return row, row.parseScreen(cells[4])
}

// parseScreen reads "step › field › option", "place: “words”, “words”" or "—".
func (row *seedRow) parseScreen(cell string) error {
	place, _, ok := strings.Cut(cell, ": “")
	switch {
	case cell == "":
		return fmt.Errorf("it does not say what is on the screen")
	case cell == "—":
		row.nowhere = true
	case ok:
		row.place = place
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			row.words = append(row.words, m[1])
		}
	default:
		row.path = strings.Split(cell, " › ")
	}
	return nil
}

func codeSpans(cell string) (spans []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		spans = append(spans, m[1])
	}
	return spans
}

// of is the row for one kind, with KIND replaced.
func (row seedRow) of(kind string) seedRow {
	row.commands = slices.Clone(row.commands)
	for i := range row.commands {
		row.commands[i] = strings.ReplaceAll(row.commands[i], "KIND", kind)
	}
	return row
}

// perKind is the row itself, or once for each kind where it is about all.
func (row seedRow) perKind() []seedRow {
	if !strings.Contains(strings.Join(row.commands, " "), "KIND") {
		return []seedRow{row}
	}
	var rows []seedRow
	for _, kind := range []string{"exchange", "sharepoint", "migration-source", "migration-target"} {
		rows = append(rows, row.of(kind))
	}
	return rows
}
