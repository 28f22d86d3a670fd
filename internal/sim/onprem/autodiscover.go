package onprem

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/soap"
)

// Namespaces of Autodiscover.
//
// Source: MS-OXDSCLI, section 2.2.3 and 2.2.4; MS-OXWSADISC.
const (
	requestNS  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	responseNS = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	outlookNS  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
	mobileNS   = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006"
)

func scpURL(host string) string { return "https://" + host + "/Autodiscover/Autodiscover.xml" }

// webName is the host of the URLs that Exchange tells.
func (w *World) webName() string {
	if w.has("load-balancer-name") {
		return balancer
	}
	return Server
}

func (w *World) ewsURL() string { return "https://" + w.webName() + "/EWS/Exchange.asmx" }

// anonymousAutodiscover are the paths that ask for no sign-in: those of version 2.
func anonymousAutodiscover(r *request) bool {
	return strings.HasPrefix(r.path, "/autodiscover/autodiscover.json")
}

// autodiscover is the virtual directory Autodiscover.
func (w *World) autodiscover(r *request) *answer {
	file := strings.TrimPrefix(r.path, "/autodiscover/")
	if w.has("no-autodiscover") {
		file = ""
	}
	switch {
	case strings.HasPrefix(file, "autodiscover.json"):
		return w.autodiscoverJSON(r)
	case file == "autodiscover.xml" && w.has("autodiscover-401"), file == "autodiscover.svc" && w.has("autodiscover-401"):
		a := newAnswer("autodiscover refused", http.StatusUnauthorized, "text/plain", "")
		a.header["WWW-Authenticate"] = []string{"Negotiate", "NTLM", `Basic realm="` + r.host + `"`}
		return a
	case file == "autodiscover.xml":
		return w.autodiscoverXML(r)
	case file == "autodiscover.svc":
		return w.autodiscoverSOAP(r)
	}
	return newAnswer("autodiscover not found", http.StatusNotFound, "text/html", page("404 - File or directory not found.", "The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable."))
}

// redirect is where a fault sends the client instead of answering.
type redirect struct{ address, url string }

// led is where the client is sent for this address; the zero value means nowhere. Who
// has a mailbox in Exchange Online is sent to the address that mail is routed to.
func (w *World) led(r *request, address string) redirect {
	here := "https://" + r.host + r.URL.Path
	for _, p := range w.people {
		if p.remote != "" && strings.EqualFold(p.remote, address) {
			return redirect{address: p.sam + "@" + routing}
		}
	}
	switch {
	case w.has("autodiscover-loop"):
		local, domain, _ := strings.Cut(address, "@")
		if strings.EqualFold(domain, Domain) {
			return redirect{address: local + "@" + Suffix}
		}
		return redirect{address: local + "@" + Domain}
	case w.has("autodiscover-url-loop"):
		return redirect{url: here}
	case w.has("autodiscover-to-http"):
		return redirect{url: "http://" + Server + "/Autodiscover/Autodiscover.xml"}
	case w.has("autodiscover-to-foreign") && r.host != foreign:
		return redirect{url: "https://" + foreign + "/Autodiscover/Autodiscover.xml"}
	case w.strikes("autodiscover-chain", 20):
		w.faults.mu.Lock()
		n := w.faults.on["autodiscover-chain"].used
		w.faults.mu.Unlock()
		return redirect{url: fmt.Sprintf("https://%s%s?hop=%d", r.host, r.URL.Path, n)}
	}
	return redirect{}
}

// spoiled is an answer that a fault has ruined; nil without one.
func (w *World) spoiled() *answer {
	switch {
	case w.has("autodiscover-huge"):
		head, tail := soap.Declaration+`<Autodiscover xmlns="`+responseNS+`"><Response xmlns="`+outlookNS+`"><User><DisplayName>`, `</DisplayName></User></Response></Autodiscover>`
		return newAnswer("autodiscover huge", http.StatusOK, xmlType, head+strings.Repeat("huge", 16<<20)+tail)
	case w.has("autodiscover-deep"):
		return newAnswer("autodiscover deep", http.StatusOK, xmlType, soap.Declaration+strings.Repeat("<a>", 100_000)+strings.Repeat("</a>", 100_000))
	case w.has("autodiscover-bomb"):
		var b strings.Builder
		b.WriteString(soap.Declaration + `<!DOCTYPE bomb [<!ENTITY a0 "boom">`)
		for i := 1; i <= 9; i++ {
			fmt.Fprintf(&b, `<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
		}
		return newAnswer("autodiscover bomb", http.StatusOK, xmlType, b.String()+`]><Autodiscover xmlns="`+responseNS+`">&a9;</Autodiscover>`)
	case w.has("autodiscover-garbage"):
		return newAnswer("autodiscover garbage", http.StatusOK, xmlType, "<html><body>It works!<br></body>")
	}
	return nil
}

// autodiscoverXML is plain old XML (POX).
//
// Source: MS-OXDSCLI, section 2.2.4.1 and the error codes of 2.2.4.1.1.3.1.
func (w *World) autodiscoverXML(r *request) *answer {
	if r.Method != http.MethodPost {
		// A browser's GET is answered like an empty request.
		return w.poxError("600", "Invalid Request")
	}
	if a := w.spoiled(); a != nil {
		return a
	}
	root, err := soap.Parse(r.body)
	if err != nil || root.Local != "Autodiscover" || root.Space != requestNS && root.Space != mobileNS || len(root.Children) != 1 || !root.Children[0].Is(root.Space, "Request") {
		return w.poxError("600", "Invalid Request")
	}
	ask := root.Children[0]
	schema, address := "", ""
	for _, c := range ask.Children {
		switch {
		case c.Is(root.Space, "AcceptableResponseSchema"):
			schema = strings.TrimSpace(c.Text)
		case c.Is(root.Space, "EMailAddress"):
			address = strings.TrimSpace(c.Text)
		case c.Is(root.Space, "LegacyDN"):
		default:
			return w.poxError("600", "Invalid Request")
		}
	}
	if schema == "" || address == "" { // a LegacyDN alone is allowed, but nobody here has one
		return w.poxError("600", "Invalid Request")
	}
	if root.Space != requestNS || schema != outlookNS {
		return w.poxError("601", "The requested schema version is not supported.")
	}
	if code, on := w.fault("autodiscover-error"); on {
		if code == "" {
			code = "500"
		}
		return w.poxError(code, "The email address can't be found.")
	}
	if to := w.led(r, address); to != (redirect{}) {
		inner := `<Action>redirectUrl</Action><RedirectUrl>` + soap.Escape(to.url) + `</RedirectUrl>`
		if to.address != "" {
			inner = `<Action>redirectAddr</Action><RedirectAddr>` + soap.Escape(to.address) + `</RedirectAddr>`
		}
		return newAnswer("autodiscover xml", http.StatusOK, xmlType, soap.Declaration+`<Autodiscover xmlns="`+responseNS+`"><Response xmlns="`+outlookNS+`"><Account>`+inner+`</Account></Response></Autodiscover>`).because("redirect")
	}
	u, found := w.byAddress(address)
	if !found {
		return w.poxError("500", "The email address can't be found.")
	}
	return newAnswer("autodiscover xml", http.StatusOK, xmlType, w.poxSettings(u))
}

// poxError is an error with status 200: there is no other form of one.
func (w *World) poxError(code, text string) *answer {
	now := w.now().UTC()
	return newAnswer("autodiscover xml", http.StatusOK, xmlType, soap.Declaration+`<Autodiscover xmlns="`+responseNS+`"><Response><Error Time="`+now.Format("15:04:05.0000000")+`" Id="2472393421"><ErrorCode>`+
		soap.Escape(code)+`</ErrorCode><Message>`+soap.Escape(text)+`</Message><DebugData /></Error></Response></Autodiscover>`).because(code)
}

// poxSettings are the settings of a mailbox: how clients inside (EXCH) and outside (EXPR)
// reach it.
func (w *World) poxSettings(u org.User) string {
	var b strings.Builder
	tag := func(name, value string) { b.WriteString("<" + name + ">" + soap.Escape(value) + "</" + name + ">") }
	b.WriteString(soap.Declaration + `<Autodiscover xmlns="` + responseNS + `"><Response xmlns="` + outlookNS + `"><User>`)
	tag("DisplayName", u.DisplayName)
	tag("LegacyDN", legacyDN(u))
	tag("AutoDiscoverSMTPAddress", u.Address)
	tag("DeploymentId", w.organisation.Name())
	b.WriteString(`</User><Account>`)
	tag("AccountType", "email")
	tag("Action", "settings")
	tag("MicrosoftOnline", "False")
	for _, kind := range []string{"EXCH", "EXPR"} {
		b.WriteString(`<Protocol>`)
		tag("Type", kind)
		if kind == "EXCH" {
			tag("Server", u.MailboxID.String()+"@"+Domain)
			tag("ServerDN", "/o=Contoso/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn="+u.MailboxID.String()+"@"+Domain)
			tag("ServerVersion", w.version.packed())
		} else {
			tag("Server", w.webName())
			tag("SSL", "On")
			tag("AuthPackage", "Ntlm") // the default of Outlook Anywhere inside, InternalClientAuthenticationMethod
		}
		tag("ASUrl", w.ewsURL())
		tag("EwsUrl", w.ewsURL())
		tag("EmwsUrl", w.ewsURL())
		tag("OOFUrl", w.ewsURL())
		tag("EcpUrl", "https://"+w.webName()+"/owa/")
		b.WriteString(`</Protocol>`)
	}
	b.WriteString(`</Account></Response></Autodiscover>`)
	return b.String()
}

func legacyDN(u org.User) string {
	return "/o=Contoso/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=" + u.SAM
}

// autodiscoverJSON is version 2: it tells the URL of a protocol to anybody. It came with
// Exchange Server 2016. Unsure: status and text of its errors, and that it tells an
// unknown address from a known one.
func (w *World) autodiscoverJSON(r *request) *answer {
	if w.has("autodiscover-no-json") || w.version.Name == "2013" {
		return newAnswer("autodiscover json", http.StatusNotFound, "text/html", page("404 - File or directory not found.", "The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable."))
	}
	failed := func(status int, code, text string) *answer {
		body, _ := json.Marshal(map[string]string{"ErrorCode": code, "ErrorMessage": text})
		return newAnswer("autodiscover json", status, "application/json; charset=utf-8", string(body)).because(code)
	}
	if r.Method != http.MethodGet {
		return newAnswer("autodiscover json", http.StatusMethodNotAllowed, "", "")
	}
	if a := w.spoiled(); a != nil {
		return a
	}
	query := url.Values{}
	for key, values := range r.URL.Query() {
		query[strings.ToLower(key)] = values
	}
	address := query.Get("email")
	if rest := r.URL.Path[len("/autodiscover/autodiscover.json"):]; rest != "" && rest != "/" {
		version, in, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if !strings.EqualFold(version, "v1.0") {
			return newAnswer("autodiscover json", http.StatusNotFound, "", "")
		}
		address = in
	}
	protocol := query.Get("protocol")
	known := map[string]string{
		"ews": w.ewsURL(), "autodiscoverv1": "https://" + w.webName() + "/Autodiscover/Autodiscover.xml", "activesync": "https://" + w.webName() + "/Microsoft-Server-ActiveSync",
	}
	switch {
	case address == "" || !strings.Contains(address, "@"):
		return failed(http.StatusBadRequest, "MandatoryParameterMissing", "A valid value must be provided for the query parameter 'Email'")
	case protocol == "":
		return failed(http.StatusBadRequest, "MandatoryParameterMissing", "A valid value must be provided for the query parameter 'Protocol'")
	case known[strings.ToLower(protocol)] == "":
		return failed(http.StatusBadRequest, "InvalidProtocol", "The given protocol value '"+protocol+"' is invalid. Supported values are 'ActiveSync,AutodiscoverV1,Ews'")
	case w.has("autodiscover-error"):
		return failed(http.StatusNotFound, "UserNotFound", "The given user is not found")
	}
	to := w.led(r, address)
	if to.url != "" {
		a := newAnswer("autodiscover json", http.StatusFound, "", "").because("redirect")
		a.header.Set("Location", strings.Replace(to.url, "Autodiscover.xml", "autodiscover.json/v1.0/"+url.PathEscape(address)+"?Protocol="+url.QueryEscape(protocol), 1))
		return a
	}
	if _, found := w.byAddress(address); !found {
		return failed(http.StatusNotFound, "UserNotFound", "The given user is not found")
	}
	body, _ := json.Marshal(struct{ Protocol, Url string }{protocol, known[strings.ToLower(protocol)]}) //nolint:revive // Url is how Exchange writes it
	return newAnswer("autodiscover json", http.StatusOK, "application/json; charset=utf-8", string(body))
}
