package cloud

import "net/url"

// The paths of the Microsoft Entra admin centre as of 2026. They are not part of
// a documented contract, so screens print the path in words next to the link.
const appBlade = "/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/"

func (c Cloud) app(page, clientID string) string {
	if c.Portal == "" {
		return ""
	}
	return c.Portal + appBlade + page + "/appId/" + url.PathEscape(clientID) + "/isMSAApp~/false"
}

// AppOverview links to an application's page in the admin centre; empty where
// the cloud has no portal. So are the other portal links.
func (c Cloud) AppOverview(clientID string) string { return c.app("Overview", clientID) }

// AppPermissions links to an application's "API permissions" page.
func (c Cloud) AppPermissions(clientID string) string { return c.app("CallAnAPI", clientID) }

// AppCredentials links to an application's "Certificates & secrets" page.
func (c Cloud) AppCredentials(clientID string) string { return c.app("Credentials", clientID) }

// AdminConsent is the address at which an administrator grants every permission
// that the application's registration asks for. It contains no secret.
func (c Cloud) AdminConsent(tenant, clientID string) string {
	return c.Authority(tenant) + "/adminconsent?client_id=" + url.QueryEscape(clientID)
}
