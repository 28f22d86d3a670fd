package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	kiota "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/applicationswithuniquename"

	"github.com/c2conn/c2conn/connections"
)

// NewApplication is what an application is made with. It always belongs to its
// own tenant alone (signInAudience AzureADMyOrg).
type NewApplication struct {
	DisplayName, Description, Notes string
	Tags                            []string
	Required                        []ResourceAccess
	Keys                            []Key
}

// ErrUnread means that an application exists which cannot be read: as a rule the
// server asked does not know it yet.
var ErrUnread = errors.New("the application exists but cannot be read")

// UpsertApplication makes the application of that unique name, or changes it to
// be like a where it exists. It may be repeated, and is where its answer is lost:
// then created is false for an application that the first try made. A service
// that does not offer it answers 404 or 400.
//
// Source: learn.microsoft.com/graph/api/application-upsert. Only the documented
// "Prefer: create-if-missing" is sent; where Graph answers 204 the application is
// read; for how long, Fresh says. Errors: ErrUnread.
func (c *Client) UpsertApplication(ctx context.Context, uniqueName string, a NewApplication) (app Application, created bool, err error) {
	body, err := a.body()
	if err != nil {
		return Application{}, false, err
	}
	var j applicationJSON
	answered := 0
	err = c.ask(Fresh(ctx, 0), operation{
		name: "create application", effect: rewrites,
		request: func(ctx context.Context, ad adapter) (*kiota.RequestInformation, error) {
			at := applicationswithuniquename.NewApplicationsWithUniqueNameRequestBuilderInternal(c.parameters(), ad, new(quoted(uniqueName)))
			info, err := withBody(kiota.PATCH, at.BaseRequestBuilder, body)
			if err == nil {
				info.Headers.Add("Prefer", "create-if-missing")
			}
			return info, err
		},
		read: func(status int, body []byte) error {
			answered = status
			return into(&j)(status, body)
		},
	})
	if err == nil {
		app, _ = j.plain()
		return app, answered == http.StatusCreated, nil
	}
	e, ok := errors.AsType[*Error](err)
	// 2xx without a description, or another try of this call made it meanwhile.
	if !ok || e.Err != nil || e.Status > 299 && !taken(e) {
		return Application{}, false, err
	}
	app, second := c.ApplicationByUniqueName(known(ctx), uniqueName)
	switch {
	case second == nil:
		return app, answered == http.StatusCreated, nil
	case e.Status < 300 || Replicating(second):
		return Application{}, false, fmt.Errorf("%w: %w", ErrUnread, second)
	}
	return Application{}, false, err
}

// CreateApplication makes an application. A lost answer is not asked for again:
// see ErrOutcomeUnknown.
//
// Source: learn.microsoft.com/graph/api/application-post-applications.
func (c *Client) CreateApplication(ctx context.Context, a NewApplication) (Application, error) {
	body, err := a.body()
	if err != nil {
		return Application{}, err
	}
	var j applicationJSON
	err = c.ask(Fresh(ctx, 0), operation{
		name: "create application", effect: creates, read: into(&j),
		request: func(_ context.Context, ad adapter) (*kiota.RequestInformation, error) {
			return withBody(kiota.POST, c.applications(ad).BaseRequestBuilder, body)
		},
	})
	if err != nil {
		return Application{}, err
	}
	app, _ := j.plain()
	return app, nil
}

// SetKeys replaces all certificates of an application: those that are to stay
// must be among keys, as Application gave them.
//
// Source: learn.microsoft.com/graph/api/application-update; facts of the
// collection: application-addkey.
func (c *Client) SetKeys(ctx context.Context, objectID string, keys []Key) error {
	list, err := keyBodies(keys)
	if err != nil {
		return err
	}
	return c.patch(ctx, "set the certificates of an application", objectID, map[string]any{"keyCredentials": list})
}

// SetRequired replaces what an application asks for.
func (c *Client) SetRequired(ctx context.Context, objectID string, required []ResourceAccess) error {
	return c.patch(ctx, "set the permissions that an application asks for", objectID, map[string]any{"requiredResourceAccess": requiredBodies(required)})
}

func (c *Client) patch(ctx context.Context, name, objectID string, body any) error {
	return c.ask(ctx, operation{
		name: name, object: newApplication, effect: rewrites,
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			return withBody(kiota.PATCH, c.applications(a).ByApplicationId(objectID).BaseRequestBuilder, body)
		},
	})
}

// AddPassword makes a client secret. It is shown this once; a lost answer is not
// asked for again: see ErrOutcomeUnknown.
//
// Source: learn.microsoft.com/graph/api/application-addpassword.
func (c *Client) AddPassword(ctx context.Context, objectID, name string, end time.Time) (Password, connections.Secret, error) {
	type credential struct {
		DisplayName string    `json:"displayName"`
		End         time.Time `json:"endDateTime,omitzero"`
	}
	body := map[string]any{"passwordCredential": credential{name, end.UTC()}}
	var j struct {
		passwordJSON
		secretJSON
	}
	err := c.ask(ctx, operation{
		name: "add a client secret", object: newApplication, effect: creates, read: into(&j),
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			return withBody(kiota.POST, c.applications(a).ByApplicationId(objectID).AddPassword().BaseRequestBuilder, body)
		},
	})
	if err != nil {
		return Password{}, connections.Secret{}, err
	}
	return j.plain(), connections.NewSecret(j.Secret), nil
}

type secretJSON struct {
	Secret string `json:"secretText"`
}

func (j *secretJSON) complete() bool { return j.Secret != "" }

// RemovePassword takes a client secret away; that it is gone already is no error.
//
// Source: learn.microsoft.com/graph/api/application-removepassword.
func (c *Client) RemovePassword(ctx context.Context, objectID, id string) error {
	err := c.ask(ctx, operation{
		name: "remove a client secret", object: newApplication, effect: rewrites,
		request: func(_ context.Context, a adapter) (*kiota.RequestInformation, error) {
			at := c.applications(a).ByApplicationId(objectID).RemovePassword().BaseRequestBuilder
			return withBody(kiota.POST, at, map[string]string{"keyId": id})
		},
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Says("no password credential found") {
		return nil
	}
	return err
}

// DeleteApplication moves an application, and with it its service principal, to
// the deleted items, where it may lie already. An answer of 404 means that the
// server asked knows it in neither place, which of something new proves nothing.
//
// Source: learn.microsoft.com/graph/api/application-delete.
func (c *Client) DeleteApplication(ctx context.Context, objectID string) error {
	return c.remove(ctx, operation{
		name: "delete application", object: newApplication,
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.applications(a).ByApplicationId(objectID).ToDeleteRequestInformation(ctx, nil)
		},
	}, objectID)
}

// PurgeDeleted removes an application or service principal from the deleted
// items for good. An answer of 404 means that the server asked does not know it
// there: not yet, or not any more.
//
// Source: learn.microsoft.com/graph/api/directory-deleteditems-delete.
func (c *Client) PurgeDeleted(ctx context.Context, objectID string) error {
	return c.remove(ctx, operation{
		name: "purge from the deleted items", object: "the deletion",
		request: c.address(kiota.DELETE, "/directory/deletedItems/{id}", "id", objectID),
	}, "")
}

// delete runs o, for which "not found" means done.
func (c *Client) delete(ctx context.Context, o operation) error {
	err := c.remove(ctx, o, "")
	if e, ok := errors.AsType[*Error](err); ok && missing(e) {
		return nil
	}
	return err
}

// remove runs o. "Not found" is an error, unless softID, which o puts there, is
// seen among the deleted items.
func (c *Client) remove(ctx context.Context, o operation, softID string) error {
	o.effect = rewrites
	p := c.patience(ctx)
	for {
		err := c.once(ctx, o)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return err
		}
		if softID != "" && missing(e) {
			look := operation{name: o.name, request: c.address(kiota.GET, "/directory/deletedItems/{id}{?%24select}", "id", softID), fields: []string{"id"}}
			if c.once(ctx, look) == nil {
				return nil
			}
		}
		if !p.wait(ctx, o.object, e) {
			return err
		}
	}
}

// taken reports whether e says that an object of that name or id exists.
func taken(e *Error) bool {
	return (e.Status == http.StatusConflict || e.Status == http.StatusBadRequest) &&
		e.Says("MultipleObjectsWithSameKeyValue", "ObjectConflict", "already in use", "already exists", "same value for property")
}

// applicationBody is what an application is made of. Own types: the SDK's models
// of applications would make the program 6 MB larger.
type applicationBody struct {
	DisplayName    string         `json:"displayName"`
	SignInAudience string         `json:"signInAudience"`
	Description    string         `json:"description,omitempty"`
	Notes          string         `json:"notes,omitempty"`
	Tags           []string       `json:"tags,omitempty"`
	Required       []requiredBody `json:"requiredResourceAccess,omitempty"`
	Keys           []keyBody      `json:"keyCredentials,omitempty"`
}

type requiredBody struct {
	ResourceAppID string       `json:"resourceAppId"`
	Access        []accessBody `json:"resourceAccess"`
}

type accessBody struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type keyBody struct {
	ID          string    `json:"keyId,omitempty"`
	Identifier  string    `json:"customKeyIdentifier,omitempty"`
	DisplayName string    `json:"displayName,omitempty"`
	Type        string    `json:"type"`
	Usage       string    `json:"usage"`
	Start       time.Time `json:"startDateTime,omitzero"`
	End         time.Time `json:"endDateTime,omitzero"`
	Key         []byte    `json:"key"`
}

func (a NewApplication) body() (applicationBody, error) {
	keys, err := keyBodies(a.Keys)
	return applicationBody{a.DisplayName, "AzureADMyOrg", a.Description, a.Notes, a.Tags, requiredBodies(a.Required), keys}, err
}

func requiredBodies(required []ResourceAccess) []requiredBody {
	list := make([]requiredBody, len(required))
	for i, r := range required {
		list[i] = requiredBody{ResourceAppID: r.ResourceAppID, Access: []accessBody{}}
		for _, id := range r.Roles {
			list[i].Access = append(list[i].Access, accessBody{id, "Role"})
		}
		for _, id := range r.Scopes {
			list[i].Access = append(list[i].Access, accessBody{id, "Scope"})
		}
	}
	return list
}

func keyBodies(keys []Key) ([]keyBody, error) {
	list := make([]keyBody, len(keys))
	for i, k := range keys {
		if len(k.Public) == 0 {
			return nil, errors.New("a certificate without its public part would be wiped: read the application by itself first")
		}
		list[i] = keyBody{
			ID: k.ID, Identifier: k.identifier, DisplayName: k.DisplayName, Type: cmp.Or(k.Type, "AsymmetricX509Cert"), Usage: cmp.Or(k.Usage, "Verify"),
			Start: k.Start.UTC(), End: k.End.UTC(), Key: k.Public,
		}
	}
	return list, nil
}
