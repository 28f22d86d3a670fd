package onprem

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
)

// entrance is how clients sign in to a virtual directory of IIS, or to a whole site.
type entrance struct {
	name    string // of the directory
	server  string // NetBIOS name
	realm   string // of Basic
	methods []httpauth.Method
	binding binding.Mode
	spns    []string // of the account in which the application pool runs
	leaf    []byte   // certificate of https; nil: http
	refusal httpauth.Page
}

// guards keep the sign-in modules of the entrances: one for each way in which an
// entrance is configured, because connections that are signed in belong to it.
type guards struct {
	mu   sync.Mutex
	made map[string]func(http.Handler) http.Handler
}

// guard is the sign-in module of an entrance. Without any method it offers what no
// client of a domain knows.
func (w *World) guard(e entrance) func(http.Handler) http.Handler {
	if len(e.methods) == 0 {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
				out.Header().Set("WWW-Authenticate", `Bearer realm=""`)
				out.WriteHeader(http.StatusUnauthorized)
			})
		}
	}
	key := fmt.Sprintf("%s %v %d %v %x", e.name, e.methods, e.binding, e.spns, e.leaf)
	w.guards.mu.Lock()
	defer w.guards.mu.Unlock()
	if w.guards.made == nil {
		w.guards.made = map[string]func(http.Handler) http.Handler{}
	}
	if w.guards.made[key] == nil {
		w.guards.made[key] = httpauth.Authenticate(httpauth.Options{
			Directory: w.accounts, Methods: e.methods, ExtendedProtection: e.binding, Host: e.server, Now: w.domainTime, Realm: e.realm, SPNs: e.spns, Certificate: e.leaf, Refusal: e.refusal,
		})
	}
	return w.guards.made[key]
}

// signedIn serves a request by what comes after the sign-in at an entrance.
func (w *World) signedIn(out *noting, r *request, e entrance, inside func()) {
	out.name = e.name + " sign-in"
	w.guard(e)(http.HandlerFunc(func(_ http.ResponseWriter, hr *http.Request) {
		r.Request = hr
		if id, ok := httpauth.From(hr.Context()); ok {
			r.who = &id
		}
		inside()
	})).ServeHTTP(out, r.Request)
}

// page is an error page of IIS.
func page(title, text string) string {
	return "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\r\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>" +
		title + "</title></head><body><h2>" + title + "</h2><h3>" + text + "</h3></body></html>"
}
