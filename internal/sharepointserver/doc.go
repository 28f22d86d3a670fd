// Package sharepointserver speaks to SharePoint Server on the premises, from 2013 to
// the Subscription Edition: it opens a site by REST, lists the site collections of a
// web application (by the SOAP service SiteData, else by search) and opens Central
// Administration. It changes nothing.
//
// It hides the dialects: JSON of two forms, SOAP with XML inside text, web pages of
// sign-in forms and proxies. Signing in and trust are those of the HTTP client it is
// given, see internal/winauth.
package sharepointserver
