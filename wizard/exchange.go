package wizard

import (
	"github.com/c2conn/c2conn/connections"
)

// Exchange is the flow of "new exchange": the Exchange connection wizard of seed
// 002, Microsoft 365 with both ways of registering, and Exchange Server.
func Exchange() *Flow {
	account := accountField("Dedicated application account", "Address of any user with a mailbox in the tenant.")
	return &Flow{
		Kind:  connections.Exchange,
		Title: "new Exchange connection",
		Verb:  "new exchange",
		Steps: []Step{
			locationStep("the mailboxes",
				Option{Value: string(connections.Online), Flag: "online", Title: "Microsoft 365 (Exchange Online)",
					Help: "Mailboxes and public folders of a Microsoft 365 tenant."},
				Option{Value: string(connections.OnPremises), Flag: "on-premises", Title: "Exchange Server (on-premises)",
					Help: "Mailboxes on a server of your own."},
			),
			exchangeServerStep(),
			exchangeAdminStep(),
			registrationStep(),
			signInStep(),
			applicationStep(connections.Exchange, proposed(account)),
			planStep(),
			detailsStep(account),
			configurationStep("exchange", keyAdminUPN),
		},
		Fill: fillExchange,
		Load: loadExchange,
	}
}
