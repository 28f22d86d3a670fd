package account

import (
	"slices"
	"strings"
)

// Principal name types of RFC 4120, section 6.2, and RFC 6806, section 5.
const (
	NamePrincipal  int32 = 1
	NameEnterprise int32 = 10
)

// Lookup finds an account by any name Windows takes at a sign-in: sAMAccountName,
// NetBIOS\sAMAccountName, DNS domain\sAMAccountName, UPN, or the implicit UPN
// sAMAccountName@DNS domain that every account has. Case does not matter.
func (d *Directory) Lookup(name string) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.copyOf(d.find(name))
}

// Principal finds the account of a Kerberos client name in this realm, as
// MS-KILE 3.3.5.6.1 has the KDC search: an enterprise name is a UPN; any other of
// one component is a sAMAccountName or, where no account has that, the first part
// of a UPN whose suffix is the domain. A real one also tries the name with a "$".
func (d *Directory) Principal(nameType int32, parts []string) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(parts) != 1 {
		return User{}, false
	}
	if nameType == NameEnterprise {
		return d.copyOf(d.findUPN(parts[0]))
	}
	if strings.ContainsAny(parts[0], `@\`) {
		return User{}, false
	}
	if e := d.users[strings.ToLower(parts[0])]; e != nil {
		return d.copyOf(e)
	}
	return d.copyOf(d.findUPN(parts[0] + "@" + d.domain))
}

// Service finds the account that holds a service principal name. Case does not
// matter.
func (d *Directory) Service(spn string) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.copyOf(d.services[strings.ToLower(spn)])
}

// Users are all accounts, by sAMAccountName.
func (d *Directory) Users() []User {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]User, 0, len(d.users))
	for _, e := range d.users {
		u, _ := d.copyOf(e)
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(strings.ToLower(a.SAM), strings.ToLower(b.SAM)) })
	return all
}

func (d *Directory) copyOf(e *entry) (User, bool) {
	if e == nil {
		return User{}, false
	}
	u := e.User
	u.SPNs, u.ETypes = slices.Clone(u.SPNs), slices.Clone(u.ETypes)
	return u, true
}

func (d *Directory) find(name string) *entry {
	if domain, sam, ok := strings.Cut(name, `\`); ok {
		if !strings.EqualFold(domain, d.netbios) && !strings.EqualFold(domain, d.domain) {
			return nil
		}
		return d.users[strings.ToLower(sam)]
	}
	if strings.Contains(name, "@") {
		return d.findUPN(name)
	}
	return d.users[strings.ToLower(name)]
}

// findUPN prefers the attribute: an account may have the UPN that another has
// implicitly.
func (d *Directory) findUPN(name string) *entry {
	for _, e := range d.users {
		if e.UPN != "" && strings.EqualFold(e.UPN, name) {
			return e
		}
	}
	sam, suffix, ok := cutLast(name, "@")
	if !ok || !strings.EqualFold(suffix, d.domain) {
		return nil
	}
	return d.users[strings.ToLower(sam)]
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
