package sharepoint

// Fault is a fault, or a setting of an administrator, of the farm.
type Fault struct {
	Name string
	Args string // what may follow "NAME=", empty when nothing
	Help string // one line
}

// Faults lists them all. Names that begin with "ca-" are of Central Administration, the
// others of the web application. The caller carries out those that are of IIS: ports,
// certificates and ways to sign in.
func Faults() []Fault {
	return []Fault{
		// IIS.
		{"sp-http", "", "SharePoint answers over http on port 80; nobody listens on 443"},
		{"sp-self-signed", "", "SharePoint's certificate is self-signed"},
		{"sp-kerberos", "", "SharePoint offers Negotiate, too; its service principal names are right"},
		{"sp-kerberos-wrong-account", "", "the same, but SharePoint runs as another account than the one that has the service principal names"},
		{"sp-ep-require", "", "SharePoint requires a channel binding (Extended Protection)"},
		{"sp-basic", "", "SharePoint offers Basic, too"},
		{"sp-silent", "", "SharePoint takes connections and never says anything"},
		{"sp-slow", "[DURATION]", "every answer of SharePoint comes 3 s late"},
		{"sp-not-sharepoint", "", "another web server is at SharePoint's address"},

		// Signing in.
		{"sp-forms", "", "the web application takes Windows and forms authentication"},
		{"sp-saml-only", "", "the web application takes sign-ins by a federation server alone"},
		{"sp-401", "", "access denied told as 401, after a whole handshake"},
		{"sp-403", "", "access denied to everybody: 403"},
		{"sp-anonymous", "", "every second site collection, the root among them, lets everybody in (anonymous access)"},
		{"sp-redirect-http", "", "https is redirected to http"},

		// Site collections.
		{"sp-no-sites", "", "there is no site collection"},
		{"sp-no-root", "", "there is no site collection at the root of the web application"},
		{"sp-no-root-services", "", "the same, and no web service answers at the root"},
		{"sp-host-named", "", "three more site collections have hosts of their own"},
		{"sp-aam", "", "the public name of the web application is portal.contoso.example (alternate access mapping)"},
		{"sp-foreign", "", "two more site collections are on sharepoint.fabrikam.example, of another company"},
		{"sp-hostile", "", "control characters and terminal escapes in titles and URLs"},
		{"sp-database-broken", "", "one of the content databases cannot be read"},

		// Services.
		{"sp-no-sitedata", "", "there is no SiteData.asmx"},
		{"sp-sitedata-denied", "", "SiteData.asmx refuses everybody"},
		{"sp-no-search", "", "there is no search service"},
		{"sp-search-empty", "", "the search has crawled nothing"},
		{"sp-search-stuck", "", "the search answers its first page for ever"},
		{"sp-verbose-only", "", "SharePoint 2013 before SP1: JSON as odata=verbose alone"},
		{"sp-busy", "[TIMES]", "throttled twice: 503 (Subscription Edition: 429) with Retry-After"},
		{"sp-500", "", "every answer is an error 500 of ASP.NET"},
		{"sp-garbage", "", "answers that are neither JSON nor XML"},
		{"sp-huge", "", "answers of 64 MB"},
		{"sp-deep", "", "answers nested 100,000 deep"},
		{"sp-bomb", "", "answers with entities that grow a billionfold"},

		// Central Administration.
		{"ca-https", "", "Central Administration is on https"},
		{"ca-self-signed", "", "the same, with a self-signed certificate"},
		{"ca-kerberos", "", "Central Administration offers Negotiate, too"},
		{"ca-silent", "", "Central Administration takes connections and never says anything"},
		{"ca-denied", "", "Central Administration denies everybody access: 403"},
		{"ca-401", "", "the same told as 401, after a whole handshake"},
		{"ca-not-central", "", "another web application is at Central Administration's port"},
	}
}

func (f *Farm) has(name string) bool { return f.o.Fault != nil && f.o.Fault(name) }
