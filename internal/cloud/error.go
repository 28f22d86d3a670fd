package cloud

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The sentinels that callers tell apart with errors.Is.
var (
	ErrUnknown = errors.New("unknown cloud")
	ErrRetired = errors.New("the cloud was retired")
	ErrExists  = errors.New("the cloud is defined already")
	ErrBuiltIn = errors.New("the cloud is built in")
)

// UnknownError says that no cloud has the name, and which there are.
type UnknownError struct {
	Name  string
	Known []string
	Hint  string // the name that was probably meant; may be empty
}

// Error lists the known names.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("there is no cloud %q; known clouds: %s", e.Name, strings.Join(e.Known, ", "))
	if e.Hint != "" {
		return text + fmt.Sprintf(" (you probably mean %s)", e.Hint)
	}
	return text + "; another one is added with c2conn cloud add FILE"
}

// Unwrap gives ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// RetiredError says that the cloud existed once.
type RetiredError struct{ Name string }

// Error says when, and what to use now.
func (e *RetiredError) Error() string {
	return fmt.Sprintf("cloud %q: Microsoft Cloud Deutschland was retired on 2021-10-29 and its tenants were moved to the worldwide cloud; use the cloud %q", e.Name, Global)
}

// Unwrap gives ErrRetired.
func (e *RetiredError) Unwrap() error { return ErrRetired }

// DefinitionError says what is wrong in a cloud definition.
type DefinitionError struct {
	Path string // empty where the definition came from no file
	Line int    // 1 for the first; 0 where unknown
	Key  string // the key concerned; may be empty
	Text string // what is wrong and what to do
	Err  error  // the cause; may be nil
}

// Error gives the place and the problem.
func (e *DefinitionError) Error() string {
	var b strings.Builder
	b.WriteString("cloud definition")
	if e.Path != "" {
		fmt.Fprintf(&b, " %s", e.Path)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	b.WriteString(": ")
	if e.Key != "" {
		fmt.Fprintf(&b, "%s: ", e.Key)
	}
	b.WriteString(e.Text)
	return b.String()
}

// Unwrap gives the cause, if there is one.
func (e *DefinitionError) Unwrap() error { return e.Err }

// printable drops what could move a terminal's cursor or turn text around.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
