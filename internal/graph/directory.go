package graph

import (
	"context"
	"errors"
	"net/http"
	"strings"

	khttp "github.com/microsoft/kiota-http-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/organization"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"github.com/c2conn/c2conn/internal/transport"
)

// Organization is the tenant.
type Organization struct {
	ID            string
	DisplayName   string
	DefaultDomain string
	InitialDomain string   // e.g. contoso.onmicrosoft.com
	Domains       []string // all verified ones
}

// User is an account of the tenant.
type User struct {
	ID          string
	UPN         string
	Mail        string // primary address, empty for accounts without mailbox
	DisplayName string
	Addresses   []string // UPN, Mail and all proxy addresses, each once in any case; Survey leaves them out
}

var (
	organizationFields = []string{"id", "displayName", "verifiedDomains"}
	userFields         = []string{"id", "userPrincipalName", "mail", "displayName"}
	accountFields      = []string{"id", "userPrincipalName", "mail", "displayName", "proxyAddresses"}
)

// mostAddresses is how many addresses of an account are kept; Exchange allows 400.
const mostAddresses = 500

// Organization reads the tenant's name and domains. It needs
// Organization.Read.All or Directory.Read.All.
//
// Source: learn.microsoft.com/graph/api/organization-get.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	const op = "read organization"
	return call(ctx, c, op, func(ctx context.Context, a *khttp.NetHttpRequestAdapter) (Organization, error) {
		list, err := organization.NewOrganizationRequestBuilderInternal(c.parameters(), a).Get(ctx,
			&organization.OrganizationRequestBuilderGetRequestConfiguration{
				QueryParameters: &organization.OrganizationRequestBuilderGetQueryParameters{Select: organizationFields},
			})
		if err != nil {
			return Organization{}, err
		}
		return organizationOf(list)
	})
}

func organizationOf(list models.OrganizationCollectionResponseable) (Organization, error) {
	if list == nil || len(list.GetValue()) == 0 || str(list.GetValue()[0].GetId()) == "" {
		return Organization{}, errUnreadable
	}
	org := list.GetValue()[0] // a tenant has exactly one
	o := Organization{ID: str(org.GetId()), DisplayName: str(org.GetDisplayName())}
	for _, d := range org.GetVerifiedDomains() {
		name := str(d.GetName())
		if name == "" {
			continue
		}
		o.Domains = append(o.Domains, name)
		if yes(d.GetIsDefault()) {
			o.DefaultDomain = name
		}
		if yes(d.GetIsInitial()) {
			o.InitialDomain = name
		}
	}
	return o, nil
}

// User finds an account by user principal name or, if there is none of that
// name, by mail address. It needs User.Read.All or Directory.Read.All.
//
// Source: learn.microsoft.com/graph/api/user-get and user-list.
func (c *Client) User(ctx context.Context, upnOrMail string) (User, error) {
	op := "read user " + transport.CleanText(upnOrMail, 120)
	u, err := call(ctx, c, op, func(ctx context.Context, a *khttp.NetHttpRequestAdapter) (User, error) {
		m, err := users.NewUsersRequestBuilderInternal(c.parameters(), a).ByUserId(upnOrMail).Get(ctx,
			&users.UserItemRequestBuilderGetRequestConfiguration{QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: accountFields}})
		if err != nil {
			return User{}, err
		}
		return account(m)
	})
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusNotFound || !strings.Contains(upnOrMail, "@") {
		return u, err
	}
	filter := "mail eq '" + strings.ReplaceAll(upnOrMail, "'", "''") + "'"
	found, second := call(ctx, c, op, func(ctx context.Context, a *khttp.NetHttpRequestAdapter) ([]models.Userable, error) {
		list, err := users.NewUsersRequestBuilderInternal(c.parameters(), a).Get(ctx,
			&users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &users.UsersRequestBuilderGetQueryParameters{
				Filter: &filter, Select: accountFields, Top: new(int32(2)),
			}})
		if err != nil || list == nil {
			return nil, err
		}
		return list.GetValue(), nil
	})
	if second != nil || len(found) != 1 {
		return User{}, err // the first answer is the plain one: no such user
	}
	u, second = account(found[0])
	if second != nil || strings.EqualFold(u.UPN, upnOrMail) {
		return User{}, err // the directory contradicts itself: the account is just being made or removed
	}
	return u, nil
}

func user(m models.Userable) (User, error) {
	if m == nil || str(m.GetId()) == "" {
		return User{}, errUnreadable
	}
	return User{ID: str(m.GetId()), UPN: str(m.GetUserPrincipalName()), Mail: str(m.GetMail()), DisplayName: str(m.GetDisplayName())}, nil
}

// account is user with its addresses.
func account(m models.Userable) (User, error) {
	u, err := user(m)
	if err == nil {
		u.Addresses = addresses(append([]string{u.UPN, u.Mail}, m.GetProxyAddresses()...))
	}
	return u, err
}

// addresses are the e-mail addresses of list, which may stand there as a
// directory keeps them: "SMTP:" before the primary one, "smtp:" before the
// others, and further kinds that are none.
//
// Source: learn.microsoft.com/graph/api/resources/user, "proxyAddresses".
func addresses(list []string) []string {
	var found []string
	been := map[string]bool{}
	for _, a := range list[:min(len(list), mostAddresses)] {
		if kind, rest, typed := strings.Cut(a, ":"); typed {
			if !strings.EqualFold(kind, "smtp") {
				continue
			}
			a = rest
		}
		a = transport.CleanText(a, 320)
		if key := strings.ToLower(a); a != "" && !been[key] {
			been[key] = true
			found = append(found, a)
		}
	}
	return found
}

// Groups asks for one group, to prove that groups may be read. It needs
// Group.Read.All or Directory.Read.All.
//
// Source: learn.microsoft.com/graph/api/group-list.
func (c *Client) Groups(ctx context.Context) error {
	_, err := call(ctx, c, "read groups", func(ctx context.Context, a *khttp.NetHttpRequestAdapter) (struct{}, error) {
		list, err := groups.NewGroupsRequestBuilderInternal(c.parameters(), a).Get(ctx,
			&groups.GroupsRequestBuilderGetRequestConfiguration{QueryParameters: &groups.GroupsRequestBuilderGetQueryParameters{
				Select: []string{"id"}, Top: new(int32(1)),
			}})
		if err == nil && (list == nil || list.GetValue() == nil) {
			err = errUnreadable
		}
		return struct{}{}, err
	})
	return err
}

// MailboxPurpose reads what the mailbox of user (id or user principal name) is
// for: user, linked, shared, room, equipment, others. It needs
// MailboxSettings.Read or MailboxSettings.ReadWrite, and a mailbox.
//
// Source: learn.microsoft.com/graph/api/user-get-mailboxsettings.
func (c *Client) MailboxPurpose(ctx context.Context, user string) (string, error) {
	return call(ctx, c, "read mailbox settings", func(ctx context.Context, a *khttp.NetHttpRequestAdapter) (string, error) {
		m, err := users.NewUsersRequestBuilderInternal(c.parameters(), a).ByUserId(user).MailboxSettings().Get(ctx,
			&users.ItemMailboxSettingsRequestBuilderGetRequestConfiguration{
				QueryParameters: &users.ItemMailboxSettingsRequestBuilderGetQueryParameters{Select: []string{"userPurpose"}},
			})
		if err != nil {
			return "", err
		}
		if m == nil {
			return "", errUnreadable
		}
		if p := m.GetUserPurpose(); p != nil {
			return p.String(), nil
		}
		return "", nil // a purpose that this version of Graph does not know
	})
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return transport.CleanText(*s, 500)
}

func yes(b *bool) bool { return b != nil && *b }
