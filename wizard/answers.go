package wizard

import (
	"maps"
	"slices"

	"github.com/c2conn/c2conn/connections"
)

// Origin says where a value came from. It decides what the equivalent command
// shows and whether a credential can be referenced where it lies.
type Origin int

// The origins of a value.
const (
	FromDefault Origin = iota
	FromUser           // typed or chosen on a screen
	FromFlag
	FromEnv
	FromFile
	FromStdin
)

// Value is the answer to one field.
type Value struct {
	Text     string // as cleaned by the field's Check; of an invalid one, as typed
	Secret   connections.Secret
	Resolved string // what a Lookup found that Text stands for, e.g. a tenant's id
	Note     string // the words that go with it
	Origin   Origin
	From     string // flag, variable or file that it came from
	Err      error  // what is wrong with it
}

// Answers are the values given so far, by field key. Answers to fields that are
// not asked at the moment are kept, so that going back and forth loses nothing.
type Answers map[string]Value

// Get returns the text of the answer, "" when there is none.
func (a Answers) Get(key string) string { return a[key].Text }

// Resolved returns what the answer stands for: the result of its look-up, else its text.
func (a Answers) Resolved(key string) string {
	if v := a[key]; v.Resolved != "" {
		return v.Resolved
	}
	return a[key].Text
}

// Has reports whether there is an answer that is not empty.
func (a Answers) Has(key string) bool {
	v, ok := a[key]
	return ok && (v.Text != "" || !v.Secret.IsZero())
}

// Clone returns an independent copy.
func (a Answers) Clone() Answers { return maps.Clone(a) }

// holds reports whether all conditions are true.
func (a Answers) holds(conds []Cond) bool {
	for _, c := range conds {
		v := a.Get(c.Key)
		if c.Resolved {
			v = a[c.Key].Resolved
		}
		if !slices.Contains(c.Values, v) {
			return false
		}
	}
	return true
}
