package connections

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that cannot be printed, logged or marshalled by accident:
// every way of writing it gives "[redacted]". Only Reveal gives the value. The
// zero Secret is empty.
type Secret struct {
	// Behind two pointers, because fmt prints an unexported field of someone
	// else's struct without asking its methods, and follows one pointer.
	v *secretValue
}

type secretValue struct{ b *[]byte }

// NewSecret makes a Secret of a copy of v.
func NewSecret[T ~string | ~[]byte](v T) Secret {
	if len(v) == 0 {
		return Secret{}
	}
	b := []byte(string(v))
	return Secret{v: &secretValue{b: &b}}
}

// Reveal returns a copy of the value, nil for an empty Secret.
func (s Secret) Reveal() []byte {
	if s.v == nil {
		return nil
	}
	return bytes.Clone(*s.v.b)
}

// IsZero tells whether the Secret is empty.
func (s Secret) IsZero() bool { return s.v == nil }

// Equal compares in constant time for secrets of the same length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON gives the JSON string "[redacted]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText gives "[redacted]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalYAML gives "[redacted]".
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// LogValue gives "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
