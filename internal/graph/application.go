package graph

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	kiota "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"
	"github.com/microsoftgraph/msgraph-sdk-go/applicationswithappid"
	"github.com/microsoftgraph/msgraph-sdk-go/applicationswithuniquename"
)

// Application is an app registration.
//
// Source: learn.microsoft.com/graph/api/resources/application.
type Application struct {
	ObjectID            string
	AppID               string // the client id
	DisplayName         string
	UniqueName          string
	Description         string
	Notes               string
	SignInAudience      string
	CreatedByAppID      string // of the program it was made with
	Created             time.Time
	Deleted             time.Time // zero unless it lies in the deleted items
	Tags                []string
	Keys                []Key
	Secrets             []Password
	Required            []ResourceAccess
	Disabled            bool
	DisabledByMicrosoft string // why, empty if not
}

// Key is a certificate with which an application may sign in.
type Key struct {
	ID          string
	Thumbprint  string // upper-case hex: SHA-1, or what the directory keeps in its place
	DisplayName string
	Type        string // "AsymmetricX509Cert"
	Usage       string // "Verify"
	Start, End  time.Time
	Public      []byte // DER; lists leave it out

	identifier string // customKeyIdentifier as it came, to be sent back unchanged
}

// Password is a client secret, without the secret.
type Password struct {
	ID          string
	DisplayName string
	Hint        string // its first characters
	Start, End  time.Time
}

// ResourceAccess is what an application asks for of one API, by ids.
type ResourceAccess struct {
	ResourceAppID string
	Roles         []string // application permissions
	Scopes        []string // delegated permissions
}

// Owner is someone who may change an application.
type Owner struct{ ID, Name, UPN string }

var applicationFields = []string{
	"id", "appId", "displayName", "uniqueName", "description", "notes", "signInAudience", "createdByAppId", "createdDateTime",
	"tags", "keyCredentials", "passwordCredentials", "requiredResourceAccess", "isDisabled", "disabledByMicrosoftStatus",
}

const newApplication = "the new application"

// Application reads the application with that object id.
//
// Source: learn.microsoft.com/graph/api/application-get.
func (c *Client) Application(ctx context.Context, objectID string) (Application, error) {
	return c.application(ctx, func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
		return c.applications(a).ByApplicationId(objectID).ToGetRequestInformation(ctx, nil)
	})
}

// ApplicationByAppID reads the application with that client id.
func (c *Client) ApplicationByAppID(ctx context.Context, appID string) (Application, error) {
	return c.application(ctx, func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
		return applicationswithappid.NewApplicationsWithAppIdRequestBuilderInternal(c.parameters(), a, new(quoted(appID))).ToGetRequestInformation(ctx, nil)
	})
}

// ApplicationByUniqueName reads the application that UpsertApplication made
// under that name.
func (c *Client) ApplicationByUniqueName(ctx context.Context, uniqueName string) (Application, error) {
	return c.application(ctx, func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
		return applicationswithuniquename.NewApplicationsWithUniqueNameRequestBuilderInternal(c.parameters(), a, new(quoted(uniqueName))).ToGetRequestInformation(ctx, nil)
	})
}

func (c *Client) application(ctx context.Context, request func(context.Context, adapter) (*kiota.RequestInformation, error)) (Application, error) {
	var j applicationJSON
	err := c.ask(ctx, operation{name: "read application", object: newApplication, fields: applicationFields, request: request, read: into(&j)})
	if err != nil {
		return Application{}, err
	}
	app, _ := j.plain()
	return app, nil
}

// ApplicationsByName lists the applications of exactly that display name, of
// which there may be several.
//
// Source: learn.microsoft.com/graph/api/application-list.
func (c *Client) ApplicationsByName(ctx context.Context, name string) ([]Application, error) {
	return list[applicationJSON](ctx, c, c.applicationsByName(name))
}

// ApplicationsByTag lists the applications with that tag.
func (c *Client) ApplicationsByTag(ctx context.Context, tag string) ([]Application, error) {
	return list[applicationJSON](ctx, c, c.applicationsByTag(tag))
}

func (c *Client) applicationsByName(name string) operation {
	return c.findApplications("displayName eq '" + quoted(name) + "'")
}

func (c *Client) applicationsByTag(tag string) operation {
	return c.findApplications("tags/any(t:t eq '" + quoted(tag) + "')")
}

func (c *Client) findApplications(filter string) operation {
	return operation{
		name: "list applications", object: newApplication, fields: applicationFields, filter: filter,
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.applications(a).ToGetRequestInformation(ctx, nil)
		},
	}
}

// DeletedApplications lists the applications in the tenant's deleted items,
// where they stay for 30 days.
//
// Source: learn.microsoft.com/graph/api/directory-deleteditems-list.
func (c *Client) DeletedApplications(ctx context.Context) ([]Application, error) {
	return list[applicationJSON](ctx, c, operation{
		name: "list deleted applications", object: newApplication,
		fields:  []string{"id", "appId", "displayName", "uniqueName", "tags", "createdDateTime", "deletedDateTime"},
		request: c.address(kiota.GET, "/directory/deletedItems/microsoft.graph.application{?%24select}"),
	})
}

// Owners lists who owns an application. Applications have none unless someone
// without an administrator's role made them, or they were added.
//
// Source: learn.microsoft.com/graph/api/application-list-owners.
func (c *Client) Owners(ctx context.Context, objectID string) ([]Owner, error) {
	return list[ownerJSON](ctx, c, operation{
		name: "list the owners of an application", object: newApplication, fields: []string{"id", "displayName", "userPrincipalName"},
		request: func(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
			return c.applications(a).ByApplicationId(objectID).Owners().ToGetRequestInformation(ctx, nil)
		},
	})
}

func (c *Client) applications(a adapter) *applications.ApplicationsRequestBuilder {
	return applications.NewApplicationsRequestBuilderInternal(c.parameters(), a)
}

type ownerJSON struct {
	ID   text `json:"id"`
	Name text `json:"displayName"`
	UPN  text `json:"userPrincipalName"`
}

func (j ownerJSON) plain() (Owner, bool) {
	return Owner{ID: j.ID.clean(64), Name: j.Name.clean(256), UPN: j.UPN.clean(256)}, j.ID != ""
}

type applicationJSON struct {
	ID             text           `json:"id"`
	AppID          text           `json:"appId"`
	DisplayName    text           `json:"displayName"`
	UniqueName     text           `json:"uniqueName"`
	Description    text           `json:"description"`
	Notes          text           `json:"notes"`
	SignInAudience text           `json:"signInAudience"`
	CreatedByAppID text           `json:"createdByAppId"`
	Created        stamp          `json:"createdDateTime"`
	Deleted        stamp          `json:"deletedDateTime"`
	Tags           []text         `json:"tags"`
	Keys           []keyJSON      `json:"keyCredentials"`
	Secrets        []passwordJSON `json:"passwordCredentials"`
	Required       []struct {
		ResourceAppID text `json:"resourceAppId"`
		Access        []struct {
			ID   text `json:"id"`
			Type text `json:"type"`
		} `json:"resourceAccess"`
	} `json:"requiredResourceAccess"`
	Disabled            flag `json:"isDisabled"`
	DisabledByMicrosoft text `json:"disabledByMicrosoftStatus"`
}

func (j *applicationJSON) complete() bool { return j.ID != "" && j.AppID != "" }

//nolint:unparam // what a list is made of may be unreadable; these are checked before
func (j applicationJSON) plain() (Application, bool) {
	a := Application{
		ObjectID: j.ID.clean(64), AppID: j.AppID.clean(64), DisplayName: j.DisplayName.clean(256), UniqueName: j.UniqueName.clean(256),
		Description: j.Description.clean(1024), Notes: j.Notes.clean(1024), SignInAudience: j.SignInAudience.clean(64),
		CreatedByAppID: j.CreatedByAppID.clean(64), Created: j.Created.Time, Deleted: j.Deleted.Time, Disabled: bool(j.Disabled),
		Tags: cleanAll(j.Tags),
	}
	if s := j.DisabledByMicrosoft.clean(100); s != "NotDisabled" {
		a.DisabledByMicrosoft = s
	}
	for _, k := range j.Keys {
		a.Keys = append(a.Keys, k.plain())
	}
	for _, s := range j.Secrets {
		a.Secrets = append(a.Secrets, s.plain())
	}
	for _, r := range j.Required {
		access := ResourceAccess{ResourceAppID: r.ResourceAppID.clean(64)}
		for _, p := range r.Access {
			switch p.Type {
			case "Role":
				access.Roles = append(access.Roles, p.ID.clean(64))
			case "Scope":
				access.Scopes = append(access.Scopes, p.ID.clean(64))
			}
		}
		a.Required = append(a.Required, access)
	}
	return a, j.complete()
}

// keyJSON is a keyCredential.
//
// Source: learn.microsoft.com/graph/api/resources/keycredential.
type keyJSON struct {
	ID         text  `json:"keyId"`
	Identifier text  `json:"customKeyIdentifier"`
	Name       text  `json:"displayName"`
	Type       text  `json:"type"`
	Usage      text  `json:"usage"`
	Start      stamp `json:"startDateTime"`
	End        stamp `json:"endDateTime"`
	Key        text  `json:"key"`
}

func (j keyJSON) plain() Key {
	k := Key{
		ID: j.ID.clean(64), DisplayName: j.Name.clean(256), Type: j.Type.clean(64), Usage: j.Usage.clean(64),
		Start: j.Start.Time, End: j.End.Time, identifier: string(j.Identifier),
	}
	if der, err := base64.StdEncoding.DecodeString(string(j.Key)); err == nil && len(der) > 0 {
		sum := sha1.Sum(der)
		k.Public, k.Thumbprint = der, strings.ToUpper(hex.EncodeToString(sum[:]))
		return k
	}
	// The directory keeps the thumbprint's bytes; some tools stored its text there.
	raw, err := hex.DecodeString(k.identifier)
	if err != nil {
		raw, err = base64.StdEncoding.DecodeString(k.identifier)
	}
	if err == nil && (len(raw) == 20 || len(raw) == 32) {
		k.Thumbprint = strings.ToUpper(hex.EncodeToString(raw))
	}
	return k
}

type passwordJSON struct {
	ID    text  `json:"keyId"`
	Name  text  `json:"displayName"`
	Hint  text  `json:"hint"`
	Start stamp `json:"startDateTime"`
	End   stamp `json:"endDateTime"`
}

func (j passwordJSON) plain() Password {
	return Password{ID: j.ID.clean(64), DisplayName: j.Name.clean(256), Hint: j.Hint.clean(16), Start: j.Start.Time, End: j.End.Time}
}

func cleanAll(list []text) []string {
	var out []string
	for _, t := range list {
		out = append(out, t.clean(256))
	}
	return out
}
