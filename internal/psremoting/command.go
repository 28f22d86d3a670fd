package psremoting

import (
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// Command is a command (cmdlet) to run, with its parameters.
type Command struct {
	Name   string // e.g. "Get-Mailbox"; letters, digits and hyphens
	Params []Param

	// Take is called with each output object as it arrives, where it is set; Output
	// keeps none then, so that any number can be counted. Its error stops the
	// command and is returned by Run.
	Take func(Object) error
}

// Param is one parameter of a command, with its value. Make it with String, Bool,
// Int, Switch or Strings.
type Param struct {
	name  string
	value any // string, bool, int32 or []string
}

// String returns a parameter whose value is a text.
func String(name, value string) Param { return Param{name, value} }

// Bool returns a parameter whose value is $true or $false. It also says no to a
// switch, e.g. Bool("Confirm", false).
func Bool(name string, value bool) Param { return Param{name, value} }

// Int returns a parameter whose value is a 32-bit number.
func Int(name string, value int32) Param { return Param{name, value} }

// Switch returns a parameter that is switched on by being there.
func Switch(name string) Param { return Param{name, true} }

// Strings returns a parameter whose value is a list of texts.
func Strings(name string, values ...string) Param {
	return Param{name, append([]string{}, values...)}
}

// Output is what a command put out.
type Output struct {
	Objects  []Object
	Errors   []*CommandError // records of errors, in the server's order
	Warnings []string        // texts of warnings, safe to show
}

// The most that is sent of one command: far above what any cmdlet takes.
const (
	nameLimit  = 100
	paramLimit = 100
	valueLimit = 4 << 20 // bytes of all values together
)

// check refuses what is no command: a name with anything but letters, digits and
// hyphens is a script, or a path, and is not for us to send.
func (c Command) check() error {
	if !identifier(c.Name) {
		return fmt.Errorf("%q is no name of a command", transport.CleanText(c.Name, nameLimit))
	}
	if len(c.Params) > paramLimit {
		return fmt.Errorf("%s: more than %d parameters", c.Name, paramLimit)
	}
	total := 0
	for _, p := range c.Params {
		if !identifier(p.name) {
			return fmt.Errorf("%s: %q is no name of a parameter", c.Name, transport.CleanText(p.name, nameLimit))
		}
		switch v := p.value.(type) {
		case string:
			total += len(v)
		case []string:
			for _, s := range v {
				total += len(s) + 16
			}
		}
	}
	if total > valueLimit {
		return fmt.Errorf("%s: the values of its parameters are larger than %d bytes", c.Name, valueLimit)
	}
	return nil
}

// identifier reports whether s is a name as cmdlets and their parameters have.
func identifier(s string) bool {
	if s == "" || len(s) > nameLimit || s[0] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}) < 0
}
