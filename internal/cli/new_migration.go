package cli

import (
	"github.com/c2conn/c2conn/wizard"
)

// migrationTexts are the help of the two ends of a migration.
func migrationTexts() []kindText {
	return []kindText{
		{
			flow: wizard.MigrationSource, aliases: []string{"source"}, short: "Connect to the Microsoft 365 tenant that mailboxes are migrated from",
			long: `Opens the wizard for the source of a migration, or runs without a question when the
flags answer everything. With --auto an administrator signs in and c2conn registers
the application, after showing the plan; with --manual it is one that you registered
(c2conn app guide migration-source shows how).` + secretsText,
			example: `  c2conn new migration-source
  c2conn new source --auto --name contoso-source
  c2conn new source --manual --client-id 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa \
    --tenant-id contoso.onmicrosoft.com --mailbox admin@contoso.com \
    --cert-file app.pfx --cert-password-file app.pass --name contoso-source`,
		},
		{
			flow: wizard.MigrationTarget, aliases: []string{"target"}, short: "Connect to the Microsoft 365 tenant that mailboxes are migrated to",
			long: `Opens the wizard for the target of a migration, or runs without a question when the
flags answer everything. Its application can write into every mailbox and create
users; the plan marks the permissions that write. One dedicated mailbox serves one
target connection only. Where public folders are migrated it needs Owner rights on
the root public folder: the check says whether it has them.` + secretsText,
			example: `  c2conn new migration-target
  c2conn new target --auto --mailbox admin@fabrikam.com --name fabrikam-target
  c2conn new target --manual --client-id 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa \
    --tenant-id fabrikam.onmicrosoft.com --mailbox admin@fabrikam.com \
    --cert-file app.pfx --cert-password-file app.pass --name fabrikam-target`,
		},
	}
}
