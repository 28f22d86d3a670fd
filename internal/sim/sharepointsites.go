package sim

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Web templates of the tenant's site collections.
const (
	templateCommunication = "SITEPAGEPUBLISHING#0"
	templateGroup         = "GROUP#0"
	templateTeam          = "STS#3"
	templatePersonal      = "SPSPERS#10"
	templateMyHost        = "SPSMSITEHOST#0"
)

// What an administrator may have done to a site collection.
//
// Source: learn.microsoft.com/sharepoint/manage-lock-status and
// learn.microsoft.com/microsoft-365/archive/archive-manage.
const (
	siteOpen     = "Unlock"
	siteReadOnly = "ReadOnly"
	siteNoAccess = "NoAccess"
)

// siteCollection is a site collection with its one web.
type siteCollection struct {
	geo       geo
	use       string // which of the geography's hosts it lives on
	path      string // server-relative, "" for the root of the host
	title     string
	template  string
	owner     string // address
	lock      string
	archived  bool
	id, webID string
	groupID   string // of the Microsoft 365 group that it belongs to
	created   time.Time
	changed   time.Time
}

func (s *siteCollection) personal() bool { return s.template == templatePersonal }

func (s *siteCollection) root() bool { return s.use == hostSites && s.path == "" }

// url is the address of the site collection under a domain; see sharePointSuffix.
func (w *World) siteURL(s *siteCollection, suffix string) string {
	return w.sharePointURL(s.geo, s.use, suffix) + s.path
}

// defaultSites is how many site collections a tenant has unless the fault sites says otherwise.
const defaultSites = 60

// siteSet holds the site collections, made when they are first asked for.
type siteSet struct {
	mu     sync.Mutex
	count  int // how many, and in how many geographies, list holds
	geos   int
	list   []*siteCollection
	byPath map[string]*siteCollection // lower case; see key
}

// key is where a site collection is found again.
func (s *siteCollection) key() string { return s.geo.name + s.use + s.path }

// siteCollections are the tenant's, geography by geography, and a way to find them.
func (w *World) siteCollections() ([]*siteCollection, map[string]*siteCollection) {
	count, geos := defaultSites, w.geos()
	if f := w.faults.get("sites"); f != nil {
		count = atoi(f.words[0])
	}
	w.sites.mu.Lock()
	defer w.sites.mu.Unlock()
	if w.sites.list == nil || w.sites.count != count || w.sites.geos != len(geos) {
		list := w.makeSites(max(count, 2*len(geos)), geos)
		w.sites.count, w.sites.geos, w.sites.list, w.sites.byPath = count, len(geos), list, map[string]*siteCollection{}
		for _, s := range list {
			w.sites.byPath[strings.ToLower(s.key())] = s
		}
		for _, g := range geos { // a site of its own, but on no list
			admin := &siteCollection{geo: g, use: hostAdmin, title: "SharePoint admin center", template: "TENANTADMIN#0", owner: w.is.at(Mailbox), lock: siteOpen,
				id: guidOf(w.options.Seed, "admin "+g.code), webID: guidOf(w.options.Seed, "admin web "+g.code), created: w.start.UTC().Truncate(time.Second), changed: w.start.UTC().Truncate(time.Second)}
			w.sites.byPath[admin.key()] = admin
		}
	}
	return w.sites.list, w.sites.byPath
}

// makeSites builds the site collections: the same for the same seed and number.
func (w *World) makeSites(count int, geos []geo) []*siteCollection {
	var list []*siteCollection
	add := func(s siteCollection) {
		label := fmt.Sprintf("site %d", len(list))
		s.id, s.webID = guidOf(w.options.Seed, label), guidOf(w.options.Seed, label+" web")
		s.created = w.start.AddDate(0, 0, -7-len(list)*3%1000).UTC().Truncate(time.Second)
		s.changed = s.created.AddDate(0, 0, len(list)%7)
		if s.owner == "" {
			s.owner = w.is.at(Mailbox)
		}
		if s.lock == "" {
			s.lock = siteOpen
		}
		if s.template == templateGroup {
			s.groupID = guidOf(w.options.Seed, label+" group")
		}
		list = append(list, &s)
	}
	for _, g := range geos {
		add(siteCollection{geo: g, title: g.label, template: templateCommunication})
		add(siteCollection{geo: g, use: hostPersonal, title: "", template: templateMyHost})
	}
	special := []siteCollection{
		{path: "/sites/search", title: "Search Center", template: "SRCHCEN#0"},
		{path: "/sites/hr", title: "Human Resources", template: templateCommunication},
		{path: "/sites/marketing", title: "Marketing", template: templateGroup},
		{path: "/sites/old-projects", title: "Old projects", template: templateGroup, archived: true},
		{path: "/sites/blocked", title: "Blocked site", template: templateTeam, lock: siteNoAccess},
		{path: "/sites/audit-2024", title: "Audit 2024", template: templateTeam, lock: siteReadOnly},
	}
	for i := 0; len(list) < count; i++ {
		if i < len(special) {
			special[i].geo = geos[0]
			add(special[i])
			continue
		}
		add(w.ordinarySite(i, geos[[]int{0, 1, 0, 2, 0}[i%5]%len(geos)]))
	}
	slices.SortStableFunc(list, func(a, b *siteCollection) int {
		return slices.IndexFunc(geos, func(g geo) bool { return g == a.geo }) - slices.IndexFunc(geos, func(g geo) bool { return g == b.geo })
	})
	return list
}

// ordinarySite is one of the many: of ten sites, five belong to groups, three are
// OneDrives, one is a communication site and one a team site without a group.
func (w *World) ordinarySite(i int, g geo) siteCollection {
	departments := []string{"Finance", "Legal", "Logistics", "Research", "Sales", "Support", "Works council"}
	name := departments[i%len(departments)]
	switch kind := i % 10; {
	case kind < 3:
		upn := fmt.Sprintf("person%03d@%s", i/10*3+kind+1, w.is.domain())
		path := "/personal/" + strings.NewReplacer("@", "_", ".", "_").Replace(upn)
		return siteCollection{geo: g, use: hostPersonal, path: path, title: fmt.Sprintf("Person %03d", i/10*3+kind+1), template: templatePersonal, owner: upn}
	case kind == 3:
		return siteCollection{geo: g, path: fmt.Sprintf("/sites/news-%04d", i), title: fmt.Sprintf("%s news %04d", name, i), template: templateCommunication}
	case kind == 4:
		return siteCollection{geo: g, path: fmt.Sprintf("/teams/team-%04d", i), title: fmt.Sprintf("%s team %04d", name, i), template: templateTeam}
	default:
		return siteCollection{geo: g, path: fmt.Sprintf("/sites/group-%04d", i), title: fmt.Sprintf("%s project %04d", name, i), template: templateGroup}
	}
}

// siteAt finds the site collection that a path on a host belongs to, and what of
// the path is left over.
func (w *World) siteAt(h sharePointHost, path string) (s *siteCollection, rest string) {
	_, byPath := w.siteCollections()
	prefix, rest := "", strings.Trim(path, "/")
	if first, more, _ := strings.Cut(rest, "/"); slices.Contains([]string{"sites", "teams", "personal"}, strings.ToLower(first)) {
		name, after, _ := strings.Cut(more, "/")
		prefix, rest = "/"+first+"/"+name, after
	}
	return byPath[strings.ToLower(h.geo.name+h.use+prefix)], rest
}

// siteByURL finds a site collection by its whole address.
func (w *World) siteByURL(address string) *siteCollection {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	h, ok := w.sharePointHostOf(u.Host)
	if !ok || h.old {
		return nil
	}
	if s, rest := w.siteAt(h, u.Path); rest == "" {
		return s
	}
	return nil
}
