package onprem

import (
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
)

// exchangeSite is the Default Web Site of the Exchange Server at one of its two bindings:
// https (port 443) or http (port 80).
func (w *World) exchangeSite(secure bool) *site {
	return &site{
		secure: func() bool { return secure }, shown: func(host string) *tls.Certificate { return w.shown(host) }, route: w.route,
		wait: func() time.Duration { return w.span("slow", 3*time.Second) },
		fate: func(host string) fate {
			switch {
			case w.has("silent"), strings.EqualFold(host, sleeping), isAutodiscover(host) && w.has("autodiscover-silent"):
				return ignored
			case isAutodiscover(host) && w.has("autodiscover-dead"):
				return cutOff
			}
			return answered
		},
	}
}

func isAutodiscover(host string) bool {
	return strings.HasPrefix(strings.ToLower(host), "autodiscover.")
}

// directory is a virtual directory of the Exchange Server.
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
	h := out.Header()
	h.Set("request-id", r.id)
	h.Set("X-FEServer", ServerName)
	w.signedIn(out, r, w.exchangeEntrance(d, r), func() {
		h.Set("X-CalculatedBETarget", Server)
		if d.stream != nil {
			d.stream(out, r)
			return
		}
		if r.read(out) {
			r.send(out, d.serve(r))
		}
	})
}

func (w *World) exchangeEntrance(d directory, r *request) entrance {
	e := entrance{
		name: strings.ToLower(d.name), server: ServerName, realm: Server, methods: d.methods(r), binding: d.binding(),
		spns: []string{"HTTP/" + Server, "HTTP/" + ServerName, "HOST/" + Server, "HOST/" + ServerName},
	}
	if r.secure {
		e.leaf = w.own().Certificate[0]
	}
	return e
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
