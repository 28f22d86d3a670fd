package onprem

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/binding"
	"github.com/c2conn/c2conn/internal/sim/onprem/httpauth"
	"github.com/c2conn/c2conn/internal/sim/onprem/sharepoint"
)

// hostNamed are the hosts of site collections that have their own (fault sp-host-named).
func hostNamed() []string { return []string{"team.corp.test", "projects.corp.test", "press." + Suffix} }

// farmHosts are the names that lead to the servers of the SharePoint farm. The public
// name of the alternate access mapping has no service principal name.
func farmHosts() []string {
	return append([]string{SharePoint, strings.ToLower(SharePointName), Portal, foreignFarm}, hostNamed()...)
}

// populateFarm makes the SharePoint farm.
func (w *World) populateFarm() error {
	o := sharepoint.Options{
		Version: w.options.SharePointVersion, Sites: w.options.SiteCollections, Host: SharePoint, CentralPort: CentralAdminPort, Public: Portal, HostNamed: hostNamed(), Foreign: foreignFarm,
		Now: w.now, Rand: newStream(w.options.Seed, "sharepoint"), Fault: w.has, Strikes: w.strikes,
	}
	for _, p := range w.people {
		who := sharepoint.Person{Login: NetBIOS + `\` + p.sam, Name: p.name, Mail: p.mail(), SID: p.sid()}
		switch p.upn {
		case FarmAdmin:
			who.Mail, who.FarmAdministrator, who.Policy, who.SiteAdministrator = p.upn, true, sharepoint.FullControl, true
		case Farm:
			who.System, who.FarmAdministrator, who.Policy = true, true, sharepoint.FullControl
		case Reader:
			who.Mail, who.Reader = p.upn, true
		default:
			continue
		}
		o.People = append(o.People, who)
	}
	var err error
	w.farm, err = sharepoint.New(o)
	return err
}

// farmSite is the web application of the farm at one of its two bindings.
func (w *World) farmSite(secure bool) *site {
	return &site{
		secure: func() bool { return secure }, shown: w.farmCertificate, route: func(out *noting, r *request) { w.enterFarm(out, r, false) },
		wait: func() time.Duration { return w.span("sp-slow", 3*time.Second) }, fate: w.fateOf("sp-silent"),
	}
}

// centralSite is the web application Central Administration, on a port that Setup chose.
func (w *World) centralSite() *site {
	return &site{
		secure: w.centralSecure, shown: w.centralCertificate, route: func(out *noting, r *request) { w.enterFarm(out, r, true) },
		wait: func() time.Duration { return 0 }, fate: w.fateOf("ca-silent"),
	}
}

func (w *World) fateOf(silent string) func(string) fate {
	return func(string) fate {
		if w.has(silent) {
			return ignored
		}
		return answered
	}
}

func (w *World) centralSecure() bool { return w.has("ca-https") || w.has("ca-self-signed") }

// farmCertificate is what a client sees who asks the farm for this name: the company
// wrote one certificate for all of its names.
func (w *World) farmCertificate(host string) *tls.Certificate {
	switch {
	case strings.EqualFold(host, foreignFarm):
		return w.certificates.foreign
	case w.has("sp-self-signed"):
		return w.certificates.farmSelf
	}
	return w.certificates.farm
}

func (w *World) centralCertificate(string) *tls.Certificate {
	if w.has("ca-self-signed") {
		return w.certificates.centralSelf
	}
	return w.certificates.farm
}

// enterFarm lets a client sign in to a web application of the farm, where it has to, and
// answers.
func (w *World) enterFarm(out *noting, r *request, central bool) {
	if !central && w.has("sp-not-sharepoint") {
		r.send(out, w.plainServer(r))
		return
	}
	e := w.farmEntrance(r, central)
	q := &sharepoint.Request{Request: r.Request, Secure: r.secure, Host: r.host, ID: r.id, Central: central}
	for _, m := range e.methods {
		offer := string(m)
		if m == httpauth.Basic {
			offer = `Basic realm=` + strconv.Quote(e.realm)
		}
		q.Offers = append(q.Offers, offer)
	}
	w.farm.Greet(out.Header(), r.id)
	if a := w.farm.Open(q); a != nil {
		r.send(out, fromFarm(a))
		return
	}
	serve := func() {
		if !r.read(out) {
			return
		}
		if q.Request, q.Body = r.Request, r.body; r.who != nil {
			q.Login = NetBIOS + `\` + r.who.User.SAM
		}
		r.send(out, fromFarm(w.farm.Serve(q)))
	}
	if w.farm.Public(q) && r.Header.Get("Authorization") == "" {
		serve()
		return
	}
	w.signedIn(out, r, e, serve)
}

func fromFarm(a *sharepoint.Answer) *answer {
	return &answer{name: a.Name, status: a.Status, header: a.Header, body: a.Body, code: a.Error}
}

// farmEntrance is how a web application of the farm is configured: Windows claims by
// NTLM, as Setup leaves it. The application pools run as spfarm, which has the service
// principal names.
func (w *World) farmEntrance(r *request, central bool) entrance {
	wrong := w.has("sp-kerberos-wrong-account")
	e := entrance{name: "sharepoint", server: SharePointName, realm: r.host, binding: binding.None, spns: farmSPNs(), refusal: httpauth.Page{ContentType: "text/plain; charset=utf-8", Body: "401 UNAUTHORIZED"}}
	negotiate := w.has("sp-kerberos") || wrong
	switch {
	case central:
		e.name, negotiate = "central administration", w.has("ca-kerberos")
	case w.has("sp-ep-require"):
		e.binding = binding.Require
	}
	if !central && wrong {
		e.spns = nil // those of spfarm are not its own
	}
	if negotiate {
		e.methods = append(e.methods, httpauth.Negotiate)
	}
	if e.methods = append(e.methods, httpauth.NTLM); !central && w.has("sp-basic") {
		e.methods = append(e.methods, httpauth.Basic)
	}
	if r.secure {
		shown := w.farmCertificate
		if central {
			shown = w.centralCertificate
		}
		e.leaf = shown(r.host).Certificate[0]
	}
	return e
}

// farmSPNs are the service principal names of the farm's account.
func farmSPNs() []string {
	list := []string{"HTTP/" + SharePointName}
	for _, host := range append([]string{SharePoint}, hostNamed()...) {
		list = append(list, "HTTP/"+host)
	}
	return list
}

// plainServer is IIS without SharePoint.
func (w *World) plainServer(r *request) *answer {
	if r.path == "/" && r.Method == http.MethodGet {
		return newAnswer("other server", http.StatusOK, "text/html", "<!DOCTYPE html>\r\n<html><head><title>IIS Windows Server</title></head><body></body></html>")
	}
	return newAnswer("other server", http.StatusNotFound, "text/html", page("404 - File or directory not found.", "The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable."))
}

// SharePoint is the farm.
func (w *World) SharePoint() *sharepoint.Farm { return w.farm }

// SharePointURL is the address of the farm's web application.
func (w *World) SharePointURL() string {
	if w.has("sp-http") {
		return "http://" + SharePoint
	}
	return "https://" + SharePoint
}

// CentralAdminURL is the address of Central Administration.
func (w *World) CentralAdminURL() string {
	scheme := "http"
	if w.centralSecure() {
		scheme = "https"
	}
	return scheme + "://" + SharePoint + ":" + strconv.Itoa(CentralAdminPort)
}

// SharePointCertificate is the certificate that SharePoint shows now, as PEM.
func (w *World) SharePointCertificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.farmCertificate(SharePoint).Leaf.Raw})
}

// SharePointFingerprint is the SHA-256 of that certificate: 64 hexadecimal digits in
// upper case.
func (w *World) SharePointFingerprint() string {
	sum := sha256.Sum256(w.farmCertificate(SharePoint).Leaf.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// farmPorts are the entries of C2CONN_CONNECT_TO for the farm. A port that nobody
// listens on refuses: also those that this computer may use itself.
func (w *World) farmPorts() []string {
	var list []string
	secure, plain := w.farmSecure.address, nobodyListens
	if w.has("sp-http") {
		secure, plain = nobodyListens, w.farmPlain.address
	} else if w.has("sp-redirect-http") {
		plain = w.farmPlain.address
	}
	for _, host := range farmHosts() {
		list = append(list, host+":443:"+secure, host+":80:"+plain)
	}
	for _, host := range []string{SharePoint, strings.ToLower(SharePointName)} {
		list = append(list, host+":"+strconv.Itoa(CentralAdminPort)+":"+w.central.address)
		for _, port := range closedPorts() {
			list = append(list, host+":"+strconv.Itoa(port)+":"+nobodyListens)
		}
	}
	return list
}

// closedPorts are some that an administrator may take for Central Administration's.
func closedPorts() []int {
	return []int{2016, 8080, 8443, 9999, CentralAdminPort - 1, CentralAdminPort + 1}
}

func isFarmHost(host string) bool { return slices.Contains(farmHosts(), strings.ToLower(host)) }
