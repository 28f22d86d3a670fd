package registration

import (
	"cmp"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/graph"
)

// The actions of a plan.
const (
	ActionCreate = "create" // a new application
	ActionUse    = "use"    // one that exists gets another credential
)

// Plan is the ordered list of changes that a registration makes in the tenant.
// What is not known before it is made stands in <angle brackets>.
type Plan struct {
	Run         string              `json:"run,omitempty"` // empty: chosen by Apply
	Kind        connections.Kind    `json:"kind"`
	Set         string              `json:"set"`    // of permissions: recommended or seed
	Action      string              `json:"action"` // create or use
	AppName     string              `json:"app_name"`
	Cloud       string              `json:"cloud"`
	Tenant      connections.Tenant  `json:"tenant"`
	Account     string              `json:"account,omitempty"` // who makes the changes; empty for a plan made offline
	Roles       []string            `json:"roles,omitempty"`   // of the account
	UniqueName  string              `json:"unique_name,omitempty"`
	Description string              `json:"description,omitempty"`
	Notes       string              `json:"notes,omitempty"` // internal notes of the application
	Tags        []string            `json:"tags,omitempty"`
	Existing    *PlannedApplication `json:"existing,omitempty"` // with ActionUse
	Permissions []PlannedPermission `json:"permissions"`
	Credential  PlannedCredential   `json:"credential"`
	Changes     []Change            `json:"changes"`
	Warnings    []string            `json:"warnings"`

	base cloud.Cloud // for addresses
	same []string    // client ids of the registrations that have the name already
}

// Change is one request that changes the tenant, with the JSON that is sent.
type Change struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Method string `json:"method"`
	URL    string `json:"url"`
	Body   any    `json:"body,omitempty"`
	Why    string `json:"why"`
}

// PlannedApplication is the registration that ActionUse changes.
type PlannedApplication struct {
	ObjectID    string    `json:"object_id"`
	AppID       string    `json:"client_id"`
	PrincipalID string    `json:"service_principal_id,omitempty"` // empty: it has none
	Created     time.Time `json:"created,omitzero"`
	Owners      []string  `json:"owners,omitempty"`
	Keys        int       `json:"certificates"`

	required []graph.ResourceAccess
	keys     []graph.Key
}

// PlannedPermission is one permission that the application gets.
type PlannedPermission struct {
	Resource      Resource `json:"resource"`
	ResourceTitle string   `json:"resource_title"`
	ResourceAppID string   `json:"resource_app_id"`
	ResourceID    string   `json:"resource_id"` // object id of the service in this tenant
	Role          string   `json:"role"`
	ID            string   `json:"id"`
	Allows        string   `json:"allows"`
	Writes        bool     `json:"writes"` // it can change, create, delete or send something
	Why           string   `json:"why"`
	Required      bool     `json:"required"`
	Granted       bool     `json:"granted"`              // already
	ConsentBy     string   `json:"consent_by,omitempty"` // who consents: the account, or the roles that can; empty once it is granted
}

// PlannedCredential is what the application will prove its identity with.
type PlannedCredential struct {
	Type     string    `json:"type"` // certificate or client-secret
	Subject  string    `json:"subject,omitempty"`
	Own      bool      `json:"own"` // the user's own certificate
	Validity string    `json:"validity,omitempty"`
	NotAfter time.Time `json:"not_after"`
	// LongestDays is what a policy of the tenant allows; 0 where none is known.
	LongestDays int `json:"longest_days,omitempty"`

	policyID string
	longest  time.Duration
	valid    certs.Validity
	own      *certs.Identity
}

// unknownRun stands for the id of a run that has not begun.
const unknownRun = "<run>"

// MakePlan makes the plan for a wish. Without findings (nobody signed in) it is
// made of what c2conn knows by itself. run is the id of a registration that was
// begun, for Resume, which knows what was settled then; empty for one that was not.
// Nothing is read or written.
//
// Errors: *advice.ExistsError where the name is taken and the wish does not say
// what to do about it, or not which one to use.
func MakePlan(w Wish, f *Findings, now time.Time, run string) (Plan, error) {
	p := Plan{Run: run, Kind: w.Kind, Set: w.Set.Name(), Action: ActionCreate, AppName: w.name(), Cloud: w.Cloud.Name, base: w.Cloud, Warnings: []string{}}
	if f != nil {
		p.Tenant, p.Account, p.Roles = f.Tenant, f.Account, roleNames(f.Roles)
		for _, e := range f.Same {
			p.same = append(p.same, e.AppID)
		}
		chosen, err := choose(w, f, now, run)
		if err != nil {
			return Plan{}, err
		}
		if chosen != nil {
			p.use(*chosen)
		}
	} else {
		p.Tenant = connections.Tenant{ID: "<tenant id>"}
		p.warn("Nobody is signed in: ids in angle brackets are unknown, those of permissions come from the catalogue of c2conn, and whether the name is taken was not looked up.")
	}
	if w.Set == SetSeed && HasSets(w.Kind) {
		p.warn("These are the documented permissions alone. With them no site can be listed or opened: that took a password, and Microsoft blocked such sign-ins for good in May 2026.")
	}
	p.permissions(w, f)
	p.credential(w, f, now)
	if p.Action == ActionCreate {
		p.Description = "Lets " + purpose(w.Kind) + "."
		account, connection := cmp.Or(p.Account, "<account>"), w.Connection
		if f == nil {
			connection = "<name>" // the wish may hold one that nobody chose
		}
		p.Notes = "Registered by c2conn on " + now.UTC().Format(time.DateOnly) + " for " + account + "."
		if connection != "" {
			p.Notes += " Connection: " + connection + "."
		}
		if f != nil && len(f.Related) > 0 {
			p.warn("The tenant has %s made by c2conn for the same purpose under another name: %s.", count(len(f.Related), "registration"), f.Related[0].DisplayName)
		}
	}
	if f != nil && f.May.Register == No {
		p.warn("%s may not be able to register applications. %s", p.Account, pim)
	}
	p.finish()
	return p, nil
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

func purpose(kind connections.Kind) string {
	switch kind {
	case connections.SharePoint:
		return "a backup program reach SharePoint Online and OneDrive"
	case connections.MigrationSource:
		return "a migration program read the mailboxes of this tenant"
	case connections.MigrationTarget:
		return "a migration program write into the mailboxes of this tenant"
	default:
		return "a backup program reach Exchange Online"
	}
}

func (p *Plan) use(e Existing) {
	p.Action, p.AppName = ActionUse, e.DisplayName
	p.Existing = &PlannedApplication{
		ObjectID: e.ObjectID, AppID: e.AppID, PrincipalID: e.Principal.ObjectID, Created: e.Created,
		Owners: ownerNames(e.Owners), Keys: len(e.Keys), required: e.Required, keys: e.Keys,
	}
	if e.Disabled || e.DisabledByMicrosoft != "" {
		p.warn("The registration is disabled: nobody can sign in as it before it is activated again.")
	}
	if e.SignInAudience != "" && e.SignInAudience != "AzureADMyOrg" {
		p.warn("The registration is open to other tenants (%s); one for this tenant only is safer.", e.SignInAudience)
	}
	for _, g := range e.Granted {
		p.Permissions = append(p.Permissions, PlannedPermission{ResourceID: g.ResourceID, ID: g.RoleID, Granted: true})
	}
}

// permissions fills in what the application gets. What it has already is in
// p.Permissions when this begins.
func (p *Plan) permissions(w Wish, f *Findings) {
	had := p.Permissions
	p.Permissions = nil
	var refused []Resource
	for _, c := range wanted(w) {
		q := PlannedPermission{
			Resource: c.Resource, ResourceTitle: c.Resource.Title(), ResourceAppID: c.ResourceAppID, ResourceID: principalOf(c.Resource),
			Role: c.Role, ID: c.RoleID, Allows: c.Allows, Writes: c.Writes, Why: c.Why, Required: c.Required, ConsentBy: consenters(c.Resource),
		}
		if f != nil {
			service, ok := f.Resources[c.ResourceAppID]
			if !ok && !c.Required {
				p.warn("The tenant does not have %s, so %s is left out.", q.ResourceTitle, q.Role)
				continue
			}
			if ok {
				role, found := findRole(service, c.Role)
				if !found {
					p.warn("%s of this tenant does not offer the permission %s, so it is left out.", q.ResourceTitle, q.Role)
					continue
				}
				q.ResourceID, q.ID = service.ObjectID, role.ID
			}
			q.Granted = slices.ContainsFunc(had, func(g PlannedPermission) bool { return g.ResourceID == q.ResourceID && strings.EqualFold(g.ID, q.ID) })
			switch may := f.May.consents(c.Resource); {
			case q.Granted:
				q.ConsentBy = ""
			case may != No:
				q.ConsentBy = p.Account
			case !slices.Contains(refused, c.Resource):
				refused = append(refused, c.Resource)
			}
		}
		p.Permissions = append(p.Permissions, q)
	}
	for _, r := range refused {
		p.warn("%s cannot consent to the permissions on %s. Everything else is done; then a %s has to consent.", p.Account, r.Title(), consenters(r))
	}
}

// principalOf stands for the object id of a service that was not looked up.
func principalOf(r Resource) string { return "<service principal of " + r.Title() + ">" }

func (p *Plan) credential(w Wish, f *Findings, now time.Time) {
	c := PlannedCredential{Type: connections.TypeCertificate, valid: w.validity(), Subject: pkix.Name{CommonName: commonName(p.AppName)}.String()}
	if w.secret() {
		c.Type, c.Subject = connections.TypeClientSecret, ""
	}
	lives := c.valid.From(now).Sub(now)
	c.NotAfter, c.Validity = c.valid.From(now).UTC().Truncate(time.Second), c.valid.String()
	if w.Own != nil {
		c.Own, c.own, c.Subject, c.Validity = true, w.Own, w.Own.Subject(), ""
		c.NotAfter = w.Own.Certificate.NotAfter.UTC()
		lives = w.Own.Certificate.NotAfter.Sub(w.Own.Certificate.NotBefore)
	}
	if f != nil && f.Policy != nil && f.Policy.Enabled {
		applies := func(after time.Time) bool {
			return p.Existing == nil || after.IsZero() || p.Existing.Created.After(after)
		}
		if c.policyID = f.Policy.ID; !w.secret() && applies(f.Policy.KeysAfter) {
			c.longest = f.Policy.KeyLifetime
		}
		if w.secret() {
			if applies(f.Policy.SecretLifetimeAfter) {
				c.longest = f.Policy.SecretLifetime
			}
			if f.Policy.SecretsForbidden && applies(f.Policy.SecretsAfter) {
				p.warn("A policy of the tenant forbids client secrets; the tenant will probably refuse this one. Use a certificate.")
			}
		}
		c.LongestDays = int(c.longest.Hours() / 24)
		if c.longest > 0 && lives > c.longest {
			what := "A policy of the tenant allows credentials of at most " + count(c.LongestDays, "day") + "; "
			if w.Longest && !c.Own {
				c.valid = validityOf(c.longest)
				c.NotAfter, c.Validity = now.Add(c.longest).UTC().Truncate(time.Second), c.valid.String()
				p.warn("%sthe new one is made for that long.", what)
			} else {
				p.warn("%sthe tenant will probably refuse this one, of %s.", what, count(int(lives.Hours()/24), "day"))
			}
		}
	}
	if c.Type == connections.TypeClientSecret {
		if p.Kind == connections.SharePoint && w.Set == SetRecommended {
			p.warn("A client secret works for whoever reads it, and SharePoint itself refuses it: Microsoft Graph will list the sites, but none can be opened, backed up or restored, and no permission on SharePoint is asked for. Use a certificate.")
		} else {
			p.warn("A client secret works for whoever reads it, and SharePoint does not take it; a certificate is safer.")
		}
	}
	p.Credential = c
}

// validityOf gives a length of time as a certificate's validity.
func validityOf(d time.Duration) certs.Validity {
	const day = 24 * time.Hour
	return certs.Validity{Days: int(d / day), Hours: int(d % day / time.Hour)}
}

// commonName is the application's name as far as a certificate takes it (X.520:
// 64 characters).
func commonName(name string) string {
	r := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
	if s := strings.TrimSpace(string(r[:min(len(r), 64)])); s != "" {
		return s
	}
	return "c2conn"
}

// begun gives the plan with the id of its run in the places that it has.
func (p Plan) begun(run string) Plan {
	p.Run = run
	p.finish()
	return p
}

// finish fills in what follows from the rest.
func (p *Plan) finish() {
	if p.Action == ActionCreate {
		run := p.Run
		if run == "" {
			run = unknownRun
		}
		p.UniqueName = uniqueName(p.Kind, run)
		p.Tags = []string{tagOurs, tagKind(p.Kind), tagRun(run)}
	}
	p.Changes = p.changes()
}

// uniqueName is the name by which creating an application can be repeated
// without making a second one.
func uniqueName(kind connections.Kind, run string) string {
	return "c2conn-" + string(kind) + "-" + strings.ToLower(run)
}
