package sharepoint

import (
	"hash/fnv"
	"strings"
)

// personOf is who has signed in; without rights when the farm does not know the account.
func (f *Farm) personOf(login string) Person {
	for _, p := range f.o.People {
		if strings.EqualFold(p.Login, login) {
			return p
		}
	}
	_, name, _ := strings.Cut(login, `\`)
	return Person{Login: login, Name: name}
}

// may tells whether somebody may read a site collection.
func (f *Farm) may(r *Request, s *site) bool {
	p := r.person
	if r.Central && !f.has("ca-not-central") {
		return p.FarmAdministrator
	}
	return p.Policy >= FullRead || p.SiteAdministrator || s.open && (p.Reader || r.Login == "")
}

// Public tells whether the farm answers a request of somebody who has not signed in:
// anonymous access to sites and to their REST service, where an administrator has
// allowed both. What SharePoint says of the current user then is unsure: nothing, here.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development, "Use Remote Interfaces".
func (f *Farm) Public(r *Request) bool {
	if r.Central || !f.has("sp-anonymous") || !r.reading() {
		return false
	}
	probe := *r
	probe.split()
	resource, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(probe.rest), "/_api/"), "/")
	s := f.within(f.application(&probe), &probe, probe.base)
	return s != nil && s.open && (probe.rest == "/" || resource == "web" || resource == "site")
}

// claim is the login name as claims authentication writes it.
func (p Person) claim() string {
	if p.System {
		return `SHAREPOINT\system`
	}
	return "i:0#.w|" + strings.ToLower(p.Login)
}

func (p Person) title() string {
	if p.System {
		return "System Account"
	}
	return p.Name
}

// userID is the number of a user in a site collection's list of users.
func (p Person) userID() int {
	if p.System {
		return 1073741823
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(p.Login)))
	return 7 + int(h.Sum32()%90)
}

// mask is the grant mask of a policy ([MS-WSSFO3], WSS Rights Mask).
func (p Policy) mask() string {
	if p == FullControl {
		return "9223372036854775807"
	}
	return "4611686224789442657"
}
