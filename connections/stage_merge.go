package connections

import (
	"fmt"
	"maps"
	"strings"
)

// stagedField is a part of a connection that is changed, and may be in conflict, as
// one. What must fit together (a credential) is one field.
type stagedField struct {
	name string // its path in the YAML
	fact bool   // a verification finds it out: nobody decides it
	same func(a, b *Connection) bool
	copy func(to, from *Connection)
}

func part[T comparable](name string, fact bool, at func(*Connection) *T) stagedField {
	return stagedField{name, fact,
		func(a, b *Connection) bool { return *at(a) == *at(b) },
		func(to, from *Connection) { *at(to) = *at(from) }}
}

// stagedFields lists all that a person or a program can change about a connection,
// without the verification, which has rules of its own.
var stagedFields = []stagedField{
	part("name", false, func(c *Connection) *string { return &c.Name }),
	part("kind", false, func(c *Connection) *Kind { return &c.Kind }),
	part("location", false, func(c *Connection) *Location { return &c.Location }),
	part("cloud", false, func(c *Connection) *string { return &c.Cloud }),
	part("tenant.id", false, func(c *Connection) *string { return &c.Tenant.ID }),
	part("tenant.domain", true, func(c *Connection) *string { return &c.Tenant.Domain }),
	part("tenant.name", true, func(c *Connection) *string { return &c.Tenant.Name }),
	part("account", false, func(c *Connection) *string { return &c.Account }),
	part("account_id", true, func(c *Connection) *string { return &c.AccountID }),
	part("registration.mode", false, func(c *Connection) *string { return &c.Registration.Mode }),
	part("registration.client_id", false, func(c *Connection) *string { return &c.Registration.ClientID }),
	part("registration.object_id", true, func(c *Connection) *string { return &c.Registration.ObjectID }),
	part("registration.application_object_id", true, func(c *Connection) *string { return &c.Registration.ApplicationID }),
	part("registration.app_name", true, func(c *Connection) *string { return &c.Registration.AppName }),
	part("registration.catalogue", false, func(c *Connection) *string { return &c.Registration.Catalogue }),
	part("registration.permissions", false, func(c *Connection) *string { return &c.Registration.Permissions }),
	part("credential", false, func(c *Connection) *Credential { return &c.Credential }),
	part("endpoints.server", false, func(c *Connection) *string { return &c.Endpoints.Server }),
	part("endpoints.ews", false, func(c *Connection) *string { return &c.Endpoints.EWS }),
	part("endpoints.autodiscover", false, func(c *Connection) *string { return &c.Endpoints.Autodiscover }),
	part("endpoints.domain", false, func(c *Connection) *string { return &c.Endpoints.Domain }),
	part("endpoints.powershell", false, func(c *Connection) *string { return &c.Endpoints.PowerShell }),
	part("endpoints.sharepoint", false, func(c *Connection) *string { return &c.Endpoints.SharePoint }),
	part("endpoints.admin", false, func(c *Connection) *string { return &c.Endpoints.Admin }),
	{"pins", false, func(a, b *Connection) bool { return maps.Equal(a.Pins, b.Pins) },
		func(to, from *Connection) { to.Pins = maps.Clone(from.Pins) }},
	part("legacy_admin", false, func(c *Connection) *LegacyAdmin { return &c.LegacyAdmin }),
	part("fleet", false, func(c *Connection) *string { return &c.Fleet }),
}

// fieldsBetween names the fields in which two versions differ, the verification last.
func fieldsBetween(a, b *Connection) (names []string) {
	for _, f := range stagedFields {
		if !f.same(a, b) {
			names = append(names, f.name)
		}
	}
	if !sameVerification(a.Verification, b.Verification) {
		names = append(names, "verification")
	}
	return names
}

func sameVerification(a, b Verification) bool {
	if !a.At.Equal(b.At) || a.State != b.State || len(a.Checks) != len(b.Checks) {
		return false
	}
	for id, status := range a.Checks {
		if b.Checks[id] != status {
			return false
		}
	}
	return true
}

// decided tells whether two versions differ in what people decide about what is
// verified; the name is not part of that.
func decided(a, b *Connection) bool {
	for _, f := range stagedFields {
		if !f.fact && f.name != "name" && f.name != "fleet" && !f.same(a, b) {
			return true
		}
	}
	return false
}

// mergeStaged lays what next changed of base over now. A field that both sides changed in
// different ways is a conflict; the result has it as next does. What a verification
// found is never one: it belongs to the side that was verified, and where each side
// has a part of the whole, nothing is proved of the whole.
func mergeStaged(base, next, now Connection) (merged Connection, conflicts []string) {
	base, next, now = base.normalised(), next.normalised(), now.normalised()
	merged = now.clone()
	mine, theirs := decided(&base, &next), decided(&base, &now)
	for _, f := range stagedFields {
		switch {
		case f.same(&base, &next):
		case f.same(&base, &now) || f.same(&next, &now):
			f.copy(&merged, &next)
		case f.fact:
			if mine {
				f.copy(&merged, &next)
			}
		default:
			f.copy(&merged, &next)
			conflicts = append(conflicts, f.name)
		}
	}
	switch {
	case mine && theirs:
		if decided(&next, &now) || len(conflicts) > 0 {
			merged.Verification = Verification{State: StateUnverified}
		}
	case mine, !theirs && next.Verification.At.After(now.Verification.At):
		merged.Verification = next.clone().Verification
	}
	return merged, conflicts
}

// ConflictError says that a staged change cannot be saved as it is, because the
// connection was changed in another way since. The change stays staged.
type ConflictError struct {
	Name   string   // of the connection, as staged
	Fields []string // changed on both sides; empty where Gone
	Gone   bool     // it was deleted since
	Delete bool     // the staged change deletes it; Fields are those that were changed since
}

// Error says what was changed on both sides, and what can be done.
func (e *ConflictError) Error() string {
	name := clean(e.Name)
	switch {
	case e.Gone:
		return fmt.Sprintf("connection %s was deleted by another program since it was changed here; the change stays staged: keep it as a new connection, or undo it", name)
	case e.Delete:
		return fmt.Sprintf("connection %s was changed by another program (%s) since it was marked for deletion; it stays marked: look at it, then delete it all the same or undo", name, strings.Join(e.Fields, ", "))
	}
	return fmt.Sprintf("connection %s: %s changed here and by another program since; the change stays staged: keep this version, or undo it and take the saved one", name, strings.Join(e.Fields, ", "))
}
