package registration

import (
	"slices"
	"strings"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

// GuideOptions says for whom a guide is made. All of it is optional but the cloud.
type GuideOptions struct {
	Cloud      cloud.Cloud
	AppName    string // "" for the documented name of the kind
	ClientID   string // of an application that exists already: makes the links lead to its own pages
	TenantID   string // id or domain; in the links and commands
	CanConnect bool   // c2conn has a command `new KIND` that uses the result

	Set          Set  // of permissions
	RequiredOnly bool // manifest and scripts leave out the permissions that the catalogue calls optional
}

// Guide is how an application is registered by hand: what an administrator does
// in the Entra admin centre, in order. Text and Markdown are for people; the JSON
// form is that of `c2conn app guide --format json`.
type Guide struct {
	Version string      `json:"version"` // of the catalogue
	Kind    string      `json:"kind"`
	Set     string      `json:"set"` // of permissions: recommended or seed
	AppName string      `json:"app_name"`
	Cloud   string      `json:"cloud"`
	Title   string      `json:"title"`
	Intro   string      `json:"intro"`
	Steps   []GuideStep `json:"steps"`
	Command string      `json:"command,omitempty"` // uses the result; empty where c2conn cannot yet

	Permissions []PermissionDocument `json:"permissions"`
	Manifest    Manifest             `json:"manifest"`    // to paste into the Manifest page
	Application ManifestApplication  `json:"application"` // the same as a whole application, for az rest
}

// GuideStep is one stage of the work.
type GuideStep struct {
	Title string      `json:"title"`
	Items []GuideItem `json:"items"`
}

// GuideItem is one thing to do. Only Text is always there.
type GuideItem struct {
	Text        string               `json:"text"`
	Link        string               `json:"link,omitempty"`       // the page where it is done
	Command     string               `json:"command,omitempty"`    // what to type
	PowerShell  string               `json:"powershell,omitempty"` // what to type in Exchange Online PowerShell
	Permissions []PermissionDocument `json:"permissions,omitempty"`
}

// MakeGuide describes how an application for a kind of connection is registered
// by hand, with the menu names of 2026; an unknown kind has no steps.
//
// Sources: learn.microsoft.com/entra/identity-platform/quickstart-register-app,
// learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent and
// the pages of the catalogue.
func MakeGuide(kind connections.Kind, o GuideOptions) Guide {
	if AppName(kind) == "" {
		return Guide{}
	}
	o = o.with(kind)
	g := Guide{
		Version: CatalogueVersion, Kind: string(kind), Set: o.Set.Name(), AppName: o.AppName, Cloud: o.Cloud.Name,
		Title:       "Register “" + o.AppName + "” by hand",
		Intro:       o.intro(kind),
		Permissions: o.documents(kind),
		Manifest:    MakeManifest(kind, o), Application: MakeApplication(kind, o),
	}
	g.Steps = append(g.Steps, o.register(), o.permissions(kind), o.consent(kind), o.credential(kind))
	g.Steps = append(append(g.Steps, o.services(kind)...), o.connect(kind))
	if o.CanConnect {
		g.Command = o.newCommand(kind)
	}
	return g
}

// with fills in what was left open.
func (o GuideOptions) with(kind connections.Kind) GuideOptions {
	// One line, so that it cannot leave the comment or the string it is put into.
	if o.AppName = transport.CleanText(o.AppName, 120); o.AppName == "" {
		o.AppName = AppName(kind)
	}
	for _, id := range []*string{&o.ClientID, &o.TenantID} {
		if strings.Trim(*id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != "" {
			*id = "" // neither an id nor a domain: not for a command
		}
	}
	return o
}

func (o GuideOptions) purpose(kind connections.Kind) Purpose { return Purpose{Kind: kind, Set: o.Set} }

func (o GuideOptions) documents(kind connections.Kind) []PermissionDocument {
	return documents(Catalogue(o.purpose(kind)))
}

// page is a link to a page of the application once there is one, else to the list
// of all applications. The paths are those of package cloud, and as undocumented.
func (o GuideOptions) page(link func(cloud.Cloud, string) string) string {
	if o.ClientID != "" {
		return link(o.Cloud, o.ClientID)
	}
	return ""
}

func (o GuideOptions) register() GuideStep {
	list := ""
	if o.Cloud.Portal != "" {
		list = o.Cloud.Portal + "/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade"
	}
	return GuideStep{"Register the application", []GuideItem{
		{Text: "In the Microsoft Entra admin centre open Entra ID › App registrations (in older menus: Identity › Applications › App registrations) and choose New registration.", Link: list},
		{Text: "Name: " + o.AppName},
		{Text: "Supported account types: Accounts in this organizational directory only. Leave Redirect URI empty. Choose Register."},
		{Text: "From the Overview page copy Application (client) ID and Directory (tenant) ID. The Object ID between them is something else.", Link: o.page(cloud.Cloud.AppOverview)},
	}}
}

func (o GuideOptions) permissions(kind connections.Kind) GuideStep {
	step := GuideStep{"Add the permissions", []GuideItem{
		{Text: "Open API permissions in the menu of the application.", Link: o.page(cloud.Cloud.AppPermissions)},
	}}
	for _, group := range byResource(o.documents(kind)) {
		way := "Add a permission › " + group[0].ResourceTitle() + " › Application permissions"
		if group[0].Resource == string(Exchange) {
			// Its tile of earlier years is gone from the Microsoft APIs.
			way = "Add a permission › APIs my organization uses › search for “" + group[0].ResourceTitle() + "” › Application permissions"
		}
		step.Items = append(step.Items, GuideItem{Text: way + ". Tick these, then choose Add permissions:", Permissions: group})
	}
	step.Items = append(step.Items,
		GuideItem{Text: "Or all at once, and where an API is not listed: open Manifest, replace the value of requiredResourceAccess by the one that this prints, and choose Save:", Command: "c2conn app guide " + string(kind) + " --format manifest" + o.flags()},
		GuideItem{Text: "The delegated permission User.Read, which the page adds by itself, is not needed; remove it if you like."})
	return step
}

// flags are those that make the same manifest again.
func (o GuideOptions) flags() (flags string) {
	if o.Set != SetRecommended {
		flags = " --permissions " + string(o.Set)
	}
	if o.RequiredOnly {
		flags += " --required-only"
	}
	return flags
}

// wants reports whether the application is to ask for a permission.
func (o GuideOptions) wants(p PermissionDocument) bool { return p.Required || !o.RequiredOnly }

func (o GuideOptions) consent(kind connections.Kind) GuideStep {
	step := GuideStep{"Grant admin consent", []GuideItem{{
		Text: "On the page API permissions choose “Grant admin consent for …”, then Yes. Every line must show a green tick in the column Status. " +
			"Without it the application has no permission at all. The roles Application Administrator and Cloud Application Administrator are enough for Exchange and SharePoint, not for Microsoft Graph.",
	}}}
	other := GuideItem{Text: "If you may not, a Global Administrator or a Privileged Role Administrator does it on the same page."}
	if o.ClientID != "" && o.TenantID != "" {
		other = GuideItem{Text: "If you may not, send this link to a Global Administrator or a Privileged Role Administrator. There is no secret in it.", Link: o.Cloud.AdminConsent(o.TenantID, o.ClientID)}
	}
	step.Items = append(step.Items, other)
	all := slices.DeleteFunc(o.documents(kind), func(p PermissionDocument) bool { return !o.wants(p) })
	if text := writesText(writing(all), len(all)); text != "" {
		step.Items = slices.Insert(step.Items, 0, GuideItem{Text: text + " Make sure that this is meant before you consent."})
	}
	return step
}

func (o GuideOptions) credential(kind connections.Kind) GuideStep {
	title := "Give it a credential; one is enough"
	if o.reaches(kind, SharePoint) {
		title = "Give it a certificate"
	}
	return GuideStep{title, []GuideItem{
		{Text: "A certificate: make one here. Its private key never leaves c2conn's store; note the thumbprint.", Command: "c2conn cert new --name " + advice.ShellWord(o.AppName) + " --out c2conn.cer"},
		{Text: "Or one that you have, with an RSA key of 2048 bits or more; c2conn cert import FILE takes it into the store. This writes out its public part:", Command: "c2conn cert export THUMBPRINT --out c2conn.cer"},
		{Text: "Upload it: Certificates & secrets › Certificates › Upload certificate › c2conn.cer › Add. A tenant may limit how long certificates live; then make a shorter one, for example with --valid 365d.", Link: o.page(cloud.Cloud.AppCredentials)},
		o.secret(kind),
	}}
}

// byResource splits permissions by service, in their order; the optional ones of
// a service come with the others.
func byResource(all []PermissionDocument) [][]PermissionDocument {
	var groups [][]PermissionDocument
next:
	for _, p := range all {
		for i := range groups {
			if groups[i][0].Resource == p.Resource {
				groups[i] = append(groups[i], p)
				continue next
			}
		}
		groups = append(groups, []PermissionDocument{p})
	}
	return groups
}
