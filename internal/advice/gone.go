package advice

import (
	"time"

	"github.com/c2conn/c2conn/connections"
)

// keptDeleted is how long a deleted application can be restored.
//
// Source: learn.microsoft.com/graph/api/directory-deleteditems-list.
const keptDeleted = 30 * 24 * time.Hour

// RegistrationGoneError is a registration that the tenant does not have any more,
// although a saved connection needs it.
type RegistrationGoneError struct {
	Connection, ClientID string
	Kind                 connections.Kind
	Name                 string // of the application, where it is known
	Tenant               connections.Tenant
	Deleted              time.Time // zero: it is not among the deleted items
	Hidden               bool      // the account may not see the deleted items
}

// Until is when a deleted registration can no longer be restored; zero where it is
// not among the deleted items.
func (e *RegistrationGoneError) Until() time.Time {
	if e.Deleted.IsZero() {
		return time.Time{}
	}
	return e.Deleted.Add(keptDeleted)
}

func (e *RegistrationGoneError) Error() string {
	what := "the application with the client id " + or(e.ClientID, "(unknown)")
	if e.Name != "" {
		what = "the application “" + or(e.Name, "") + "” (client id " + or(e.ClientID, "(unknown)") + ")"
	}
	if e.Deleted.IsZero() {
		return what + " is not in the tenant " + e.tenant()
	}
	return what + " was deleted on " + day(e.Deleted) + "; it can be restored until " + day(e.Until())
}

func (e *RegistrationGoneError) tenant() string {
	t := e.Tenant
	if t.Name != "" && t.Domain != "" {
		return or(t.Name, "") + " (" + or(t.Domain, "") + "), " + or(t.ID, "(unknown)")
	}
	return or(t.ID, "(unknown)")
}

func lostRegistrationRow(e *RegistrationGoneError) row {
	kind := or(string(e.Kind), string(connections.Exchange))
	anew := []string{"$ c2conn new " + kind + " --auto"}
	if e.Connection != "" {
		anew = append([]string{"$ c2conn delete " + shellWord(e.Connection)}, anew...)
	}
	anew = append([]string{"To register anew (the connection is made anew with it):"}, anew...)
	r := row{
		what: sentence(e), short: "the registration is not in the tenant",
		link: "https://learn.microsoft.com/entra/identity/enterprise-apps/delete-recover-faq", class: ClassOther,
	}
	switch {
	case !e.Deleted.IsZero():
		r.short = "the registration was deleted"
		r.why = "Somebody deleted the registration. Its credentials and permissions come back with it; the service principal and the consent may not."
		r.next = []string{"Restore it: Entra admin centre › App registrations › Deleted applications › Restore app registration."}
		if e.Connection != "" {
			r.next = append(r.next, "Then add what did not come back:", "$ c2conn verify "+shellWord(e.Connection)+" --fix")
		}
	case e.Hidden:
		r.why = "It was deleted, or it belongs to another tenant. Whether it can be restored is not known: this account may not see the deleted items."
		r.next = []string{"Look in Entra admin centre › App registrations › Deleted applications."}
	default:
		r.why = "It was deleted for good, or it belongs to another tenant."
		r.next = []string{"Check that the tenant is the right one: " + e.tenant() + "."}
	}
	r.next = append(r.next, anew...)
	return r
}
