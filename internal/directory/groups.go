package directory

import (
	"context"
	"errors"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// wellKnownOrganizationManagement is the GUID under which otherWellKnownObjects of
// Exchange's container names the group, whatever it is called and wherever it was
// moved. Source: microsoft/CSS-Exchange, Get-ExchangeOtherWellKnownObjects.ps1.
const wellKnownOrganizationManagement = "C262A929D691B74A9E068728F8F842EA"

// The relative identifiers of MS-DTYP 2.4.2.4.
const (
	ridDomainAdmins     = 512
	ridEnterpriseAdmins = 519
)

// adminGroups finds the groups once; they do not change while a wizard is open.
func (c *Client) adminGroups(ctx context.Context) ([]adminGroup, error) {
	c.facts.Lock()
	groups := c.groups
	c.facts.Unlock()
	if groups != nil {
		return groups, nil
	}
	exchange, err := c.organizationManagement(ctx)
	if err != nil {
		return nil, err
	}
	groups = append(groups, exchange...)
	domain, err := c.domainSID(ctx, c.root.DomainNC)
	if err != nil {
		return nil, err
	}
	// Enterprise Admins are a group of the forest's first domain only: elsewhere the
	// identifier is nobody's.
	builtin := []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0} // S-1-5-32-544
	wanted := []struct {
		sid []byte
		rid int64
	}{{relative(domain, ridDomainAdmins), ridDomainAdmins}, {relative(domain, ridEnterpriseAdmins), ridEnterpriseAdmins}, {builtin, 0}}
	for _, w := range wanted {
		found, err := c.groupsBy(ctx, "(objectSid="+escapeBytes(w.sid)+")")
		if err != nil {
			return nil, err
		}
		for _, g := range found {
			g.rid = w.rid
			groups = append(groups, g)
		}
	}
	if groups == nil {
		groups = []adminGroup{}
	}
	c.facts.Lock()
	defer c.facts.Unlock()
	c.groups = groups
	return groups, nil
}

// organizationManagement finds Exchange's group by its well-known GUID, or else by
// its name; none where there is no Exchange.
func (c *Client) organizationManagement(ctx context.Context) ([]adminGroup, error) {
	e, err := c.entry(ctx, "look for Exchange", "CN=Microsoft Exchange,CN=Services,"+c.root.ConfigurationNC, "otherWellKnownObjects")
	if err != nil && !missing(err) {
		return nil, err
	}
	if err == nil {
		for _, v := range values(e, "otherWellKnownObjects") {
			// "B:32:GUID:distinguished name" (MS-ADTS 3.1.1.2.2.2.3)
			dn, ok := strings.CutPrefix(v, "B:32:"+wellKnownOrganizationManagement+":")
			if !ok || strings.Contains(dn, `\0ADEL:`) { // deleted
				continue
			}
			g, err := c.entry(ctx, "look for Exchange's administrators", dn, "name")
			var other *Error
			switch {
			case err == nil:
				return []adminGroup{{dn: g.DN, name: groupName(g), exchange: true}}, nil
			case missing(err), errors.As(err, &other) && other.Code == ldap.LDAPResultReferral:
				// In another domain of the forest, which knows its members.
				return []adminGroup{{dn: dn, name: "Organization Management", exchange: true}}, nil
			}
			return nil, err
		}
	}
	groups, err := c.groupsBy(ctx, "(cn=Organization Management)")
	for i := range groups {
		groups[i].exchange = true
	}
	return groups, err
}

func (c *Client) groupsBy(ctx context.Context, filter string) ([]adminGroup, error) {
	entries, err := c.search(ctx, "look for the administrators' groups", query{
		base: c.root.DomainNC, scope: ldap.ScopeWholeSubtree, filter: "(&(objectCategory=group)" + filter + ")", attributes: []string{"name"}, most: 1,
	})
	var groups []adminGroup
	for _, e := range entries {
		groups = append(groups, adminGroup{dn: e.DN, name: groupName(e)})
	}
	return groups, err
}

func groupName(e *ldap.Entry) string {
	if name := clean(value(e, "name")); name != "" {
		return name
	}
	return clean(e.DN)
}

// readSchema finds out once whether the schema has Exchange's attributes: Yes or No.
func (c *Client) readSchema(ctx context.Context) (Known, error) {
	c.facts.Lock()
	has := c.schema
	c.facts.Unlock()
	if has != Unknown {
		return has, nil
	}
	found, err := c.search(ctx, "look for Exchange's schema", query{
		base: c.root.SchemaNC, scope: ldap.ScopeSingleLevel, filter: "(lDAPDisplayName=msExchMailboxGuid)", attributes: []string{"lDAPDisplayName"}, most: 1,
	})
	if err != nil {
		return Unknown, err
	}
	has = No
	if len(found) > 0 {
		has = Yes
	}
	c.facts.Lock()
	defer c.facts.Unlock()
	c.schema = has
	return has, nil
}

// escapeBytes writes a binary value for a filter (RFC 4515, section 3).
func escapeBytes(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 3*len(b))
	for _, x := range b {
		out = append(out, '\\', digits[x>>4], digits[x&15])
	}
	return string(out)
}
