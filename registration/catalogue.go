// Package registration knows what an application needs in a tenant: which
// permissions, on which service, what each allows and why it is wanted. It hides
// the ids and the rules by which one permission contains another.
package registration

import (
	"slices"

	"github.com/c2conn/c2conn/connections"
)

// CatalogueVersion names the state of the catalogue, as saved with a connection:
// the year and month of its last change.
const CatalogueVersion = "2026-11"

// Resource is a service that defines permissions.
type Resource string

// The services whose permissions a connection uses.
const (
	Graph      Resource = "graph"
	Exchange   Resource = "exchange"
	SharePoint Resource = "sharepoint"
)

// AppID is the application id of the service, the same in every tenant and cloud.
//
// Source: learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
func (r Resource) AppID() string {
	switch r {
	case Graph:
		return "00000003-0000-0000-c000-000000000000"
	case Exchange:
		return "00000002-0000-0ff1-ce00-000000000000"
	case SharePoint:
		return "00000003-0000-0ff1-ce00-000000000000"
	default:
		return ""
	}
}

// Title is the name under which the Entra admin centre lists the service.
func (r Resource) Title() string {
	switch r {
	case Graph:
		return "Microsoft Graph"
	case Exchange:
		return "Office 365 Exchange Online"
	case SharePoint:
		return "SharePoint"
	default:
		return string(r)
	}
}

// Permission is an application permission (app role) that a kind of connection uses.
type Permission struct {
	Kind          connections.Kind
	Resource      Resource
	ResourceAppID string
	Role          string // as the roles claim of a token spells it
	RoleID        string // GUID; unique only together with the resource
	Allows        string // what whoever holds it can do, in plain words
	Writes        bool   // whoever holds it can change, create, delete or send something
	Why           string // what the connection does with it
	Least         string // why nothing less is enough, where there is something less that looks enough
	Source        string // where Microsoft documents it
	Required      bool   // without it the connection does not work
}

// Marked is the role for whoever is about to consent: marked where it can change
// data, "User.ReadWrite.All (writes)".
func (p Permission) Marked() string {
	if p.Writes {
		return p.Role + " (writes)"
	}
	return p.Role
}

const (
	graphReference = "https://learn.microsoft.com/graph/permissions-reference"
	ewsReference   = "https://learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-authenticate-an-ews-application-by-using-oauth"
	sitesReference = "https://learn.microsoft.com/sharepoint/dev/solution-guidance/security-apponly-azuread"
)

// role is what is true of a permission whatever connection uses it.
type role struct {
	resource   Resource
	name, id   string
	writes     bool
	documented string
}

// The ids are those of the services' own service principals; what each role allows
// is in the table of Allows.
// Sources: graphReference (Graph), ewsReference (Exchange), sitesReference (SharePoint).
var (
	fullAccess       = role{Exchange, "full_access_as_app", "dc890d15-9560-4a4c-9b7f-a736ec74ec40", true, ewsReference}
	directoryRead    = role{Graph, "Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61", false, graphReference + "#directoryreadall"}
	groupRead        = role{Graph, "Group.Read.All", "5b567255-7703-4780-807c-7be8301ae99b", false, graphReference + "#groupreadall"}
	mailboxSettings  = role{Graph, "MailboxSettings.ReadWrite", "6931bccd-447a-43d1-b442-00a195474933", true, graphReference + "#mailboxsettingsreadwrite"}
	userRead         = role{Graph, "User.Read.All", "df021288-bdef-4463-88db-98f22de89214", false, graphReference + "#userreadall"}
	userWrite        = role{Graph, "User.ReadWrite.All", "741f803b-c850-494e-b5df-cde7c675a1ca", true, graphReference + "#userreadwriteall"}
	organizationRead = role{Graph, "Organization.Read.All", "498476ce-e0fe-48b0-b801-37ba7e2685c6", false, graphReference + "#organizationreadall"}
	deviceConfigRead = role{Graph, "DeviceManagementServiceConfig.Read.All", "06a5fe6d-c49d-46a7-b082-56b1b14103c7", false, graphReference + "#devicemanagementserviceconfigreadall"}
	graphSitesRead   = role{Graph, "Sites.Read.All", "332a536c-c7ef-4017-ab91-336970924f0d", false, graphReference + "#sitesreadall"}
	sitesFullControl = role{SharePoint, "Sites.FullControl.All", "678536fe-1083-478a-9c59-b99265e6b0d3", true, sitesReference}
)

func (r role) wanted(p Purpose, why string) Permission {
	return Permission{
		Kind: p.Kind, Resource: r.resource, ResourceAppID: r.resource.AppID(), Role: r.name, RoleID: r.id, Writes: r.writes,
		Allows: Allows(r.resource, r.name), Why: why, Source: r.documented,
		// SharePoint takes tokens that were got with a certificate only.
		Required: r.resource != SharePoint || !p.Secret,
	}
}

// Catalogue lists the permissions that a connection uses, in the order of the
// documentation. An unknown kind has none. The slice is the caller's own.
func Catalogue(p Purpose) []Permission {
	need := func(r role, why string) Permission { return r.wanted(p, why) }
	switch p.Kind {
	case connections.Exchange:
		return []Permission{
			need(fullAccess, "to back up and restore mailboxes and public folders"),
			need(directoryRead, "to read the tenant's domains and directory"),
			need(groupRead, "to list groups and their mailboxes"),
			need(mailboxSettings, "to tell user, shared and resource mailboxes apart and to restore their settings"),
			need(userRead, "to list users and find the dedicated account"),
		}
	case connections.SharePoint:
		if p.Set == SetSeed {
			return []Permission{
				need(fullAccess, "to reach the group mailboxes that belong to sites"),
				need(userRead, "to list users and the owners of OneDrive sites"),
			}
		}
		return []Permission{
			need(userRead, "to list users and the owners of OneDrive sites"),
			need(graphSitesRead, "to list the site collections of all geographies and to find the tenant's real addresses").
				least("Sites.Selected lists no sites, and Microsoft Graph takes nothing else below Sites.Read.All for listing them."),
			need(sitesFullControl, "to back up and restore sites with their permissions and to reach the SharePoint admin centre; with a certificate only").
				least("Sites.Read.All, Sites.ReadWrite.All and Sites.Manage.All open sites and find them by search, but neither restore permissions nor enter the admin centre."),
		}
	case connections.MigrationSource:
		return []Permission{
			need(fullAccess, "to read the mailboxes that are migrated"),
			need(mailboxSettings, "to tell user, shared and resource mailboxes apart and to read their settings"),
			need(organizationRead, "to read the tenant's name and domains"),
			need(userRead, "to list users and find the dedicated mailbox"),
		}
	case connections.MigrationTarget:
		return []Permission{
			need(fullAccess, "to write into the mailboxes that data is migrated to"),
			need(mailboxSettings, "to tell mailboxes apart and to set their language and time zone"),
			need(organizationRead, "to read the tenant's name, domains and free licences"),
			need(userRead, "to list users and find the dedicated mailbox"),
			need(userWrite, "to create users and to assign licences, so that target mailboxes exist"),
			need(deviceConfigRead, "to see whether new users must enrol devices"),
		}
	default:
		return nil
	}
}

func (p Permission) least(why string) Permission {
	p.Least = why
	return p
}

// Resources lists the services on which a connection needs at least one
// permission, in the order of the catalogue.
func Resources(p Purpose) []Resource {
	var out []Resource
	for _, q := range Catalogue(p) {
		if q.Required && !slices.Contains(out, q.Resource) {
			out = append(out, q.Resource)
		}
	}
	return out
}

// AppName is the documented display name of the application that a connection of
// the kind uses; empty for an unknown kind.
func AppName(kind connections.Kind) string {
	switch kind {
	case connections.Exchange:
		return "CodeTwo Backup Exchange"
	case connections.SharePoint:
		return "CodeTwo Backup SharePoint"
	case connections.MigrationSource:
		return "CodeTwo Office 365 Migration Source"
	case connections.MigrationTarget:
		return "CodeTwo Office 365 Migration Target"
	default:
		return ""
	}
}
