// Package wizard holds the step engine, the flows that lead to a saved
// connection, and their drivers: the screen, the plain dialogue and the script.
//
// A flow is data: an ordered list of steps, each a list of fields with a
// condition on the answers so far. A field is declared once and serves the
// screen, the flag, the environment variable, the scripted run and the docs. The
// package hides from its callers which fields exist, when they are asked, and
// what has to happen between the last answer and a saved, verified connection.
package wizard

import (
	"context"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
)

// Input is the way in which a field takes its value.
type Input int

// The inputs. A Secret is never shown, never a flag's value and never in the
// command that the wizard prints at its end.
const (
	Text Input = iota
	Choice
	Secret
	Path
)

// Option is one possibility of a Choice, or a suggestion for a Text.
type Option struct {
	Value       string
	Title       string
	Help        string
	Flag        string // boolean flag that picks it in a script; "" for none
	FlagHelp    string // the flag's help where the title does not say it
	Unavailable string // why it cannot be chosen; it is shown all the same
}

// Cond is true while the answer to Key is one of Values.
type Cond struct {
	Key      string
	Values   []string
	Resolved bool // what a look-up found that the answer stands for is meant
}

// Is is the condition that the answer to key is one of values.
func Is(key string, values ...string) Cond { return Cond{Key: key, Values: values} }

// StandsFor is the condition that the look-up of the answer to key found one of values.
func StandsFor(key string, values ...string) Cond {
	return Cond{Key: key, Values: values, Resolved: true}
}

// Field is one question. Its key gives the flag (dashes) and the environment
// variable (C2CONN_ and capitals) unless Flag says otherwise.
type Field struct {
	Key      string
	Title    string
	Help     string // one line, shown beneath the field and as the flag's help
	Example  string // placeholder on the screen
	Input    Input
	Flag     string // flag name where it differs from the key; "-" for none
	FlagHelp string // the flag's help where the title does not say it
	Options  func(*Env) []Option
	Optional bool
	When     []Cond // all must hold for the field to be asked

	OptionalWhen []Cond               // where set, no answer is needed while all hold
	ScriptOnly   bool                 // a flag and a variable only; the dialogues do not ask
	Notice       func(Answers) string // what must be read before the answer; always seen together with the question
	Within       string               // key of a field whose answer tells this one, too: it is not missing where that one is wrong
	Confirms     bool                 // it goes with other answers, and having it chooses none of them
	Unless       []Cond               // where set, they do ask while all hold

	// Default proposes a value. It must not wait for anything.
	Default func(*Env, Answers) string
	// Check cleans a value and says what is wrong with it, without any I/O; of env it
	// reads the clouds only.
	Check func(env *Env, a Answers, value string) (string, error)
	// CheckSecret does the same for a Secret.
	CheckSecret func(a Answers, value connections.Secret) error
	// Lookup asks the outside world about the value (a file, the tenant). The
	// note is shown beside the field, resolved is what the value stands for.
	Lookup func(ctx context.Context, env *Env, a Answers) (note, resolved string, err error)
	// Reads lists the other answers that the look-up depends on: when one of them
	// changes, what was looked up no longer counts.
	Reads []string
	// Suggest offers values for a Text, e.g. certificates in the personal store.
	Suggest func(ctx context.Context, env *Env, a Answers) []Option
	// Keep is set for a Secret that is kept beside the credential: the place in the
	// connection where the reference to it goes.
	Keep func(*connections.Connection) *connections.Ref

	bySet bool // a command answers it by --set, not by a flag of its own
}

// FlagName is the field's flag without dashes, "" when it has none. The flags of
// a Secret are this name with -file and -stdin appended.
func (f Field) FlagName() string {
	switch f.Flag {
	case "":
		return strings.ReplaceAll(f.Key, "_", "-")
	case "-":
		return ""
	}
	return f.Flag
}

// sameFlag reports whether a command answers both fields by the same flag.
func (f Field) sameFlag(other Field) bool {
	return f.Key == other.Key && f.FlagName() == other.FlagName()
}

// EnvName is the environment variable that answers the field.
func (f Field) EnvName() string { return "C2CONN_" + strings.ToUpper(f.Key) }

// Flags lists the field's flags as a user types them, for messages.
func (f Field) Flags() []string {
	if f.bySet && f.Input != Secret {
		return []string{"--set " + setKey(f) + "=…"}
	}
	if f.Input == Choice {
		if flags := f.optionFlags(); len(flags) > 0 {
			return flags
		}
	}
	name := f.FlagName()
	switch {
	case name == "":
		return nil
	case f.Input == Secret:
		return []string{"--" + name + "-file", "--" + name + "-stdin"}
	}
	return []string{"--" + name}
}

func (f Field) optionFlags() []string {
	if f.Options == nil {
		return nil
	}
	var flags []string
	for _, o := range f.Options(nil) {
		if o.Flag != "" {
			flags = append(flags, "--"+o.Flag)
		}
	}
	return flags
}

// Fixed makes an Options function of a fixed list.
func Fixed(options ...Option) func(*Env) []Option {
	return func(*Env) []Option { return options }
}

// Step is one page of the wizard.
type Step struct {
	ID     string
	Title  string
	Help   string // what the step is about, in the words of the docs; shown by "?"
	Fields []Field
	When   []Cond
	// Notice is a warning or hint that stands above or beneath the fields; the
	// seeds' warnings live here. It may depend on the answers.
	Notice func(Answers) string
	// Action, unless empty, has to be done to leave the step forwards.
	Action Action
}

// Action is something that a step does beyond asking.
type Action string

// The actions. A SignIn step leads an administrator through Session.SignIn. A
// ShowPlan step shows Session.Plan, and going on means agreeing to it.
const (
	SignIn   Action = "sign-in"
	ShowPlan Action = "plan"
)

// Flow leads from nothing to a saved connection of one kind. Its last step is
// always the one that runs Configure.
type Flow struct {
	Kind  connections.Kind
	Title string // "new Exchange connection"
	Verb  string // the command that runs it: "new exchange"
	Steps []Step

	// Location is where the servers are, for a flow that does not ask.
	Location connections.Location

	// Fill puts into the connection what the kind's own fields say, the addresses
	// above all. What all kinds have in common is there already.
	Fill func(env *Env, a Answers, in cloud.Cloud, c *connections.Connection)
	// Load is the reverse: it answers the kind's own fields as c was made; nil where
	// the kind has none.
	Load func(c connections.Connection, set func(key, text string))
}

// ConfigurationStep is the ID of every flow's last step.
const ConfigurationStep = "configuration"

// Fields lists every field of the flow in order, one that several steps ask for
// once; twice where they give it another flag.
func (f *Flow) Fields() []Field {
	var all []Field
	for _, x := range f.variants() {
		if !slices.ContainsFunc(all, x.sameFlag) {
			all = append(all, x)
		}
	}
	return all
}

// variants lists the fields of all steps. Those with one key have one answer and one
// variable: a question that is asked at different places of the way, or in other words
// where the server is elsewhere.
func (f *Flow) variants() []Field {
	var all []Field
	for _, s := range f.Steps {
		all = append(all, s.Fields...)
	}
	return all
}

// Field returns the field with that key, the first of its variants.
func (f *Flow) Field(key string) (Field, bool) {
	for _, s := range f.Steps {
		if i := slices.IndexFunc(s.Fields, func(x Field) bool { return x.Key == key }); i >= 0 {
			return s.Fields[i], true
		}
	}
	return Field{}, false
}

// dependents are the fields whose look-up reads the answer to key.
func (f *Flow) dependents(key string) []string {
	var keys []string
	for _, x := range f.variants() {
		if slices.Contains(x.Reads, key) && !slices.Contains(keys, x.Key) {
			keys = append(keys, x.Key)
		}
	}
	return keys
}
