package registration

// CatalogueDocument is the catalogue as `c2conn app permissions --output json`
// prints it. The names of its members are a contract.
type CatalogueDocument struct {
	Version string         `json:"version"` // CatalogueVersion
	Kinds   []KindDocument `json:"kinds"`
}

// KindDocument is what one kind of connection needs, with one of its permission sets.
type KindDocument struct {
	Kind        string               `json:"kind"`
	Set         string               `json:"set"`      // recommended or seed
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
	Writes        bool   `json:"writes"` // it can change, create, delete or send something
	Why           string `json:"why"`
	Least         string `json:"least,omitempty"` // why nothing less is enough
	Source        string `json:"source"`
	Required      bool   `json:"required"`
}

// ResourceTitle is the name under which the admin centre lists the service.
func (p PermissionDocument) ResourceTitle() string { return Resource(p.Resource).Title() }

// Document gives the catalogue for purposes, in their order.
func Document(purposes ...Purpose) CatalogueDocument {
	doc := CatalogueDocument{Version: CatalogueVersion, Kinds: []KindDocument{}}
	for _, p := range purposes {
		doc.Kinds = append(doc.Kinds, KindDocument{Kind: string(p.Kind), Set: p.Set.Name(), AppName: AppName(p.Kind), Permissions: documents(Catalogue(p))})
	}
	return doc
}

func documents(list []Permission) []PermissionDocument {
	docs := make([]PermissionDocument, 0, len(list))
	for _, p := range list {
		docs = append(docs, PermissionDocument{
			Resource: string(p.Resource), ResourceAppID: p.ResourceAppID, Role: p.Role, RoleID: p.RoleID, Type: "Role",
			Allows: p.Allows, Writes: p.Writes, Why: p.Why, Least: p.Least, Source: p.Source, Required: p.Required,
		})
	}
	return docs
}
