package wizard

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
)

// maxSecret bounds what is read as a secret from a file or standard input.
const maxSecret = 64 << 10

// Source is where answers come from when nobody is asked: flags, environment
// variables, files and standard input.
type Source struct {
	// Flag returns the value of a flag and whether it was given. A boolean flag
	// that was given has the value "true" or "false".
	Flag     func(name string) (value string, given bool)
	Getenv   func(name string) string
	ReadFile func(path string) ([]byte, error)
	Stdin    io.Reader
}

// given is one answer found in a Source.
type given struct {
	field  Field
	text   string
	secret connections.Secret
	origin Origin
	from   string
	err    error // it was given, but cannot be read or contradicts another
}

// Fill answers the session's fields from src. A choice without an answer of its
// own follows from the fields that were given: a certificate file chooses "by
// certificate file". What is missing, wrong,
// contradictory or cannot be read is found by Ready; Fill returns what was given
// and is not asked for.
func (s *Session) Fill(src Source) []Problem { return s.take(s.found(src)) }

// found looks every field up in the source.
func (s *Session) found(src Source) map[string]given {
	found := map[string]given{}
	var stdin string
	for _, f := range s.Flow.Fields() {
		g, ok, err := findAnswer(f, s.Env, src, &stdin)
		if err != nil {
			g, ok = given{field: f, origin: FromFlag, from: f.FlagName(), err: err}, true
		}
		if first, twice := found[f.Key]; ok && twice { // by the flag that it has elsewhere in the flow
			switch {
			case g.origin == FromEnv, g.err == nil && first.err != nil:
				continue
			case first.origin != FromEnv && g.err == nil:
				g.err = fmt.Errorf("%s and %s contradict each other; give one", first.name(), g.name())
			}
		}
		if ok {
			found[f.Key] = g
		}
	}
	return found
}

// take answers the session with what was found.
func (s *Session) take(found map[string]given) []Problem {
	s.infer(found)
	for _, f := range s.Flow.Fields() {
		g, ok := found[f.Key]
		if !g.by(f) {
			continue
		}
		if ok && g.err != nil {
			s.Answers[f.Key] = Value{Origin: g.origin, From: g.from, Err: g.err}
		} else if ok {
			// The error stays with the answer and is reported by Ready.
			if f.Input == Secret {
				_ = s.SetSecret(f.Key, g.secret, g.origin, g.from)
			} else {
				_ = s.Set(f.Key, g.text, g.origin, g.from)
			}
		}
	}
	if len(s.Ready()) == 0 {
		return s.surplus(found)
	}
	return nil
}

// findAnswer looks one field up in the source: flag first, then environment.
func findAnswer(f Field, env *Env, src Source, stdinUser *string) (given, bool, error) {
	name := f.FlagName()
	if f.Input == Secret {
		return findSecret(f, src, stdinUser)
	}
	if f.Input == Choice && f.Options != nil {
		var picked []string
		declined := false
		g := given{field: f, origin: FromFlag}
		for _, o := range f.Options(env) {
			switch v, ok := flag(src, o.Flag); {
			case ok && v != "false":
				picked = append(picked, "--"+o.Flag)
				g.text, g.from = o.Value, o.Flag
			case ok && len(picked) == 0 && f.Default != nil && f.Default(env, Answers{}) != o.Value:
				g.text, g.from, declined = f.Default(env, Answers{}), o.Flag, true // --flag=false is an answer as well
			}
		}
		if len(picked) > 1 {
			return g, false, fmt.Errorf("%s contradict each other; give one", strings.Join(picked, " and "))
		}
		if len(picked) == 1 || declined {
			return g, true, nil
		}
	}
	if v, ok := flag(src, name); ok {
		return given{field: f, text: v, origin: FromFlag, from: name}, true, nil
	}
	if v := src.Getenv(f.EnvName()); v != "" {
		return given{field: f, text: v, origin: FromEnv, from: f.EnvName()}, true, nil
	}
	return given{}, false, nil
}

func flag(src Source, name string) (string, bool) {
	if name == "" {
		return "", false
	}
	return src.Flag(name)
}

func findSecret(f Field, src Source, stdinUser *string) (given, bool, error) {
	name := f.FlagName()
	path, byFile := flag(src, name+"-file")
	v, byStdin := flag(src, name+"-stdin")
	byStdin = byStdin && v != "false"
	switch {
	case byFile && byStdin:
		return given{}, false, fmt.Errorf("--%s-file and --%s-stdin contradict each other; give one", name, name)
	case byFile:
		data, err := src.ReadFile(path)
		if err != nil {
			return given{}, false, err
		}
		if len(data) > maxSecret {
			return given{}, false, fmt.Errorf("%s is larger than %d KiB; that is no secret", path, maxSecret>>10)
		}
		if len(bytes.TrimSpace(data)) == 0 && !f.Optional {
			return given{}, false, fmt.Errorf("%s is empty", path)
		}
		return given{field: f, secret: SecretText(data), origin: FromFile, from: path}, true, nil
	case byStdin:
		if *stdinUser != "" {
			return given{}, false, fmt.Errorf("standard input is read by --%s already; use --%s-file", *stdinUser, name)
		}
		*stdinUser = name + "-stdin"
		if src.Stdin == nil {
			return given{}, false, errors.New("standard input is closed")
		}
		data, err := io.ReadAll(io.LimitReader(src.Stdin, maxSecret+1))
		if err != nil {
			return given{}, false, fmt.Errorf("reading standard input: %w", err)
		}
		if len(data) > maxSecret {
			return given{}, false, fmt.Errorf("standard input holds more than %d KiB; that is no secret", maxSecret>>10)
		}
		if len(bytes.TrimSpace(data)) == 0 && !f.Optional {
			return given{}, false, errors.New("standard input is empty")
		}
		return given{field: f, secret: SecretText(data), origin: FromStdin, from: name + "-stdin"}, true, nil
	}
	if env := src.Getenv(f.EnvName()); env != "" {
		return given{field: f, secret: connections.NewSecret(env), origin: FromEnv, from: f.EnvName()}, true, nil
	}
	return given{}, false, nil
}

// SecretText is a secret as it was meant by whoever wrote the file: without the
// line end that editors and echo append, without a byte order mark, and in UTF-8
// where Windows PowerShell wrote UTF-16.
func SecretText(data []byte) connections.Secret {
	if order := utf16Order(data); order != nil {
		units := make([]uint16, 0, len(data)/2)
		for i := 2; i+1 < len(data); i += 2 {
			units = append(units, order.Uint16(data[i:]))
		}
		data = []byte(string(utf16.Decode(units)))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	return connections.NewSecret(strings.TrimRight(string(data), "\r\n"))
}

func utf16Order(data []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return binary.BigEndian
	}
	return nil
}

// infer answers choices from the fields that belong to one of their values only.
// What came by a flag beats what happens to be set in the environment.
func (s *Session) infer(found map[string]given) {
	for _, choice := range s.Flow.Fields() {
		have, ok := found[choice.Key]
		if choice.Input != Choice || ok && have.origin != FromEnv {
			continue
		}
		byValue := map[string]string{} // value -> the flag or variable that implies it
		origin := FromEnv
		for _, f := range s.Flow.variants() {
			g, ok := found[f.Key]
			value, implied := implies(f, choice.Key)
			if !ok || !implied || !g.by(f) {
				continue
			}
			if g.origin != FromEnv && origin == FromEnv {
				origin, byValue = FromFlag, map[string]string{}
			}
			if (g.origin == FromEnv) == (origin == FromEnv) {
				byValue[value] = g.name()
			}
		}
		if ok && origin == FromEnv {
			continue // what was said beats what follows
		}
		switch len(byValue) {
		case 0:
		case 1:
			for value := range byValue {
				found[choice.Key] = given{field: choice, text: value, origin: FromDefault}
			}
		default:
			var names []string
			for _, f := range s.Flow.variants() { // in the order of the flow
				if v, ok := implies(f, choice.Key); ok && byValue[v] != "" {
					names = append(names, byValue[v])
				}
			}
			found[choice.Key] = given{field: choice, origin: FromFlag, err: fmt.Errorf("%s contradict each other; give one", strings.Join(names, " and "))}
		}
	}
}

// name is how the user gave the answer: the flag or the variable.
func (g given) name() string {
	switch g.origin {
	case FromEnv:
		return g.from
	case FromFile:
		return "--" + g.field.FlagName() + "-file"
	}
	return "--" + g.from
}

// by reports whether the answer was given as f takes it. A variable answers whichever
// field of its key is asked.
func (g given) by(f Field) bool {
	return g.origin == FromEnv || g.origin == FromDefault || g.field.sameFlag(f)
}

// ErrSurplus is an answer that was given and is not asked for.
var ErrSurplus = errors.New("does not go with the other answers")

// surplus reports answers given by a flag that this run does not ask for: they
// would be ignored, and whoever gave them believes otherwise.
func (s *Session) surplus(found map[string]given) []Problem {
	if s.Answers[keyRegistration].Err != nil || s.Answers[keyLocation].Err != nil {
		return nil // the choice itself is refused: that is what has to be said
	}
	asked := map[string]bool{}
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			asked[f.Key] = asked[f.Key] || found[f.Key].by(f)
		}
	}
	var problems []Problem
	if trust, ok := found[keyTrust]; ok && trust.text == yes && trust.origin != FromEnv && asked[keyCertSum] && s.namedSum() {
		f, _ := s.Flow.Field(keyCertSum)
		problems = append(problems, Problem{Key: f.Key, Title: f.Title, Flags: f.Flags(), Err: errors.New("--certificate-sha256 and --trust-certificate contradict each other; give one")})
	}
	for _, f := range s.Flow.Fields() {
		g, ok := found[f.Key]
		if !ok || !g.by(f) || g.origin == FromEnv || g.origin == FromDefault || asked[f.Key] || f.Confirms && f.Input == Choice {
			continue // to have confirmed too much does no harm
		}
		err := ErrSurplus
		if name := s.calledHere(f); name != "" {
			err = fmt.Errorf("%w; here it is called %q", ErrSurplus, name)
		}
		problems = append(problems, Problem{Key: f.Key, Title: f.Title, Flags: f.Flags(), Err: err})
	}
	return problems
}

// calledHere is the flag by which this run takes the answer of f; "" where it is that of f,
// or the run has no such question.
func (s *Session) calledHere(f Field) string {
	for _, st := range s.Steps() {
		for _, other := range st.Fields {
			if other.Key == f.Key && !other.sameFlag(f) {
				return other.FlagName()
			}
		}
	}
	return ""
}

// LookupAll runs the look-ups of all fields that are asked, in order, until one
// fails for a reason that is no fault of its answer. Wrong answers are kept with
// their error and found by Ready.
func (s *Session) LookupAll(ctx context.Context) error {
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			err := s.Lookup(ctx, f.Key)
			if err != nil && ctx.Err() != nil {
				return ctx.Err()
			}
			if NotTheAnswer(err) {
				return err
			}
		}
	}
	return nil
}

// LookupProposed runs the look-ups of answers that nobody gave but that were
// proposed, perhaps because of who signed in. One that is wrong is a *ProblemsError.
func (s *Session) LookupProposed(ctx context.Context) error {
	a := s.answersInForce()
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			if s.Answers.Has(f.Key) || !a.Has(f.Key) {
				continue
			}
			switch err := s.Lookup(ctx, f.Key); {
			case err == nil:
			case ctx.Err() != nil:
				return ctx.Err()
			case NotTheAnswer(err):
				return err
			default:
				return problem(s, f.Key, err)
			}
		}
	}
	return nil
}

// NotTheAnswer tells errors of the network and of the store, which no other
// answer would mend, from those that the answer is to blame for.
func NotTheAnswer(err error) bool {
	var (
		outside    *OutsideError
		network    *transport.Error
		permission *connections.PermissionError
		damaged    *connections.DamagedError
		newer      *connections.NewerSchemaError
		locked     *connections.LockedError
	)
	return errors.As(err, &outside) || errors.As(err, &network) || errors.As(err, &permission) || errors.As(err, &damaged) || errors.As(err, &newer) || errors.As(err, &locked)
}
