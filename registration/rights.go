package registration

import (
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
)

// Verdict is an answer to "may this account do that?". Unknown never stands in
// the way: the tenant itself decides, and a role may reach an account in ways
// that cannot be seen here.
type Verdict string

// The verdicts.
const (
	Yes     Verdict = "yes"
	No      Verdict = "no"
	Unknown Verdict = "unknown"
)

// May says what the signed-in account may do.
type May struct {
	Register        Verdict `json:"register"`         // applications, service principals, their credentials
	ConsentExchange Verdict `json:"consent_exchange"` // grant permissions on Exchange Online and SharePoint
	ConsentGraph    Verdict `json:"consent_graph"`    // grant permissions on Microsoft Graph
}

// consents tells whether the account may grant permissions on a service.
func (m May) consents(r Resource) Verdict {
	if r == Graph {
		return m.ConsentGraph
	}
	return m.ConsentExchange
}

// right is what a directory role allows.
type right struct {
	name string
	may  May
}

// rightOf knows the built-in directory roles, by template id, that matter here.
//
// Source: learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent
// and /entra/identity/role-based-access-control/permissions-reference.
func rightOf(templateID string) (right, bool) {
	switch strings.ToLower(templateID) {
	case "62e90394-69f5-4237-9190-012177145e10":
		return right{"Global Administrator", May{Yes, Yes, Yes}}, true
	case "e8611ab8-c189-46e8-94e1-60213ab1f814":
		// Registers as an ordinary user, which the tenant may allow or not.
		return right{"Privileged Role Administrator", May{Unknown, Yes, Yes}}, true
	case "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3":
		return right{"Application Administrator", May{Yes, Yes, No}}, true
	case "158c047a-c907-4556-b7ef-446551a6b5f7":
		return right{"Cloud Application Administrator", May{Yes, Yes, No}}, true
	case "cf1c38e5-3621-4004-a7cb-879624dced7c":
		return right{"Application Developer", May{Yes, No, No}}, true
	default:
		return right{}, false
	}
}

// Who may consent, for those who may not.
const (
	graphConsenters    = "Global Administrator or Privileged Role Administrator"
	exchangeConsenters = "Global Administrator, Privileged Role Administrator, Application Administrator or Cloud Application Administrator"
)

// changers may change applications that they do not own.
const changers = "Global Administrator, Application Administrator or Cloud Application Administrator"

// mayChange judges whether the account may change an application that is there: who
// may register one may not change another's. Who owns it is not looked up.
func mayChange(c entra.AdminClaims, roles []graph.DirectoryRole, may May) Verdict {
	switch {
	case c.App && slices.Contains(c.Roles, "Application.ReadWrite.All"):
		return Yes
	case may.Register == No, c.App:
		return No
	}
	for _, role := range roles {
		if r, ok := rightOf(role.TemplateID); ok && r.may.Register == Yes && r.may.ConsentExchange == Yes {
			return Yes
		}
	}
	return Unknown
}

func consenters(r Resource) string {
	if r == Graph {
		return graphConsenters
	}
	return exchangeConsenters
}

// mayOf judges what the token and the roles allow.
func mayOf(c entra.AdminClaims, roles []graph.DirectoryRole) May {
	if c.App {
		return appMay(c.Roles)
	}
	may, known := May{Unknown, Unknown, Unknown}, false
	for _, role := range roles {
		if r, ok := rightOf(role.TemplateID); ok {
			if !known {
				may, known = r.may, true
				continue
			}
			may = May{better(may.Register, r.may.Register), better(may.ConsentExchange, r.may.ConsentExchange), better(may.ConsentGraph, r.may.ConsentGraph)}
		}
	}
	if len(c.Scopes) == 0 {
		return may
	}
	// A token can do no more than what was delegated, whatever the role.
	all := slices.Contains(c.Scopes, "Directory.AccessAsUser.All")
	if !all && !slices.Contains(c.Scopes, "Application.ReadWrite.All") {
		may.Register = No
	}
	if !slices.Contains(c.Scopes, "AppRoleAssignment.ReadWrite.All") {
		may.ConsentExchange, may.ConsentGraph = No, No
	}
	return may
}

// appMay judges an application by its own permissions.
//
// Source: learn.microsoft.com/graph/api/application-post-applications and
// serviceprincipal-post-approleassignedto, "Permissions".
func appMay(roles []string) May {
	may := May{No, No, No}
	if slices.Contains(roles, "Application.ReadWrite.All") || slices.Contains(roles, "Application.ReadWrite.OwnedBy") {
		may.Register = Yes
	}
	if slices.Contains(roles, "AppRoleAssignment.ReadWrite.All") {
		may.ConsentExchange, may.ConsentGraph = Yes, Yes
	}
	return may
}

func better(a, b Verdict) Verdict {
	for _, v := range []Verdict{Yes, Unknown} {
		if a == v || b == v {
			return v
		}
	}
	return No
}

// roleNames gives the names of roles, those of the known ones in our spelling.
func roleNames(roles []graph.DirectoryRole) []string {
	var names []string
	for _, r := range roles {
		name := r.Name
		if known, ok := rightOf(r.TemplateID); ok {
			name = known.name
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
