package handout

import (
	"fmt"
	"strings"
)

// Format is a form in which variables are written for another program to read.
type Format string

// The formats.
const (
	Bash       Format = "bash" // and every other POSIX shell: sh, dash, zsh, ksh
	Fish       Format = "fish"
	PowerShell Format = "powershell"
	Dotenv     Format = "dotenv"
	GitHub     Format = "github" // the file that GITHUB_ENV names
)

// Formats are all formats, in the order in which they are shown.
func Formats() []Format { return []Format{Bash, Fish, PowerShell, Dotenv, GitHub} }

// UnquotableError says that a value cannot be written so that every reader of the
// format reads the same. It does not hold the value.
type UnquotableError struct {
	Name   string // of the variable
	Format Format
	Reason string
}

// Error names the variable and the reason.
func (e *UnquotableError) Error() string {
	return fmt.Sprintf("the value of %s %s, which cannot be written for %s so that every reader reads the same", e.Name, e.Reason, e.Format)
}

// Set is the text that sets a variable. random makes the end mark of GitHub's form,
// which no value may contain; the others take no notice of it. Errors: *UnquotableError.
func (f Format) Set(v Variable, random string) (string, error) {
	if strings.ContainsRune(v.Value, 0) {
		return "", &UnquotableError{Name: v.Name, Format: f, Reason: "holds a zero byte"}
	}
	switch f {
	case Fish:
		return "set -gx " + v.Name + " '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.Value) + "'\n", nil
	case PowerShell:
		return "$Env:" + v.Name + " = " + powerShell(v.Value) + "\n", nil
	case Dotenv:
		text, reason := dotenv(v.Value)
		if reason != "" {
			return "", &UnquotableError{Name: v.Name, Format: f, Reason: reason}
		}
		return v.Name + "=" + text + "\n", nil
	case GitHub:
		return github(v, random)
	}
	return "export " + v.Name + "='" + strings.ReplaceAll(v.Value, `'`, `'\''`) + "'\n", nil
}

// Unset is the text that takes a variable back, "" where the format has none.
func (f Format) Unset(name string) string {
	switch f {
	case Fish:
		return "set -e " + name + "\n"
	case PowerShell:
		return "Remove-Item -ErrorAction Ignore Env:" + name + "\n"
	case Dotenv:
		return ""
	case GitHub:
		return name + "=\n" // Azure's libraries take an empty variable for none
	}
	return "unset " + name + "\n"
}

// Comment is a line that the format's readers skip.
func (f Format) Comment(text string) string { return "# " + text + "\n" }

// powerShell takes every sort of single quotation mark for one, and two of a sort for
// the second of them.
//
// Source: learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules,
// and IsSingleQuote in PowerShell's CharTraits.cs.
func powerShell(value string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range value {
		if strings.ContainsRune("'\u2018\u2019\u201a\u201b", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	b.WriteByte('\'')
	return b.String()
}

// dotenv writes what all common readers read alike (python-dotenv, npm's dotenv, node
// --env-file, godotenv, Compose): plain characters as they are, which docker run
// --env-file needs, others in single quotes, which nobody expands. There is no form
// for the rest: some take a backslash for an escape in quotes and some do not.
func dotenv(value string) (text, reason string) {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@~+,%", r)
	}
	if strings.TrimFunc(value, plain) == "" {
		return value, ""
	}
	switch {
	case strings.ContainsAny(value, "\r\n"):
		return "", "holds a line break"
	case strings.Contains(value, "'"):
		return "", "holds a single quotation mark"
	case strings.Contains(value, "${"):
		return "", "holds ${"
	case strings.Contains(value, `\\`), strings.HasSuffix(value, `\`):
		return "", "holds two backslashes or ends with one"
	}
	return "'" + value + "'", ""
}

// github writes the form of several lines, whose end mark nobody can foresee.
//
// Source: docs.github.com/actions/reference/workflow-commands-for-github-actions,
// "Multiline strings".
func github(v Variable, random string) (string, error) {
	mark := "c2conn_" + random
	if random == "" || strings.Contains(v.Value, mark) {
		return "", &UnquotableError{Name: v.Name, Format: GitHub, Reason: "holds the end mark"}
	}
	return v.Name + "<<" + mark + "\n" + v.Value + "\n" + mark + "\n", nil
}

// Mask is the line that makes GitHub Actions hide a value in its logs, one for each
// line of it.
//
// Source: docs.github.com/actions/reference/workflow-commands-for-github-actions,
// "Masking a value in a log"; the escapes are those of escapeData in actions/toolkit.
func Mask(value string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(value, "\n") {
		if line = strings.TrimSuffix(line, "\r"); line != "" {
			b.WriteString("::add-mask::" + strings.NewReplacer("%", "%25", "\r", "%0D").Replace(line) + "\n")
		}
	}
	return b.String()
}
