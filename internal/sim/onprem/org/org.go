// Package org is the state of a simulated Exchange organisation: its
// recipients, groups, servers, management scopes and role assignments.
//
// It hides who is who (a user is found by UPN, DOMAIN\name, address or name) and
// how role based access control decides: which roles a user has, directly or
// through nested groups, since when, and over whom. The web services and the
// PowerShell endpoint of one simulated organisation share one value of it, so
// that a role assigned through one door opens the other.
//
// It imports nothing of the product.
package org

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options describe an organisation.
type Options struct {
	Name             string // of the Exchange organisation; "" = First Organization
	Domain           string // AD DNS domain, such as corp.test
	NetBIOS          string // such as CORP
	DomainController string // FQDN that error texts name; "" = dc1.<Domain>

	Now  func() time.Time // nothing else tells the time
	Rand io.Reader        // for object GUIDs; nil = crypto/rand
}

// Organisation is the state. Its methods may be called from many goroutines.
type Organisation struct {
	options Options

	mu          sync.Mutex
	users       []User
	groups      []Group
	servers     []Server
	scopes      []Scope
	assignments []Assignment
	delay       time.Duration
	lastID      uint64
}

// MailboxType is a recipient type of a mailbox as RecipientTypeDetails shows it.
type MailboxType string

// The mailbox types that Get-Mailbox returns. Source: Get-Mailbox,
// -RecipientTypeDetails (Exchange PowerShell reference).
const (
	UserMailbox         MailboxType = "UserMailbox"
	LinkedMailbox       MailboxType = "LinkedMailbox"
	SharedMailbox       MailboxType = "SharedMailbox"
	RoomMailbox         MailboxType = "RoomMailbox"
	EquipmentMailbox    MailboxType = "EquipmentMailbox"
	DiscoveryMailbox    MailboxType = "DiscoveryMailbox"
	PublicFolderMailbox MailboxType = "PublicFolderMailbox"
)

// User is a user account, with a mailbox or without.
type User struct {
	Name        string // common name; "" = DisplayName
	DisplayName string
	SAM         string // sAMAccountName; unique
	UPN         string // "" for accounts that have none, as the built-in Administrator
	Container   string // where it is, as in the canonical name; "" = Users

	Address   string   // primary SMTP address; "" = no mailbox
	Aliases   []string // further SMTP addresses
	Type      MailboxType
	Database  string
	Server    string // short name of the mailbox server
	Hidden    bool   // from address lists
	MailboxID GUID   // ExchangeGuid; zero = made by Add

	NoRemotePowerShell bool // RemotePowerShellEnabled is $false

	ID GUID // objectGUID; zero = made by Add
}

// Group is a role group or a security group.
type Group struct {
	Name      string
	RoleGroup bool
	Members   []string // sAMAccountNames of users, or names of groups
}

// Server is an Exchange server.
type Server struct {
	Name        string // short, upper case
	FQDN        string
	Version     string // AdminDisplayVersion, such as "Version 15.2 (Build 1748.10)"
	Edition     string // such as Standard, Enterprise, StandardEvaluation
	Role        string // such as Mailbox
	Site        string // AD site; "" = Default-First-Site-Name
	SCP         string // AutoDiscoverServiceInternalUri; "" = none
	ASA         string // alternate service account (DOMAIN\name$); "" = none
	ID          GUID
	EdgeOrOlder bool // not in Get-ClientAccessService
}

// Scope is a management scope over recipients.
type Scope struct {
	Name   string
	Filter string          // OPATH text, shown only
	Holds  func(User) bool // which recipients it holds
}

// GUID is an object id in the order of its text.
type GUID [16]byte

// String gives the id in lower case with hyphens.
func (g GUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
}

// New makes an organisation with the role groups and role assignments that
// Setup makes, and without anybody in it.
func New(options Options) *Organisation {
	options.Name = cmp.Or(options.Name, "First Organization")
	options.DomainController = cmp.Or(options.DomainController, "dc1."+options.Domain)
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	o := &Organisation{options: options}
	o.setup()
	return o
}

// Name is the name of the Exchange organisation.
func (o *Organisation) Name() string { return o.options.Name }

// Domain is the AD DNS domain.
func (o *Organisation) Domain() string { return o.options.Domain }

// NetBIOS is the NetBIOS name of the domain.
func (o *Organisation) NetBIOS() string { return o.options.NetBIOS }

// DomainController is the FQDN that error texts name.
func (o *Organisation) DomainController() string { return o.options.DomainController }

// NewID makes an object id.
func (o *Organisation) NewID() GUID {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.newID()
}

func (o *Organisation) newID() (g GUID) {
	if _, err := io.ReadFull(o.options.Rand, g[:]); err != nil {
		// A source that runs dry still gives distinct ids.
		o.lastID++
		for i := range 8 {
			g[15-i] = byte(o.lastID >> (8 * i))
		}
	}
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// Add adds a user, or replaces the one with the same SAM.
func (o *Organisation) Add(u User) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u.Name = cmp.Or(u.Name, u.DisplayName, u.SAM)
	u.DisplayName = cmp.Or(u.DisplayName, u.Name)
	u.Container = cmp.Or(u.Container, "Users")
	if u.Address != "" {
		u.Type = cmp.Or(u.Type, UserMailbox)
	}
	if u.ID == (GUID{}) {
		u.ID = o.newID()
	}
	if u.MailboxID == (GUID{}) && u.Address != "" {
		u.MailboxID = o.newID()
	}
	u.Aliases = slices.Clone(u.Aliases)
	i := slices.IndexFunc(o.users, func(old User) bool { return strings.EqualFold(old.SAM, u.SAM) })
	if i >= 0 {
		o.users[i] = u
		return
	}
	o.users = append(o.users, u)
}

// AddGroup adds a group, or replaces the one with the same name.
func (o *Organisation) AddGroup(g Group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g.Members = slices.Clone(g.Members)
	if old := o.group(g.Name); old != nil {
		*old = g
		return
	}
	o.groups = append(o.groups, g)
}

// Join makes a user (by SAM) or a group (by name) a member of a group, which is
// made as a security group where it does not exist.
func (o *Organisation) Join(group, member string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.group(group)
	if g == nil {
		o.groups = append(o.groups, Group{Name: group})
		g = &o.groups[len(o.groups)-1]
	}
	if !slices.ContainsFunc(g.Members, func(m string) bool { return strings.EqualFold(m, member) }) {
		g.Members = append(g.Members, member)
	}
}

// AddServer adds a server.
func (o *Organisation) AddServer(s Server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.Site = cmp.Or(s.Site, "Default-First-Site-Name")
	s.Role = cmp.Or(s.Role, "Mailbox")
	s.Edition = cmp.Or(s.Edition, "Standard")
	if s.ID == (GUID{}) {
		s.ID = o.newID()
	}
	o.servers = append(o.servers, s)
}

// AddScope adds a management scope.
func (o *Organisation) AddScope(s Scope) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scopes = append(o.scopes, s)
}

// Servers lists the servers.
func (o *Organisation) Servers() []Server {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.servers)
}

// Scopes lists the management scopes.
func (o *Organisation) Scopes() []Scope {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.scopes)
}

// Users lists the users, sorted by name as Exchange's cmdlets give them.
func (o *Organisation) Users() []User {
	o.mu.Lock()
	defer o.mu.Unlock()
	users := slices.Clone(o.users)
	slices.SortStableFunc(users, func(a, b User) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return users
}

// Find gives the user that an identity names: UPN, DOMAIN\sAMAccountName,
// sAMAccountName, SMTP address, display name, common name, canonical name,
// distinguished name or GUID.
func (o *Organisation) Find(identity string) (User, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.find(identity)
}

func (o *Organisation) find(identity string) (User, bool) {
	identity = strings.TrimPrefix(strings.TrimSpace(identity), "SMTP:")
	if identity == "" {
		return User{}, false
	}
	for _, names := range []func(User) []string{ // the most exact first
		func(u User) []string { return []string{u.UPN, o.options.NetBIOS + `\` + u.SAM, u.SAM, u.ID.String()} },
		// A name that belongs to the domain signs in without being the UPN.
		func(u User) []string { return []string{u.SAM + "@" + o.options.Domain} },
		func(u User) []string { return append([]string{u.Address}, u.Aliases...) },
		func(u User) []string {
			return []string{u.Name, u.DisplayName, o.canonical(u), o.distinguished(u), u.MailboxID.String()}
		},
	} {
		for _, u := range o.users {
			if slices.ContainsFunc(names(u), func(n string) bool { return n != "" && strings.EqualFold(n, identity) }) {
				return u, true
			}
		}
	}
	return User{}, false
}

// Canonical is the canonical name of a user, such as corp.test/Users/Alice.
func (o *Organisation) Canonical(u User) string { return o.canonical(u) }

func (o *Organisation) canonical(u User) string {
	return o.options.Domain + "/" + cmp.Or(u.Container, "Users") + "/" + u.Name
}

// DistinguishedName is the distinguished name of a user.
func (o *Organisation) DistinguishedName(u User) string { return o.distinguished(u) }

func (o *Organisation) distinguished(u User) string {
	kind := "OU"
	if container := cmp.Or(u.Container, "Users"); strings.EqualFold(container, "Users") {
		kind = "CN"
	}
	dn := "CN=" + u.Name + "," + kind + "=" + cmp.Or(u.Container, "Users")
	for label := range strings.SplitSeq(o.options.Domain, ".") {
		dn += ",DC=" + label
	}
	return dn
}
