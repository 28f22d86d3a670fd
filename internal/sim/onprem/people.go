package onprem

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

// Accounts that tests and demonstrations sign in with. The passwords are made up and
// open nothing but the simulation.
const (
	Admin         = "exadmin@" + Domain // in Organization Management, with a mailbox
	AdminPassword = "Ex4dmin!Pass"      //nolint:gosec // opens the simulation alone

	Messaging         = "alice@" + Suffix // in Organization Management through the group Messaging Team
	MessagingPassword = "Al1ce!Pass"      //nolint:gosec // opens the simulation alone

	NoMailbox         = "svcnomailbox@" + Domain // in Organization Management, without a mailbox
	NoMailboxPassword = "Svc!Pass123"            //nolint:gosec // opens the simulation alone

	BuiltIn         = "Administrator" // without a user principal name and without a mailbox
	BuiltInPassword = "Adm1n!Pass"    //nolint:gosec // opens the simulation alone

	Farm         = "spfarm@" + Domain // of SharePoint: no rights in Exchange
	FarmPassword = "Sp4arm!Pass"      //nolint:gosec // opens the simulation alone

	FarmAdmin         = "spadmin@" + Suffix // farm administrator of SharePoint; policy Full Control, administrator of all site collections
	FarmAdminPassword = "Sp4dmin!Pass"      //nolint:gosec // opens the simulation alone

	Reader         = "spreader@" + Suffix // may read every second site collection, and is no farm administrator
	ReaderPassword = "Re4der!Pass"        //nolint:gosec // opens the simulation alone

	UserPassword = "Us3r!Pass" //nolint:gosec // of everybody else; opens the simulation alone

	scopeName     = "Sales"
	scopeMembers  = 2 // of the scope Sales: the first of the ordinary users
	adminsGroup   = "Organization Management"
	nestedGroup   = "Messaging Team"
	databaseName  = "Mailbox Database 0001"
	domainSID     = "S-1-5-21-1004336348-1177238915-682003330"
	firstOrdinary = 1110 // relative id of the first of the ordinary users
)

// person is an account of the domain: what Active Directory, the KDC and Exchange know
// of it.
type person struct {
	name, sam, upn string
	password       string
	address        string // of the mailbox; "" without one
	aliases        []string
	rid            int // relative id: the last part of the SID
	spns           []string
	groups         []string
	disabled       bool
	remote         string // address of a mailbox in Exchange Online
}

// display is the displayName; the built-in account has none.
func (p person) display() string {
	if p.sam == BuiltIn {
		return ""
	}
	return p.name
}

func (p person) mail() string { return cmp.Or(p.address, p.remote) }

func (p person) sid() string { return domainSID + "-" + strconv.Itoa(p.rid) }

// people are all accounts; mailboxes is how many of them have one.
func people(mailboxes int) []person {
	list := []person{
		{name: BuiltIn, sam: BuiltIn, password: BuiltInPassword, rid: 500, groups: []string{adminsGroup, "Domain Admins"}},
		{name: "Exchange Admin", sam: "exadmin", upn: Admin, password: AdminPassword, address: Admin, rid: 1104, groups: []string{adminsGroup}},
		{name: "Alice Adams", sam: "alice", upn: Messaging, password: MessagingPassword, address: Messaging, aliases: []string{"alice.adams@" + Suffix, "alice@" + Domain}, rid: 1105, groups: []string{nestedGroup}},
		{name: "Service without mailbox", sam: "svcnomailbox", upn: NoMailbox, password: NoMailboxPassword, rid: 1106, groups: []string{adminsGroup}},
		{name: "Bob Baker", sam: "bob", upn: "bob@" + Domain, password: UserPassword, rid: 1108, groups: []string{nestedGroup}, remote: "bob@" + Domain},
		{name: "Former Admin", sam: "former", upn: "former@" + Domain, password: UserPassword, rid: 1109, groups: []string{adminsGroup}, disabled: true},
		{name: "O'Neil, Rory (IT)", sam: "roneil", upn: "roneil@" + Domain, password: UserPassword, rid: 1101, groups: []string{"Domain Admins"}},
		{name: "Guest", sam: "Guest", password: UserPassword, rid: 501, disabled: true},
		{name: "SharePoint Farm", sam: "spfarm", upn: Farm, password: FarmPassword, rid: 1107, spns: farmSPNs()},
		{name: "SharePoint Admin", sam: "spadmin", upn: FarmAdmin, password: FarmAdminPassword, rid: 1090},
		{name: "Rita Reader", sam: "spreader", upn: Reader, password: ReaderPassword, rid: 1091},
		{name: "SharePoint Pool", sam: "sppool", upn: "sppool@" + Domain, password: UserPassword, rid: 1092},
		{name: SharePointName, sam: SharePointName + "$", password: "computer password of " + SharePointName, rid: 1093, spns: []string{"HOST/" + SharePoint, "HOST/" + SharePointName}},
		{name: "DC1", sam: "DC1$", password: "computer password of DC1", rid: 1000,
			spns: []string{"ldap/" + DomainController, "ldap/" + DomainController + "/" + Domain, "ldap/DC1", "HOST/" + DomainController, "HOST/DC1"}},
		{name: ServerName, sam: ServerName + "$", password: "computer password of " + ServerName, rid: 1103,
			spns: []string{"HTTP/" + Server, "HTTP/" + ServerName, "HOST/" + Server, "HOST/" + ServerName}},
	}
	names := strings.Fields("Anna Bernd Chen Dagny Emre Fatima Goran Hanna Igor Jana")
	for i := range max(0, mailboxes-2) {
		name, sam := "", ""
		if i < len(names) {
			name = names[i] + " " + string(rune('A'+i)) + "."
			sam = strings.ToLower(names[i])
		} else {
			name = fmt.Sprintf("User %05d", i+1)
			sam = fmt.Sprintf("user%05d", i+1)
		}
		list = append(list, person{name: name, sam: sam, upn: sam + "@" + Suffix, password: UserPassword, address: sam + "@" + Suffix, rid: firstOrdinary + i})
	}
	return list
}

// populate makes the account database and the organisation.
func (w *World) populate() error {
	w.people = people(cmp.Or(w.options.Mailboxes, usualMailboxes))
	users := make([]account.User, 0, len(w.people))
	for _, p := range w.people {
		users = append(users, account.User{SAM: p.sam, UPN: p.upn, Password: p.password, SPNs: p.spns, Disabled: p.disabled})
	}
	var err error
	w.accounts, err = account.New(account.Options{Domain: Domain, NetBIOS: NetBIOS, Suffixes: []string{Suffix}, LockoutThreshold: w.options.Lockout, Users: users})
	if err != nil {
		return fmt.Errorf("make the accounts: %w", err)
	}
	o := org.New(org.Options{Name: "Contoso", Domain: Domain, NetBIOS: NetBIOS, DomainController: DomainController, Now: w.now, Rand: newStream(w.options.Seed, "objects")})
	sales := map[string]bool{}
	for _, p := range w.people {
		if strings.HasSuffix(p.sam, "$") {
			continue
		}
		u := org.User{Name: p.name, SAM: p.sam, UPN: p.upn, Address: p.address, Aliases: p.aliases}
		if p.address != "" {
			u.Database, u.Server = databaseName, ServerName
		}
		o.Add(u)
		for _, g := range p.groups {
			o.Join(g, p.sam)
		}
		if p.rid >= firstOrdinary && p.rid < firstOrdinary+scopeMembers {
			sales[p.sam] = true
		}
	}
	o.Join(adminsGroup, nestedGroup)
	o.AddScope(org.Scope{Name: scopeName, Filter: "Department -eq 'Sales'", Holds: func(u org.User) bool { return sales[u.SAM] }})
	o.AddServer(org.Server{Name: ServerName, FQDN: Server, Version: w.version.Display, SCP: scpURL(Server)})
	o.Delay(w.options.Spread)
	w.organisation = o
	return nil
}

// Organisation is the state of Exchange: who has which mailbox, group and role.
func (w *World) Organisation() *org.Organisation { return w.organisation }

// Mailboxes is how many accounts have a mailbox.
func (w *World) Mailboxes() int {
	n := 0
	for _, u := range w.organisation.Users() {
		if u.Address != "" {
			n++
		}
	}
	return n
}

// bySID finds the account that a security identifier names.
func (w *World) bySID(sid string) (org.User, bool) {
	for _, p := range w.people {
		if strings.EqualFold(p.sid(), sid) {
			return w.organisation.Find(p.sam)
		}
	}
	return org.User{}, false
}

// effects carries out what a fault changes in accounts and rights; the others are
// looked at where they strike.
func (w *World) effects(name, arg string, on bool) error {
	who := cmp.Or(arg, "exadmin")
	if u, found := w.organisation.Find(who); found {
		who = u.SAM
	}
	flag := func(set func(*account.User)) error { return w.accounts.Change(who, set) }
	grant := func(suffix, scope string, delegating bool) error {
		title := "Simulated " + suffix + " " + who
		if !on {
			return w.organisation.Unassign(nil, title)
		}
		_, err := w.organisation.Assign(nil, org.Assignment{Name: title, Role: org.Impersonation, Assignee: who, Scope: scope, Delegating: delegating})
		return err
	}
	change := func(set func(*org.User)) {
		if u, found := w.organisation.Find(who); found {
			set(&u)
			w.organisation.Add(u)
		}
	}
	switch name {
	case "account-locked":
		return flag(func(u *account.User) { u.Locked = on })
	case "account-disabled":
		return flag(func(u *account.User) { u.Disabled = on })
	case "password-expired":
		return flag(func(u *account.User) { u.PasswordExpired = on })
	case "must-change":
		return flag(func(u *account.User) { u.MustChange = on })
	case "granted":
		return grant("grant", "", false)
	case "granted-scoped":
		return grant("scoped grant", scopeName, false)
	case "delegating-only":
		return grant("delegation", "", true)
	case "impersonation-delay", "impersonation-lost":
		w.organisation.Delay(w.spread())
	case "remote-powershell-disabled":
		change(func(u *org.User) { u.NoRemotePowerShell = on })
	case "no-mailbox":
		change(func(u *org.User) {
			if u.Address = Admin; on {
				u.Address = ""
			}
		})
	case "no-mailboxes-right":
		from, to := adminsGroup, "Discovery Management"
		if !on {
			from, to = to, from
		}
		if g, found := w.organisation.Group(from); found {
			var rest []string
			for _, m := range g.Members {
				if !strings.EqualFold(m, who) {
					rest = append(rest, m)
				}
			}
			g.Members = rest
			w.organisation.AddGroup(g)
		}
		w.organisation.Join(to, who)
		return nil
	}
	if rest, ok := strings.CutPrefix(name, "powershell-"); ok && slices.ContainsFunc(psrp.Faults(), func(f psrp.Fault) bool { return f.Name == rest }) {
		return w.breakShells()
	}
	return w.dc.follow(w, name, on)
}

// breakShells switches on at the endpoint of remote PowerShell what is on here.
func (w *World) breakShells() error {
	specs := []string{"none"}
	for _, f := range psrp.Faults() {
		if arg, on := w.fault("powershell-" + f.Name); on {
			specs = append(specs, strings.TrimSuffix(f.Name+"="+arg, "="))
		}
	}
	err := w.shells.Break(specs...)
	w.organisation.Delay(w.spread()) // "none" has put it to zero
	return err
}

// spread is how long a new role assignment takes to be in force.
func (w *World) spread() time.Duration {
	if w.has("impersonation-lost") {
		return 100 * 365 * 24 * time.Hour
	}
	if d := w.span("impersonation-delay", 10*time.Minute); d > 0 {
		return d
	}
	return w.options.Spread
}
