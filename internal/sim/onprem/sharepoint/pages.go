package sharepoint

import (
	"net/http"
	"net/url"
	"strings"
)

func html(title, text string) string {
	return "<!DOCTYPE html>\r\n<html dir=\"ltr\" lang=\"en-US\"><head><meta name=\"GENERATOR\" content=\"Microsoft SharePoint\" /><title>" + escaped(title) + "</title></head><body><h1>" + escaped(title) + "</h1><p>" + escaped(text) + "</p></body></html>"
}

// page is what a browser sees.
func (f *Farm) page(app *application, r *Request) *Answer {
	s := f.within(app, r, r.base)
	lower := strings.ToLower(r.rest)
	switch {
	case s == nil:
		return notFound(r, "page")
	case strings.HasPrefix(lower, "/_layouts/15/accessdenied.aspx"):
		return newAnswer(r.label("access denied"), http.StatusOK, "text/html; charset=utf-8", html("Access Denied", "Sorry, this site hasn't been shared with you."))
	case !f.may(r, s):
		return f.moved(r, "access denied", f.url(r, s)+"/_layouts/15/AccessDenied.aspx?Source="+url.QueryEscape(f.url(r, s)+"/")).because("access denied")
	case strings.HasPrefix(lower, "/_layouts/"), strings.HasPrefix(lower, "/_windows/"):
		return newAnswer(r.label("page"), http.StatusOK, "text/html; charset=utf-8", html(s.title, ""))
	}
	switch inside := strings.ToLower(strings.TrimPrefix(strings.ToLower(r.base), strings.TrimSuffix(strings.ToLower(s.path), "/"))); inside {
	case "", "/default.aspx", "/sitepages", "/sitepages/home.aspx", "/pages/default.aspx":
		return newAnswer(r.label("page"), http.StatusOK, "text/html; charset=utf-8", html(s.title, "Home"))
	}
	return notFound(r, "page")
}

func (f *Farm) moved(r *Request, name, to string) *Answer {
	a := newAnswer(r.label(name), http.StatusFound, "text/html; charset=UTF-8", "<head><title>Document Moved</title></head>\n<body><h1>Object Moved</h1>This document may be found <a HREF=\""+escaped(to)+"\">here</a></body>")
	a.Header.Set("Location", to)
	return a
}

// Open is what somebody is told who has not signed in, or has to sign in by other means
// than Windows authentication; nil: by Windows authentication.
//
// A web application with several providers sends browsers to a login page and tells
// other programs where it is ([MS-OFBA]), unless they say that they take Windows
// authentication: header X-FORMS_BASED_AUTH_ACCEPTED: f.
func (f *Farm) Open(r *Request) *Answer {
	if r.Central {
		return nil
	}
	if f.has("sp-redirect-http") && r.Secure {
		return f.moved(r, "redirect", "http://"+r.Host+r.URL.RequestURI())
	}
	saml := f.has("sp-saml-only")
	if !saml && (!f.has("sp-forms") || strings.EqualFold(strings.TrimSpace(r.Header.Get("X-FORMS_BASED_AUTH_ACCEPTED")), "f")) {
		return nil
	}
	r.split()
	lower := strings.ToLower(r.rest)
	switch {
	case strings.HasPrefix(lower, "/_windows/") && !saml:
		return nil
	case strings.HasPrefix(lower, "/_login/"), strings.HasPrefix(lower, "/_forms/"):
		return newAnswer(r.label("login page"), http.StatusOK, "text/html; charset=utf-8", `<!DOCTYPE html><html><head><title>Sign In</title></head><body><form method="post" action="/_forms/default.aspx"><input name="signInControl$UserName" type="text" /><input name="signInControl$password" type="password" /><input type="submit" value="Sign In" /></form></body></html>`)
	case strings.HasPrefix(lower, "/_trust/"):
		return f.moved(r, "login page", "https://adfs."+domainOf(f.o.Host)+"/adfs/ls/?wa=wsignin1.0&wtrealm=urn%3asharepoint&wctx="+url.QueryEscape(f.origin(r)+"/_layouts/15/Authenticate.aspx"))
	}
	login := "/_login/default.aspx"
	if saml {
		login = "/_trust/default.aspx"
	}
	login = r.scheme() + "://" + r.Host + login + "?ReturnUrl=" + url.QueryEscape("/_layouts/15/Authenticate.aspx?Source="+url.QueryEscape(r.URL.RequestURI())) + "&Source=" + url.QueryEscape(r.URL.RequestURI())
	if strings.Contains(r.UserAgent(), "Mozilla") {
		return f.moved(r, "login redirect", login)
	}
	a := newAnswer(r.label("login required"), http.StatusForbidden, "text/plain; charset=utf-8", "403 FORBIDDEN").because("forms")
	a.Header["X-Forms_Based_Auth_Required"] = []string{login}
	a.Header["X-Forms_Based_Auth_Return_Url"] = []string{r.scheme() + "://" + r.Host + "/_layouts/15/error.aspx"}
	a.Header["X-MSDAVEXT_Error"] = []string{"917656; Access%20denied%2e%20%20Before%20opening%20files%20in%20this%20location%2c%20you%20must%20first%20browse%20to%20the%20web%20site%20and%20select%20the%20option%20to%20login%20automatically%2e"}
	return a
}

func domainOf(host string) string {
	_, domain, _ := strings.Cut(host, ".")
	return domain
}
