package org

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// AssigneeType is what a role is assigned to.
type AssigneeType string

// The kinds of assignees. Source: Get-ManagementRoleAssignment, -RoleAssigneeType.
const (
	AssigneeUser          AssigneeType = "User"
	AssigneeSecurityGroup AssigneeType = "SecurityGroup"
	AssigneeRoleGroup     AssigneeType = "RoleGroup"
)

// Impersonation is the role that lets an account act as other mailboxes in EWS.
const Impersonation = "ApplicationImpersonation"

// Assignment is a management role assignment.
type Assignment struct {
	Name       string // unique; "" = made by Assign as Exchange does
	Role       string
	Assignee   string // sAMAccountName of a user, or name of a group
	Type       AssigneeType
	Delegating bool   // lets its holders assign the role, and nothing else
	Scope      string // CustomRecipientWriteScope; "" = the whole organisation
	Disabled   bool
	Created    time.Time
	ID         GUID
}

// NotFoundError says that an object does not exist. Kind is as in the error
// texts of Exchange: management role, user, group, management scope, role assignment.
type NotFoundError struct{ Kind, Identity string }

// Error names the object.
func (e *NotFoundError) Error() string { return e.Kind + " " + e.Identity + " was not found" }

// ExistsError says that there is a role assignment of this name.
type ExistsError struct{ Name string }

// Error names it.
func (e *ExistsError) Error() string { return "role assignment " + e.Name + " exists" }

// NotDelegatedError says that the user may not assign or take away the role.
type NotDelegatedError struct{ User, Role string }

// Error names both.
func (e *NotDelegatedError) Error() string { return e.User + " may not assign the role " + e.Role }

// Assignments lists the role assignments, sorted by name.
func (o *Organisation) Assignments() []Assignment {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := slices.Clone(o.assignments)
	slices.SortFunc(list, func(a, b Assignment) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list
}

// Delay sets how long a new role assignment takes until it is in force, on the
// servers that the web services run on: changes replicate between domain
// controllers, and Exchange caches what a user may do.
func (o *Organisation) Delay(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.delay = d
}

// Assign makes a role assignment. by is who asks for it (nil: nobody asks, it is
// simply there, in force at once); it needs a delegating assignment of the role.
func (o *Organisation) Assign(by *User, a Assignment) (Assignment, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(roles(), func(r string) bool { return strings.EqualFold(r, a.Role) })
	if i < 0 {
		return Assignment{}, &NotFoundError{"management role", a.Role}
	}
	a.Role = roles()[i]
	switch a.Type {
	case AssigneeUser, "":
		u, ok := o.find(a.Assignee)
		if !ok {
			return Assignment{}, &NotFoundError{"user", a.Assignee}
		}
		a.Assignee, a.Type = u.SAM, AssigneeUser
	default:
		g := o.group(a.Assignee)
		if g == nil {
			return Assignment{}, &NotFoundError{"group", a.Assignee}
		}
		a.Assignee, a.Type = g.Name, AssigneeSecurityGroup
		if g.RoleGroup {
			a.Type = AssigneeRoleGroup
		}
	}
	if a.Scope != "" && o.scope(a.Scope) == nil {
		return Assignment{}, &NotFoundError{"management scope", a.Scope}
	}
	if by != nil && !o.delegates(*by, a.Role) {
		return Assignment{}, &NotDelegatedError{by.SAM, a.Role}
	}
	if a.Name == "" {
		a.Name = o.freeName(a)
	}
	if o.assignment(a.Name) != nil {
		return Assignment{}, &ExistsError{a.Name}
	}
	a.ID = o.newID()
	a.Created = o.options.Now()
	if by == nil {
		a.Created = a.Created.Add(-o.delay)
	}
	o.assignments = append(o.assignments, a)
	return a, nil
}

// freeName makes the name that New-ManagementRoleAssignment makes: role and
// assignee, and a number where that is taken.
func (o *Organisation) freeName(a Assignment) string {
	base := a.Role + "-" + a.Assignee
	if a.Delegating {
		base += "-Delegating"
	}
	name := base
	for n := 1; o.assignment(name) != nil; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// Unassign removes a role assignment by name or id.
func (o *Organisation) Unassign(by *User, identity string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.assignment(identity)
	if a == nil {
		return &NotFoundError{"role assignment", identity}
	}
	if by != nil && !o.delegates(*by, a.Role) {
		return &NotDelegatedError{by.SAM, a.Role}
	}
	id := a.ID
	o.assignments = slices.DeleteFunc(o.assignments, func(x Assignment) bool { return x.ID == id })
	return nil
}

// Chain is how a user gets an assignment: none for a direct one, else the
// groups from the assignee down to the user's own group; ok tells whether the
// user gets it at all.
func (o *Organisation) Chain(a Assignment, u User) (groups []string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.chain(a, u)
}

func (o *Organisation) chain(a Assignment, u User) ([]string, bool) {
	if a.Type == AssigneeUser {
		return nil, strings.EqualFold(a.Assignee, u.SAM)
	}
	return o.path(a.Assignee, u.SAM, nil)
}

// path looks for a member in a group and the groups in it; seen stops cycles.
func (o *Organisation) path(group, member string, seen []string) ([]string, bool) {
	g := o.group(group)
	if g == nil || slices.Contains(seen, g.Name) {
		return nil, false
	}
	seen = append(slices.Clone(seen), g.Name)
	for _, m := range g.Members {
		if strings.EqualFold(m, member) {
			return seen, true
		}
	}
	for _, m := range g.Members {
		if found, ok := o.path(m, member, seen); ok {
			return found, true
		}
	}
	return nil, false
}

// EffectiveUsers lists who gets an assignment, sorted as the users are.
func (o *Organisation) EffectiveUsers(a Assignment) []User {
	var list []User
	for _, u := range o.Users() {
		if _, ok := o.Chain(a, u); ok {
			list = append(list, u)
		}
	}
	return list
}

// Roles lists the roles that a user may use now, that is without the
// delegating and the disabled assignments.
func (o *Organisation) Roles(u User) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []string
	for _, a := range o.assignments {
		if _, ok := o.chain(a, u); ok && !a.Delegating && !a.Disabled && o.inForce(a) && !slices.Contains(list, a.Role) {
			list = append(list, a.Role)
		}
	}
	return list
}

// MayImpersonate tells whether a user may act as the owner of a mailbox: by an
// enabled regular assignment of ApplicationImpersonation that is in force and
// whose scope holds the mailbox.
func (o *Organisation) MayImpersonate(actor, target User) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.assignments {
		if a.Role != Impersonation || a.Delegating || a.Disabled || !o.inForce(a) {
			continue
		}
		if _, ok := o.chain(a, actor); !ok {
			continue
		}
		if s := o.scope(a.Scope); a.Scope == "" || s != nil && s.Holds != nil && s.Holds(target) {
			return true
		}
	}
	return false
}

func (o *Organisation) inForce(a Assignment) bool {
	return !a.Created.Add(o.delay).After(o.options.Now())
}

func (o *Organisation) delegates(u User, role string) bool {
	return slices.ContainsFunc(o.assignments, func(a Assignment) bool {
		_, ok := o.chain(a, u)
		return ok && a.Delegating && !a.Disabled && a.Role == role
	})
}

func (o *Organisation) assignment(identity string) *Assignment {
	for i := range o.assignments {
		if a := &o.assignments[i]; strings.EqualFold(a.Name, identity) || strings.EqualFold(a.ID.String(), identity) {
			return a
		}
	}
	return nil
}

func (o *Organisation) scope(name string) *Scope {
	for i := range o.scopes {
		if strings.EqualFold(o.scopes[i].Name, name) {
			return &o.scopes[i]
		}
	}
	return nil
}

// Group gives the group of this name; DOMAIN\name is taken, too.
func (o *Organisation) Group(name string) (Group, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.group(name)
	if g == nil {
		return Group{}, false
	}
	c := *g
	c.Members = slices.Clone(c.Members)
	return c, true
}

func (o *Organisation) group(name string) *Group {
	for i := range o.groups {
		if n := o.groups[i].Name; strings.EqualFold(n, name) || strings.EqualFold(o.options.NetBIOS+`\`+n, name) {
			return &o.groups[i]
		}
	}
	return nil
}
