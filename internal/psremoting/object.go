package psremoting

import (
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// Object is a value that the server serialised: a primitive, an enumeration
// value, a list, a dictionary or an object with properties. The zero Object is
// $null.
//
// Everything in it is as the server sent it: clean a text with
// transport.CleanText, or take String, before it is shown.
type Object struct {
	Types []string // .NET type names, the most derived first; a rehydrated object's begin with "Deserialized."
	Text  string   // its ToString; of a primitive, the value as text

	// Value is that of a primitive or an enumeration value: bool, int64, uint64,
	// float64, string, time.Time, time.Duration or []byte. Otherwise nil. That of a
	// secure string is never kept.
	Value any

	Properties []Property // adapted ones first, then extended ones, each in the server's order
	List       []Object   // of a list, a queue, a stack
	Entries    []Entry    // of a dictionary
}

// Property is a named value of an Object.
type Property struct {
	Name  string
	Value Object
}

// Entry is one entry of a dictionary.
type Entry struct{ Key, Value Object }

// Get returns the property of this name, written in any case, as PowerShell does.
func (o Object) Get(name string) (Object, bool) {
	for _, p := range o.Properties {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return Object{}, false
}

// IsNull reports whether o is $null.
func (o Object) IsNull() bool {
	return len(o.Types) == 0 && o.Value == nil && o.Text == "" && o.Properties == nil && o.List == nil && o.Entries == nil
}

// String returns Text, safe to show.
func (o Object) String() string { return transport.CleanText(o.Text, 0) }

// Bool returns the value of a Boolean; false, false for everything else.
func (o Object) Bool() (value, ok bool) {
	value, ok = o.Value.(bool)
	return value, ok
}

// Int returns the value of an integer or an enumeration; 0, false for everything else.
func (o Object) Int() (int64, bool) {
	v, ok := o.Value.(int64)
	return v, ok
}

// Time returns the value of a DateTime; the zero time, false for everything else.
func (o Object) Time() (time.Time, bool) {
	v, ok := o.Value.(time.Time)
	return v, ok
}
