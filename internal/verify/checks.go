package verify

import (
	"context"
	"slices"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// The ids of the checks are part of the JSON contract.
const (
	tokenPrefix         = "token."
	idCertificate       = "certificate"
	idGraphToken        = tokenPrefix + "graph"
	idExchangeToken     = tokenPrefix + "exchange"
	idSharePointToken   = tokenPrefix + "sharepoint"
	idPermissions       = "permissions"
	idOrganization      = "graph.organization"
	idUser              = "graph.user"
	idGroups            = "graph.groups"
	idMailboxSettings   = "graph.mailbox-settings"
	idEWS               = "ews"
	idSites             = "sharepoint.sites"
	idSite              = "sharepoint.site"
	idAdmin             = "sharepoint.admin"
	idPublicFolders     = "public-folders"
	idMailboxUnique     = "mailbox-unique"
	idLegacyCredentials = "admin-credentials" //nolint:gosec // the id of a check
	idAutodiscover      = "autodiscover"
	idServer            = "server"
	idImpersonation     = "impersonation"
	idMailboxes         = "mailboxes"
	idFarmSites         = string(advice.FarmSites)
	idFarmSite          = string(advice.FarmSite)
	idCentral           = string(advice.FarmCentral)
)

// manyPages is for a check that may read hundreds of pages: so many times as long
// as the others it may take (5 minutes).
const manyPages = 10

// need is the permission that the calls of a check take at the least.
type need struct {
	service registration.Resource
	role    string
}

// check is one verifiable fact.
type check struct {
	id, title string
	needs     []string // must pass first, or this one is skipped
	after     []string // must end first, however
	times     int      // how many times the usual limit it may take; 0 means once
	takes     need     // what it proves, and what its refusals name; nothing where no service is asked
	run       func(*subject, context.Context, need) task.Result
	judge     func(*subject, task.Result) task.Result // what run found, in the light of the connection; nil: as it is
}

// checksOf lists the checks of a connection in the order in which they are shown;
// none for one that cannot be verified yet. A new kind is a case here, and the
// checks that it alone has.
func checksOf(c connections.Connection) []check {
	if c.Location != connections.Online {
		return checksOfServer(c)
	}
	people := []check{
		{id: idOrganization, title: "Tenant", needs: []string{idGraphToken}, takes: need{registration.Graph, "Organization.Read.All"}, run: (*subject).organization},
		{id: idUser, title: "Dedicated account", needs: []string{idGraphToken}, takes: need{registration.Graph, "User.Read.All"}, run: (*subject).user},
	}
	groups := []check{{id: idGroups, title: "Groups", needs: []string{idGraphToken}, takes: need{registration.Graph, "Group.Read.All"}, run: (*subject).groups}}
	everyMailbox := need{registration.Exchange, "full_access_as_app"}
	mail := []check{
		{id: idMailboxSettings, title: "Mailbox settings", needs: []string{idGraphToken}, takes: need{registration.Graph, "MailboxSettings.Read"}, run: (*subject).mailboxSettings},
		{id: idEWS, title: "Exchange Web Services", needs: []string{idExchangeToken}, takes: everyMailbox, run: (*subject).exchangeWebServices},
	}
	switch c.Kind {
	case connections.Exchange:
		return slices.Concat(signIn(c), people, groups, mail)
	case connections.MigrationSource:
		return slices.Concat(signIn(c), people, mail)
	case connections.MigrationTarget:
		return slices.Concat(signIn(c), people, mail, []check{
			{id: idPublicFolders, title: "Public folders", needs: []string{idExchangeToken}, takes: everyMailbox, run: (*subject).publicFolders, judge: (*subject).warnOnly},
			{id: idMailboxUnique, title: "Mailbox used once", after: []string{idUser}, run: (*subject).mailboxUnique},
		})
	case connections.SharePoint:
		return slices.Concat(signIn(c), people, sites(), legacy(c))
	}
	return nil
}

// services lists those that a connection's checks ask, each of which takes a token:
// Graph, those on which it needs a permission, and the one that it is for.
func services(c connections.Connection) (list []registration.Resource) {
	needed := registration.Resources(registration.PurposeOf(c))
	for _, r := range allServices() {
		if r == registration.Graph || slices.Contains(needed, r) || r == registration.SharePoint && c.Kind == connections.SharePoint {
			list = append(list, r)
		}
	}
	return list
}

func allServices() []registration.Resource {
	return []registration.Resource{registration.Graph, registration.SharePoint, registration.Exchange}
}

// listing is what it takes to list sites, and to be told the tenant's real addresses.
func listing() need { return need{registration.Graph, "Sites.Read.All"} }

// signIn are the checks that every kind begins with: the credential, a token for
// each service, and the permissions in the tokens.
func signIn(c connections.Connection) []check {
	list := []check{{id: idCertificate, title: "Certificate", after: []string{idGraphToken}, run: (*subject).certificate, judge: (*subject).registered}}
	var after []string
	if c.Kind != connections.SharePoint {
		after = []string{idEWS} // whether a missing full_access_as_app is a failure, only EWS itself shows
	}
	for _, r := range services(c) {
		c := check{id: tokenPrefix + string(r), title: tokenTitle(r), run: func(s *subject, ctx context.Context, takes need) task.Result { return s.token(ctx, r, takes) }}
		if r == registration.SharePoint {
			c.takes, c.judge = listing(), (*subject).siteToken
		}
		list, after = append(list, c), append(after, c.id)
	}
	return append(list, check{id: idPermissions, title: "Permissions", after: after, run: (*subject).permissions})
}

func tokenTitle(r registration.Resource) string {
	switch r {
	case registration.Exchange:
		return "Exchange Online token"
	case registration.SharePoint:
		return "SharePoint token"
	}
	return r.Title() + " token"
}

func sites() []check {
	return []check{
		{id: idSites, title: "Site collections", needs: []string{idGraphToken}, times: manyPages, takes: listing(), run: (*subject).siteCollections, judge: (*subject).reachable},
		{id: idSite, title: "Site by REST", needs: []string{idSharePointToken}, takes: need{registration.SharePoint, "Sites.Read.All"}, run: (*subject).siteByREST, judge: (*subject).reachable},
		{id: idAdmin, title: "Admin centre", needs: []string{idSharePointToken}, takes: need{registration.SharePoint, "Sites.FullControl.All"}, run: (*subject).adminCentre, judge: (*subject).reachable},
	}
}

// legacy is there only where somebody asked for the credentials to be kept.
func legacy(c connections.Connection) []check {
	if c.LegacyAdmin.UPN == "" {
		return nil
	}
	title := "Administrator's password (legacy)"
	if c.LegacyAdmin.Password == "" {
		title = "Administrator's user name (legacy)"
	}
	return []check{{id: idLegacyCredentials, title: title, run: (*subject).legacyCredentials}}
}
