package directory

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/transport"
)

// Known is a fact that the directory may not tell.
type Known int

// The values of Known.
const (
	Unknown Known = iota // e.g. the schema has no Exchange attributes
	Yes
	No
)

// Person is a user account.
type Person struct {
	DisplayName string
	// UPN is the user principal name, or, for an account without one (NoUPN), such as
	// the built-in Administrator, sAMAccountName@domain, which Windows takes, too.
	UPN        string
	NoUPN      bool
	SAM        string // sAMAccountName
	DN         string
	Mail       string
	HasMailbox Known // on servers of this organization; a mailbox in Exchange Online is none
	Disabled   bool
	Exchange   bool     // member, also by other groups, of Organization Management
	Groups     []string // names of the administrators' groups that the account is in, also by other groups
}

// Query says which administrators are wanted.
type Query struct {
	Text  string // part of the name, sAMAccountName, UPN or mail address; "" = all
	Limit int    // most people to return; 0 = 200
}

// People is the answer to a Query.
type People struct {
	List []Person
	More bool // there are more than Query.Limit
}

const defaultPeople = 200

// adminGroup is a group whose members may administer Exchange, or may make
// themselves members of one that does.
type adminGroup struct {
	dn       string
	name     string
	rid      int64 // relative identifier, for accounts that have it as primary group; 0 = none
	exchange bool
}

func personAttributes() []string {
	return []string{"displayName", "name", "sAMAccountName", "userPrincipalName", "mail", "userAccountControl", "homeMDB", "msExchMailboxGuid", "msExchRecipientTypeDetails"}
}

// Administrators lists enabled accounts of this domain that may administer
// Exchange: members of Organization Management first; then those of Domain Admins,
// Enterprise Admins and the built-in Administrators, who can make themselves so.
// Members of members count. Groups are found by what they are, not by their names,
// which are translated. Accounts of other domains are found by opening those; there
// Organization Management is known only if it is a group of that domain.
func (c *Client) Administrators(ctx context.Context, q Query) (People, error) {
	if q.Limit <= 0 {
		q.Limit = defaultPeople
	}
	groups, err := c.adminGroups(ctx)
	if err != nil {
		return People{}, err
	}
	schema, err := c.readSchema(ctx)
	if err != nil {
		return People{}, err
	}
	byDN := map[string]*Person{}
	for _, g := range groups {
		entries, err := c.search(ctx, "list the members of "+g.name, query{
			base: c.root.DomainNC, scope: ldap.ScopeWholeSubtree, attributes: personAttributes(),
			filter: "(&(objectCategory=person)(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2))" + g.members() + textFilter(q.Text) + ")",
		})
		if err != nil {
			return People{}, err
		}
		for _, e := range entries {
			p := byDN[strings.ToLower(e.DN)]
			if p == nil {
				made, ok := c.person(e, schema)
				if !ok {
					continue
				}
				p = &made
				byDN[strings.ToLower(e.DN)] = p
			}
			p.Exchange = p.Exchange || g.exchange
			p.Groups = append(p.Groups, g.name)
		}
	}
	list := make([]Person, 0, len(byDN))
	for _, p := range byDN {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b Person) int {
		if a.Exchange != b.Exchange {
			if a.Exchange {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(strings.ToLower(a.DisplayName), strings.ToLower(b.DisplayName)), strings.Compare(a.DN, b.DN))
	})
	n := min(len(list), q.Limit)
	return People{List: list[:n], More: len(list) > n}, nil
}

// members is the filter for accounts in the group or in one of its groups, however
// deep (LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS 3.1.1.3.4.4.3).
func (g adminGroup) members() string {
	chain := "(memberOf:1.2.840.113556.1.4.1941:=" + ldap.EscapeFilter(g.dn) + ")"
	if g.rid == 0 {
		return chain
	}
	return "(|" + chain + "(primaryGroupID=" + strconv.FormatInt(g.rid, 10) + "))"
}

func textFilter(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if len(text) > 256 {
		text = text[:256]
	}
	part := "=*" + ldap.EscapeFilter(text) + "*)"
	return "(|(displayName" + part + "(name" + part + "(sAMAccountName" + part + "(userPrincipalName" + part + "(mail" + part + ")"
}

// Find reads one account by its UPN, by sAMAccountName@domain, by DOMAIN\user or by
// sAMAccountName alone. Its Groups are those that Administrators looks at. The
// error is a *NotFoundError when the domain has no such account.
func (c *Client) Find(ctx context.Context, name string) (Person, error) {
	schema, err := c.readSchema(ctx)
	if err != nil {
		return Person{}, err
	}
	name = strings.TrimSpace(name)
	var tries []string
	if _, sam, ok := strings.Cut(name, `\`); ok {
		tries = append(tries, "(sAMAccountName="+ldap.EscapeFilter(sam)+")")
	} else if i := strings.LastIndexByte(name, '@'); i >= 0 {
		tries = append(tries, "(userPrincipalName="+ldap.EscapeFilter(name)+")")
		if strings.EqualFold(name[i+1:], c.root.Domain) {
			tries = append(tries, "(sAMAccountName="+ldap.EscapeFilter(name[:i])+")")
		}
	} else {
		tries = append(tries, "(sAMAccountName="+ldap.EscapeFilter(name)+")")
	}
	for _, filter := range tries {
		entries, err := c.search(ctx, "find the account", query{
			base: c.root.DomainNC, scope: ldap.ScopeWholeSubtree, attributes: personAttributes(), most: 1,
			filter: "(&(objectCategory=person)(objectClass=user)" + filter + ")",
		})
		if err != nil {
			return Person{}, err
		}
		if len(entries) == 0 {
			continue
		}
		p, ok := c.person(entries[0], schema)
		if !ok {
			break
		}
		return p, c.memberships(ctx, entries[0].DN, &p)
	}
	return Person{}, &NotFoundError{Name: name, Domain: c.root.Domain}
}

func (c *Client) memberships(ctx context.Context, dn string, p *Person) error {
	groups, err := c.adminGroups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		in, err := c.search(ctx, "look into "+g.name, query{base: dn, scope: ldap.ScopeBaseObject, filter: g.members(), attributes: []string{"1.1"}, most: 1})
		if err != nil {
			return err
		}
		if len(in) > 0 {
			p.Exchange = p.Exchange || g.exchange
			p.Groups = append(p.Groups, g.name)
		}
	}
	return nil
}

// person makes a Person of an entry; false for one without a name to sign in with.
func (c *Client) person(e *ldap.Entry, schema Known) (Person, bool) {
	p := Person{
		DisplayName: clean(value(e, "displayName")), UPN: clean(value(e, "userPrincipalName")), SAM: clean(value(e, "sAMAccountName")),
		Mail: clean(value(e, "mail")), DN: transport.CleanText(e.DN, nameLimit), HasMailbox: hasMailbox(e, schema),
	}
	if flags, ok := number(e, "userAccountControl"); ok {
		p.Disabled = flags&2 != 0 // ADS_UF_ACCOUNTDISABLE
	}
	if p.UPN == "" && p.SAM != "" {
		p.UPN, p.NoUPN = p.SAM+"@"+c.root.Domain, true
	}
	p.DisplayName = cmp.Or(p.DisplayName, clean(value(e, "name")), p.SAM)
	return p, p.UPN != ""
}

// remoteMailboxes are the bits of msExchRecipientTypeDetails for mailboxes in
// Exchange Online: user, room, equipment, shared (known; Microsoft lists the values
// in the reference of Get-Recipient only by name).
const remoteMailboxes = 1<<31 | 1<<33 | 1<<34 | 1<<35

func hasMailbox(e *ldap.Entry, schema Known) Known {
	if schema != Yes {
		return Unknown
	}
	kind, _ := number(e, "msExchRecipientTypeDetails")
	switch {
	case value(e, "homeMDB") != "":
		return Yes
	case len(e.GetEqualFoldRawAttributeValue("msExchMailboxGuid")) > 0 && kind&remoteMailboxes == 0:
		return Yes
	}
	return No
}
