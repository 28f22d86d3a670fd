package directory

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

const (
	pageSize   = 1000 // Active Directory's MaxPageSize
	pagesMax   = 1000
	entriesMax = 5000 // that one search may bring
	valuesMax  = 1000 // of one attribute
	nameLimit  = 1024 // bytes of a distinguished name that is kept
)

// query is a search of one naming context.
type query struct {
	base, filter string
	scope        int
	attributes   []string
	most         int // entries that are taken; 0 = entriesMax
}

func request(base string, scope int, filter string, attributes ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil)
}

// search collects entries, page by page, up to q.most. References to other servers
// are not followed.
func (c *Client) search(ctx context.Context, op string, q query) ([]*ldap.Entry, error) {
	most := q.most
	if most <= 0 || most > entriesMax {
		most = entriesMax
	}
	var found []*ldap.Entry
	err := c.do(ctx, op, func(l *ldap.Conn) error {
		found = nil // it may be the second try
		paging := ldap.NewControlPaging(uint32(min(most, pageSize)))
		r := request(q.base, q.scope, q.filter, q.attributes...)
		r.Controls = []ldap.Control{paging}
		for range pagesMax {
			c.link.wire.allow()
			result, err := l.Search(r)
			if err != nil {
				return err
			}
			found = append(found, result.Entries...)
			next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
			if !ok || len(next.Cookie) == 0 || len(found) >= most {
				return nil
			}
			paging.SetCookie(next.Cookie)
		}
		return errors.New("the server finds no end of pages")
	})
	if err != nil {
		return nil, err
	}
	return found[:min(len(found), most)], nil
}

// entry reads one entry.
func (c *Client) entry(ctx context.Context, op, name string, attributes ...string) (*ldap.Entry, error) {
	list, err := c.search(ctx, op, query{base: name, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: attributes, most: 1})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &Error{Op: op, Server: c.root.Address, Code: ldap.LDAPResultNoSuchObject}
	}
	return list[0], nil
}

// missing reports whether the entry that was read does not exist.
func missing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == ldap.LDAPResultNoSuchObject
}

func values(e *ldap.Entry, attribute string) []string {
	v := e.GetEqualFoldAttributeValues(attribute)
	return v[:min(len(v), valuesMax)]
}

func value(e *ldap.Entry, attribute string) string { return e.GetEqualFoldAttributeValue(attribute) }

func number(e *ldap.Entry, attribute string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(value(e, attribute)), 10, 64)
	return n, err == nil
}
