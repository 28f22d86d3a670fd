package onprem

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
)

// directory is a virtual directory of IIS.
type directory struct {
	name    string
	prefix  string // of the path, lower case
	methods func(r *request) []httpauth.Method
	binding func() binding.Mode
	open    func(r *request) bool // what anonymous users may ask for
	plain   bool                  // SSL is not required
	serve   func(r *request) *answer
	stream  func(out *noting, r *request) // instead of serve: writes by itself
}

// directories are those of the Exchange Server with their defaults: EWS and
// Autodiscover take Windows authentication, Autodiscover Basic too. The directory
// PowerShell has no method switched on in IIS, but a module of Exchange takes Kerberos.
// Unsure: the scheme that this module names; it is Negotiate here, without NTLM in it.
//
// Sources: learn.microsoft.com/exchange/clients/default-virtual-directory-settings;
// the values of Extended Protection that Microsoft's script supports (CSS-Exchange).
func (w *World) directories() []directory {
	return []directory{
		{name: "EWS", prefix: "/ews", methods: w.ewsMethods, binding: w.ewsBinding, serve: w.ews},
		{name: "Autodiscover", prefix: "/autodiscover", methods: w.autodiscoverMethods, binding: func() binding.Mode { return binding.None }, open: anonymousAutodiscover, serve: w.autodiscover},
		{name: "PowerShell", prefix: "/powershell", methods: w.powershellMethods, binding: func() binding.Mode { return binding.None }, plain: true, stream: w.powershell},
	}
}

func (w *World) ewsMethods(*request) []httpauth.Method {
	switch {
	case w.has("no-sign-in"):
		return nil
	case w.has("basic-only"):
		return []httpauth.Method{httpauth.Basic}
	}
	var list []httpauth.Method
	if !w.has("no-kerberos") {
		list = append(list, httpauth.Negotiate)
	}
	if list = append(list, httpauth.NTLM); w.has("ews-basic") {
		list = append(list, httpauth.Basic)
	}
	return list
}

func (w *World) autodiscoverMethods(r *request) []httpauth.Method {
	list := w.ewsMethods(r)
	if len(list) > 0 && list[len(list)-1] != httpauth.Basic {
		list = append(list, httpauth.Basic)
	}
	return list
}

func (w *World) powershellMethods(*request) []httpauth.Method {
	list := []httpauth.Method{httpauth.NegotiateKerberos}
	if w.has("powershell-basic") {
		list = append(list, httpauth.Basic)
	}
	return list
}

func (w *World) ewsBinding() binding.Mode {
	switch {
	case w.has("ep-require"), w.has("ep-require-behind-proxy"):
		return binding.Require
	case w.version.channelBinding():
		return binding.Allow
	}
	return binding.None
}

// guards keep the sign-in modules of the virtual directories: one for each way in which
// a directory is configured, because connections that are signed in belong to it.
type guards struct {
	mu   sync.Mutex
	made map[string]func(http.Handler) http.Handler
}

func (w *World) guard(d directory, r *request) func(http.Handler) http.Handler {
	o := httpauth.Options{
		Directory: w.accounts, Methods: d.methods(r), ExtendedProtection: d.binding(), Host: ServerName, Now: w.domainTime, Realm: Server,
		SPNs: []string{"HTTP/" + Server, "HTTP/" + ServerName, "HOST/" + Server, "HOST/" + ServerName},
	}
	if r.secure {
		o.Certificate = w.own().Certificate[0]
	}
	if len(o.Methods) == 0 {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
				out.Header().Set("WWW-Authenticate", `Bearer realm=""`)
				out.WriteHeader(http.StatusUnauthorized)
			})
		}
	}
	key := fmt.Sprintf("%s %t %v %d %x", d.name, r.secure, o.Methods, o.ExtendedProtection, o.Certificate)
	w.guards.mu.Lock()
	defer w.guards.mu.Unlock()
	if w.guards.made == nil {
		w.guards.made = map[string]func(http.Handler) http.Handler{}
	}
	if w.guards.made[key] == nil {
		w.guards.made[key] = httpauth.Authenticate(o)
	}
	return w.guards.made[key]
}

// route finds the virtual directory, lets the client sign in to it, and answers.
func (w *World) route(out *noting, r *request) {
	if w.has("down") {
		r.send(out, newAnswer("down", http.StatusServiceUnavailable, "text/html; charset=us-ascii", page("Service Unavailable", "HTTP Error 503. The service is unavailable.")))
		return
	}
	for _, d := range w.directories() {
		if r.path != d.prefix && !strings.HasPrefix(r.path, d.prefix+"/") {
			continue
		}
		if !r.secure && !d.plain {
			r.send(out, w.insecure(r, d))
			return
		}
		if r.path == d.prefix+"/healthcheck.htm" { // of Managed Availability, for load balancers
			r.send(out, newAnswer("health", http.StatusOK, "text/html", "200 OK<br/>"+strings.ToUpper(ServerName)+"."+strings.ToUpper(Domain)))
			return
		}
		w.enter(out, r, d)
		return
	}
	r.send(out, w.elsewhere(r))
}

// enter lets the client sign in, where it has to, and answers.
func (w *World) enter(out *noting, r *request, d directory) {
	if d.open != nil && d.open(r) {
		if r.read(out) {
			r.send(out, d.serve(r))
		}
		return
	}
	inside := http.HandlerFunc(func(_ http.ResponseWriter, hr *http.Request) {
		r.Request = hr
		if id, ok := httpauth.From(hr.Context()); ok {
			r.who = &id
		}
		h := out.Header()
		h.Set("request-id", r.id)
		h.Set("X-FEServer", ServerName)
		h.Set("X-CalculatedBETarget", Server)
		if d.stream != nil {
			d.stream(out, r)
			return
		}
		if r.read(out) {
			r.send(out, d.serve(r))
		}
	})
	out.name = strings.ToLower(d.name) + " sign-in"
	out.Header().Set("request-id", r.id)
	out.Header().Set("X-FEServer", ServerName)
	w.guard(d, r)(inside).ServeHTTP(out, r.Request)
}

// insecure is what a directory that requires SSL says over http: 403.4. The name
// autodiscover.<domain> is redirected, as Microsoft advises for further mail domains.
func (w *World) insecure(r *request, d directory) *answer {
	if d.name == "Autodiscover" && isAutodiscover(r.host) && !w.has("no-autodiscover") {
		to := "https://" + Autodiscover + "/autodiscover/autodiscover.xml"
		switch {
		case w.has("autodiscover-to-http"):
			to = "http://" + Server + "/autodiscover/autodiscover.xml"
		case w.has("autodiscover-to-foreign"):
			to = "https://" + foreign + "/autodiscover/autodiscover.xml"
		}
		a := newAnswer("autodiscover redirect", http.StatusFound, "text/html; charset=UTF-8", "<head><title>Document Moved</title></head>\n<body><h1>Object Moved</h1>This document may be found <a HREF=\""+to+"\">here</a></body>")
		a.header.Set("Location", to)
		return a
	}
	return newAnswer(strings.ToLower(d.name)+" without TLS", http.StatusForbidden, "text/html", page("403 - Forbidden: Access is denied.", "The page you are trying to access is secured with Secure Sockets Layer (SSL)."))
}

// elsewhere is the rest of the site: its root leads to Outlook on the web.
func (w *World) elsewhere(r *request) *answer {
	if r.path == "/" || r.path == "/owa" || strings.HasPrefix(r.path, "/owa/") {
		if !r.secure {
			return newAnswer("site without TLS", http.StatusForbidden, "text/html", page("403 - Forbidden: Access is denied.", "The page you are trying to access is secured with Secure Sockets Layer (SSL)."))
		}
		to := "https://" + r.host + "/owa/"
		if r.path != "/" {
			to = "https://" + r.host + "/owa/auth/logon.aspx?replaceCurrent=1&url=" + "https%3a%2f%2f" + r.host + "%2fowa%2f"
		}
		if strings.HasPrefix(r.path, "/owa/auth/") {
			return newAnswer("logon page", http.StatusOK, "text/html; charset=utf-8", "<!DOCTYPE html><html><head><title>Outlook</title></head><body>Outlook</body></html>")
		}
		a := newAnswer("site", http.StatusFound, "text/html; charset=UTF-8", "")
		a.header.Set("Location", to)
		return a
	}
	return newAnswer("not found", http.StatusNotFound, "text/html", page("404 - File or directory not found.", "The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable."))
}

func page(title, text string) string {
	return "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\r\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>" +
		title + "</title></head><body><h2>" + title + "</h2><h3>" + text + "</h3></body></html>"
}
