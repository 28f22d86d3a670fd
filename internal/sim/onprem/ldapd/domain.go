package ldapd

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Domain describes a domain for Build.
type Domain struct {
	Name       string // DNS name, e.g. "corp.test"
	NetBIOS    string // e.g. "CORP"
	Host       string // of the domain controller, e.g. "dc1.corp.test"
	SID        string // e.g. "S-1-5-21-1004336348-1177238915-682003330"
	ForestRoot string // DNS name of the forest's first domain; "" = Name itself
	Suffixes   []string
	Exchange   bool // schema, groups and configuration of an Exchange organization

	Users     []User
	Groups    []Group
	Endpoints []Endpoint
	Trusts    []Trust
	Subnets   []Subnet
	Made      time.Time // whenCreated of everything
}

// User is a user object.
type User struct {
	CN, SAM, UPN, DisplayName, Mail string
	OU                              string // beneath the domain, e.g. "CN=Users" (also when empty)
	RID                             uint32 // 0 = the next free one
	Disabled                        bool
	Mailbox                         bool   // on this organization's servers
	Remote                          bool   // mailbox in Exchange Online (hybrid)
	PrimaryGroup                    uint32 // RID; 0 = 513, Domain Users
}

// Group is a group object. Members are users or groups by sAMAccountName.
type Group struct {
	CN, SAM, OU string // SAM "" = CN; OU as in User
	RID         uint32 // 0 = the next free one
	BuiltinRID  uint32 // not 0: in CN=Builtin, with a SID of S-1-5-32
	Members     []string
}

// Endpoint is an Autodiscover service connection point.
type Endpoint struct {
	CN       string
	URL      string // or the LDAP address of a pointer
	Keywords []string
}

// Trust is a trusted domain (MS-ADTS 6.1.6.7).
type Trust struct {
	Name, NetBIOS string
	Direction     int // 1 inbound, 2 outbound, 3 both
	Attributes    int // trustAttributes: 8 forest transitive, 32 within the forest, 1 not transitive
}

// Subnet maps addresses to a site.
type Subnet struct{ Prefix, Site string }

// The keywords of Autodiscover service connection points.
const (
	KeywordURL     = "77378F46-2C66-4aa9-A6A6-3E7A48B19596"
	KeywordPointer = "67661d7F-8FC4-4fa7-BFAC-E1D7794C1F68"
)

// WellKnownOrganizationManagement is the GUID under which Exchange's container
// names the group Organization Management, whatever it is called.
const WellKnownOrganizationManagement = "C262A929D691B74A9E068728F8F842EA"

// DN turns a DNS name into a distinguished name: corp.test into DC=corp,DC=test.
func DN(domain string) string { return "DC=" + strings.ReplaceAll(domain, ".", ",DC=") }

// builder makes a Tree of a Domain; the first error stays.
type builder struct {
	d                    Domain
	t                    *Tree
	root, config, schema string
	names                map[string]string // lower-case sAMAccountName -> DN
	rid                  uint32
	err                  error
}

// Build makes the naming contexts of a domain controller. Errors: what Tree.Add
// refuses, and members that do not exist.
func Build(d Domain) (*Tree, error) {
	if d.ForestRoot == "" {
		d.ForestRoot = d.Name
	}
	if d.Made.IsZero() {
		d.Made = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	b := &builder{d: d, t: NewTree(d.Exchange), root: DN(d.Name), names: map[string]string{}, rid: 1103}
	b.config = "CN=Configuration," + DN(d.ForestRoot)
	b.schema = "CN=Schema," + b.config
	b.contexts()
	b.containers()
	b.users()
	b.groups()
	b.configuration()
	for _, t := range d.Trusts {
		b.add("CN="+t.Name+",CN=System,"+b.root, "trustedDomain", "Trusted-Domain", Attributes{
			"trustPartner": {t.Name}, "flatName": {t.NetBIOS}, "trustDirection": {fmt.Sprint(t.Direction)}, "trustType": {"2"},
			"trustAttributes": {fmt.Sprint(t.Attributes)},
		})
	}
	return b.t, b.err
}

func (b *builder) contexts() {
	forest := DN(b.d.ForestRoot)
	for _, c := range [][2]string{
		{b.root, b.d.Name}, {b.config, b.d.ForestRoot}, {b.schema, b.d.ForestRoot},
		{"DC=DomainDnsZones," + b.root, "DomainDnsZones." + b.d.Name}, {"DC=ForestDnsZones," + forest, "ForestDnsZones." + b.d.ForestRoot},
	} {
		b.keep(b.t.AddContext(c[0], c[1]))
	}
	if b.d.ForestRoot != b.d.Name {
		b.keep(b.t.Refer(forest, b.d.ForestRoot))
	}
	for _, t := range b.d.Trusts {
		b.keep(b.t.Refer(DN(t.Name), t.Name))
	}
	host, _, _ := strings.Cut(b.d.Host, ".")
	b.t.SetRootDSE(Attributes{
		"defaultNamingContext": {b.root}, "configurationNamingContext": {b.config}, "schemaNamingContext": {b.schema},
		"rootDomainNamingContext": {forest}, "dnsHostName": {b.d.Host}, "subschemaSubentry": {"CN=Aggregate," + b.schema},
		"serverName":      {"CN=" + strings.ToUpper(host) + ",CN=Servers,CN=Default-First-Site-Name,CN=Sites," + b.config},
		"dsServiceName":   {"CN=NTDS Settings,CN=" + strings.ToUpper(host) + ",CN=Servers,CN=Default-First-Site-Name,CN=Sites," + b.config},
		"ldapServiceName": {b.d.ForestRoot + ":" + host + "$@" + strings.ToUpper(b.d.Name)},
		"isSynchronized":  {"TRUE"}, "isGlobalCatalogReady": {"TRUE"},
		"domainFunctionality": {"7"}, "forestFunctionality": {"7"}, "domainControllerFunctionality": {"7"},
		"supportedCapabilities": {capabilityAD, capabilityADV51, capabilityADLDAPInteg},
	})
}

func (b *builder) containers() {
	sid, err := ParseSID(b.d.SID)
	b.keep(err)
	b.add(b.root, "domainDNS", "Domain-DNS", Attributes{"objectSid": {sid}})
	b.add("DC=DomainDnsZones,"+b.root, "domainDNS", "Domain-DNS", nil)
	b.add("DC=ForestDnsZones,"+DN(b.d.ForestRoot), "domainDNS", "Domain-DNS", nil)
	for _, cn := range []string{"Users", "Builtin", "System", "Computers"} {
		b.add("CN="+cn+","+b.root, "container", "Container", nil)
	}
}

func (b *builder) users() {
	for _, u := range b.d.Users {
		control := 0x200 // NORMAL_ACCOUNT
		if u.Disabled {
			control |= 2
		}
		if u.PrimaryGroup == 0 {
			u.PrimaryGroup = 513
		}
		attrs := Attributes{
			"sAMAccountName": {u.SAM}, "userAccountControl": {fmt.Sprint(control)}, "sAMAccountType": {"805306368"},
			"primaryGroupID": {fmt.Sprint(u.PrimaryGroup)}, "objectSid": {b.sid(u.RID)},
		}
		optional := func(kind, v string) {
			if v != "" {
				attrs[kind] = []string{v}
			}
		}
		optional("displayName", u.DisplayName)
		optional("userPrincipalName", u.UPN)
		optional("mail", u.Mail)
		name := b.place(u.CN, u.OU)
		if u.Mailbox || u.Remote {
			attrs["msExchMailboxGuid"] = []string{guid("mailbox " + name)}
			attrs["mailNickname"] = []string{u.SAM}
			attrs["msExchRecipientTypeDetails"] = []string{"2147483648"}
		}
		if u.Mailbox {
			attrs["msExchRecipientTypeDetails"] = []string{"1"}
			attrs["homeMDB"] = []string{"CN=Mailbox Database 01,CN=Databases,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=" + b.organization() + ",CN=Microsoft Exchange,CN=Services," + b.config}
		}
		b.names[strings.ToLower(u.SAM)] = name
		b.add(name, "user", "Person", attrs)
	}
}

func (b *builder) groups() {
	for i, g := range b.d.Groups {
		if g.SAM == "" {
			g.SAM = g.CN
		}
		if g.BuiltinRID != 0 {
			g.OU = "CN=Builtin"
		}
		b.d.Groups[i] = g
		b.names[strings.ToLower(g.SAM)] = b.place(g.CN, g.OU)
	}
	for _, g := range b.d.Groups {
		attrs := Attributes{"sAMAccountName": {g.SAM}, "groupType": {"-2147483640"}, "objectSid": {b.sid(g.RID)}}
		if g.BuiltinRID != 0 {
			sid, err := ParseSID(fmt.Sprintf("S-1-5-32-%d", g.BuiltinRID))
			b.keep(err)
			attrs["objectSid"], attrs["groupType"] = []string{sid}, []string{"-2147483643"}
		}
		for _, m := range g.Members {
			member := b.names[strings.ToLower(m)]
			if member == "" {
				b.keep(fmt.Errorf("ldapd: group %s: there is no account %s", g.CN, m))
				continue
			}
			attrs["member"] = append(attrs["member"], member)
		}
		b.add(b.names[strings.ToLower(g.SAM)], "group", "Group", attrs)
	}
}

// place makes the object's name, and the organizational unit where it is new.
func (b *builder) place(cn, ou string) string {
	if ou == "" {
		ou = "CN=Users"
	}
	above := ou + "," + b.root
	if strings.HasPrefix(ou, "OU=") && b.t.Get(above, "objectClass") == nil {
		b.add(above, "organizationalUnit", "Organizational-Unit", nil)
	}
	return "CN=" + escapeValue(cn) + "," + above
}

func (b *builder) sid(rid uint32) string {
	if rid == 0 {
		b.rid++
		rid = b.rid
	}
	sid, err := ParseSID(fmt.Sprintf("%s-%d", b.d.SID, rid))
	b.keep(err)
	return sid
}

// guid makes an object's GUID from its name, so that it is the same in every run.
func guid(from string) string {
	h := sha256.Sum256([]byte(from))
	return string(h[:16])
}

func (b *builder) add(name, class, category string, attrs Attributes) {
	chain := map[string][]string{
		"user": {"top", "person", "organizationalPerson", "user"}, "domainDNS": {"top", "domain", "domainDNS"},
		"serviceConnectionPoint": {"top", "leaf", "connectionPoint", "serviceConnectionPoint"},
		"trustedDomain":          {"top", "leaf", "trustedDomain"},
	}[class]
	if chain == nil {
		chain = []string{"top", class}
	}
	all := Attributes{
		"objectClass": chain, "objectCategory": {"CN=" + category + "," + b.schema}, "objectGUID": {guid(name)},
		"whenCreated": {generalizedTime(b.d.Made)},
	}
	for k, v := range attrs {
		all[k] = slices.Clone(v)
	}
	b.keep(b.t.Add(name, all))
}

func (b *builder) keep(err error) {
	if err != nil {
		b.err = errors.Join(b.err, err)
	}
}
