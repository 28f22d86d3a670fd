package registration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
)

// What stands in a command for something that only the reader knows.
const (
	clientIDHere = "CLIENT-ID"
	tenantIDHere = "TENANT-ID"
	accountHere  = "ACCOUNT"
)

// intro says what the guide is for and who can follow it.
func (o GuideOptions) intro(kind connections.Kind) string {
	text := "For a connection of the kind " + string(kind) + ". You need a Global Administrator or a Privileged Role Administrator for step 3; " +
		"the rest can also be done by an Application Administrator or a Cloud Application Administrator."
	if kind != connections.SharePoint {
		return text
	}
	if o.Set == SetSeed {
		return text + " These are the documented permissions alone (seed). They come from the time when an administrator's password opened SharePoint; " +
			"Microsoft blocked that for good in May 2026, so with them no site can be listed or opened. Without --permissions seed the guide has those that work."
	}
	return text + " Nobody needs the role SharePoint Administrator, and there is nothing to set in the SharePoint admin centre."
}

// writesText says how many of the permissions can change something; "" if none can.
func writesText(roles []string, all int) string {
	switch {
	case len(roles) == 0:
		return ""
	case all == 1:
		return "This permission can change data: " + roles[0] + "."
	case len(roles) == all:
		return "All of these permissions can change data: " + strings.Join(roles, ", ") + "."
	}
	return fmt.Sprintf("%d of these %d permissions can change data: %s.", len(roles), all, strings.Join(roles, ", "))
}

// writing are the roles that can change something.
func writing(list []PermissionDocument) (roles []string) {
	for _, p := range list {
		if p.Writes {
			roles = append(roles, p.Role)
		}
	}
	return roles
}

// services are the steps that a service asks for besides its permissions.
func (o GuideOptions) services(kind connections.Kind) (steps []GuideStep) {
	if o.reaches(kind, Exchange) {
		text := "Since October 2026 Exchange Online lets only listed applications use Exchange Web Services, and they end there on 1 April 2027."
		if kind != connections.SharePoint {
			text += " The check “ews” of the connection says whether yours is blocked, and then prints the PowerShell that adds it to the list without dropping the others."
		}
		steps = append(steps, GuideStep{"Let it use Exchange Web Services", []GuideItem{{Text: text}}})
	}
	if kind == connections.MigrationTarget {
		steps = append(steps, GuideStep{"Choose the mailbox", []GuideItem{
			{Text: "One mailbox serves one target connection only: take another user of the tenant for each further one."},
			{Text: "Only if you migrate public folders: that user, best an administrator, needs Owner rights on the root public folder. In Exchange Online PowerShell, as Exchange Administrator:",
				PowerShell: `Add-PublicFolderClientPermission -Identity "\" -User ` + accountHere + ` -AccessRights Owner`},
			{Text: "The right does not spread to folders that exist already. The same for all of them; where the user has other rights, take them away first (Remove-PublicFolderClientPermission):",
				PowerShell: `Get-PublicFolder -Identity "\" -Recurse -ResultSize Unlimited | Add-PublicFolderClientPermission -User ` + accountHere + ` -AccessRights Owner`},
		}})
	}
	return steps
}

// reaches tells whether a kind uses permissions on a service.
func (o GuideOptions) reaches(kind connections.Kind, r Resource) bool {
	return slices.ContainsFunc(Catalogue(o.purpose(kind)), func(p Permission) bool { return p.Resource == r })
}

// secret says how to make a client secret, and what it cannot do.
func (o GuideOptions) secret(kind connections.Kind) GuideItem {
	//nolint:gosec // words about a secret, not one
	const how = "Certificates & secrets › Client secrets › New client secret › a description, and when it expires (24 months at most) › Add. Copy the Value at once into a file that only you can read: " +
		"it is shown once, and the Secret ID beside it is something else."
	if !o.reaches(kind, SharePoint) {
		return GuideItem{Text: "Or a client secret: " + how}
	}
	return GuideItem{Text: "A client secret is no substitute. SharePoint answers every call that is made with one by “Unsupported app only token.”: no site can be opened, backed up or restored, " +
		"and the admin centre cannot be reached. Microsoft Graph takes it, so that sites can be listed, and no more. Should that be enough: " + how + " Leave out the permission on SharePoint then."}
}

// connect is the last step.
func (o GuideOptions) connect(kind connections.Kind) GuideStep {
	use := GuideItem{Text: "Keep the client ID, the tenant ID and the certificate's thumbprint (or the file with the secret): the connection is made from them."}
	if o.CanConnect {
		who := map[connections.Kind]string{
			connections.Exchange:        accountHere + " is any user of the tenant with a mailbox.",
			connections.SharePoint:      "COMPANY is the organisation's name, its domain that ends in .onmicrosoft.com, or the address of its sites as the browser shows it; the admin centre's address follows from it.",
			connections.MigrationSource: accountHere + " is any user of the source tenant with a mailbox.",
			connections.MigrationTarget: accountHere + " is the user of the target tenant that you chose.",
		}[kind]
		secret := "--client-secret-file FILE"
		if kind == connections.SharePoint {
			secret += " --graph-only" //nolint:gosec // a flag
		}
		use = GuideItem{Text: who + " With a client secret, give " + secret + " instead of the thumbprint.", Command: o.newCommand(kind)}
	}
	return GuideStep{"Make the connection", []GuideItem{use}}
}

// newCommand makes the connection.
func (o GuideOptions) newCommand(kind connections.Kind) string {
	words := []string{"c2conn new", string(kind), "--manual"}
	add := func(flag, value, otherwise string) {
		if value == "" {
			value = otherwise
		} else {
			value = advice.ShellWord(value)
		}
		if value != "" {
			words = append(words, flag, value)
		}
	}
	if o.Cloud.Name != cloud.Global {
		add("--cloud", o.Cloud.Name, "")
	}
	if kind == connections.SharePoint {
		add("--sharepoint-url", "", "COMPANY")
		add("--permissions", string(o.Set), "")
	}
	add("--client-id", o.ClientID, clientIDHere)
	add("--tenant-id", o.TenantID, tenantIDHere)
	if kind != connections.SharePoint { // looks up no account
		add("--mailbox", "", accountHere)
	}
	return strings.Join(append(words, "--cert-thumbprint THUMBPRINT --name NAME"), " ")
}
