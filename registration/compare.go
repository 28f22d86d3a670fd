package registration

import (
	"slices"
	"strings"
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

// Extra is a granted permission that nothing uses.
type Extra struct {
	Resource Resource
	Role     string
	Writes   bool   // it can change, create, delete or send something
	Allows   string // in plain words; "" where c2conn does not know the permission
}

// Comparison is a registration's permissions held against the catalogue.
type Comparison struct {
	Granted     []Permission // in the token and in the catalogue
	Covered     []Cover      // not granted, yet contained in a granted one
	Missing     []Permission // required, neither granted nor covered
	Optional    []Permission // not required, neither granted nor covered
	Superfluous []Extra      // granted without need
	Unknown     []Permission // required, of a service whose token is not at hand
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

// Compare holds the roles found in tokens against the catalogue. A service without
// an entry in roles was not asked: what is required there is Unknown. An entry with
// no roles means that nothing is granted there. also names what else the application
// is for: what other saved connections use of it is not superfluous.
func Compare(p Purpose, also []Purpose, roles map[Resource][]string) Comparison {
	var c Comparison
	used := map[Resource]map[string]bool{Exchange: {}, Graph: {}, SharePoint: {}} // by anything, for itself or for what it contains
	for i, purpose := range append([]Purpose{p}, also...) {
		for _, p := range Catalogue(purpose) {
			granted, asked := roles[p.Resource]
			by := p.Role
			if j := slices.IndexFunc(granted, func(r string) bool { return Covers(p.Resource, r, p.Role) }); j >= 0 && !slices.Contains(granted, p.Role) {
				by = granted[j]
			}
			used[p.Resource][by] = true
			switch {
			case i > 0:
			case !asked && p.Required:
				c.Unknown = append(c.Unknown, p)
			case !asked:
			case slices.Contains(granted, p.Role):
				c.Granted = append(c.Granted, p)
			case by != p.Role:
				c.Covered = append(c.Covered, Cover{p, by})
			case p.Required:
				c.Missing = append(c.Missing, p)
			default:
				c.Optional = append(c.Optional, p)
			}
		}
	}
	for _, resource := range []Resource{Exchange, Graph, SharePoint} {
		for _, r := range slices.Compact(slices.Sorted(slices.Values(roles[resource]))) {
			if !used[resource][r] {
				c.Superfluous = append(c.Superfluous, Extra{resource, r, writes(resource, r), Allows(resource, r)})
			}
		}
	}
	return c
}

// writes reports whether whoever holds a role can change, create, delete or send
// something: as the catalogue says, else as far as the role's name tells.
func writes(r Resource, role string) bool {
	for _, p := range Purposes() {
		for _, q := range Catalogue(p) {
			if q.Resource == r && q.Role == role {
				return q.Writes
			}
		}
	}
	return Powerful(role)
}

// Powerful reports whether a role can change, send or manage things, judged by
// its name: Microsoft names what a role may do in the part between dots.
func Powerful(role string) bool {
	for part := range strings.SplitSeq(role, ".") {
		for _, word := range []string{"ReadWrite", "FullControl", "Manage", "Send", "Create", "Write", "AccessAsUser", "AccessAsApp", "ImportExport", "Migrat", "Invite", "EnableDisable", "PrivilegedOperations", "full_access"} {
			if strings.HasPrefix(part, word) {
				return true
			}
		}
	}
	return false
}
