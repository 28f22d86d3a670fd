package verify

import (
	"context"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// The ids of the checks are part of the JSON contract.
const (
	tokenPrefix       = "token."
	idCertificate     = "certificate"
	idGraphToken      = tokenPrefix + "graph"
	idExchangeToken   = tokenPrefix + "exchange"
	idPermissions     = "permissions"
	idOrganization    = "graph.organization"
	idUser            = "graph.user"
	idGroups          = "graph.groups"
	idMailboxSettings = "graph.mailbox-settings"
	idEWS             = "ews"
)

// check is one verifiable fact.
type check struct {
	id, title string
	needs     []string // must pass first, or this one is skipped
	after     []string // must end first, however
	run       func(*subject, context.Context) task.Result
}

// checksOf lists the checks of a kind in the order in which they are shown; none
// for a kind that cannot be verified yet. A new kind is a new list here, and the
// checks that it alone has.
func checksOf(kind connections.Kind, location connections.Location) []check {
	switch {
	case kind == connections.Exchange && location == connections.Online:
		return []check{
			{id: idCertificate, title: "Certificate", run: (*subject).certificate},
			{id: idGraphToken, title: "Microsoft Graph token", run: func(s *subject, ctx context.Context) task.Result {
				return s.token(ctx, registration.Graph, s.target.Cloud.GraphScope())
			}},
			{id: idExchangeToken, title: "Exchange Online token", run: func(s *subject, ctx context.Context) task.Result {
				return s.token(ctx, registration.Exchange, s.target.Cloud.ExchangeScope())
			}},
			// Whether a missing full_access_as_app is a failure, only EWS itself shows.
			{id: idPermissions, title: "Permissions", after: []string{idGraphToken, idExchangeToken, idEWS}, run: (*subject).permissions},
			{id: idOrganization, title: "Tenant", needs: []string{idGraphToken}, run: (*subject).organization},
			{id: idUser, title: "Dedicated account", needs: []string{idGraphToken}, run: (*subject).user},
			{id: idGroups, title: "Groups", needs: []string{idGraphToken}, run: (*subject).groups},
			{id: idMailboxSettings, title: "Mailbox settings", needs: []string{idGraphToken}, run: (*subject).mailboxSettings},
			{id: idEWS, title: "Exchange Web Services", needs: []string{idExchangeToken}, run: (*subject).exchangeWebServices},
		}
	default:
		return nil
	}
}
