package registration

import "github.com/c2conn/c2conn/connections"

// CatalogueDocument is the catalogue as `c2conn app permissions --output json`
// prints it. The names of its members are a contract.
type CatalogueDocument struct {
	Version string         `json:"version"` // CatalogueVersion
	Kinds   []KindDocument `json:"kinds"`
}

// KindDocument is what one kind of connection needs.
type KindDocument struct {
	Kind        string               `json:"kind"`
	AppName     string               `json:"app_name"` // documented display name
	Permissions []PermissionDocument `json:"permissions"`
}

// PermissionDocument is an application permission and what is said of it.
type PermissionDocument struct {
	Resource      string `json:"resource"` // graph, exchange or sharepoint
	ResourceAppID string `json:"resource_app_id"`
	Role          string `json:"role"`
	RoleID        string `json:"role_id"`
	Type          string `json:"type"` // always Role: an application permission
	Allows        string `json:"allows"`
	Why           string `json:"why"`
	Source        string `json:"source"`
	Required      bool   `json:"required"`
	Powerful      bool   `json:"powerful"` // it can change or send things, or manage the directory
}

// ResourceTitle is the name under which the admin centre lists the service.
func (p PermissionDocument) ResourceTitle() string { return Resource(p.Resource).Title() }

// Document gives the catalogue of the kinds, in their order.
func Document(kinds ...connections.Kind) CatalogueDocument {
	doc := CatalogueDocument{Version: CatalogueVersion, Kinds: []KindDocument{}}
	for _, kind := range kinds {
		k := KindDocument{Kind: string(kind), AppName: AppName(kind), Permissions: []PermissionDocument{}}
		for _, p := range Catalogue(kind) {
			k.Permissions = append(k.Permissions, PermissionDocument{
				Resource: string(p.Resource), ResourceAppID: p.ResourceAppID, Role: p.Role, RoleID: p.RoleID, Type: "Role",
				Allows: p.Allows, Why: p.Why, Source: p.Source, Required: p.Required, Powerful: Powerful(p.Role),
			})
		}
		doc.Kinds = append(doc.Kinds, k)
	}
	return doc
}
