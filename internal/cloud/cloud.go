// Package cloud knows the endpoints of the Microsoft clouds and of those that a
// user defines. It hides which host belongs to which cloud, where definitions
// are kept and how they are checked, so that no other package spells a host.
package cloud

import "net/url"

// Names of the built-in clouds, as people type them and as connections save them.
const (
	Global = "global" // worldwide, GCC included
	USGov  = "usgov"  // GCC High
	DoD    = "dod"
	China  = "china" // operated by 21Vianet
)

// Cloud is one set of endpoints. Login, Graph, Outlook and Portal are https
// base URLs without a trailing slash; Portal may be empty in a user's cloud.
type Cloud struct {
	Name             string // lower case, unique
	Title            string // one line for people
	Login            string // where tokens come from, e.g. https://login.microsoftonline.com
	Graph            string // Microsoft Graph, e.g. https://graph.microsoft.com
	Outlook          string // Exchange Online, e.g. https://outlook.office365.com
	SharePointSuffix string // domain under which tenants' sites live, e.g. sharepoint.com; a port may follow
	Portal           string // Microsoft Entra admin centre
	CA               []byte // further trusted CA certificates as PEM; user-defined clouds only
	BuiltIn          bool   // false: defined by the user, so Entra's own instance discovery does not know it
}

// builtIn gives the table anew each time, so that no caller can change another's.
// Hosts: learn.microsoft.com, "National clouds" of the identity platform, of
// Microsoft Graph and of the Microsoft 365 URL lists.
func builtIn() []Cloud {
	return []Cloud{
		{
			Name: Global, Title: "Microsoft 365 worldwide (GCC included)",
			Login: "https://login.microsoftonline.com", Graph: "https://graph.microsoft.com",
			Outlook: "https://outlook.office365.com", SharePointSuffix: "sharepoint.com",
			Portal: "https://entra.microsoft.com", BuiltIn: true,
		},
		{
			Name: USGov, Title: "Microsoft 365 US Government GCC High (L4)",
			Login: "https://login.microsoftonline.us", Graph: "https://graph.microsoft.us",
			Outlook: "https://outlook.office365.us", SharePointSuffix: "sharepoint.us",
			Portal: "https://entra.microsoft.us", BuiltIn: true,
		},
		{
			Name: DoD, Title: "Microsoft 365 US Government DoD (L5)",
			Login: "https://login.microsoftonline.us", Graph: "https://dod-graph.microsoft.us",
			Outlook: "https://outlook-dod.office365.us", SharePointSuffix: "sharepoint-mil.us",
			Portal: "https://entra.microsoft.us", BuiltIn: true,
		},
		{
			Name: China, Title: "Microsoft 365 in China, operated by 21Vianet",
			Login: "https://login.partner.microsoftonline.cn", Graph: "https://microsoftgraph.chinacloudapi.cn",
			Outlook: "https://partner.outlook.cn", SharePointSuffix: "sharepoint.cn",
			Portal: "https://entra.microsoftonline.cn", BuiltIn: true,
		},
	}
}

// other names under which people know the built-in clouds; they are hints in
// an error, never a second name in a saved connection.
func hint(name string) string {
	switch name {
	case "commercial", "worldwide", "public", "azurecloud", "gcc", "default":
		return Global
	case "gcchigh", "gcc-high", "usgovernment", "us-gov", "azureusgovernment", "l4":
		return USGov
	case "usgovdod", "usgov-dod", "l5":
		return DoD
	case "21vianet", "cn", "azurechinacloud", "mooncake":
		return China
	}
	return ""
}

// Authority is the address tokens of tenant (id or domain) are asked at.
func (c Cloud) Authority(tenant string) string { return c.Login + "/" + url.PathEscape(tenant) }

// GraphBase is the base URL of Microsoft Graph v1.0.
func (c Cloud) GraphBase() string { return c.Graph + "/v1.0" }

// GraphScope asks for every Graph permission the application was granted.
func (c Cloud) GraphScope() string { return c.Graph + "/.default" }

// ExchangeScope asks for every Exchange Online permission the application was granted.
func (c Cloud) ExchangeScope() string { return c.Outlook + "/.default" }

// EWS is the address of Exchange Web Services.
func (c Cloud) EWS() string { return c.Outlook + "/EWS/Exchange.asmx" }
