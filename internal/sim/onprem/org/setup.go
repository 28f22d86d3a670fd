package org

// roles lists the management roles that the cmdlets of the simulation depend on.
func roles() []string {
	return []string{
		Impersonation, "Mail Recipients", "Mail Recipient Creation", "Mailbox Import Export", "Mailbox Search", "Monitoring",
		"Organization Client Access", "Organization Configuration", "Public Folders", "Recipient Policies", "Role Management",
		"Server Health", "Transport Hygiene", "View-Only Configuration", "View-Only Recipients",
	}
}

// setup makes the role groups and assignments that Exchange's Setup makes,
// as far as roles() goes.
//
// Source: "Built-in management roles", and the page of each role and role group
// (learn.microsoft.com/exchange, permissions). ApplicationImpersonation is
// assigned to Hygiene Management as a regular and to Organization Management
// as a delegating assignment only.
func (o *Organisation) setup() {
	const organization, recipient, viewOnly, hygiene = "Organization Management", "Recipient Management", "View-Only Organization Management", "Hygiene Management"
	for _, name := range []string{organization, recipient, viewOnly, hygiene, "Server Management", "Discovery Management", "Public Folder Management"} {
		o.groups = append(o.groups, Group{Name: name, RoleGroup: true})
	}
	give := func(group string, delegating bool, roles ...string) {
		for _, r := range roles {
			name := r + "-" + group
			if delegating {
				name += "-Delegating"
			}
			o.assignments = append(o.assignments, Assignment{
				Name: name, Role: r, Assignee: group, Type: AssigneeRoleGroup, Delegating: delegating, ID: o.newID(),
			})
		}
	}
	give(organization, true, roles()...)
	give(organization, false, "Mail Recipients", "Mail Recipient Creation", "Monitoring", "Organization Client Access",
		"Organization Configuration", "Public Folders", "Recipient Policies", "Role Management", "Server Health",
		"Transport Hygiene", "View-Only Configuration", "View-Only Recipients")
	give(recipient, false, "Mail Recipients", "Mail Recipient Creation", "Recipient Policies")
	give(viewOnly, false, "Monitoring", "View-Only Configuration", "View-Only Recipients")
	give(hygiene, false, Impersonation, "Transport Hygiene", "View-Only Configuration", "View-Only Recipients")
	give("Server Management", false, "Monitoring", "Server Health", "View-Only Configuration")
	give("Discovery Management", false, "Mailbox Search")
	give("Public Folder Management", false, "Public Folders")
}
