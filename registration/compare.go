package registration

import (
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
)

// contains lists which permissions a permission contains; Covers follows it
// transitively. Only reads and writes that c2conn's kinds use are listed.
//
// Source: graphReference, and the "higher privileged permissions" of the Graph
// pages "List users", "List groups", "List organization" and "Get mailboxSettings".
var contains = map[Resource]map[string][]string{
	Graph: {
		"Directory.Read.All":                          {"User.Read.All", "Group.Read.All", "GroupMember.Read.All", "Organization.Read.All", "Domain.Read.All"},
		"Directory.ReadWrite.All":                     {"Directory.Read.All"},
		"User.ReadWrite.All":                          {"User.Read.All"},
		"Group.Read.All":                              {"GroupMember.Read.All"},
		"Group.ReadWrite.All":                         {"Group.Read.All"},
		"Organization.ReadWrite.All":                  {"Organization.Read.All"},
		"MailboxSettings.ReadWrite":                   {"MailboxSettings.Read"},
		"DeviceManagementServiceConfig.ReadWrite.All": {"DeviceManagementServiceConfig.Read.All"},
		"Sites.ReadWrite.All":                         {"Sites.Read.All"},
		"Sites.Manage.All":                            {"Sites.ReadWrite.All"},
		"Sites.FullControl.All":                       {"Sites.Manage.All"},
	},
	SharePoint: {
		"Sites.ReadWrite.All":   {"Sites.Read.All"},
		"Sites.Manage.All":      {"Sites.ReadWrite.All"},
		"Sites.FullControl.All": {"Sites.Manage.All"},
		"User.ReadWrite.All":    {"User.Read.All"},
	},
}

// Covers reports whether having role is also enough where wanted is asked for.
func Covers(resource Resource, role, wanted string) bool {
	if role == wanted {
		return true
	}
	for _, inner := range contains[resource][role] {
		if Covers(resource, inner, wanted) {
			return true
		}
	}
	return false
}

// Cover says that a permission of the catalogue is not granted itself, but
// contained in another one that is.
type Cover struct {
	Permission Permission
	By         string
}

// Extra is a granted permission that the kind does not use.
type Extra struct {
	Resource Resource
	Role     string
	Powerful bool // it can change or send things, or manage the directory
}

// Comparison is a registration's permissions held against the catalogue.
type Comparison struct {
	Granted     []Permission // in the token and in the catalogue
	Covered     []Cover      // not granted, yet contained in a granted one
	Missing     []Permission // required, neither granted nor covered
	Optional    []Permission // not required, neither granted nor covered
	Superfluous []Extra      // granted without need
	Unknown     []Permission // of a service whose token is not at hand
}

// Wanted is the number of required permissions of the catalogue that could be
// judged.
func (c Comparison) Wanted() int { return c.Met() + len(c.Missing) }

// Met is the number of required permissions that are granted or covered.
func (c Comparison) Met() int {
	n := 0
	for _, p := range c.Granted {
		if p.Required {
			n++
		}
	}
	for _, p := range c.Covered {
		if p.Permission.Required {
			n++
		}
	}
	return n
}

// Compare holds the roles found in tokens against the catalogue of a kind. A
// service without an entry in roles was not asked: its permissions are Unknown.
// An entry with no roles means that nothing is granted there.
func Compare(kind connections.Kind, roles map[Resource][]string) Comparison {
	var c Comparison
	catalogue := Catalogue(kind)
	covering := map[Resource]map[string]bool{} // granted roles that are needed only because they contain one
	for _, p := range catalogue {
		granted, asked := roles[p.Resource]
		by := ""
		if i := slices.IndexFunc(granted, func(r string) bool { return Covers(p.Resource, r, p.Role) }); i >= 0 {
			by = granted[i]
		}
		switch {
		case !asked:
			c.Unknown = append(c.Unknown, p)
		case slices.Contains(granted, p.Role):
			c.Granted = append(c.Granted, p)
		case by != "":
			c.Covered = append(c.Covered, Cover{p, by})
			if covering[p.Resource] == nil {
				covering[p.Resource] = map[string]bool{}
			}
			covering[p.Resource][by] = true
		case p.Required:
			c.Missing = append(c.Missing, p)
		default:
			c.Optional = append(c.Optional, p)
		}
	}
	for _, resource := range []Resource{Exchange, Graph, SharePoint} {
		for _, r := range slices.Compact(slices.Sorted(slices.Values(roles[resource]))) {
			wanted := slices.ContainsFunc(catalogue, func(p Permission) bool { return p.Resource == resource && p.Role == r })
			if !wanted && !covering[resource][r] {
				c.Superfluous = append(c.Superfluous, Extra{resource, r, Powerful(r)})
			}
		}
	}
	return c
}

// Powerful reports whether a role can change, send or manage things, judged by
// its name: Microsoft names what a role may do in the part between dots.
func Powerful(role string) bool {
	for part := range strings.SplitSeq(role, ".") {
		for _, word := range []string{"ReadWrite", "FullControl", "Manage", "Send", "Create", "Write", "AccessAsUser", "ImportExport", "full_access"} {
			if strings.HasPrefix(part, word) {
				return true
			}
		}
	}
	return false
}
