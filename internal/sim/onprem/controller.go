package onprem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/kdc"
	"github.com/c2conn/c2conn/internal/sim/onprem/krb"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

// controller is the domain controller: KDC and LDAP server.
type controller struct {
	kdc         *kdc.Server
	ldap        *ldapd.Server
	tree        *ldapd.Tree
	plain, tls  string // addresses of LDAP and LDAPS
	done        sync.WaitGroup
	scp         string // name of the service connection point
	scpKeywords []string
}

// domainTime is the clock of the domain and its members.
func (w *World) domainTime() time.Time { return w.now().Add(w.span("clock-skew", 20*time.Minute)) }

func (w *World) serveController() (*controller, error) {
	c := &controller{}
	var err error
	if c.tree, err = ldapd.Build(w.directoryObjects()); err != nil {
		return nil, fmt.Errorf("make the directory: %w", err)
	}
	c.scp = "CN=" + ServerName + ",CN=Autodiscover,CN=Protocols,CN=" + ServerName + ",CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=" + NetBIOS +
		"ORG,CN=Microsoft Exchange,CN=Services,CN=Configuration," + ldapd.DN(Domain)
	if c.scpKeywords = c.tree.Get(c.scp, "keywords"); c.scpKeywords == nil {
		return nil, errors.New("the directory has no service connection point")
	}
	noSAN, err := w.authority.issue(w.start.Add(-time.Hour), w.start.AddDate(1, 0, 0), true, DomainController)
	if err != nil {
		return nil, err
	}
	leaf := w.certificates.controller.Certificate[0]
	channel, err := binding.EndPoint(leaf)
	if err != nil {
		return nil, err
	}
	acceptor := krb.NewAcceptor(krb.AcceptorOptions{
		Directory: w.accounts, SPNs: []string{"ldap/" + DomainController, "ldap/" + DomainController + "/" + Domain, "ldap/DC1"},
		ExtendedProtection: binding.Allow, Now: w.domainTime,
	})
	c.ldap = ldapd.New(ldapd.Options{
		Tree: c.tree, SignIn: w.ldapSignIn, Kerberos: func([]byte) ldapd.Acceptor { return &gssapi{acceptor: acceptor, channel: channel} },
		Account: w.downLevel, Certificate: w.certificates.controller, NoSAN: noSAN, Now: w.domainTime,
	})
	for _, to := range []*string{&c.plain, &c.tls} {
		var config net.ListenConfig
		l, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err != nil {
			c.close()
			return nil, fmt.Errorf("listen for LDAP: %w", err)
		}
		*to = l.Addr().String()
		c.done.Go(func() { _ = c.ldap.Serve(w.barred(l), to == &c.tls) })
	}
	if c.kdc, err = kdc.Start(kdc.Options{Directory: w.accounts, Now: w.domainTime}); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *controller) close() {
	if c.kdc != nil {
		_ = c.kdc.Close()
	}
	if c.ldap != nil {
		_ = c.ldap.Close()
	}
	c.done.Wait()
}

// bars closes what comes in while the fault no-ldap is on.
type bars struct {
	net.Listener
	w *World
}

func (w *World) barred(l net.Listener) net.Listener { return bars{l, w} }

// Accept waits for a connection that is let in.
func (b bars) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil || !b.w.has("no-ldap") {
			return c, err
		}
		_ = c.Close()
	}
}

// controllerPorts are the entries of C2CONN_CONNECT_TO for the domain controller.
func (w *World) controllerPorts() []string {
	var list []string
	for _, host := range []string{DomainController, Domain} {
		for _, service := range []struct{ port, to string }{{"88", w.dc.kdc.Addr()}, {"389", w.dc.plain}, {"636", w.dc.tls}, {"3268", w.dc.plain}, {"3269", w.dc.tls}} {
			list = append(list, host+":"+service.port+":"+service.to)
		}
	}
	return list
}

// directoryObjects are the accounts as Active Directory has them.
func (w *World) directoryObjects() ldapd.Domain {
	d := ldapd.World()
	d.Users, d.Groups = nil, nil
	groups := map[string][]string{}
	for _, p := range w.people {
		if strings.HasSuffix(p.sam, "$") {
			continue
		}
		d.Users = append(d.Users, ldapd.User{CN: p.name, SAM: p.sam, UPN: p.upn, DisplayName: p.display(), Mail: p.mail(), RID: uint32(p.rid), Disabled: p.disabled, Mailbox: p.address != "", Remote: p.remote != ""}) //nolint:gosec // small numbers
		for _, g := range p.groups {
			groups[g] = append(groups[g], p.sam)
		}
	}
	exchange := "OU=Microsoft Exchange Security Groups"
	d.Groups = []ldapd.Group{
		{CN: "Administrators", BuiltinRID: 544, Members: []string{BuiltIn, "Domain Admins"}},
		{CN: "Domain Admins", RID: 512, Members: groups["Domain Admins"]},
		{CN: "Domain Users", RID: 513},
		{CN: nestedGroup, Members: append(groups[nestedGroup], "Messaging Leads")},
		{CN: "Messaging Leads", Members: []string{nestedGroup}}, // a circle, as it happens
		{CN: adminsGroup, OU: exchange, Members: append(groups[adminsGroup], nestedGroup)},
		{CN: "View-Only Organization Management", OU: exchange},
		{CN: "Discovery Management", OU: exchange},
		{CN: "Hygiene Management", OU: exchange},
	}
	return d
}

// ldapSignIn is a simple bind.
func (w *World) ldapSignIn(name, password string) (string, ldapd.Status) {
	if strings.Contains(name, "=") { // a distinguished name
		if u, found := w.organisation.Find(name); found {
			name = NetBIOS + `\` + u.SAM
		}
	}
	u, err := w.accounts.SignInPassword(account.LDAP, name, password)
	if err == nil {
		return NetBIOS + `\` + u.SAM, ldapd.StatusOK
	}
	var refused *account.RefusedError
	if errors.As(err, &refused) {
		switch refused.Reason {
		case account.UnknownUser:
			return "", ldapd.StatusNoSuchUser
		case account.LockedOut:
			return "", ldapd.StatusLockedOut
		case account.AccountDisabled:
			return "", ldapd.StatusDisabled
		case account.Expired:
			return "", ldapd.StatusPasswordExpired
		case account.PasswordMustChange:
			return "", ldapd.StatusMustChange
		}
	}
	return "", ldapd.StatusWrongPassword
}

func (w *World) downLevel(principal string) string {
	if u, found := w.accounts.Lookup(principal); found {
		return NetBIOS + `\` + u.SAM
	}
	return principal
}

// gssapi is one SASL GSSAPI sign-in.
type gssapi struct {
	acceptor *krb.Acceptor
	channel  []byte
	context  *krb.Context
}

// Accept takes the client's first token.
func (g *gssapi) Accept(token []byte) ([]byte, error) {
	var err error
	if g.context, err = g.acceptor.Accept(token, g.channel); err != nil {
		return nil, err
	}
	return g.context.Reply, nil
}

// Wrap signs a message.
func (g *gssapi) Wrap(message []byte) ([]byte, error) { return g.context.WrapSigned(message) }

// Unwrap checks a message of the client.
func (g *gssapi) Unwrap(token []byte) ([]byte, error) { return g.context.UnwrapSigned(token) }

// Principal names who signed in.
func (g *gssapi) Principal() string { return g.context.User.SAM + "@" + Domain }

// zone is what DNS knows now.
func (w *World) zone() zone {
	z := zone{hosts: map[string]bool{}, srv: map[string][]dns.SRV{}, roots: []string{Domain, Suffix, "fabrikam.example"}}
	for _, host := range append(farmHosts(), Domain, Suffix, DomainController, Server, balancer, oldServer, sleeping, foreign) {
		z.hosts[host] = true
	}
	record := func(name, host string, port int) {
		z.srv[name] = []dns.SRV{{Priority: 0, Weight: 100, Port: uint16(port), Target: host + "."}} //nolint:gosec // a port
	}
	if !w.has("no-autodiscover") {
		if !w.has("srv-only") {
			z.hosts[Autodiscover], z.hosts["autodiscover."+Suffix] = true, true
		}
		for _, domain := range []string{Domain, Suffix} {
			record("_autodiscover._tcp."+domain, Server, 443)
		}
	}
	if !w.has("no-kdc") {
		record("_kerberos._tcp."+Domain, DomainController, portOf(w.dc.kdc.Addr()))
		record("_kerberos._tcp.dc._msdcs."+Domain, DomainController, portOf(w.dc.kdc.Addr()))
	}
	if !w.has("no-ldap") {
		for _, name := range []string{"_ldap._tcp.", "_ldap._tcp.dc._msdcs.", "_ldap._tcp.Default-First-Site-Name._sites.dc._msdcs."} {
			record(strings.ToLower(name)+Domain, DomainController, portOf(w.dc.plain))
		}
		record("_gc._tcp."+Domain, DomainController, portOf(w.dc.plain))
	}
	z.silent = func(name string) bool { return w.has("dns-silent") }
	return z
}

// follow lets a fault change the domain controller.
func (c *controller) follow(w *World, name string, on bool) error {
	switch name {
	case "no-kdc", "kdc-silent":
		fault := kdc.Sound
		if w.has("no-kdc") {
			fault = kdc.HangsUp
		} else if w.has("kdc-silent") {
			fault = kdc.Silent
		}
		c.kdc.SetFault(fault)
	case "no-scp", "no-autodiscover", "srv-only", "scp-dead", "scp-silent":
		keywords := c.scpKeywords
		if w.has("no-scp") || w.has("no-autodiscover") || w.has("srv-only") {
			keywords = nil
		}
		host := Server
		switch {
		case w.has("scp-dead"):
			host = oldServer
		case w.has("scp-silent"):
			host = sleeping
		}
		if err := c.tree.Set(c.scp, "serviceBindingInformation", scpURL(host)); err != nil {
			return err
		}
		return c.tree.Set(c.scp, "keywords", keywords...)
	}
	if strings.HasPrefix(name, "ldap-") {
		return c.ldap.SetFault(ldapd.Fault(name), on)
	}
	return nil
}
