package registration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
)

// RepairPlan is the ordered list of changes that Repair makes in the tenant. All of
// them add something; none takes anything away.
type RepairPlan struct {
	Permissions []PlannedPermission `json:"permissions"` // that something is done about
	Changes     []Change            `json:"changes"`
	Warnings    []string            `json:"warnings"`

	listed []PlannedPermission // that are added to requiredResourceAccess
	base   string              // address of Microsoft Graph, which Text leaves out
}

// judgePermissions fills in what is without consent and what is not listed. It lets
// the plan of a registration that uses this application tell.
func (d *Drift) judgePermissions(base cloud.Cloud, admin Admin, v view, found Comparison) {
	roles := v.survey.Roles
	if v.survey.RolesErr != nil {
		roles = hinted(admin.Claims.RoleIDs)
	}
	w := Wish{Kind: d.Kind, Set: d.purpose.Set, Type: d.credential.Type, RequiredOnly: true}
	f := &Findings{Resources: v.survey.Resources, May: mayOf(admin.Claims, roles)}
	// What a broader permission contains counts as granted.
	e := Existing{Application: v.app, Principal: v.principal, Granted: slices.Clone(v.granted)}
	var covered []Permission
	for _, c := range found.Covered {
		service := v.survey.Resources[c.Permission.ResourceAppID]
		if role, ok := findRole(service, c.Permission.Role); ok {
			covered = append(covered, c.Permission)
			e.Granted = append(e.Granted, graph.Assignment{ResourceID: service.ObjectID, RoleID: role.ID})
		}
	}
	p := Plan{Kind: d.Kind, Set: d.Set, Cloud: base.Name, Tenant: d.Tenant, Account: d.Account, Roles: roleNames(roles), base: base}
	p.use(e)
	d.Roles, d.Notes = p.Roles, append(d.Notes, p.Warnings...)
	p.Warnings = []string{}
	p.permissions(w, f)
	d.Missing, d.NotListed = []PlannedPermission{}, []PlannedPermission{}
	all := p.Permissions
	p.Permissions = []PlannedPermission{}
	for _, q := range all {
		if slices.ContainsFunc(covered, func(c Permission) bool { return c.Resource == q.Resource && c.Role == q.Role }) {
			continue
		}
		listed := asksFor(v.app, Permission{ResourceAppID: q.ResourceAppID, RoleID: q.ID}, graph.AppRole{ID: q.ID})
		if !listed {
			d.NotListed = append(d.NotListed, q)
		}
		if !q.Granted {
			d.Missing = append(d.Missing, q)
		}
		if !listed || !q.Granted {
			p.Permissions = append(p.Permissions, q)
		}
	}
	d.doubt(&p, admin, roles, f.May)
	d.plan = p
}

// doubt warns where the account may not make the changes, or cannot be seen to.
func (d *Drift) doubt(p *Plan, admin Admin, roles []graph.DirectoryRole, may May) {
	who := "the active roles of " + d.Account
	if len(p.Roles) > 0 {
		who += " (" + strings.Join(p.Roles, ", ") + ")"
	}
	warned := len(p.Warnings) > 0 // of what cannot be granted
	if len(d.NotListed) > 0 || d.PrincipalMissing || d.addsCertificate() {
		switch mayChange(admin.Claims, roles, may) {
		case No:
			warned = true
			p.warn("%s may not change this application, unless it owns it. Its owners may, and a %s.", d.Account, changers)
		case Unknown:
			warned = true
			p.warn("Whether %s allow changing this application cannot be told; its owners may, and a %s.", who, changers)
		}
	}
	unknown := false
	for _, list := range [][]PlannedPermission{p.Permissions, d.Missing, d.NotListed} {
		for i := range list {
			if q := &list[i]; !q.Granted && may.consents(q.Resource) == Unknown {
				q.ConsentBy, unknown = consenters(q.Resource), true
			}
		}
	}
	if unknown {
		warned = true
		p.warn("Whether %s allow granting permissions cannot be told; the tenant will decide. Who surely can is said with each permission.", who)
	}
	if warned && !admin.Claims.App {
		p.warn("%s", pim)
	}
}

// addsCertificate tells whether the certificate is to be added.
func (d *Drift) addsCertificate() bool {
	return d.Certificate != nil && !d.Certificate.Listed && d.unaddable == ""
}

// Nothing tells whether Repair has nothing to add. There may still be something to
// tell: see Clean.
func (d *Drift) Nothing() bool { return len(d.Steps()) == 0 }

// Clean tells whether there is neither anything to add nor anything to tell.
func (d *Drift) Clean() bool {
	return d.Nothing() && len(d.Superfluous)+len(d.Others)+len(d.Notes) == 0
}

// The steps of a repair, ids of its tasks; the others are those of a registration.
const (
	stepListed      = "listed"
	stepCertificate = "certificate"
)

// Steps lists the tasks of Repair before they run, in order, without those that
// have nothing to do. One write at a time; only the consent needs another step.
func (d *Drift) Steps() []task.Task {
	var steps []task.Task
	add := func(needed bool, t task.Task) {
		if !needed {
			return
		}
		for _, s := range steps {
			t.After = append(t.After, s.ID)
		}
		steps = append(steps, t)
	}
	add(len(d.NotListed) > 0, task.Task{ID: stepListed, Title: "Permissions listed"})
	add(d.addsCertificate(), task.Task{ID: stepCertificate, Title: "Certificate"})
	consent := task.Task{ID: stepConsent, Title: "Admin consent"}
	if d.PrincipalMissing {
		consent.Needs = []string{stepPrincipal}
	}
	add(d.PrincipalMissing, task.Task{ID: stepPrincipal, Title: "Service principal"})
	add(len(d.Missing) > 0, consent)
	return steps
}

// Plan makes the plan of repair: exactly the requests that Repair sends, provided
// that nobody changes the registration in the meantime.
func (d *Drift) Plan() RepairPlan {
	p := d.plan
	p.Credential = PlannedCredential{Type: connections.TypeClientSecret} // no certificate is added
	if d.addsCertificate() {
		p.Credential = PlannedCredential{Type: connections.TypeCertificate, Subject: d.identity.Subject(), Own: true, NotAfter: d.Certificate.NotAfter, own: d.identity}
	}
	rp := RepairPlan{Permissions: p.Permissions, Changes: []Change{}, Warnings: p.Warnings, listed: d.NotListed, base: p.base.GraphBase()}
	order := func(c Change) int {
		return slices.IndexFunc([]string{"permissions", "certificate", "service-principal", "service-", consentID}, func(id string) bool { return strings.HasPrefix(c.ID, id) })
	}
	for _, c := range p.changes() {
		if c.ID == "secret" {
			continue
		}
		if strings.HasPrefix(c.ID, "service-") && c.ID != stepPrincipal {
			c.Why = "the tenant does not know this service yet; it is refused if the tenant has no licence for it"
		}
		rp.Changes = append(rp.Changes, c)
	}
	slices.SortStableFunc(rp.Changes, func(a, b Change) int { return order(a) - order(b) })
	return rp
}

// Nothing tells whether there is nothing to add.
func (p RepairPlan) Nothing() bool { return len(p.Changes) == 0 }

// Text writes the plan for people, in lines of at most width characters where
// words allow it; 0 means 80.
func (p RepairPlan) Text(width int) string {
	if width <= 0 {
		width = 80
	}
	if p.Nothing() {
		return "Nothing is to be added.\n"
	}
	var b strings.Builder
	const indent = "       "
	line := func(text string) { b.WriteString(indent + fold(text, width-len(indent), indent) + "\n") }
	b.WriteString("Changes, in this order; nothing is taken away:\n")
	for i, c := range p.Changes {
		q, consent := p.granted(c)
		title := c.Title
		if consent {
			title += " on " + q.ResourceTitle + marks(true, q.Writes)
		}
		fmt.Fprintf(&b, "%5d  %s\n", i+1, fold(title, width-len(indent), indent))
		line(c.Method + " " + strings.TrimPrefix(c.URL, p.base))
		line(c.Why)
		switch {
		case consent:
			line("Allows: " + q.Allows + ".")
			line("Consent: by " + q.ConsentBy + ".")
		case c.ID == "permissions":
			for _, q := range p.listed {
				line(named(q))
			}
		}
	}
	if len(p.Warnings) > 0 {
		b.WriteString("\nMind:\n")
		for _, w := range p.Warnings {
			b.WriteString("  ! " + fold(w, width-4, "    ") + "\n")
		}
	}
	return b.String()
}

// granted is the permission that a change grants.
func (p RepairPlan) granted(c Change) (PlannedPermission, bool) {
	for _, q := range p.Permissions {
		if c.ID == consentID+string(q.Resource)+"-"+q.Role {
			return q, true
		}
	}
	return PlannedPermission{}, false
}

// named is a permission for people.
func named(q PlannedPermission) string {
	return q.ResourceTitle + " › " + q.Role + marks(q.Required, q.Writes)
}
