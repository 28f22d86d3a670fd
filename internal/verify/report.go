package verify

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
)

// Report is what a verification found.
type Report struct {
	Results []task.Result // in the order of TitlesOf
	State   string        // verified, failed, waiting-for-consent; unverified when it was cut short
	Class   advice.Class  // exit code; ClassNone when verified
	Found   Found
	Err     error // why nothing could be checked at all; nil otherwise
}

// Found are facts that the checks came across, for the saved profile. What was
// not found is empty.
type Found struct {
	Tenant   Tenant
	ObjectID string // of the application's service principal

	AccountID string // of the dedicated account's user object, a GUID in lower case

	// Of an Exchange Server that Autodiscover found: its EWS URL, host name, and the
	// address that told them. A SharePoint farm has the host name alone.
	ews, server, autodiscover string

	central string // of Central Administration, where another scheme answers than that of the profile

	pins map[string]string // certificates that were trusted on first use, by host:port

	// The tenant's real SharePoint addresses, as Microsoft Graph tells them: in a
	// tenant of several geographies those of the profile's one.
	SharePoint, Admin string
}

// Tenant is a tenant as Microsoft Graph describes it.
type Tenant connections.Tenant

// Or returns the tenant as the profile keeps it: what was found, and what is
// known already where nothing was found.
func (t Tenant) Or(known connections.Tenant) connections.Tenant {
	if t.ID != "" {
		known.ID = t.ID
	}
	if t.Domain != "" {
		known.Domain = t.Domain
	}
	if t.Name != "" {
		known.Name = t.Name
	}
	return known
}

// OtherAddress reports whether the tenant's SharePoint is at another address than
// the profile says, and that one is known: Found has it.
func (r Report) OtherAddress() bool {
	return r.Found.SharePoint != "" && slices.ContainsFunc(r.Results, func(one task.Result) bool {
		_, wrong := errors.AsType[*advice.WrongSharePointError](one.Err)
		return wrong
	})
}

// Endpoints are the addresses as the profile keeps them: its own, and where it has
// none those that Microsoft Graph told.
func (f Found) Endpoints(known connections.Endpoints) connections.Endpoints {
	known.SharePoint, known.Admin = cmp.Or(known.SharePoint, f.SharePoint), cmp.Or(f.central, known.Admin, f.Admin)
	// A server is moved more often than a tenant: what Autodiscover says now counts.
	known.EWS, known.Server, known.Autodiscover = cmp.Or(f.ews, known.EWS), cmp.Or(f.server, known.Server), cmp.Or(f.autodiscover, known.Autodiscover)
	return known
}

// Pins are the pins as the profile keeps them: its own, and those of certificates that
// were trusted on first use.
func (f Found) Pins(known map[string]string) map[string]string {
	if len(f.pins) == 0 {
		return known
	}
	pins := maps.Clone(f.pins)
	for host, sum := range known {
		if _, ok := pins[host]; !ok {
			pins[host] = sum
		}
	}
	return pins
}

// Checks maps the id of each check to its status, as the profile keeps them.
func (r Report) Checks() map[string]string {
	if len(r.Results) == 0 {
		return nil
	}
	out := make(map[string]string, len(r.Results))
	for _, result := range r.Results {
		out[result.ID] = string(result.Status)
	}
	return out
}

// Verification is the report as the profile keeps it.
func (r Report) Verification(at time.Time) connections.Verification {
	return connections.Verification{At: at, State: r.State, Checks: r.Checks()}
}

// verdict adds up results. The connection is verified when nothing failed and
// nothing was cancelled or left out for want of time. Otherwise the class is, in this order:
//
//	3 when Entra ID refused a token, or a server on the premises the sign-in,
//	6 when all failures are policies of the tenant (EWS blocked),
//	4 when the permissions check says that nobody has consented to anything, or
//	  when a connection that waits for consent still lacks permissions,
//	5 in all other cases.
func verdict(ctx context.Context, results []task.Result, waiting bool) (string, advice.Class) {
	failed, policies := 0, 0
	refused, consent, cancelled, late := false, false, false, false
	for _, r := range results {
		if r.Status == task.Skip {
			cancelled = cancelled || errors.Is(r.Err, context.Canceled)
			late = late || errors.Is(r.Err, context.DeadlineExceeded) // never begun, so it shows nothing
		}
		if r.Status != task.Fail {
			continue
		}
		failed++
		class := advice.ClassOf(r.Err)
		var missing *advice.MissingRolesError
		if waiting && r.ID == idPermissions && errors.As(r.Err, &missing) {
			consent = true
		}
		token := strings.HasPrefix(r.ID, tokenPrefix) || slices.Contains([]string{idAutodiscover, idServer, idMailboxes, idFarmSites, idFarmSite, idCentral}, r.ID)
		switch {
		case class == advice.ClassPolicy:
			policies++
		case token && class == advice.ClassAuth:
			refused = true
		case (token || r.ID == idPermissions) && class == advice.ClassConsent:
			consent = true
		}
	}
	switch {
	case cancelled || ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return connections.StateUnverified, advice.ClassCancelled
	case failed == 0 && late:
		return connections.StateUnverified, advice.ClassCheck
	case failed == 0:
		return connections.StateVerified, advice.ClassNone
	case refused:
		return connections.StateFailed, advice.ClassAuth
	case policies == failed:
		return connections.StateFailed, advice.ClassPolicy
	case consent:
		return connections.StateWaiting, advice.ClassConsent
	default:
		return connections.StateFailed, advice.ClassCheck
	}
}
