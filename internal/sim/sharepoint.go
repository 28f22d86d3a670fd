package sim

import "net/http"

// sharePoint is the front door of SharePoint Online: who may not come in is
// refused as there; behind the door is no site yet.
//
// Source: learn.microsoft.com/sharepoint/dev/solution-guidance/security-apponly-azuread.
func (w *World) sharePoint(r *request) *answer {
	claims, err := w.bearer(r, SharePointAppID)
	deny := func(body string) *answer {
		a := newAnswer(http.StatusUnauthorized, "application/json", []byte(body))
		a.header.Set("WWW-Authenticate", `Bearer realm="`+w.TenantID+`",client_id="`+SharePointAppID+`",trusted_issuers="00000001-0000-0000-c000-000000000000@*",authorization_uri="`+w.authorizeURL(r)+`"`)
		a.header.Set("SPRequestGuid", r.id)
		return named("sharepoint unauthorized", a)
	}
	switch {
	case err != nil:
		return deny(`{"error_description":"Invalid issuer or signature."}`)
	case claims.AppIDACR != "2":
		return deny(`{"error_description":"Unsupported app only token."}`)
	case len(claims.Roles) == 0:
		return deny(`{"error_description":"Unsupported security token."}`)
	default:
		a := newAnswer(http.StatusNotFound, "text/plain; charset=utf-8", []byte("404 FILE NOT FOUND"))
		a.header.Set("SPRequestGuid", r.id)
		return named("sharepoint", a)
	}
}
