package psrp

import (
	"errors"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// roleCmdlets are those of role based access control.
func roleCmdlets() []Cmdlet {
	const namespace = "Microsoft.Exchange.Management.RbacTasks"
	read := []string{"Role Management", "View-Only Configuration"}
	write := []string{"Role Management"}
	const scopes = "Microsoft.Exchange.Data.Directory.SystemConfiguration."
	return []Cmdlet{
		{
			Name: "Get-ManagementRoleAssignment", Namespace: namespace, Roles: read, Run: getAssignment,
			Parameters: []Parameter{
				{Name: "Identity", Position: 1, Set: "Identity"}, {Name: "Role", Set: "RoleAssignee"}, {Name: "RoleAssignee", Set: "RoleAssignee"},
				{Name: "Delegating", Type: Bool}, {Name: "Enabled", Type: Bool}, {Name: "GetEffectiveUsers", Type: Switch}, {Name: "DomainController"},
				{Name: "RoleAssigneeType", Values: assigneeTypes(), Enum: scopes + "RoleAssigneeType"},
				{Name: "RecipientWriteScope", Values: []string{"None", "Organization", "CustomRecipientScope", "Self", "MyGAL", "OU"}, Enum: scopes + "RecipientWriteScopeType"},
				{Name: "CustomRecipientWriteScope"},
			},
		},
		{
			Name: "New-ManagementRoleAssignment", Namespace: namespace, Roles: write, Run: newAssignment, Changes: true,
			Parameters: []Parameter{
				{Name: "Name", Position: 1}, {Name: "Role", Mandatory: true}, {Name: "User", Mandatory: true, Set: "User"}, {Name: "SecurityGroup", Mandatory: true, Set: "SecurityGroup"},
				{Name: "CustomRecipientWriteScope"}, {Name: "Delegating", Type: Switch}, {Name: "Force", Type: Switch}, {Name: "DomainController"},
			},
		},
		{
			Name: "Remove-ManagementRoleAssignment", Namespace: namespace, Roles: write, Run: removeAssignment, Changes: true, HighImpact: true,
			Parameters: []Parameter{{Name: "Identity", Position: 1, Mandatory: true}, {Name: "Force", Type: Switch}, {Name: "DomainController"}},
		},
		{
			Name: "Get-ManagementScope", Namespace: namespace, Roles: read, Run: getScope,
			Parameters: []Parameter{{Name: "Identity", Position: 1}, {Name: "DomainController"}},
		},
	}
}

func assigneeTypes() []string {
	return []string{"User", "SecurityGroup", "RoleAssignmentPolicy", "RoleGroup"}
}

// getAssignment lists role assignments. With -RoleAssignee, those that the user
// or group has through groups are among them.
func getAssignment(call *Invocation) (Result, *Error) {
	o := call.Organisation()
	var user *org.User
	group := ""
	if name := call.Text("RoleAssignee"); name != "" {
		if u, ok := o.Find(name); ok {
			user = &u
		} else if g, ok := o.Group(name); ok {
			group = g.Name
		} else {
			return Result{}, call.notFound(name)
		}
	}
	if role := call.Text("Role"); role != "" && !slices.ContainsFunc(o.Assignments(), func(a org.Assignment) bool { return strings.EqualFold(a.Role, role) }) {
		return Result{}, call.notFound(role)
	}
	if scope := call.Text("CustomRecipientWriteScope"); scope != "" && !slices.ContainsFunc(o.Scopes(), func(s org.Scope) bool { return strings.EqualFold(s.Name, scope) }) {
		return Result{}, call.notFound(scope)
	}
	identity := call.Text("Identity")
	var r Result
	for _, a := range o.Assignments() {
		switch {
		case identity != "" && !like(identity, a.Name) && !strings.EqualFold(identity, a.ID.String()),
			call.Has("Role") && !strings.EqualFold(a.Role, call.Text("Role")),
			call.Has("Delegating") && a.Delegating != call.Bool("Delegating", false),
			call.Has("Enabled") && a.Disabled == call.Bool("Enabled", true),
			call.Has("RoleAssigneeType") && string(a.Type) != call.Text("RoleAssigneeType"),
			call.Has("RecipientWriteScope") && writeScope(a).Name != call.Text("RecipientWriteScope"),
			call.Has("CustomRecipientWriteScope") && !strings.EqualFold(a.Scope, call.Text("CustomRecipientWriteScope")),
			group != "" && (a.Type == org.AssigneeUser || a.Assignee != group):
			continue
		}
		if user != nil {
			if _, has := o.Chain(a, *user); !has {
				continue
			}
		}
		if !call.Bool("GetEffectiveUsers", false) {
			r.Objects = append(r.Objects, assignmentObject(call, a, nil))
			continue
		}
		for _, u := range o.EffectiveUsers(a) {
			r.Objects = append(r.Objects, assignmentObject(call, a, &u))
		}
	}
	if len(r.Objects) == 0 && identity != "" && !strings.Contains(identity, "*") {
		return r, call.notFound(identity)
	}
	return r, nil
}

// The numbers of these enumerations are unsure; their names are those of the
// documentation, and names are what clients look at.

func writeScope(a org.Assignment) Enum {
	const kind = "Microsoft.Exchange.Data.Directory.SystemConfiguration.RecipientWriteScopeType"
	if a.Scope != "" {
		return Enum{Type: kind, Name: "CustomRecipientScope", Value: 7}
	}
	return Enum{Type: kind, Name: "Organization", Value: 2}
}

func delegation(a org.Assignment) Enum {
	const kind = "Microsoft.Exchange.Data.Directory.SystemConfiguration.RoleAssignmentDelegationType"
	if a.Delegating {
		return Enum{Type: kind, Name: "DelegatingOrgWide", Value: 6}
	}
	return Enum{Type: kind, Name: "Regular", Value: 1}
}

func assigneeType(t org.AssigneeType) Enum {
	value := map[org.AssigneeType]int64{org.AssigneeUser: 0, org.AssigneeSecurityGroup: 2, org.AssigneeRoleGroup: 10}[t]
	return Enum{Type: "Microsoft.Exchange.Data.Directory.SystemConfiguration.RoleAssigneeType", Name: string(t), Value: value}
}

// assignmentObject is a role assignment, for one of its effective users when u is not nil.
func assignmentObject(call *Invocation, a org.Assignment, u *org.User) *Object {
	o := call.Organisation()
	assignee, effective, method, chain, user := a.Assignee, "All Group Members", "", "", ""
	const methods = "Microsoft.Exchange.Data.Directory.SystemConfiguration.AssignmentMethod"
	if a.Type == org.AssigneeUser {
		owner, _ := o.Find(a.Assignee)
		assignee, effective, method, user = owner.Name, owner.DisplayName, "Direct", o.Canonical(owner)
	} else {
		method = string(a.Type)
		if u != nil {
			effective, user = u.DisplayName, o.Canonical(*u)
			if groups, ok := o.Chain(a, *u); ok {
				chain = strings.Join(groups, `\`)
			}
		}
	}
	var custom any
	if a.Scope != "" {
		custom = a.Scope
	}
	dn := assignmentDN(call, a.Name)
	values := map[string]int64{"Direct": 1, "SecurityGroup": 2, "RoleGroup": 4}
	return directoryObject(call, []string{
		"Microsoft.Exchange.Data.Directory.SystemConfiguration.ExchangeRoleAssignmentPresentation", "Microsoft.Exchange.Data.Directory.ADPresentationObject",
		"Microsoft.Exchange.Data.Directory.ADObject", "Microsoft.Exchange.Data.Directory.ADRawEntry", "Microsoft.Exchange.Data.ConfigurableObject",
	}, a.Name, []Property{
		{"User", user}, {"AssignmentMethod", Enum{Type: methods, Name: method, Value: values[method]}}, {"Identity", a.Name}, {"EffectiveUserName", effective},
		{"AssignmentChain", chain}, {"RoleAssigneeType", assigneeType(a.Type)}, {"RoleAssignee", assignee}, {"Role", a.Role},
		{"RoleAssignmentDelegationType", delegation(a)}, {"CustomRecipientWriteScope", custom}, {"CustomConfigWriteScope", nil},
		{"RecipientReadScope", Enum{Type: "Microsoft.Exchange.Data.Directory.SystemConfiguration.ScopeType", Name: "Organization", Value: 2}},
		{"RecipientWriteScope", writeScope(a)}, {"Enabled", !a.Disabled}, {"RoleAssigneeName", assignee}, {"Name", a.Name}, {"DistinguishedName", dn},
		{"Guid", a.ID}, {"Id", a.Name},
	}...)
}

func assignmentDN(call *Invocation, name string) string {
	o := call.Organisation()
	dn := "CN=" + name + ",CN=Role Assignments,CN=RBAC,CN=" + o.Name() + ",CN=Microsoft Exchange,CN=Services,CN=Configuration"
	for label := range strings.SplitSeq(o.Domain(), ".") {
		dn += ",DC=" + label
	}
	return dn
}

// assignmentError says what Exchange says when an assignment cannot be made or
// removed.
func assignmentError(call *Invocation, name string, err error) *Error {
	if missing := (*org.NotFoundError)(nil); errors.As(err, &missing) {
		return call.notFound(missing.Identity)
	}
	if exists := (*org.ExistsError)(nil); errors.As(err, &exists) {
		return call.ExchangeError("ADObjectAlreadyExistsException", "Active Directory operation failed on "+call.Organisation().DomainController()+
			". The object '"+assignmentDN(call, exists.Name)+"' already exists.")
	}
	e := call.ExchangeError("InvalidOperationException", `You don't have access to create, change, or remove the "`+name+`" management role assignment. `+
		`You must be assigned a delegating role assignment to the management role or its parent in the hierarchy without a scope restriction.`)
	e.Namespace, e.Bases = "System", []string{"System.SystemException"}
	e.Category = InvalidOperation
	return e
}

func newAssignment(call *Invocation) (Result, *Error) {
	a := org.Assignment{
		Name: call.Text("Name"), Role: call.Text("Role"), Scope: call.Text("CustomRecipientWriteScope"), Delegating: call.Bool("Delegating", false),
		Assignee: call.Text("User"), Type: org.AssigneeUser,
	}
	if call.Has("SecurityGroup") {
		a.Assignee, a.Type = call.Text("SecurityGroup"), org.AssigneeSecurityGroup
	}
	if len(a.Name) > 64 {
		return Result{}, call.ExchangeError("DataValidationException", `The property value exceeds the maximum allowed length of 64 characters. Property: Name.`)
	}
	if call.Bool("WhatIf", false) {
		return Result{}, nil
	}
	name := a.Name
	a, err := call.Organisation().Assign(&call.User, a)
	if err != nil {
		if name == "" {
			name = call.Text("Role") + "-" + call.Text("User") + call.Text("SecurityGroup")
		}
		return Result{}, assignmentError(call, name, err)
	}
	return Result{Objects: []any{assignmentObject(call, a, nil)}}, nil
}

func removeAssignment(call *Invocation) (Result, *Error) {
	identity := call.Text("Identity")
	if call.Bool("WhatIf", false) {
		return Result{}, nil
	}
	if err := call.Organisation().Unassign(&call.User, identity); err != nil {
		return Result{}, assignmentError(call, identity, err)
	}
	return Result{}, nil
}

func getScope(call *Invocation) (Result, *Error) {
	identity := call.Text("Identity")
	var r Result
	for _, s := range call.Organisation().Scopes() {
		if identity == "" || like(identity, s.Name) {
			r.Objects = append(r.Objects, directoryObject(call, []string{"Microsoft.Exchange.Data.Directory.SystemConfiguration.ManagementScope"}, s.Name,
				Property{"Name", s.Name}, Property{"Identity", s.Name}, Property{"RecipientRoot", nil}, Property{"RecipientFilter", s.Filter}, Property{"ServerFilter", ""},
				Property{"ScopeRestrictionType", Enum{Type: "Microsoft.Exchange.Data.Directory.SystemConfiguration.ScopeRestrictionType", Name: "RecipientScope", Value: 1}},
				Property{"Exclusive", false}))
		}
	}
	if len(r.Objects) == 0 && identity != "" && !strings.Contains(identity, "*") {
		return r, call.notFound(identity)
	}
	return r, nil
}
