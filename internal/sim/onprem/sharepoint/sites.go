package sharepoint

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// site is a site collection with its top-level site.
type site struct {
	host     string // "": by its path
	path     string // server-relative, "/" or without a slash at the end
	title    string
	id, web  string // GUIDs, in lower case without braces
	database int    // index in the databases of its web application
	open     bool   // to readers
	template string
}

// database is a content database.
type database struct{ id string }

// application is a web application with its site collections.
type application struct {
	id        string
	sites     []*site
	byPath    map[string]*site // lower case
	databases []database
}

// perDatabase is from how many site collections on there is a content database more.
// Microsoft advises against more than 5,000 in one.
const perDatabase = 4000

var usual = []struct{ path, title string }{
	{"/", "Contoso Intranet"},
	{"/sites/finance", "Finance"},
	{"/sites/hr", "Human Resources"},
	{"/teams/sales", "Sales"},
	{"/sites/rd", "Research & Development"},
	{"/teams/it", "IT"},
	{"/sites/legal", "Legal"},
	{"/teams/qualitaet", "Qualität <QM>"},
	{"/sites/archive", "Archive 2010\u20132015"},
	{"/sites/search", "Search Center"},
	{"/teams/marketing", "Marketing"},
	{"/sites/projects", "Projects"},
}

// populate makes the site collections: the usual ones, then as many more as are wanted.
func (f *Farm) populate(n int) error {
	var broken error
	guid := func() string {
		var b [16]byte
		if _, err := io.ReadFull(f.o.Rand, b[:]); err != nil {
			broken = err
		}
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		h := hex.EncodeToString(b[:])
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	}
	f.content = application{id: guid(), byPath: make(map[string]*site, n)}
	databases := max(3, (n+perDatabase-1)/perDatabase)
	for range databases {
		f.content.databases = append(f.content.databases, database{guid()})
	}
	all := make([]site, n) // one piece of memory for all
	for i := range all {
		s := &all[i]
		s.template = "STS"
		if i < len(usual) {
			s.path, s.title = usual[i].path, usual[i].title
		} else {
			s.path, s.title = fmt.Sprintf("/%s/site%05d", [2]string{"sites", "teams"}[i%2], i+1), fmt.Sprintf("Site %05d", i+1)
		}
		s.id, s.web, s.database, s.open = guid(), guid(), i*databases/n, i%2 == 0
		f.content.add(s)
	}
	f.extra = map[string][]*site{}
	for i, host := range f.o.HostNamed {
		f.extra["sp-host-named"] = append(f.extra["sp-host-named"], &site{host: host, path: "/", title: "Host-named " + host, id: guid(), web: guid(), database: i % databases, open: true, template: "STS"})
	}
	for i, path := range []string{"/", "/sites/partners"} {
		f.extra["sp-foreign"] = append(f.extra["sp-foreign"], &site{host: f.o.Foreign, path: path, title: "Fabrikam", id: guid(), web: guid(), database: i % databases, open: true, template: "STS"})
	}
	for i, path := range []string{"/sites/\x1b[2Jcleared", "/sites/bell\a", "/sites/line\r\nfeed", "/sites/\u202egnp", "/sites/unit\x1fseparator"} {
		s := &site{path: path, title: "\x1b[31mred\x1b[0m\a " + strings.TrimPrefix(path, "/sites/"), id: guid(), web: guid(), database: i % databases, open: true, template: "STS"}
		f.extra["sp-hostile"] = append(f.extra["sp-hostile"], s)
	}
	f.central = application{id: guid(), byPath: map[string]*site{}, databases: []database{{guid()}}}
	f.central.add(&site{path: "/", title: "Central Administration", id: guid(), web: guid(), template: "CENTRALADMIN"})
	return broken
}

func (a *application) add(s *site) {
	a.sites = append(a.sites, s)
	a.byPath[strings.ToLower(s.path)] = s
}

// application is the web application that a request goes to.
func (f *Farm) application(r *Request) *application {
	if r.Central {
		return &f.central
	}
	return &f.content
}

// listed are the site collections of a web application, with what faults add and take.
func (f *Farm) listed(a *application) []*site {
	if a != &f.content {
		return a.sites
	}
	list := a.sites
	switch {
	case f.has("sp-no-sites"):
		return nil
	case f.rootless() && len(list) > 0 && list[0].path == "/":
		list = list[1:]
	}
	list = list[:len(list):len(list)] // what is added below goes into a copy
	for _, fault := range []string{"sp-host-named", "sp-foreign", "sp-hostile"} {
		if f.has(fault) {
			list = append(list, f.extra[fault]...)
		}
	}
	return list
}

func (f *Farm) rootless() bool { return f.has("sp-no-root") || f.has("sp-no-root-services") }

// SiteCollections is how many site collections the web application has now.
func (f *Farm) SiteCollections() int { return len(f.listed(&f.content)) }

// find is the site collection whose top-level site is at a path; nil when there is none.
func (f *Farm) find(a *application, r *Request, path string) *site {
	if a == &f.content {
		if f.has("sp-no-sites") || r.Host == f.o.Foreign && !f.has("sp-foreign") {
			return nil
		}
		for _, fault := range []string{"sp-host-named", "sp-foreign", "sp-hostile"} {
			if !f.has(fault) {
				continue
			}
			for _, s := range f.extra[fault] {
				if strings.EqualFold(s.path, rooted(path)) && (s.host == "" || s.host == r.Host) {
					return s
				}
			}
		}
		if f.rootless() && path == "" {
			return nil
		}
		if r.Host == f.o.Foreign || f.has("sp-host-named") && slices.Contains(f.o.HostNamed, r.Host) {
			return nil // path-based site collections are not seen under this name
		}
	}
	return a.byPath[strings.ToLower(rooted(path))]
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// within is the site collection that a page is in: for a path beneath a wildcard managed
// path (/sites/, /teams/) the one of that name, else the one at the root.
func (f *Farm) within(a *application, r *Request, path string) *site {
	if strings.Contains(path, "//") {
		return nil
	}
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if strings.EqualFold(parts[0], "sites") || strings.EqualFold(parts[0], "teams") {
		if len(parts) < 2 {
			return nil
		}
		return f.find(a, r, "/"+parts[0]+"/"+parts[1])
	}
	return f.find(a, r, "")
}

// origin is scheme and host of a web application's public URL as this client has to see
// it. A name that no mapping has leads to that of the default zone.
//
// Source: learn.microsoft.com/sharepoint/administration/plan-alternate-access-mappings.
func (f *Farm) origin(r *Request) string {
	switch {
	case r.Central:
		return fmt.Sprintf("%s://%s:%d", r.scheme(), f.o.Host, f.o.CentralPort)
	case f.has("sp-aam"):
		return "https://" + f.o.Public
	}
	return r.scheme() + "://" + f.o.Host
}

// url is the address of a site collection, without a slash at the end.
func (f *Farm) url(r *Request, s *site) string {
	if s.host != "" {
		return r.scheme() + "://" + s.host + strings.TrimSuffix(s.path, "/")
	}
	return f.origin(r) + strings.TrimSuffix(s.path, "/")
}
