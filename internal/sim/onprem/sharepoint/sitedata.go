package sharepoint

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const accessDenied = "Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED))"

// siteData is SiteData.asmx ([MS-SITEDATS]): GetContent for web applications, content
// databases and site collections, GetSiteUrl and GetURLSegments. What it tells is
// read from Full Read on that a policy of the web application grants.
//
// Unsure: the text and number by which it tells that a right is missing, and whether it
// answers at the root of a web application that has no site collection there: the
// search's crawler is told to need one, which speaks for sp-no-root-services.
func (f *Farm) siteData(app *application, r *Request) *Answer {
	const name = "sitedata"
	s := f.find(app, r, r.base)
	wholly := app == &f.content && r.base == "" && (f.has("sp-no-root") || f.has("sp-no-sites")) && !f.has("sp-no-root-services")
	switch {
	case f.has("sp-no-sitedata") && app == &f.content, s == nil && !wholly:
		return notFound(r, name)
	case r.Method == http.MethodGet && strings.EqualFold(r.URL.RawQuery, "wsdl"):
		return newAnswer(r.label(name+" wsdl"), http.StatusOK, "text/xml; charset=utf-8", wsdl(f.endpoint(r, s)))
	case r.Method != http.MethodPost:
		return newAnswer(r.label(name), http.StatusOK, "text/html; charset=utf-8", html("SiteData Web Service", "The following operations are supported: GetContent, GetSiteUrl, GetURLSegments."))
	}
	c, refused := readCall(r, name)
	if refused != nil {
		return refused
	}
	if !f.has("ca-not-central") && r.Central && !r.person.FarmAdministrator || !r.Central && (r.person.Policy < FullRead || f.has("sp-sitedata-denied")) {
		return c.exception(r, name, accessDenied, "0x80070005")
	}
	switch c.operation {
	case "GetContent":
		return f.getContent(app, r, s, c)
	case "GetSiteUrl":
		t := f.siteAt(app, r, c.parameters["Url"])
		if t == nil {
			return c.exception(r, name, "The Web application at "+c.parameters["Url"]+" could not be found. Verify that you have typed the URL correctly.", "0x82000001")
		}
		return c.reply(r, name+" GetSiteUrl", `<GetSiteUrlResult>0</GetSiteUrlResult><siteUrl>`+escaped(f.url(r, t))+`</siteUrl><siteId>{`+t.id+`}</siteId>`)
	case "GetURLSegments":
		t := f.siteAt(app, r, c.parameters["strURL"])
		if t == nil {
			return c.reply(r, name+" GetURLSegments", `<GetURLSegmentsResult>false</GetURLSegmentsResult>`)
		}
		return c.reply(r, name+" GetURLSegments", `<GetURLSegmentsResult>true</GetURLSegmentsResult><strWebID>{`+t.web+`}</strWebID>`)
	}
	return c.fault(r, name, "Client", "Server did not recognize the value of HTTP Header SOAPAction: "+service+c.operation+".", "", "")
}

func (f *Farm) endpoint(r *Request, s *site) string {
	base := f.origin(r)
	if s != nil {
		base = f.url(r, s)
	}
	return base + "/_vti_bin/SiteData.asmx"
}

// siteAt is the site collection at an absolute address.
func (f *Farm) siteAt(app *application, r *Request, address string) *site {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(address, "/"), f.origin(r))
	if !ok || rest != "" && rest[0] != '/' {
		return nil
	}
	return f.within(app, r, rest)
}

// getContent tells of one object. The types that are not simulated are refused as where
// the ids that they need are missing.
func (f *Farm) getContent(app *application, r *Request, s *site, c *call) *Answer {
	kind := c.parameters["objectType"]
	name := strings.TrimSpace("sitedata " + kind)
	children, ok := c.flag("retrieveChildItems")
	_, good := c.flag("securityOnly")
	if !ok || !good {
		return c.fault(r, "sitedata", "Client", "Server was unable to read request. ---> There is an error in XML document (1, 1). ---> The string is not a valid Boolean value.", "", "")
	}
	var content string
	switch kind {
	case "VirtualServer":
		content = f.virtualServer(app, r)
	case "ContentDatabase":
		i := f.database(app, c.parameters["objectId"])
		if i < 0 {
			return c.exception(r, name, "Value does not fall within the expected range.", "0x80070057")
		}
		if app == &f.content && i == len(app.databases)/2 && f.has("sp-database-broken") {
			return c.exception(r, name, "Cannot open database \"WSS_Content_"+app.databases[i].id+"\" requested by the login. The login failed.", "0x80131904")
		}
		content = f.contentDatabase(app, r, i, children)
	case "SiteCollection":
		if s == nil {
			return notFound(r, name)
		}
		content = f.siteContent(app, r, s)
	case "Site", "List", "Folder", "ListItem", "ListItemAttachments":
		return c.exception(r, name, "The object specified does not belong to a list.", "0x82000006")
	default:
		return c.fault(r, "sitedata", "Client", "Server was unable to read request. ---> There is an error in XML document (1, 1). ---> Instance validation error: '"+kind+"' is not a valid value for ObjectType.", "", "")
	}
	return c.reply(r, name, `<GetContentResult>`+escaped(content)+`</GetContentResult><lastItemIdOnPage />`)
}

// database finds a content database by its id, with braces or without; -1 when there is
// none.
func (f *Farm) database(app *application, id string) int {
	for i, d := range app.databases {
		if strings.EqualFold(strings.Trim(id, "{}"), d.id) {
			return i
		}
	}
	return -1
}

// virtualServer is the element VirtualServer ([MS-SITEDATS], section 3.1.4.5.2.9).
func (f *Farm) virtualServer(app *application, r *Request) string {
	var b strings.Builder
	b.WriteString(`<VirtualServer><Metadata ID="{` + app.id + `}" Version=` + attribute(f.Version().Build) + ` URL=` + attribute(f.origin(r)+"/") + ` URLZone="Default" URLIsHostHeader="False" /><ContentDatabases>`)
	for _, d := range app.databases {
		b.WriteString(`<ContentDatabase ID="{` + d.id + `}" />`)
	}
	b.WriteString(`</ContentDatabases><Policies AnonymousGrantMask="0" AnonymousDenyMask="0">`)
	for _, p := range f.o.People {
		if p.Policy > NoPolicy {
			b.WriteString(`<PolicyUser LoginName=` + attribute(p.claim()) + ` Sid=` + attribute(p.SID) + ` GrantMask="` + p.Policy.mask() + `" DenyMask="0" />`)
		}
	}
	if f.has("sp-hostile") {
		b.WriteString("<PolicyUser LoginName=" + attribute("i:0#.w|corp\\old\x1fservice\x1b[2J") + ` Sid="S-1-5-19" GrantMask="` + FullRead.mask() + `" DenyMask="0" />`)
	}
	b.WriteString(`</Policies></VirtualServer>`)
	return b.String()
}

// contentDatabase is the element ContentDatabase; children tells whether the site
// collections are wanted.
func (f *Farm) contentDatabase(app *application, r *Request, i int, children bool) string {
	var b strings.Builder
	d := app.databases[i]
	b.WriteString(`<ContentDatabase><Metadata ChangeId=` + attribute(f.changeID(0, d.id)) + ` ID="{` + d.id + `}" />`)
	if children {
		b.WriteString(`<Sites>`)
		for _, s := range f.listed(app) {
			if s.database == i {
				b.WriteString(`<Site URL=` + attribute(f.url(r, s)) + ` ID="{` + s.id + `}" />`)
			}
		}
		b.WriteString(`</Sites>`)
	}
	b.WriteString(`</ContentDatabase>`)
	return b.String()
}

// changeID is a change token (version; scope; object; ticks; number).
func (f *Farm) changeID(scope int, id string) string {
	const epoch = 621355968000000000 // ticks from 0001-01-01 to 1970-01-01
	return fmt.Sprintf("1;%d;%s;%d;%d", scope, id, epoch+f.made.UnixNano()/100, 603)
}

// siteContent is the element Site of a site collection. The description has a character
// that XML 1.0 has no place for, as they come from old lists.
func (f *Farm) siteContent(app *application, r *Request, s *site) string {
	day := func(t time.Time) string { return t.Format("2006-01-02 15:04:05Z") }
	address := attribute(f.url(r, s))
	modified, created := attribute(day(f.made.Add(-time.Hour))), attribute(day(f.made.AddDate(-2, 0, 0)))
	var members strings.Builder
	for _, p := range f.o.People {
		if p.SiteAdministrator || p.Reader && s.open {
			admin := "False"
			if p.SiteAdministrator {
				admin = "True"
			}
			members.WriteString(fmt.Sprintf(`<User ID="%d" Sid=%s Name=%s LoginName=%s Email=%s Notes="" IsSiteAdmin="%s" IsDomainGroup="False" Flags="0" />`, p.userID(), attribute(p.SID), attribute(p.title()), attribute(p.claim()), attribute(p.Mail), admin))
		}
	}
	users := `<Users>` + members.String() + `</Users>`
	return `<Site><Metadata URL=` + address + ` ID="{` + s.id + `}" LastModified=` + modified + ` PortalURL="" UserProfileGUID="" RootWebId="{` + s.web + `}" ChangeId=` + attribute(f.changeID(1, s.id)) + ` ContentDatabaseId="{` + app.databases[s.database].id + `}" />` +
		`<Groups><Group><Group ID="3" Name=` + attribute(s.title+" Owners") + ` Description="" OwnerID="3" OwnerIsUser="False" />` + users + `</Group></Groups>` +
		`<Web><Metadata URL=` + address + ` LastModified=` + modified + ` Created=` + created + ` ID="{` + s.web + `}" Title=` + attribute(s.title) + ` Description=` + attribute("since 2007\x1fmigrated") +
		` Author="SHAREPOINT\system" Language="1033" CRC="1158260233" NoIndex="False" DefaultHomePage="default.aspx" ExternalSecurity="False" AllowAnonymousAccess="False" AnonymousViewListItems="False" AnonymousPermMask="0" />` + users +
		`<ACL><permissions><permission memberid='3' mask='9223372036854775807' /></permissions></ACL><Webs /><Lists /><FPFolder><Folders /><Files /></FPFolder></Web></Site>`
}
