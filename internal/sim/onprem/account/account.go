// Package account is the account database of a simulated Active Directory
// domain: users, service accounts, their keys, and what every sign-in cost.
//
// All services of the domain (KDC, NTLM, LDAP, Basic) ask this one database, so
// a test can say exactly how many wrong passwords the domain has seen.
package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Encryption types of Kerberos keys (RFC 3962, RFC 4757).
const (
	AES256 int32 = 18 // aes256-cts-hmac-sha1-96
	AES128 int32 = 17 // aes128-cts-hmac-sha1-96
	RC4    int32 = 23 // rc4-hmac
)

// User is an account: of a person, a service or a computer.
type User struct {
	SAM      string // sAMAccountName; "EXCH01$" for a computer
	UPN      string // userPrincipalName; may be empty, may have an alternate suffix
	Password string
	SPNs     []string // servicePrincipalName, e.g. "HTTP/exch01.corp.test"
	ETypes   []int32  // Kerberos keys the account has; nil means AES256 and AES128

	Disabled        bool // refuses after the right password; the KDC, before any
	Locked          bool // refuses the right password, too
	PasswordExpired bool
	MustChange      bool // must change the password at the next sign-in
}

// Options are what New needs.
type Options struct {
	Domain           string   // DNS name, e.g. "corp.test"
	NetBIOS          string   // e.g. "CORP"
	Suffixes         []string // alternate UPN suffixes, e.g. "contoso.example"
	LockoutThreshold int      // wrong passwords that lock an account; 0 means never
	Users            []User
}

// Directory is the database. It is safe for use by several goroutines.
type Directory struct {
	domain, netbios string
	suffixes        []string
	threshold       int

	mu       sync.Mutex
	users    map[string]*entry // by lower-case sAMAccountName
	services map[string]*entry // by lower-case service principal name
	tallies  map[Protocol]*Tally
}

type entry struct {
	User
	bad      int              // wrong passwords since the last good sign-in: badPwdCount
	kerberos map[int32][]byte // derived when first asked for
}

// New makes a database of the domain's accounts. The account krbtgt is added
// when it is not among them.
func New(o Options) (*Directory, error) {
	if o.Domain == "" || o.NetBIOS == "" {
		return nil, errors.New("account: a domain needs a DNS name and a NetBIOS name")
	}
	d := &Directory{
		domain: strings.ToLower(o.Domain), netbios: strings.ToUpper(o.NetBIOS), threshold: o.LockoutThreshold,
		suffixes: slices.Clone(o.Suffixes),
		users:    map[string]*entry{}, services: map[string]*entry{}, tallies: map[Protocol]*Tally{},
	}
	for _, u := range o.Users {
		if err := d.Add(u); err != nil {
			return nil, err
		}
	}
	if _, found := d.users["krbtgt"]; !found {
		// Nobody signs in as krbtgt: its password only makes the key of the tickets.
		if err := d.Add(User{SAM: "krbtgt", Password: "krbtgt of " + d.domain, Disabled: true, ETypes: []int32{AES256, AES128, RC4}}); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Domain is the domain's DNS name in lower case.
func (d *Directory) Domain() string { return d.domain }

// NetBIOS is the domain's NetBIOS name in upper case.
func (d *Directory) NetBIOS() string { return d.netbios }

// Realm is the Kerberos realm: the DNS name in upper case.
func (d *Directory) Realm() string { return strings.ToUpper(d.domain) }

// Suffixes are the alternate UPN suffixes of the forest.
func (d *Directory) Suffixes() []string { return slices.Clone(d.suffixes) }

// Add adds an account. sAMAccountName, UPN and service principal names must be
// free, as in Active Directory.
func (d *Directory) Add(u User) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	sam := strings.ToLower(u.SAM)
	if sam == "" || strings.ContainsAny(sam, `"/\[]:;|=,+*?<>@`) {
		return fmt.Errorf("account: %q is no sAMAccountName", u.SAM)
	}
	if d.users[sam] != nil {
		return fmt.Errorf("account: %s exists already", u.SAM)
	}
	if u.UPN != "" {
		name, suffix, ok := cutLast(u.UPN, "@")
		if !ok || name == "" || suffix == "" {
			return fmt.Errorf("account: %q is no user principal name", u.UPN)
		}
		for _, e := range d.users {
			if strings.EqualFold(e.UPN, u.UPN) {
				return fmt.Errorf("account: %s has the user principal name %s already", e.SAM, u.UPN)
			}
		}
	}
	for _, spn := range u.SPNs {
		if e := d.services[strings.ToLower(spn)]; e != nil {
			return fmt.Errorf("account: %s has the service principal name %s already", e.SAM, spn)
		}
	}
	if u.ETypes == nil {
		u.ETypes = []int32{AES256, AES128}
	}
	u.SPNs, u.ETypes = slices.Clone(u.SPNs), slices.Clone(u.ETypes)
	e := &entry{User: u}
	d.users[sam] = e
	for _, spn := range u.SPNs {
		d.services[strings.ToLower(spn)] = e
	}
	return nil
}

// Change lets change alter the account's flags and password. Names stay as
// they are. It reports an unknown account.
func (d *Directory) Change(sam string, change func(*User)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.users[strings.ToLower(sam)]
	if e == nil {
		return fmt.Errorf("account: there is no account %s", sam)
	}
	u := e.User
	change(&u)
	if u.Password != e.Password {
		e.kerberos = nil
	}
	if e.Locked && !u.Locked {
		e.bad = 0 // unlocking an account resets its count
	}
	u.SAM, u.UPN, u.SPNs = e.SAM, e.UPN, e.SPNs
	e.User = u
	return nil
}
