package graph

import (
	"context"
	"errors"
	"net/http"
	"slices"

	kiota "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipalswithappid"
)

// ServicePrincipal is an application's presence in the tenant; the portal calls
// it enterprise application.
//
// Source: learn.microsoft.com/graph/api/resources/serviceprincipal.
type ServicePrincipal struct {
	ObjectID    string
	AppID       string
	DisplayName string
	Enabled     bool
	Roles       []AppRole // what it offers to others; lists leave it out
	Tags        []string
}

// AppRole is a permission that a resource offers.
type AppRole struct {
	ID              string
	Value           string // e.g. "User.Read.All"
	DisplayName     string
	Enabled         bool
	ForApplications bool // may be granted to an application, not only to people
}

const newPrincipal = "the new service principal"

var (
	principalFields     = []string{"id", "appId", "displayName", "accountEnabled", "appRoles", "tags"}
	principalListFields = []string{"id", "appId", "displayName", "accountEnabled", "tags"}
)

// ServicePrincipal reads the service principal of the application with that
// client id. A tenant that has none answers 404 Request_ResourceNotFound.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-get.
func (c *Client) ServicePrincipal(ctx context.Context, appID string) (ServicePrincipal, error) {
	var j principalJSON
	if err := c.ask(ctx, c.principal(appID, &j)); err != nil {
		return ServicePrincipal{}, err
	}
	sp, _ := j.plain()
	return sp, nil
}

func (c *Client) principal(appID string, j *principalJSON) operation {
	return operation{
		name: "read service principal", object: newPrincipal, fields: principalFields, read: into(j),
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return serviceprincipalswithappid.NewServicePrincipalsWithAppIdRequestBuilderInternal(c.parameters(), a, new(quoted(appID))).ToGetRequestInformation(ctx, nil)
		},
	}
}

// ServicePrincipals lists the service principals with that tag.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-list.
func (c *Client) ServicePrincipals(ctx context.Context, tag string) ([]ServicePrincipal, error) {
	return list[principalJSON](ctx, c, operation{
		name: "list service principals", object: newPrincipal, fields: principalListFields, filter: "tags/any(t:t eq '" + quoted(tag) + "')",
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.principals(a).ToGetRequestInformation(ctx, nil)
		},
	})
}

// CreateServicePrincipal gives the application with that client id a service
// principal, or reads the one that it has already.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals.
func (c *Client) CreateServicePrincipal(ctx context.Context, appID string, tags []string) (ServicePrincipal, error) {
	body := struct {
		AppID string   `json:"appId"`
		Tags  []string `json:"tags,omitempty"`
	}{appID, tags}
	var j principalJSON
	err := c.ask(ctx, operation{
		name: "create service principal", object: newApplication, effect: rewrites, read: into(&j),
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			return withBody(kiota.POST, c.principals(a).BaseRequestBuilder, body)
		},
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Err == nil && (e.Status < 300 || taken(e)) {
		sp, second := c.ServicePrincipal(known(ctx), appID)
		if second == nil {
			return sp, nil
		}
		if freshLimit(ctx) > 0 && Replicating(second) { // it exists, and this server does not know it yet
			err = second
		}
	}
	if err != nil {
		return ServicePrincipal{}, err
	}
	sp, _ := j.plain()
	return sp, nil
}

// DeletedServicePrincipals lists the service principals in the tenant's deleted
// items, where they stay for 30 days, also after their application is gone.
//
// Source: learn.microsoft.com/graph/api/directory-deleteditems-list.
func (c *Client) DeletedServicePrincipals(ctx context.Context) ([]ServicePrincipal, error) {
	return list[principalJSON](ctx, c, operation{
		name: "list deleted service principals", object: newPrincipal, fields: principalListFields,
		request: c.address(kiota.GET, "/directory/deletedItems/microsoft.graph.servicePrincipal{?%24select}"),
	})
}

// DeleteServicePrincipal moves a service principal to the deleted items, where it
// may lie already. For an answer of 404 see DeleteApplication.
//
// Source: learn.microsoft.com/graph/api/serviceprincipal-delete.
func (c *Client) DeleteServicePrincipal(ctx context.Context, objectID string) error {
	return c.remove(ctx, operation{
		name: "delete service principal", object: newPrincipal,
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.principals(a).ByServicePrincipalId(objectID).ToDeleteRequestInformation(ctx, nil)
		},
	}, objectID)
}

func (c *Client) principals(a adapter) *serviceprincipals.ServicePrincipalsRequestBuilder {
	return serviceprincipals.NewServicePrincipalsRequestBuilderInternal(c.parameters(), a)
}

type principalJSON struct {
	ID          text   `json:"id"`
	AppID       text   `json:"appId"`
	DisplayName text   `json:"displayName"`
	Enabled     *flag  `json:"accountEnabled"`
	Tags        []text `json:"tags"`
	Roles       []struct {
		ID          text   `json:"id"`
		Value       text   `json:"value"`
		DisplayName text   `json:"displayName"`
		Enabled     flag   `json:"isEnabled"`
		For         []text `json:"allowedMemberTypes"`
	} `json:"appRoles"`
}

func (j *principalJSON) complete() bool { return j.ID != "" && j.AppID != "" }

//nolint:unparam // what a list is made of may be unreadable; these are checked before
func (j principalJSON) plain() (ServicePrincipal, bool) {
	sp := ServicePrincipal{
		ObjectID: j.ID.clean(64), AppID: j.AppID.clean(64), DisplayName: j.DisplayName.clean(256),
		Enabled: j.Enabled == nil || bool(*j.Enabled), // null counts as true
		Tags:    cleanAll(j.Tags),
	}
	for _, r := range j.Roles {
		sp.Roles = append(sp.Roles, AppRole{
			ID: r.ID.clean(64), Value: r.Value.clean(256), DisplayName: r.DisplayName.clean(256), Enabled: bool(r.Enabled),
			ForApplications: slices.Contains(r.For, "Application"),
		})
	}
	return sp, j.complete()
}

// missing reports whether e says that there is no such object.
func missing(e *Error) bool { return e.Status == http.StatusNotFound && replicating(e) }
