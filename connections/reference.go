package connections

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oklog/ulid/v2"
)

// Ref says where a secret is, never what it is:
//
//	store:ULID     in this store, encrypted
//	env:NAME       in an environment variable
//	file:PATH      in a file (absolute path)
//	exec:COMMAND   on the standard output of a command (no shell)
//	windows:…      in the personal certificate store of Windows
type Ref string

// The schemes of a Ref.
const (
	SchemeStore   = "store"
	SchemeEnv     = "env"
	SchemeFile    = "file"
	SchemeExec    = "exec"
	SchemeWindows = "windows"
)

const refLimit = 4096 // bytes; as long as a path may be

// Scheme returns what stands before the first colon, "" where there is none.
func (r Ref) Scheme() string {
	scheme, _, found := strings.Cut(string(r), ":")
	if !found {
		return ""
	}
	return scheme
}

// Value returns what stands after the first colon.
func (r Ref) Value() string {
	_, value, _ := strings.Cut(string(r), ":")
	return value
}

// Validate tells whether r is a well-formed reference. The error does not
// repeat r, because people paste secrets where references belong.
func (r Ref) Validate() error {
	if len(r) > refLimit {
		return fmt.Errorf("is longer than %d bytes", refLimit)
	}
	if strings.ContainsFunc(string(r), hidden) {
		return errors.New("holds invisible or control characters")
	}
	value := r.Value()
	switch r.Scheme() {
	case SchemeStore:
		if _, err := ulid.ParseStrict(value); err != nil || value != strings.ToUpper(value) {
			return errors.New("store: must be followed by the 26 characters of a saved secret's id")
		}
	case SchemeEnv:
		if !envName(value) {
			return errors.New("env: must be followed by the name of an environment variable (letters, digits and _)")
		}
	case SchemeFile:
		if !absolute(value) {
			return errors.New("file: must be followed by an absolute path")
		}
	case SchemeExec:
		if _, err := SplitCommand(value); err != nil {
			return fmt.Errorf("exec: %w", err)
		}
	case SchemeWindows:
		if value == "" {
			return errors.New("windows: must be followed by a certificate of the personal store")
		}
	default:
		return errors.New("is no reference to a secret; it must start with store:, env:, file:, exec: or windows:")
	}
	return nil
}

// label names r in errors. A command's arguments may hold a secret, and what is
// no reference may be one.
func (r Ref) label() string {
	switch r.Scheme() {
	case SchemeStore, SchemeEnv, SchemeFile, SchemeWindows:
		return clean(string(r))
	case SchemeExec:
		if argv, err := SplitCommand(r.Value()); err == nil {
			return SchemeExec + ":" + clean(argv[0])
		}
		return SchemeExec
	}
	return "reference"
}

func envName(s string) bool {
	for i, c := range []byte(s) {
		letter := 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// absolute accepts the absolute paths of every operating system, so that a
// connection is as valid on one machine as on another.
func absolute(path string) bool {
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, `\\`) {
		return true
	}
	return len(path) >= 3 && path[1] == ':' && (path[2] == '\\' || path[2] == '/') &&
		('a' <= path[0]|0x20 && path[0]|0x20 <= 'z')
}

// SplitCommand splits the command of an exec: reference into the program and
// its arguments: at spaces and tabs, except inside single or double quotes.
// Inside double quotes \" stands for a quote and \\ for a backslash; elsewhere
// a backslash is an ordinary character, as Windows paths need it. Nothing is
// expanded and no shell is involved.
func SplitCommand(s string) ([]string, error) {
	var (
		argv  []string
		word  strings.Builder
		open  bool // a word has begun, even if it is empty as in ''
		quote byte
	)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == 0 || c == '\n' || c == '\r':
			return nil, errors.New("the command holds a line break or a null character")
		case quote == '"' && c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			word.WriteByte(s[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, open = c, true
		case c == ' ' || c == '\t':
			if open {
				argv, open = append(argv, word.String()), false
				word.Reset()
			}
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("the command has a quote that is not closed")
	}
	if open {
		argv = append(argv, word.String())
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, errors.New("the command is empty")
	}
	return argv, nil
}
