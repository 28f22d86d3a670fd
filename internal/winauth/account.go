package winauth

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/transport"
)

// dialLimit is the time to reach a server, if the caller gives no Dial of its own.
const dialLimit = 10 * time.Second

// AccountOptions say who signs in, and how servers are reached.
type AccountOptions struct {
	Name     string             // UPN (alice@contoso.example); CORP\alice is taken, too
	Password connections.Secret // or:
	Cache    string             // path of a Kerberos credential cache ("FILE:" in front is taken), instead of a password
	Domain   string             // DNS name of the Active Directory domain (the realm in lower case); "" = found by the UPN's suffix or the server's domain
	Resolver *net.Resolver      // for SRV records _kerberos._tcp.<domain>; nil = net.DefaultResolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Clock    transport.Clock
	Rand     io.Reader                    // nonces, keys and challenges; nil = crypto/rand
	ReadFile func(string) ([]byte, error) // reads Cache; nil = os.ReadFile
}

// Account signs in to servers. It may be used by several goroutines.
type Account struct {
	o AccountOptions

	turn chan struct{} // held by the one sign-in that may run while the password is unproven

	mu        sync.Mutex
	proven    bool
	unsure    int               // sign-ins to which no answer came
	verdict   error             // *WrongPasswordError or *LockedError: nobody is asked any more
	signIns   map[string]SignIn // by host:port
	lastProof time.Time         // of the last Kerberos authenticator

	kerberos kerberosState
}

// NewAccount makes an Account; nothing is sent or read yet.
func NewAccount(o AccountOptions) *Account {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialLimit}).DialContext
	}
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	return &Account{o: o, turn: make(chan struct{}, 1), signIns: map[string]SignIn{}, kerberos: newKerberosState()}
}

// Name is the name the account was made with: a UPN or DOMAIN\user.
func (a *Account) Name() string { return a.o.Name }

// HasPassword tells whether there is a password; without one, only Kerberos with
// the tickets of a credential cache is possible.
func (a *Account) HasPassword() bool { return !a.o.Password.IsZero() }

// Alike tells whether other signs in the same way: with the same name, domain, and
// password or credential cache, wherever these are kept.
func (a *Account) Alike(other *Account) bool {
	return strings.EqualFold(a.o.Name, other.o.Name) && strings.EqualFold(a.o.Domain, other.o.Domain) &&
		a.o.Cache == other.o.Cache && a.o.Password.Equal(other.o.Password)
}

// Proven tells whether the password was right in a sign-in before. A later refusal
// then has another reason than the password.
func (a *Account) Proven() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proven
}

// Refused tells whether the password was definitely wrong in a sign-in before. Nobody is
// asked with it again, see Try.
func (a *Account) Refused() bool {
	_, verdict := a.state()
	return errors.As(verdict, new(*WrongPasswordError))
}

// Try runs one sign-in, do, of any protocol. While nobody has taken the password
// yet, only one runs at a time and the others wait. An answer of do that holds a
// *WrongPasswordError or a *LockedError is final: every later Try returns it
// without asking anybody, so a wrong password costs one failed sign-in. do returns
// nil when the server took the password, and any other error when it could not
// tell. protocol says in errors what was tried, e.g. "LDAP". Without a password
// (see HasPassword) the error is a *NoMethodError, and do does not run.
func (a *Account) Try(ctx context.Context, protocol string, do func(ctx context.Context, password connections.Secret) error) error {
	if !a.HasPassword() {
		return &NoMethodError{Account: a.o.Name, Protocol: protocol, NoPassword: true}
	}
	proven, err := a.state()
	if err != nil {
		return err
	}
	if !proven {
		select {
		case a.turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		// The one before may have settled it while this one waited.
		if proven, err = a.state(); err != nil || proven {
			<-a.turn
			if err != nil {
				return err
			}
		} else {
			defer func() { <-a.turn }()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = do(ctx, a.o.Password)
	return a.judge(protocol, err)
}

func (a *Account) state() (proven bool, verdict error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proven, a.verdict
}

func (a *Account) judge(protocol string, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var wrong *WrongPasswordError
	var locked *LockedError
	var unsure *UnsureError
	switch {
	case err == nil:
		a.proven = true
	case errors.Is(err, errUntold):
	case errors.As(err, &unsure) && !a.proven:
		if a.unsure++; a.unsure >= unsureLimit {
			a.verdict = err
		}
	case errors.As(err, &wrong):
		if wrong.Account == "" {
			wrong.Account = a.o.Name
		}
		if wrong.Protocol == "" {
			wrong.Protocol = protocol
		}
		a.verdict = err
	case errors.As(err, &locked):
		if locked.Account == "" {
			locked.Account = a.o.Name
		}
		a.verdict = err
	}
	return err
}

// unsureLimit is how many sign-ins may end without an answer before no more are tried:
// each may have counted against the account.
const unsureLimit = 2

// errUntold is an answer that says nothing about the password.
var errUntold = errors.New("the answer does not tell whether the sign-in was taken")

// nameParts splits the account's name. For a UPN, user and suffix are set; for
// DOMAIN\user, domain and user.
func (a *Account) nameParts() (domain, user, suffix string) {
	name := a.o.Name
	if domain, user, ok := strings.Cut(name, `\`); ok {
		return domain, user, ""
	}
	// The last @ parts it: Active Directory allows one in the first half.
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		return "", name[:i], name[i+1:]
	}
	return "", name, ""
}
