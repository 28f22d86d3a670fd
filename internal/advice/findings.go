package advice

import (
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// The errors below are findings that no service reports: c2conn sees them
// itself when it compares what it has with what it needs.

// Role names a permission in a finding.
type Role struct {
	Service string // as the Entra admin centre calls it
	Name    string
	Why     string // "to list users"; may be empty
	Allows  string // what its holder can do, where that is what matters; may be empty
	Writes  bool   // its holder can change, create, delete or send something
}

// RoleLine names a permission, marked where it can change data, as plans mark it, with
// what it is wanted for or allows: "Microsoft Graph › User.ReadWrite.All (writes): to
// create users".
func RoleLine(r Role) string {
	line := or(r.Service, "a service") + " › " + or(r.Name, "a permission")
	if r.Writes {
		line += " (writes)"
	}
	if words := or(r.Why, or(r.Allows, "")); words != "" {
		line += ": " + words
	}
	return line
}

// ValidityError is a certificate or client secret that is outside its time, or soon will be.
type ValidityError struct {
	NotBefore, NotAfter time.Time
	Now                 time.Time
}

func (e *ValidityError) Error() string {
	switch {
	case e.Now.Before(e.NotBefore):
		return "the certificate is not valid before " + day(e.NotBefore)
	case !e.Now.Before(e.NotAfter):
		return "the certificate expired on " + day(e.NotAfter)
	default:
		return fmt.Sprintf("the certificate expires on %s, in %d days", day(e.NotAfter), int(e.NotAfter.Sub(e.Now).Hours()/24))
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// MissingRolesError is an application without permissions that it needs.
type MissingRolesError struct {
	Missing []Role
	None    bool // not one permission is granted: the consent is missing altogether
	EWSWork bool // Exchange lets the application in all the same (RBAC for Applications)
}

func (e *MissingRolesError) Error() string {
	return "missing permissions: " + roleNames(e.Missing)
}

func roleNames(roles []Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// SuperfluousRolesError is an application with powerful permissions beyond its needs.
type SuperfluousRolesError struct{ Roles []Role }

func (e *SuperfluousRolesError) Error() string {
	return "superfluous permissions: " + roleNames(e.Roles)
}

// WrongTenantError is a service that answered for another tenant than the connection's.
type WrongTenantError struct {
	Want, Got string // tenant ids
	Name      string // display name of the one that answered
}

func (e *WrongTenantError) Error() string {
	return fmt.Sprintf("the tenant is %s, the connection names %s", e.Got, e.Want)
}

// ForeignEndpointError is an address in a profile that is none of the
// connection's cloud. Nothing was sent to it.
type ForeignEndpointError struct {
	Field string // of the profile, e.g. endpoints.ews
	Got   string // scheme and host of the address; empty where it cannot be read
	Want  string // the cloud's own address
}

func (e *ForeignEndpointError) Error() string {
	return fmt.Sprintf("%s is %s, which is no host of the connection's cloud: nothing was sent there", e.Field, or(e.Got, "not readable as an address"))
}

// NoMailboxError is an account that has no user's mailbox.
type NoMailboxError struct{ Purpose string } // userPurpose of Graph, e.g. room

func (e *NoMailboxError) Error() string { return "the mailbox is of the kind " + e.Purpose }

// NotOfferedError is a kind of connection that this version cannot verify.
type NotOfferedError struct {
	Kind     connections.Kind
	Location connections.Location
}

func (e *NotOfferedError) Error() string {
	return fmt.Sprintf("checks for %s connections (%s) come with a later version", e.Kind, e.Location)
}

func validityJudgement(e *ValidityError, f Facts) judgement {
	r := row{class: ClassCheck}
	what := "certificate"
	if f.CredentialType == connections.TypeClientSecret {
		what = "client secret"
	}
	renew := []string{
		"Make a new certificate, or import one:",
		"$ c2conn cert new",
		"Upload its public part: {credentials}",
		"{edit}",
	}
	if f.Connection != "" && f.Login == "" {
		renew = []string{"Renew it. c2conn adds the new one beside the old one, waits until it works, and then changes the connection:", "$ c2conn rotate " + shellWord(f.Connection)}
	}
	switch {
	case e.Now.Before(e.NotBefore):
		r.short = "not valid before " + day(e.NotBefore)
		r.what = "The certificate is not valid yet: it starts on " + e.NotBefore.UTC().Format("2006-01-02 15:04") + " UTC."
		r.why = "By this computer's clock it is " + e.Now.UTC().Format("2006-01-02 15:04") + " UTC. Either the clock is wrong or the certificate was made for later."
		r.next = []string{"Check the date and time of this computer.", "If the clock is right, wait until the certificate starts, or use another one.", "{again}"}
	case !e.Now.Before(e.NotAfter):
		r.what = "The " + what + " expired on " + day(e.NotAfter) + "."
		r.why = "Entra ID does not accept it any more. By this computer's clock it is " + day(e.Now) + "."
		r.next = append(renew, "{again}")
	default:
		r.what = "The " + what + " expires soon, on " + day(e.NotAfter) + "."
		r.why = "After that day the application cannot sign in, and backups or migrations stop."
		r.next = append(renew, "{again}")
		if f.Connection == "" || f.Login != "" {
			r.next = append(r.next, "Only when this passes, remove the old certificate in the Entra admin centre.")
		}
	}
	return judgement{row: r}
}

func missingJudgement(e *MissingRolesError, f Facts) judgement {
	r := row{
		what:  "The application lacks permissions.",
		why:   "They are not in its token: never added, added but not consented to, or the consent is still spreading.",
		link:  "https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent",
		class: ClassCheck,
	}
	switch {
	case e.EWSWork:
		r.what = "The token does not carry full_access_as_app, but EWS works."
		r.why = "So the right comes from RBAC for Applications, which limits it to certain mailboxes. That is fine, as long as they are all you need."
		r.next = []string{"Ask an Exchange administrator which mailboxes the application may open:", "PS> Test-ServicePrincipalAuthorization -Identity {clientguid}", "Nothing else is to be done."}
		r.link = "https://learn.microsoft.com/exchange/permissions-exo/application-rbac"
		return judgement{row: r}
	case e.None:
		r.short = "none granted: the admin consent is missing"
		r.what = "The application has no permission at all: the admin consent is missing."
		r.why = "Application permissions work only after an administrator has granted them for the whole organisation."
		r.class = ClassConsent
		if f.Registered && !f.Waiting {
			r.short = "none in the token: the consent is not known there yet"
			r.what = "The application's token holds no permission: the admin consent is not known everywhere yet, or it is missing."
		}
	}
	for _, m := range e.Missing {
		r.next = append(r.next, missingLine(m))
	}
	r.next = f.waitFirst(append(r.next, "{fix}", "Or by hand: add those that are not in the list, then press Grant admin consent: {permissions}", consentSpreads, "{again}"))
	return judgement{row: r}
}

func superfluousJudgement(e *SuperfluousRolesError) judgement {
	r := row{
		short: "more permissions than needed",
		what:  "The application may do more than the saved connections need: " + roleNames(e.Roles) + ".",
		why:   "These permissions can change, send or manage things. Whoever gets hold of the application's credential can use them too.",
		link:  "https://learn.microsoft.com/entra/identity-platform/secure-least-privileged-access", class: ClassCheck,
	}
	for _, role := range e.Roles {
		r.next = append(r.next, "Superfluous: "+RoleLine(role))
	}
	r.next = append(r.next, "If no other program uses this application, remove them: {permissions}", "If another one does, give each its own application.")
	return judgement{row: r}
}

func tenantJudgement(e *WrongTenantError) judgement {
	who := or(e.Got, "(unknown)")
	if e.Name != "" {
		who = or(e.Name, "") + " (" + who + ")"
	}
	return judgement{row: row{
		short: "another tenant answered",
		what:  "The answer comes from another tenant: " + who + ".",
		why:   "The connection is for the tenant " + or(e.Want, "(unknown)") + ".",
		next:  []string{"Compare Directory (tenant) ID on the application's Overview page: {overview}", "{edit}", "{again}"}, class: ClassCheck,
	}}
}

func endpointJudgement(e *ForeignEndpointError) judgement {
	says := "It cannot be read as an address"
	if e.Got != "" {
		says = "It leads to " + or(e.Got, "")
	}
	field := or(e.Field, "an address")
	return judgement{row: row{
		short: "foreign address in " + field + ": nothing sent",
		what:  "The profile's " + field + " is no address of the cloud “{cloud}”.",
		why:   says + "; in this cloud it is " + or(e.Want, "(unknown)") + ". Whoever gets the token can open every mailbox or site that the application may open, so nothing was sent.",
		next: []string{
			"If you do not know who changed the profile, ask your security team first.",
			"Correct " + field + " in the connection's file (connections/NAME.yaml in the state folder), or remove that line: then the right one is found.",
			"If the address is right, it belongs to another cloud: define it (c2conn cloud add FILE) and make the connection anew with it.",
			"{again}",
		}, class: ClassCheck,
	}}
}

func noMailboxJudgement(e *NoMailboxError) judgement {
	return judgement{row: row{
		short: "no ordinary user mailbox",
		what:  "{account} is no ordinary user mailbox but one of the kind “" + or(e.Purpose, "unknown") + "”.",
		why:   "It works for reading the tenant's data. A room, equipment or shared mailbox may be removed without anybody thinking of this connection.",
		next:  []string{"Better choose the mailbox of a user that stays."}, class: ClassCheck,
	}}
}
