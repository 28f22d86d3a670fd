package registration

import (
	"context"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
)

// Set names one of the permission sets of a kind. Only SharePoint has two.
type Set string

// The sets. The seed set is the list of the documentation alone, from the time when
// a user's password opened SharePoint: Microsoft blocked such sign-ins for good on
// 2026-05-01 (MC1184649), and without any Sites.* permission no site can be listed.
const (
	SetRecommended Set = ""
	SetSeed        Set = "seed"
)

// Sets gives the names of the sets, as people type them.
func Sets() []string { return []string{SetRecommended.Name(), SetSeed.Name()} }

// ParseSet reads the name of a set; "" is the recommended one.
func ParseSet(name string) (Set, bool) {
	switch name {
	case "", SetRecommended.Name():
		return SetRecommended, true
	case SetSeed.Name():
		return SetSeed, true
	}
	return "", false
}

// Name is the set's name for people: never empty.
func (s Set) Name() string {
	if s == SetRecommended {
		return "recommended"
	}
	return string(s)
}

// Purpose is what decides which permissions an application needs.
type Purpose struct {
	Kind   connections.Kind
	Set    Set
	Secret bool // it signs in with a client secret, which SharePoint refuses
}

// PurposeOf is the purpose of a connection's application.
func PurposeOf(c connections.Connection) Purpose {
	return Purpose{Kind: c.Kind, Set: Set(c.Registration.Permissions), Secret: c.Credential.Type == connections.TypeClientSecret}
}

// Also lists what the other saved connections with the application of c use it for.
func Also(saved []connections.Entry, c connections.Connection) (list []Purpose) {
	for _, o := range sharing(saved, c) {
		list = append(list, PurposeOf(o))
	}
	return list
}

// sharing lists the other saved connections with the application of c.
func sharing(saved []connections.Entry, c connections.Connection) (list []connections.Connection) {
	for _, e := range saved {
		if c.Registration.ClientID != "" && e.Connection.ID != c.ID && uses(e, c.Tenant.ID, c.Registration.ClientID) {
			list = append(list, e.Connection)
		}
	}
	return list
}

// uses tells whether a saved connection signs in as an application. Where a tenant is
// not known, the client id decides.
func uses(e connections.Entry, tenant, clientID string) bool {
	c := e.Connection
	return e.Err == nil && strings.EqualFold(c.Registration.ClientID, clientID) && (tenant == "" || c.Tenant.ID == "" || strings.EqualFold(c.Tenant.ID, tenant))
}

// users lists what needs a credential: the saved connections, and the staged changes that
// bring one or another application. Any other staged change takes the credential that is
// saved by then. A damaged one is an entry with its error.
func (r *Registrar) users(ctx context.Context) ([]connections.Entry, error) {
	// The staged changes come first: one that is saved meanwhile is then not missed.
	staged, stageErr := r.o.Store.Staged(ctx)
	entries, err := r.o.Store.List(ctx)
	if err != nil {
		return nil, err
	}
	entries = slices.Clone(entries)
	if stageErr != nil {
		entries = append(entries, connections.Entry{Err: stageErr})
	}
	for _, c := range staged {
		brings := c.Added || slices.ContainsFunc(c.Fields, func(f string) bool { return f == "credential" || f == "registration.client_id" || f == "tenant.id" })
		if brings && !c.Deleted {
			entries = append(entries, connections.Entry{Connection: c.Next})
		}
	}
	return entries, nil
}

// Purposes are all kinds with all sets that they have, with a certificate.
func Purposes() []Purpose {
	var all []Purpose
	for _, kind := range connections.Kinds() {
		all = append(all, Purpose{Kind: kind})
		if HasSets(kind) {
			all = append(all, Purpose{Kind: kind, Set: SetSeed})
		}
	}
	return all
}

// HasSets reports whether a kind has more than one permission set.
func HasSets(kind connections.Kind) bool {
	names := func(s Set) (list []string) {
		for _, p := range Catalogue(Purpose{Kind: kind, Set: s}) {
			list = append(list, p.ResourceAppID+p.RoleID)
		}
		return list
	}
	return !slices.Equal(names(SetRecommended), names(SetSeed))
}
