package sim

import (
	"slices"
	"strings"
)

// delegation is one delegated permission of a service.
type delegation struct {
	id, value string
	admin     bool   // only an administrator may consent
	words     string // what the consent page says
}

// delegations are the delegated permissions by resource, as far as anyone who
// registers applications needs them.
//
// Source: learn.microsoft.com/graph/permissions-reference, column Delegated;
// learn.microsoft.com/exchange/client-developer/exchange-web-services/how-to-authenticate-an-ews-application-by-using-oauth.
func delegations() map[string][]delegation {
	return map[string][]delegation{
		GraphAppID: {
			{"bdfbf15f-ee85-4955-8675-146e8e5296b5", "Application.ReadWrite.All", true, "Read and write all applications"},
			{"84bccea3-f856-4a8a-967b-dbe0a3d53a64", "AppRoleAssignment.ReadWrite.All", true, "Manage app permission grants and app role assignments"},
			{"e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20", "AuditLog.Read.All", true, "Read audit log data"},
			{"41ce6ca6-6826-4807-84f1-1c82854f7ee5", "DelegatedPermissionGrant.ReadWrite.All", true, "Manage all delegated permission grants"},
			{"0e263e50-5827-48a4-b97c-d940288653c7", "Directory.AccessAsUser.All", true, "Access the directory as you"},
			{"06da0dbc-49e2-44d2-8312-53f166ab848a", "Directory.Read.All", true, "Read directory data"},
			{"4e46008b-f24c-477d-8fff-7bb4ec7aafe0", "Group.ReadWrite.All", true, "Read and write all groups"},
			{"4908d5b9-3fb2-4b1e-9336-1888b7937185", "Organization.Read.All", true, "Read organization information"},
			{"572fea84-0151-49b2-9301-11cb16974376", "Policy.Read.All", true, "Read your organization's policies"},
			{"741c54c3-0c1e-44a1-818b-3f97ab4e8c83", "RoleManagement.Read.Directory", true, "Read directory RBAC settings"},
			{"e1fe6dd8-ba31-4d61-89e7-88639da4683d", "User.Read", false, "Sign you in and read your profile"},
			{"a154be20-db9c-4678-8ab7-66f6cc099a59", "User.Read.All", true, "Read all users' full profiles"},
			{"204e0828-b5ca-4ad8-b9f3-f32a958e7cc4", "User.ReadWrite.All", true, "Read and write all users' full profiles"},
		},
		ExchangeAppID: {{"3b5f3d61-589b-4a3c-a359-5dd4b5ee5bd5", "EWS.AccessAsUser.All", false, "Access your mailboxes"}},
	}
}

func delegationOf(resourceAppID, name string) (delegation, bool) {
	list := delegations()[resourceAppID]
	i := slices.IndexFunc(list, func(d delegation) bool { return strings.EqualFold(d.value, name) || d.id == name })
	if i < 0 {
		return delegation{}, false
	}
	return list[i], true
}

// everything is the name that stands for all permissions of a resource.
const everything = ".default"

// scopes is a scope parameter taken apart.
type scopes struct {
	openid, offline bool
	oidc            []string // openid, profile, email, offline_access as asked for
	resource        string   // as the client spelled it; the audience of the token; "" when only OpenID scopes were asked for
	bare            bool     // the resource was left out: Graph
	names           []string // permissions of the resource, or ".default" alone
}

// parseScopes reads a scope parameter: OpenID scopes, and permissions of one
// resource written as RESOURCE/NAME; a bare name is one of Microsoft Graph's.
//
// Source: learn.microsoft.com/entra/identity-platform/scopes-oidc.
func parseScopes(text string) (scopes, *refusal) {
	var s scopes
	for _, word := range strings.Fields(text) {
		switch strings.ToLower(word) {
		case "openid":
			s.openid = true
			s.oidc = append(s.oidc, "openid")
			continue
		case "offline_access":
			s.offline = true
			s.oidc = append(s.oidc, "offline_access")
			continue
		case "profile", "email":
			s.oidc = append(s.oidc, strings.ToLower(word))
			continue
		}
		if strings.ContainsAny(word, "\"<>\\^`{|}") {
			return s, &refusal{code: 70011, args: []any{word}}
		}
		resource, name, bare := GraphAppID, word, true
		if i := strings.LastIndexByte(word, '/'); i >= 0 {
			resource, name, bare = word[:i], word[i+1:], false
		}
		if resource == "" || name == "" {
			return s, &refusal{code: 70011, args: []any{word}}
		}
		if s.resource != "" && (s.resource != resource || s.bare != bare) {
			return s, &refusal{code: 28000, args: []any{text}}
		}
		s.resource, s.bare = resource, bare
		if !slices.Contains(s.names, name) {
			s.names = append(s.names, name)
		}
	}
	if len(s.names) > 1 && slices.Contains(s.names, everything) {
		return s, &refusal{code: 70011, args: []any{text + ". .default scope can't be combined with resource-specific scopes"}}
	}
	return s, nil
}

// preauthorized is what Azure CLI's tokens for Graph hold in every tenant;
// nobody is asked, and nothing else can be had (AADSTS65002).
//
// Source: tokens of 2026-05 as administrators see them.
func preauthorized() []string {
	return []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "AuditLog.Read.All", "DelegatedPermissionGrant.ReadWrite.All",
		"Directory.AccessAsUser.All", "Group.ReadWrite.All", "User.Read.All", "User.ReadWrite.All"}
}
