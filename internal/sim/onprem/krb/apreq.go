package krb

import (
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// SizeLimit is the longest AP-REQ that is looked at, in bytes. Windows' default
// MaxTokenSize is 48,000.
const SizeLimit = 64 << 10

// APReq is an AP-REQ that was found good (RFC 4120, section 3.2.3).
type APReq struct {
	Service       types.PrincipalName
	Realm         string
	Ticket        messages.EncTicketPart
	Authenticator types.Authenticator
	Options       asn1.BitString // ap-options
}

// Opener opens AP-REQ messages.
type Opener struct {
	// Key is the key of a service for an encryption type; false when the service
	// is not ours.
	Key func(realm string, service types.PrincipalName, etype int32) ([]byte, bool)
	// Usage is the key usage number of the authenticator: 7 in a TGS-REQ, else 11.
	Usage   uint32
	Now     func() time.Time
	Replays *Replays // what was seen before
}

// Open decrypts and checks an AP-REQ: key, times, names, clocks, replay. The error
// is an *Error.
func (o Opener) Open(b []byte) (*APReq, error) {
	if len(b) > SizeLimit {
		return nil, refused(CodeModified, "the AP-REQ is too long")
	}
	var m messages.APReq
	if err := m.Unmarshal(b); err != nil {
		return nil, &Error{Code: CodeModified, Err: err}
	}
	if m.PVNO != 5 || m.Ticket.TktVNO != 5 {
		return nil, refused(CodeBadVersion, "the protocol version is not 5")
	}
	key, ok := o.Key(m.Ticket.Realm, m.Ticket.SName, m.Ticket.EncPart.EType)
	if !ok {
		return nil, refused(CodeNotUs, "the ticket is for another service, or of an encryption type it has no key for")
	}
	plain, err := Decrypt(m.Ticket.EncPart, types.EncryptionKey{KeyType: m.Ticket.EncPart.EType, KeyValue: key}, 2)
	if err != nil {
		return nil, &Error{Code: CodeModified, Err: err}
	}
	r := &APReq{Service: m.Ticket.SName, Realm: m.Ticket.Realm, Options: m.APOptions}
	if err := r.Ticket.Unmarshal(plain); err != nil {
		return nil, &Error{Code: CodeModified, Err: err}
	}
	if plain, err = Decrypt(m.EncryptedAuthenticator, r.Ticket.Key, o.Usage); err != nil {
		return nil, &Error{Code: CodeBadIntegrity, Err: err}
	}
	if err := r.Authenticator.Unmarshal(plain); err != nil {
		return nil, &Error{Code: CodeBadIntegrity, Err: err}
	}
	return r, o.check(r, m.EncryptedAuthenticator.Cipher)
}

func (o Opener) check(r *APReq, authenticator []byte) error {
	now, a := o.Now(), r.Authenticator
	start := r.Ticket.StartTime
	if start.IsZero() {
		start = r.Ticket.AuthTime
	}
	switch {
	case a.AVNO != 5:
		return refused(CodeBadVersion, "the authenticator's version is not 5")
	case a.CRealm != r.Ticket.CRealm || !a.CName.Equal(r.Ticket.CName):
		return refused(CodeBadMatch, "ticket and authenticator name different clients")
	case a.Cusec < 0 || a.Cusec > 999_999:
		return refused(CodeBadIntegrity, "the authenticator's microseconds are out of range")
	}
	at := a.CTime.Add(time.Duration(a.Cusec) * time.Microsecond)
	switch {
	case at.Before(now.Add(-Skew)) || at.After(now.Add(Skew)):
		return refused(CodeSkew, "the client's clock is more than 5 minutes off")
	case start.After(now.Add(Skew)) || Flag(r.Ticket.Flags, 7):
		return refused(CodeNotYetValid, "the ticket is not valid yet")
	case r.Ticket.EndTime.Before(now.Add(-Skew)):
		return refused(CodeExpired, "the ticket has expired")
	case !o.Replays.first(authenticator, at, now):
		return refused(CodeRepeat, "the authenticator has been used before")
	}
	return nil
}

// Replays remembers authenticators for as long as their time is acceptable. The
// zero value is ready.
type Replays struct {
	mu   sync.Mutex
	seen map[[32]byte]time.Time // until when it must be remembered
}

func (r *Replays) first(authenticator []byte, at, now time.Time) bool {
	id := sha256.Sum256(authenticator)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.seen[id]; found {
		return false
	}
	if r.seen == nil {
		r.seen = map[[32]byte]time.Time{}
	}
	for old, until := range r.seen {
		if until.Before(now) {
			delete(r.seen, old)
		}
	}
	r.seen[id] = at.Add(2 * Skew)
	return true
}

// sameSPN compares service principal names as Active Directory does.
func sameSPN(a, b string) bool { return strings.EqualFold(a, b) }
