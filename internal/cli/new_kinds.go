package cli

import (
	"time"

	"github.com/c2conn/c2conn/wizard"
)

// kindText is what the help of "new KIND" says. All else comes from the flow.
type kindText struct {
	flow    func() *wizard.Flow
	aliases []string
	short   string
	long    string
	example string
	timeout time.Duration // for all checks together; 0 means two minutes
}

// secretsText stands in the help of every kind.
const secretsText = `

Secrets never go into a flag's value: use a file, standard input or the variable.
The connection is verified before it is saved; with --save-unverified it is saved
even when checks fail, and the exit code says so all the same.`

func kindTexts() []kindText {
	return append([]kindText{
		{
			flow: wizard.Exchange, short: "Connect to Exchange Online or to an Exchange Server",
			long: `Opens the wizard for a connection to Exchange Online or to an Exchange Server of
your own, or runs without a question when the flags answer everything.

Exchange Online: with --auto an administrator signs in and c2conn registers the
application, after showing the plan (--dry-run shows it and changes nothing).
With --manual the application is one that you registered in the Entra admin
centre (c2conn app guide shows how); it proves its identity with a certificate
or a client secret, one of them is enough.

Exchange Server: --on-premises, an administrator's account that has a mailbox,
and --autodiscover or --server. A certificate that no authority vouches for is
trusted only if you say so (--certificate-sha256). Nothing is changed on the
server, unless --grant-impersonation lets the account have the role it lacks.` + secretsText,
			example: `  c2conn new exchange
  c2conn new exchange --auto --name contoso-exchange
  c2conn new exchange --auto --dry-run --output json
  az account get-access-token --resource-type ms-graph --query accessToken -o tsv |
    c2conn new exchange --auto --access-token-stdin --mailbox admin@contoso.com --name contoso
  c2conn new exchange --manual --client-id 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa \
    --tenant-id contoso.onmicrosoft.com --mailbox admin@contoso.com \
    --cert-file app.pfx --cert-password-file app.pass --name contoso-exchange
  pass show contoso | c2conn new exchange --manual --client-id ID --tenant-id ID \
    --mailbox admin@contoso.com --client-secret-stdin --name contoso --output json
  c2conn new exchange --on-premises --server exch01.corp.example \
    --admin-upn admin@corp.example --password-file admin.pass \
    --certificate-sha256 HEX --grant-impersonation --name exch01
  c2conn new exchange --on-premises --autodiscover --kerberos \
    --admin-upn admin@corp.example --name corp-mail`,
		},
		{
			flow: wizard.SharePoint, short: "Connect to SharePoint Online or to a SharePoint Server",
			timeout: 6 * time.Minute, // to list the sites of a large tenant takes minutes
			long: `Opens the wizard for a connection to SharePoint Online and OneDrive or to a SharePoint
Server of your own, or runs without a question when the flags answer everything.

SharePoint Online: --sharepoint-url takes the address of your sites, the organisation's
name or its .onmicrosoft.com domain; the address of the admin centre follows from it
(--admin-url changes it). SharePoint itself takes certificates only. With a client secret nothing but
Microsoft Graph works; --graph-only says that you know. --permissions seed asks for
the documented permissions alone, which reach no site since SharePoint Online takes
no passwords any more.

SharePoint Server: --on-premises, --sharepoint-url with https:// or http:// and the full
name (FQDN), the port of Central Administration (--central-admin-port, or its address
with --central-admin-url), and the account of a farm administrator that can read the
sites. A certificate that no authority vouches for is trusted only if you say so
(--certificate-sha256). Over http the account signs in with Kerberos, and with NTLM only
if --allow-plain-ntlm says so. Nothing is changed on the server.` + secretsText,
			example: `  c2conn new sharepoint
  c2conn new sharepoint --auto --sharepoint-url contoso --name contoso-sharepoint
  c2conn new sharepoint --auto --sharepoint-url contoso --dry-run
  c2conn new sharepoint --manual --sharepoint-url https://contoso.sharepoint.com \
    --client-id 2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa --tenant-id contoso.onmicrosoft.com \
    --cert-file app.pfx --cert-password-file app.pass --name contoso-sharepoint
  c2conn new sharepoint --on-premises --sharepoint-url https://sharepoint.corp.example \
    --central-admin-port 34567 --admin-upn spadmin@corp.example \
    --password-file admin.pass --name farm
  c2conn new sharepoint --on-premises --sharepoint-url http://sharepoint.corp.example \
    --central-admin-url http://sp01.corp.example:34567 --kerberos \
    --admin-upn spadmin@corp.example --name farm`,
		},
	}, migrationTexts()...)
}
