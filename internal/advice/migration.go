package advice

import (
	"errors"

	"github.com/c2conn/c2conn/connections"
)

const publicFolderLink = "https://learn.microsoft.com/powershell/module/exchange/add-publicfolderclientpermission"

// PublicFolderRightsError is a dedicated mailbox that does not own the public
// folders, or of which nobody can tell.
type PublicFolderRightsError struct {
	Known bool   // false: Exchange did not tell the rights
	Level string // what it has instead, e.g. Editor; may be empty
	Err   error  // the refusal, where it was one
}

func (e *PublicFolderRightsError) Unwrap() error { return e.Err }

func (e *PublicFolderRightsError) Error() string {
	if !e.Known && e.Err == nil {
		return "the rights to the public folders are not known"
	}
	return "the mailbox does not own the root of the public folders"
}

// fromMigration finds the advice for what migration targets alone meet.
func fromMigration(err error) (judgement, bool) {
	var (
		rights *PublicFolderRightsError
		taken  *connections.AccountTakenError
	)
	switch {
	case errors.As(err, &rights):
		j := idsOf(rights.Err)
		j.row = publicFolderRow(rights)
		return j, true
	case errors.As(err, &taken):
		return judgement{row: row{
			what:  "The mailbox " + or(taken.Account, "{account}") + " serves the migration target “" + or(taken.By, "(unnamed)") + "” already.",
			short: "another migration target uses this mailbox",
			why:   "One mailbox cannot serve two migration targets: both jobs would keep their state in it and disturb each other. Its other addresses are the same mailbox.",
			next: []string{
				"Look at the other connection:", "$ c2conn show " + shellWord(taken.By),
				"Use the mailbox of another user for one of the two. {edit}",
				"If the other one is not needed any more:", "$ c2conn delete " + shellWord(taken.By),
			}, class: ClassUsage,
		}}, true
	}
	return judgement{}, false
}

func publicFolderRow(e *PublicFolderRightsError) row {
	r := row{
		what:  "{account} is not the owner of the public folders.",
		short: "not the owner of the public folders",
		why:   "Writing public folders takes the right Owner on the root folder and on all folders that data goes into. Mailboxes are migrated without it.",
		link:  publicFolderLink, class: ClassCheck,
		next: []string{
			"If you migrate no public folders, nothing is to be done.",
			"Else, as Exchange administrator, in PowerShell with the module ExchangeOnlineManagement:",
			"PS> Connect-ExchangeOnline",
			`PS> Add-PublicFolderClientPermission -Identity '\' -User {accountarg} -AccessRights Owner`,
			"The same for the folders that are there already:",
			`PS> Get-PublicFolder -Identity '\' -Recurse -ResultSize Unlimited | Add-PublicFolderClientPermission -User {accountarg} -AccessRights Owner`,
			"Where it says that an entry exists already, remove that first:",
			`PS> Remove-PublicFolderClientPermission -Identity '\' -User {accountarg} -Confirm:$false`,
			"It can take an hour until the right is known everywhere.",
			"{again}",
		},
	}
	switch {
	case !e.Known && e.Err == nil:
		r.what = "Whether {account} owns the public folders could not be told."
		r.short = "the rights to public folders could not be told"
		r.why = "Exchange opened the root folder, but did not say which rights the mailbox has there. " + r.why
		see := []string{"Look first what it has; what follows is only needed where that is not Owner:", `PS> Get-PublicFolderClientPermission -Identity '\' -User {accountarg}`}
		r.next = append(append(r.next[:1:1], r.next[1:3]...), append(see, r.next[3:]...)...)
	case e.Level != "":
		r.what = "{account} has the right " + or(e.Level, "") + " to the public folders, not Owner."
		r.short = "has the right " + or(e.Level, "") + " to public folders, not Owner"
	}
	return r
}
