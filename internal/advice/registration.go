package advice

import (
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/transport"
)

// The errors below end a registration. Each wraps the service's refusal and
// decides before it, because it knows which step of the registration failed.
// None of them holds a secret, and Error leaves nothing that could change a
// screen in the texts of a tenant.

// PolicyLifetimeError is a certificate or secret that lives longer than a policy
// of the tenant allows (CredentialInvalidLifetimeAsPerAppPolicy).
type PolicyLifetimeError struct {
	Wanted   time.Duration // of the credential that was refused; 0 where unknown
	Allowed  time.Duration // to try next: what the policy allows where that can be read, else a guess; 0 for none
	PolicyID string        // GUID; empty where the refusal did not name it
	Err      error
}

func (e *PolicyLifetimeError) Unwrap() error { return e.Err }

func (e *PolicyLifetimeError) Error() string {
	text := "a policy of the tenant forbids a credential that lives " + days(e.Wanted)
	if e.Allowed > 0 {
		text += "; " + days(e.Allowed) + " may do"
	}
	return text
}

// days spells a lifetime in whole days, as --cert-days counts them.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); {
	case d <= 0:
		return "this long"
	case n == 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// SecretsForbiddenError is a tenant whose policy allows no client secrets
// (CredentialTypeNotAllowedAsPerAppPolicy).
type SecretsForbiddenError struct{ Err error }

func (e *SecretsForbiddenError) Unwrap() error { return e.Err }

func (e *SecretsForbiddenError) Error() string {
	return "a policy of the tenant forbids client secrets"
}

// RegistrationForbiddenError is an administrator who may not register
// applications in the tenant.
type RegistrationForbiddenError struct {
	Account string   // who signed in
	Roles   []string // the roles the account has now, by name; empty where unknown
	Err     error
}

func (e *RegistrationForbiddenError) Unwrap() error { return e.Err }

func (e *RegistrationForbiddenError) Error() string {
	if enough(e.Roles) != "" {
		return or(e.Account, "the account") + " was refused, although its role should be enough"
	}
	return or(e.Account, "the account") + " may not register applications in this tenant"
}

// ConsentNeededError is a registration that is complete but for permissions to
// which the signed-in account may not consent.
type ConsentNeededError struct {
	Roles   []Role // that nobody has consented to yet
	Account string // who tried; empty where nobody did
	Link    string // the page on which an administrator consents
	Err     error
}

func (e *ConsentNeededError) Unwrap() error { return e.Err }

func (e *ConsentNeededError) Error() string {
	if len(e.Roles) == 0 {
		return "waiting for an administrator's consent"
	}
	return "waiting for an administrator's consent to " + transport.CleanText(roleNames(e.Roles), 400)
}

// ExistsError is an application name that the tenant has already, where nobody
// said what to do about it.
type ExistsError struct {
	Name  string
	Found []string // one line for each, with its client id
}

func (e *ExistsError) Error() string {
	name := "“" + or(e.Name, "this name") + "”"
	if len(e.Found) > 1 {
		return fmt.Sprintf("the tenant has %d applications named %s already", len(e.Found), name)
	}
	return "the tenant has an application named " + name + " already"
}

// ReplicationError is a change that the tenant accepted, but that did not reach
// all its servers in the time allowed. Nothing is lost by it.
type ReplicationError struct {
	What   string        // what is not known everywhere: "the application", "the consent"
	Waited time.Duration // how long
	Last   error         // the last answer, nil where it was no error
}

func (e *ReplicationError) Unwrap() error { return e.Last }

func (e *ReplicationError) Error() string {
	text := fmt.Sprintf("%s is not known everywhere in the tenant after %s", or(e.What, "the registration"), e.Waited.Round(time.Second))
	if e.Last != nil {
		text += "; last answer: " + transport.CleanText(e.Last.Error(), 300)
	}
	return text
}

// UnfinishedError is an earlier registration that was interrupted, where nobody
// said what to do about it.
type UnfinishedError struct {
	Run     string // its id
	AppName string
	Tenant  string    // name, domain or id
	Started time.Time // zero where unknown
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("the registration of “%s” in %s was interrupted and is not finished (run %s)",
		or(e.AppName, "an application"), or(e.Tenant, "the tenant"), or(e.Run, "unknown"))
}

// QuotaError is an account that owns as many objects as the directory lets it
// (Directory_QuotaExceeded), or a tenant that is full.
type QuotaError struct{ Err error }

func (e *QuotaError) Unwrap() error { return e.Err }

func (e *QuotaError) Error() string { return "the limit of objects in Entra ID is reached" }

// NoResourceError is a tenant without a service whose permissions the
// application needs.
type NoResourceError struct {
	Resource string // as the Entra admin centre calls it
	Err      error
}

func (e *NoResourceError) Unwrap() error { return e.Err }

func (e *NoResourceError) Error() string {
	return "the tenant does not have " + or(e.Resource, "a service that the application needs")
}

// LostAnswerError is a request that was sent and whose answer never came, and
// that must not be sent again blindly.
type LostAnswerError struct {
	What string // what was asked for, e.g. "create the application"
	Tag  string // on the object, if it was made
	Err  error
}

func (e *LostAnswerError) Unwrap() error { return e.Err }

func (e *LostAnswerError) Error() string {
	text := "no answer came to the request to " + or(e.What, "change the tenant") + ", so it may have been carried out"
	if e.Tag != "" {
		text += " (look for the tag " + or(e.Tag, "") + ")"
	}
	return text
}

// RollbackError is a registration that could not be removed again completely.
type RollbackError struct {
	Left []string // what is still in the tenant or on this computer, one line each
	Err  error    // why
}

func (e *RollbackError) Unwrap() error { return e.Err }

func (e *RollbackError) Error() string {
	text := "not everything could be removed again"
	if len(e.Left) > 0 {
		text += ": " + transport.CleanText(strings.Join(e.Left, "; "), 600)
	}
	if e.Err != nil {
		text += ": " + transport.CleanText(e.Err.Error(), 300)
	}
	return text
}

// AccountNeededError is a connection whose checks need a mailbox, where none was
// named and the signed-in account has none.
type AccountNeededError struct {
	Account string // that was tried; empty where none was
}

func (e *AccountNeededError) Error() string {
	if e.Account == "" {
		return "no mailbox is known that the connection could be checked with"
	}
	return or(e.Account, "") + " has no mailbox that the connection could be checked with"
}
