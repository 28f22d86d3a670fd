package graph

import (
	"context"
	"errors"
	"slices"

	kiota "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/organization"
)

// SurveyRequest is what Survey looks for.
type SurveyRequest struct {
	Me          bool     // also who is signed in, and which roles that is; not for applications
	Resources   []string // client ids of APIs
	DisplayName string   // applications of this name
	Tags        []string // applications with any of these tags
}

// Survey is the tenant before anything is changed. The errors are those of the
// parts that it can do without.
type Survey struct {
	Organization Organization
	Me           User
	Roles        []DirectoryRole
	Resources    map[string]ServicePrincipal // by client id; the tenant has none of the absent
	SameName     []Application               // of that name or with one of the tags, each once
	Policy       *AppPolicy                  // nil if it cannot be read

	MeErr, RolesErr, PolicyErr error
}

// DirectoryRole is an active administrator's role of an account.
type DirectoryRole struct{ Name, TemplateID string }

// Survey reads all that is to be known before an application is registered, in
// one round trip. It needs Application.Read.All (or Directory.Read.All) and
// User.Read; the policy needs Policy.Read.All.
//
// Sources: learn.microsoft.com/graph/json-batching; for the parts see the
// functions of the same names, and user-list-transitivememberof.
func (c *Client) Survey(ctx context.Context, q SurveyRequest) (Survey, error) {
	s := Survey{Resources: map[string]ServicePrincipal{}}
	var ops []operation
	var done []func(error) error // what comes of the answer to each; an error ends the survey
	add := func(o operation, use func(error) error) { ops, done = append(ops, o), append(done, use) }

	add(operation{
		name: "read organization", fields: organizationFields,
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return organization.NewOrganizationRequestBuilderInternal(c.parameters(), a).ToGetRequestInformation(ctx, nil)
		},
		read: parsed(models.CreateOrganizationCollectionResponseFromDiscriminatorValue, func(m models.OrganizationCollectionResponseable) (err error) {
			s.Organization, err = organizationOf(m)
			return err
		}),
	}, func(err error) error { return err })

	if q.Me {
		add(operation{
			name: "read the signed-in user", fields: userFields, request: c.address(kiota.GET, "/me{?%24select}"),
			read: parsed(models.CreateUserFromDiscriminatorValue, func(m models.Userable) (err error) {
				s.Me, err = user(m)
				return err
			}),
		}, func(err error) error { s.MeErr = err; return nil })
		roles := newListing[roleJSON](c, operation{
			name: "list the signed-in user's roles", fields: []string{"displayName", "roleTemplateId"},
			request: c.address(kiota.GET, "/me/transitiveMemberOf/microsoft.graph.directoryRole{?%24select}"),
		})
		add(roles.operation, func(err error) error {
			if err == nil {
				err = roles.rest(ctx)
			}
			s.Roles, s.RolesErr = roles.items, err
			return nil
		})
	}

	for _, id := range q.Resources {
		var j principalJSON
		add(c.principal(id, &j), func(err error) error {
			if e, ok := errors.AsType[*Error](err); ok && missing(e) {
				return nil
			}
			if err == nil {
				s.Resources[id], _ = j.plain()
			}
			return err
		})
	}

	same := func(o operation) {
		apps := newListing[applicationJSON](c, o)
		add(apps.operation, func(err error) error {
			if err == nil {
				err = apps.rest(ctx)
			}
			for _, a := range apps.items {
				if !slices.ContainsFunc(s.SameName, func(b Application) bool { return a.ObjectID == b.ObjectID }) {
					s.SameName = append(s.SameName, a)
				}
			}
			return err
		})
	}
	if q.DisplayName != "" {
		same(c.applicationsByName(q.DisplayName))
	}
	for _, tag := range q.Tags {
		same(c.applicationsByTag(tag))
	}

	var policy policyJSON
	add(c.policy(&policy), func(err error) error {
		if s.PolicyErr = err; err == nil {
			s.Policy = policy.plain()
		}
		return nil
	})

	ctx = Fresh(ctx, 0) // nothing was written yet: "not there" means it
	for i, err := range c.readAll(ctx, "look at the tenant", ops) {
		if err := done[i](err); err != nil {
			return Survey{}, err
		}
	}
	return s, nil
}

type roleJSON struct {
	Name       text `json:"displayName"`
	TemplateID text `json:"roleTemplateId"`
}

func (j roleJSON) plain() (DirectoryRole, bool) {
	return DirectoryRole{Name: j.Name.clean(256), TemplateID: j.TemplateID.clean(64)}, j.TemplateID != ""
}
