package sim

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// sharePointREST answers what is beneath _api.
func (w *World) sharePointREST(q spRequest) *answer {
	first, property, _ := strings.Cut(q.inner, "/")
	method := http.MethodGet
	if first == "contextinfo" || property == "postquery" {
		method = http.MethodPost // "The /contextinfo operator only accepts POST requests"
	}
	switch {
	case q.inner == "contextinfo", first == "web" || first == "site", q.inner == "search/query", q.inner == "search/postquery":
		if q.Method != method {
			return q.refuse(http.StatusMethodNotAllowed, codeService, "The HTTP method '"+q.Method+"' cannot be used to access the resource '"+first+
				"'. The operation type of the resource is specified as 'Default'. Please use correct HTTP method to invoke the resource.")
		}
	default:
		return q.refuse(http.StatusNotFound, codeResource, "Cannot find resource for the request "+q.inner+".")
	}
	switch first {
	case "contextinfo":
		return q.give(q.contextInfo())
	case "web":
		return q.entity(q.web(), property)
	case "site":
		return q.entity(q.collection(), property)
	default:
		return w.search(q)
	}
}

// web is the resource SP.Web, as far as a reader of sites needs it.
//
// Source: learn.microsoft.com/previous-versions/office/developer/sharepoint-rest-reference/dn499819(v=office.15).
func (q spRequest) web() spObject {
	s := q.site
	template, configuration, _ := strings.Cut(s.template, "#")
	return spObject{kind: "SP.Web", address: "web", set: "SP.ApiData.Webs/@Element", props: []spProp{
		{"Configuration", atoi(configuration)}, {"Created", spLocalTime{s.created}}, {"Description", ""}, {"Id", spGUID(s.webID)}, {"Language", 1033},
		{"LastItemModifiedDate", s.changed}, {"ServerRelativeUrl", s.relative()}, {"Title", s.title}, {"Url", q.siteAddress()}, {"WebTemplate", template},
	}}
}

// collection is the resource SP.Site.
func (q spRequest) collection() spObject {
	s := q.site
	group := "00000000-0000-0000-0000-000000000000"
	if s.groupID != "" {
		group = s.groupID
	}
	return spObject{kind: "SP.Site", address: "site", set: "SP.ApiData.Sites/@Element", props: []spProp{
		{"CompatibilityLevel", 15}, {"GroupId", spGUID(group)}, {"Id", spGUID(s.id)}, {"PrimaryUri", q.siteAddress()}, {"ReadOnly", s.lock == siteReadOnly},
		{"ServerRelativeUrl", s.relative()}, {"Url", q.siteAddress()}, {"WriteLocked", s.lock == siteReadOnly},
	}}
}

// relative is the server-relative address of a site.
func (s *siteCollection) relative() string {
	if s.path == "" {
		return "/"
	}
	return s.path
}

// entity answers an object or one of its properties, with $select.
func (q spRequest) entity(o spObject, property string) *answer {
	find := func(name string) int {
		return slices.IndexFunc(o.props, func(p spProp) bool { return strings.EqualFold(p.name, name) })
	}
	if property != "" {
		if i := find(property); i >= 0 {
			return q.giveValue(o.props[i])
		}
		return q.refuse(http.StatusNotFound, codeResource, "Cannot find resource for the request "+property+".")
	}
	var chosen []spProp
	for name := range strings.SplitSeq(q.URL.Query().Get("$select"), ",") {
		name = strings.TrimSpace(name)
		i := find(name)
		switch {
		case name == "" || name == "*":
			chosen = append(chosen, o.props...)
		case i < 0:
			return q.refuse(http.StatusBadRequest, codeQuery, "The field or property '"+name+"' does not exist.")
		default:
			chosen = append(chosen, o.props[i])
		}
	}
	o.props = chosen
	return q.give(o)
}

// digestLife is how long a form digest is good.
const digestLife = 30 * time.Minute

// contextInfo is the form digest of a site, with its addresses.
//
// Source: learn.microsoft.com/sharepoint/dev/sp-add-ins/complete-basic-operations-using-sharepoint-rest-endpoints
// and learn.microsoft.com/sharepoint/dev/sp-add-ins/navigate-the-sharepoint-data-structure-represented-in-the-rest-service.
func (q spRequest) contextInfo() spObject {
	return spObject{kind: "SP.ContextWebInformation", name: "GetContextWebInformation", set: "SP.ContextWebInformation", props: []spProp{
		{"FormDigestTimeoutSeconds", int(digestLife / time.Second)}, {"FormDigestValue", q.digestAt(q.world.now())}, {"LibraryVersion", sharePointVersion},
		{"SiteFullUrl", q.siteAddress()}, {"SupportedSchemaVersions", spList{"Edm.String", []any{"14.0.0.0", "15.0.0.0"}}}, {"WebFullUrl", q.siteAddress()},
	}}
}

// digestTime is how a form digest writes the moment it was made at.
const digestTime = "02 Jan 2006 15:04:05 -0000"

// digestAt makes the digest of a site for a client: good for no other.
func (q spRequest) digestAt(at time.Time) string {
	stamped := at.UTC().Format(digestTime)
	mac := hmac.New(sha512.New, []byte(guidOf(q.world.options.Seed, "form digest")))
	mac.Write([]byte(q.site.key() + "|" + q.who.AppID + "|" + stamped))
	return "0x" + strings.ToUpper(hex.EncodeToString(mac.Sum(nil))) + "," + stamped
}

// Why a form digest is refused.
var (
	errNoDigest      = errors.New("no form digest")
	errWrongDigest   = errors.New("a form digest of another site or client")
	errExpiredDigest = errors.New("an expired form digest")
)

// checkDigest looks at the X-RequestDigest of a call that may change something.
func (q spRequest) checkDigest() error {
	given := q.Header.Get("X-RequestDigest")
	if given == "" {
		return errNoDigest
	}
	_, stamped, _ := strings.Cut(given, ",")
	at, err := time.Parse(digestTime, stamped)
	switch {
	case err != nil || !hmac.Equal([]byte(given), []byte(q.digestAt(at))):
		return errWrongDigest
	case q.world.now().After(at.Add(digestLife)):
		return errExpiredDigest
	}
	return nil
}
