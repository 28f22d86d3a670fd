package directory

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/transport"
)

// RootDSE is what a domain controller tells about itself and its domain
// (MS-ADTS 3.1.1.3.2).
type RootDSE struct {
	Server  string // DNS name of the domain controller
	Address string // host:port that was reached
	Domain  string // DNS name of its domain
	Forest  string // DNS name of the forest's first domain

	DomainNC        string // distinguished names of the naming contexts
	ForestNC        string
	ConfigurationNC string
	SchemaNC        string

	Time time.Time     // the domain's; zero when it told none
	Skew time.Duration // Time less this computer's, 0 below 2 seconds; Kerberos allows 5 minutes either way
}

// skewIgnored is what a domain's time may differ by and still count as the same.
const skewIgnored = 2 * time.Second

func (c *Client) readRoot(l *ldap.Conn) error {
	if c.made {
		return nil
	}
	result, err := l.Search(request("", ldap.ScopeBaseObject, "(objectClass=*)",
		"defaultNamingContext", "rootDomainNamingContext", "configurationNamingContext", "schemaNamingContext", "dnsHostName", "currentTime"))
	if err != nil {
		return err
	}
	if len(result.Entries) != 1 {
		return errors.New("the server tells nothing about itself")
	}
	e := result.Entries[0]
	get := func(name string) string { return transport.CleanText(e.GetEqualFoldAttributeValue(name), nameLimit) }
	r := RootDSE{
		Server: strings.ToLower(get("dnsHostName")), Address: c.link.server,
		DomainNC: get("defaultNamingContext"), ForestNC: get("rootDomainNamingContext"),
		ConfigurationNC: get("configurationNamingContext"), SchemaNC: get("schemaNamingContext"),
	}
	r.Domain, r.Forest = dnsName(r.DomainNC), dnsName(r.ForestNC)
	if r.Domain == "" || r.ConfigurationNC == "" {
		return errors.New("the server is no domain controller of Active Directory")
	}
	if t, err := time.Parse("20060102150405.0Z", get("currentTime")); err == nil {
		r.Time = t
		// Told in whole seconds, and some time ago.
		if skew := t.Sub(c.o.Clock.Now()); skew.Abs() > skewIgnored {
			r.Skew = skew.Round(time.Second)
		}
	}
	c.root, c.made = r, true
	return nil
}

// dnsName turns DC=corp,DC=test into corp.test; "" when there are other parts.
func dnsName(name string) string {
	parsed, err := ldap.ParseDN(name)
	if err != nil {
		return ""
	}
	var labels []string
	for _, rdn := range parsed.RDNs {
		if len(rdn.Attributes) != 1 || !strings.EqualFold(rdn.Attributes[0].Type, "DC") {
			return ""
		}
		labels = append(labels, strings.ToLower(rdn.Attributes[0].Value))
	}
	return strings.Join(labels, ".")
}

// Suffixes lists what may stand behind the @ of a user principal name: the
// domain's own name first, then the forest's, then those that an administrator
// added (uPNSuffixes of CN=Partitions).
func (c *Client) Suffixes(ctx context.Context) ([]string, error) {
	list := []string{c.root.Domain}
	if c.root.Forest != "" && c.root.Forest != c.root.Domain {
		list = append(list, c.root.Forest)
	}
	e, err := c.entry(ctx, "read the UPN suffixes", "CN=Partitions,"+c.root.ConfigurationNC, "uPNSuffixes")
	if err != nil {
		return nil, err
	}
	var added []string
	for _, s := range values(e, "uPNSuffixes") {
		s = strings.ToLower(clean(s))
		if s != "" && !slices.Contains(list, s) && !slices.Contains(added, s) {
			added = append(added, s)
		}
	}
	slices.Sort(added)
	return append(list, added...), nil
}

// Direction says who trusts whom, seen from the own domain.
type Direction string

// The directions of a trust (MS-ADTS 6.1.6.7.12).
const (
	DirectionOwn      Direction = "own"      // the domain itself
	DirectionInbound  Direction = "inbound"  // they trust us: their servers take our accounts
	DirectionOutbound Direction = "outbound" // we trust them: our servers take their accounts
	DirectionBoth     Direction = "both"
	DirectionDisabled Direction = "disabled"
)

// Domain is the own domain, or one that it has a trust with.
type Domain struct {
	Name       string // DNS name
	NetBIOS    string
	Direction  Direction
	Transitive bool // the trust covers the domains that the other one trusts, too
	SameForest bool // of the own forest
}

// TheirAccounts reports whether accounts of the domain can sign in to servers of
// the own one.
func (d Domain) TheirAccounts() bool {
	return d.Direction == DirectionOwn || d.Direction == DirectionOutbound || d.Direction == DirectionBoth
}

const (
	trustTypeActiveDirectory = 2 // trustType, MS-ADTS 6.1.6.7.15
	trustNotTransitive       = 0x1
	trustForest              = 0x8
	trustWithinForest        = 0x20
)

// Domains lists the own domain and then those that it has a trust with
// (trustedDomain objects of CN=System), by name. Trusts with Kerberos realms that
// are no Active Directory are left out.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	own := Domain{Name: c.root.Domain, Direction: DirectionOwn, Transitive: true, SameForest: true}
	refs, err := c.search(ctx, "read the domain's NetBIOS name", query{
		base: "CN=Partitions," + c.root.ConfigurationNC, scope: ldap.ScopeSingleLevel, most: 1,
		filter: "(&(objectClass=crossRef)(nCName=" + ldap.EscapeFilter(c.root.DomainNC) + "))", attributes: []string{"nETBIOSName"},
	})
	if err != nil {
		return nil, err
	}
	if len(refs) > 0 {
		own.NetBIOS = clean(value(refs[0], "nETBIOSName"))
	}
	trusts, err := c.search(ctx, "read the trusts", query{
		base: "CN=System," + c.root.DomainNC, scope: ldap.ScopeSingleLevel, filter: "(objectClass=trustedDomain)",
		attributes: []string{"trustPartner", "flatName", "trustDirection", "trustType", "trustAttributes"},
	})
	if err != nil {
		return nil, err
	}
	var list []Domain
	for _, e := range trusts {
		d := Domain{Name: strings.ToLower(clean(value(e, "trustPartner"))), NetBIOS: clean(value(e, "flatName"))}
		if kind, ok := number(e, "trustType"); d.Name == "" || !ok || kind != trustTypeActiveDirectory {
			continue
		}
		way, _ := number(e, "trustDirection")
		d.Direction = [...]Direction{DirectionDisabled, DirectionInbound, DirectionOutbound, DirectionBoth}[way&3]
		flags, _ := number(e, "trustAttributes")
		d.SameForest = flags&trustWithinForest != 0
		d.Transitive = flags&trustNotTransitive == 0 && flags&(trustForest|trustWithinForest) != 0
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return append([]Domain{own}, list...), nil
}

// domainSID reads the SID of a domain as the bytes of its objectSid (MS-DTYP 2.4.2).
func (c *Client) domainSID(ctx context.Context, naming string) ([]byte, error) {
	e, err := c.entry(ctx, "read the domain's SID", naming, "objectSid")
	if err != nil {
		return nil, err
	}
	sid := e.GetEqualFoldRawAttributeValue("objectSid")
	if len(sid) < 8 || len(sid) != 8+4*int(sid[1]) || sid[0] != 1 || sid[1] > 14 {
		return nil, &Error{Op: "read the domain's SID", Server: c.root.Address, Err: errors.New("it is no SID")}
	}
	return sid, nil
}

// relative adds a relative identifier to a domain's SID.
func relative(domain []byte, rid uint32) []byte {
	sid := slices.Clone(domain)
	sid[1]++
	return binary.LittleEndian.AppendUint32(sid, rid)
}
