package wizard

import (
	"context"
	"errors"

	"github.com/c2conn/c2conn/connections"
)

// MigrationSource is the flow of "new migration-source": seed 001, the Microsoft 365
// tenant from which mailboxes are migrated.
func MigrationSource() *Flow {
	account := accountField("Dedicated application mailbox", "Address of any user of the source tenant with a mailbox.")
	return &Flow{
		Kind:     connections.MigrationSource,
		Title:    "new migration source",
		Verb:     "new migration-source",
		Location: connections.Online,
		Steps: []Step{
			cloudStep(),
			registrationStep(),
			signInStep(),
			applicationStep(connections.MigrationSource, proposed(account)),
			planStep(),
			detailsStep(account),
			configurationStep("source"),
		},
		Fill: fillEWS,
	}
}

// MigrationTarget is the flow of "new migration-target": seed 004, the Microsoft 365
// tenant to which mailboxes are migrated.
func MigrationTarget() *Flow {
	account := accountField("Dedicated application mailbox", "A mailbox that no other target uses; for public folders one with Owner rights.")
	account.Lookup = lookupTargetMailbox
	return &Flow{
		Kind:     connections.MigrationTarget,
		Title:    "new migration target",
		Verb:     "new migration-target",
		Location: connections.Online,
		Steps: []Step{
			cloudStep(),
			noticed(registrationStep(), targetWrites),
			signInStep(),
			noticed(applicationStep(connections.MigrationTarget, account), targetMailbox),
			planStep(),
			noticed(detailsStep(account), targetMailbox),
			configurationStep("target"),
		},
		Fill: fillEWS,
	}
}

// What seed 004 warns of.
const (
	targetWrites = "The permissions of a migration target let the application write into every mailbox and create users; the plan marks those that write."

	targetMailbox = "One mailbox serves one target connection only; take another user for each further one. Where public folders are migrated, this user needs Owner rights on " +
		"the root public folder and on the subfolders that data goes to: best an administrator's mailbox."
)

// lookupTargetMailbox tells at once whether another target uses the mailbox. The
// store makes sure of it when the connection is saved.
func lookupTargetMailbox(ctx context.Context, env *Env, a Answers) (note, resolved string, err error) {
	account := a.Get(keyAccount)
	other, err := env.profiles().TargetOf(ctx, account)
	switch {
	case errors.Is(err, connections.ErrNotFound):
		return "", account, nil
	case err != nil:
		return "", "", err
	}
	return "", "", &connections.AccountTakenError{Account: account, By: other.Name}
}
