package account

import (
	"errors"
	"fmt"
	"strings"
)

// Protocol is the way a sign-in came.
type Protocol string

// The ways accounts of the domain sign in.
const (
	Kerberos Protocol = "Kerberos" // a ticket-granting ticket of the KDC
	NTLM     Protocol = "NTLM"
	LDAP     Protocol = "LDAP" // simple bind
	Basic    Protocol = "Basic"
)

// Tally is what the sign-ins of one protocol came to.
type Tally struct {
	Succeeded      int
	Failed         int // all that were refused, for whatever reason
	WrongPasswords int // those of them that were refused for their password
}

// Reason says why a sign-in was refused.
type Reason int

// Reasons, each with its status of MS-ERREF 2.3.1 (see NTStatus).
const (
	UnknownUser Reason = iota + 1
	WrongPassword
	LockedOut
	AccountDisabled
	Expired            // the password has expired
	PasswordMustChange // before the first sign-in
	Other              // the message was refused for a reason of its protocol
)

// NTStatus is the status code Windows gives for the reason.
func (r Reason) NTStatus() uint32 {
	switch r {
	case UnknownUser:
		return 0xC0000064 // STATUS_NO_SUCH_USER
	case WrongPassword:
		return 0xC000006A // STATUS_WRONG_PASSWORD
	case LockedOut:
		return 0xC0000234 // STATUS_ACCOUNT_LOCKED_OUT
	case AccountDisabled:
		return 0xC0000072 // STATUS_ACCOUNT_DISABLED
	case Expired:
		return 0xC0000071 // STATUS_PASSWORD_EXPIRED
	case PasswordMustChange:
		return 0xC0000224 // STATUS_PASSWORD_MUST_CHANGE
	}
	return 0xC000006D // STATUS_LOGON_FAILURE
}

// RefusedError is a sign-in that was refused.
type RefusedError struct {
	Name   string // as it was given
	Reason Reason
	Err    error // with Reason Other: what was wrong
}

func (e *RefusedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("sign-in of %q refused (status %#x): %v", e.Name, e.Reason.NTStatus(), e.Err)
	}
	return fmt.Sprintf("sign-in of %q refused (status %#x)", e.Name, e.Reason.NTStatus())
}

func (e *RefusedError) Unwrap() error { return e.Err }

// ErrWrongPassword is what a Proof returns when the password does not fit.
var ErrWrongPassword = errors.New("wrong password")

// Proof looks whether a client proved that it knows the password whose keys it
// is given. ErrWrongPassword counts as a wrong password; any other error refuses
// the sign-in without that. It must not call the directory.
type Proof func(Keys) error

// SignIn decides over a sign-in and counts it. The order is that of Windows: a
// locked account refuses whatever the password, one that is disabled or whose
// password has expired says so only to who knows the password. The error is a
// *RefusedError.
func (d *Directory) SignIn(p Protocol, name string, proof Proof) (User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tally(p)
	e := d.find(name)
	refuse := func(r Reason, err error) (User, error) {
		t.Failed++
		return User{}, &RefusedError{Name: name, Reason: r, Err: err}
	}
	if e == nil {
		return refuse(UnknownUser, nil)
	}
	if e.Locked {
		return refuse(LockedOut, nil)
	}
	switch err := proof(Keys{d: d, e: e}); {
	case errors.Is(err, ErrWrongPassword):
		t.WrongPasswords++
		e.bad++
		if d.threshold > 0 && e.bad >= d.threshold {
			e.Locked = true
		}
		return refuse(WrongPassword, nil)
	case err != nil:
		return refuse(Other, err)
	}
	switch {
	case e.Disabled:
		return refuse(AccountDisabled, nil)
	case e.MustChange:
		return refuse(PasswordMustChange, nil)
	case e.PasswordExpired:
		return refuse(Expired, nil)
	}
	e.bad = 0
	t.Succeeded++
	u, _ := d.copyOf(e)
	return u, nil
}

// SignInPassword is SignIn with the password itself, as Basic and an LDAP simple
// bind carry it.
func (d *Directory) SignInPassword(p Protocol, name, password string) (User, error) {
	return d.SignIn(p, name, func(k Keys) error {
		if k.e.Password != password {
			return ErrWrongPassword
		}
		return nil
	})
}

// Refuse counts a sign-in that was refused before the password was looked at,
// and makes the error of it.
func (d *Directory) Refuse(p Protocol, name string, r Reason, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tally(p).Failed++
	return &RefusedError{Name: name, Reason: r, Err: err}
}

// BadPasswords is the account's badPwdCount: wrong passwords since the last good
// sign-in or unlocking. It is 0 for an unknown account.
func (d *Directory) BadPasswords(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.find(name); e != nil {
		return e.bad
	}
	return 0
}

// Tally is what the protocol's sign-ins came to so far.
func (d *Directory) Tally(p Protocol) Tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.tally(p)
}

// FailedSignIns is the number of refused sign-ins of all protocols.
func (d *Directory) FailedSignIns() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, t := range d.tallies {
		n += t.Failed
	}
	return n
}

// SuccessfulSignIns is the number of good sign-ins of a protocol. For Kerberos
// these are ticket-granting tickets, not visits to a service.
func (d *Directory) SuccessfulSignIns(p Protocol) int { return d.Tally(p).Succeeded }

func (d *Directory) tally(p Protocol) *Tally {
	t := d.tallies[p]
	if t == nil {
		t = &Tally{}
		d.tallies[p] = t
	}
	return t
}

// samOf is the name part that a salt has.
func samOf(e *entry) string { return strings.TrimSuffix(e.SAM, "$") }
