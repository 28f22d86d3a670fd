package wizard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/advice"
)

// EditFlags lists the fields that have flags of their own where a connection is edited
// by a command; all others are answered by --set.
func EditFlags() []Field {
	var fields []Field
	own := map[string]bool{keyThumbprint: true, keyCertFile: true, keyReference: true}
	for _, f := range loginFields() {
		own[f.Key] = true
	}
	for _, flow := range Flows() {
		for _, f := range flow.Fields() {
			if (own[f.Key] || f.Input == Secret) && !slices.ContainsFunc(fields, f.sameFlag) {
				fields = append(fields, f)
			}
		}
	}
	return fields
}

// Change is one answer that differs from how the connection is saved.
type Change struct {
	Key   string `json:"key"` // as --set takes it
	Title string `json:"title"`
	Old   string `json:"old"` // "" where there was none, or where it is secret
	New   string `json:"new"`
}

// Changes lists what the answers of an Edit session change, in the order of the flow.
func (s *Session) Changes() []Change {
	if s.edit == nil {
		return nil
	}
	var list []Change
	a := s.answersInForce()
	for _, f := range s.changed(a) {
		change := Change{Key: setKey(f), Title: f.Title, Old: s.edit.loaded[f.Key].Text, New: a[f.Key].Text}
		if f.Input == Secret {
			change.New = "(given, not shown)"
		}
		list = append(list, change)
	}
	return list
}

// changed lists the fields that are asked and have another answer than the connection
// had; what is only proposed, where it had none, is no change.
func (s *Session) changed(a Answers) (fields []Field) {
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			v, old := a[f.Key], s.edit.loaded[f.Key]
			if !v.Secret.IsZero() || v.Text != old.Text && (v.Origin != FromDefault || old.Text != "") {
				fields = append(fields, f)
			}
		}
	}
	return fields
}

// edited reports whether the answers are others than those of the saved connection.
func (s *Session) edited() bool { return s.edit != nil && len(s.changed(s.answersInForce())) > 0 }

// setKey is how --set names a field.
func setKey(f Field) string { return strings.ReplaceAll(f.Key, "_", "-") }

// editCommand is the command that makes the same changes again.
func (s *Session) editCommand() string {
	args := []string{"c2conn", s.Flow.Verb}
	a := s.answersInForce()
	for _, f := range s.changed(a) {
		if f.bySet {
			args = append(args, "--set", advice.ShellWord(setKey(f)+"="+a.Get(f.Key)))
		} else {
			args = append(args, commandArgs(f, a, s.Env)...)
		}
	}
	if s.Automatic() && !s.Answers.Has(keyIfExists) {
		args = append(args, "--set", "if-exists=use")
	}
	if len(args) == 2 {
		return "c2conn verify " + advice.ShellWord(s.edit.was.Name)
	}
	return strings.Join(args, " ")
}

// FillChanges answers an Edit session for a script: set by key (client_id or
// client-id), and by the flags of EditFlags, which src gives; of the environment only
// what an administrator signs in with is read, as variables meant for a new connection
// must not change an old one. It returns what is unknown, wrong or not asked for.
func (s *Session) FillChanges(set [][2]string, src Source) []Problem {
	login := map[string]bool{}
	for _, f := range loginFields() {
		login[f.EnvName()] = true
	}
	environment := src.Getenv
	src.Getenv = func(name string) string {
		if login[name] {
			return environment(name)
		}
		return ""
	}
	found := s.found(src)
	var problems []Problem
	for _, kv := range set {
		key := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(kv[0]), "-", "_"))
		f, ok := s.field(key)
		bad := func(title string, flags []string, err error) {
			problems = append(problems, Problem{Key: key, Title: title, Flags: flags, Err: err})
		}
		switch have, twice := found[key]; {
		case !ok:
			bad(kv[0], []string{"--set " + kv[0]}, &UnknownKeyError{Key: kv[0], Known: s.keys()})
		case f.Input == Secret:
			bad(f.Title, []string{"--set " + kv[0]}, fmt.Errorf("a secret is never given as a value, where other programs can read it; use %s", strings.Join(f.Flags(), " or ")))
		case strings.TrimSpace(kv[1]) == "" && !f.Optional:
			bad(f.Title, []string{"--set " + kv[0]}, ErrMissing)
		case twice && have.origin != FromEnv:
			bad(f.Title, []string{"--set " + kv[0]}, errors.New("it is given twice; give it once"))
		default:
			found[key] = given{field: f, text: kv[1], origin: FromFlag, from: "set " + kv[0]}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return s.take(found)
}

// keys lists what --set takes.
func (s *Session) keys() (keys []string) {
	for _, f := range s.Flow.Fields() {
		if f.Input != Secret {
			keys = append(keys, setKey(f))
		}
	}
	return keys
}

// UnknownKeyError says that a connection of this kind has nothing of that name.
type UnknownKeyError struct {
	Key   string
	Known []string
}

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("there is no %q; there are: %s", e.Key, strings.Join(e.Known, ", "))
}
