package onprem

import (
	"cmp"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/soap"
)

const xmlType = "text/xml; charset=utf-8"

// ews is the virtual directory EWS, for who has signed in.
func (w *World) ews(r *request) *answer {
	if strings.TrimSuffix(r.path, "/") != "/ews/exchange.asmx" || w.has("ews-404") {
		return newAnswer("ews not found", http.StatusNotFound, "text/html", page("404 - File or directory not found.", "The resource you are looking for might have been removed, had its name changed, or is temporarily unavailable."))
	}
	if w.has("ews-403") { // EwsEnabled is false, or a policy does not know the application: neither says so
		return newAnswer("ews blocked", http.StatusForbidden, "", "")
	}
	if r.Method != http.MethodPost {
		return newAnswer("ews method", http.StatusMethodNotAllowed, "", "")
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "text/xml" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return newAnswer("ews content type", http.StatusUnsupportedMediaType, "", "")
	}
	call, fault := soap.ParseCall(r.body, w.version.schemas)
	name := "ews " + cmp.Or(call.Operation, "invalid")
	if fault == nil && w.strikes("ews-busy", 2) {
		fault = &soap.Fault{Code: "ErrorServerBusy", Values: []soap.Value{{Name: "BackOffMilliseconds", Value: "300"}}}
	}
	if code, on := w.fault("ews-fault"); fault == nil && on {
		fault = &soap.Fault{Code: code}
	}
	var body, code string
	if fault == nil {
		body, code, fault = w.ewsCall(r, call)
	}
	if fault != nil {
		return ewsFault(name, fault)
	}
	a := newAnswer(name, http.StatusOK, xmlType, w.version.number.Envelope(body)).because(code)
	a.header.Set("X-DiagInfo", ServerName)
	a.header.Set("X-BEServer", ServerName)
	a.header.Set("Cache-Control", "private")
	return a
}

func ewsFault(name string, f *soap.Fault) *answer {
	return newAnswer(name, http.StatusInternalServerError, xmlType, f.Document(plain)).because(f.Code)
}

func plain(text string) string { return text }

// ewsCall decides as whom the call acts, and answers it. The code is that of the first
// response message that failed.
func (w *World) ewsCall(r *request, call soap.Call) (body, code string, fault *soap.Fault) {
	caller, found := w.organisation.Find(r.who.User.SAM)
	if !found { // a computer's account
		return "", "", &soap.Fault{Code: "ErrorAccessDenied"}
	}
	acting := caller
	if call.SIDKind != "" {
		if acting, fault = w.impersonated(caller, call); fault != nil {
			return "", "", fault
		}
		r.note.Impersonate = acting.Address
	}
	e := ewsSession{w: w, user: acting}
	switch call.Operation {
	case "GetFolder":
		body, fault = e.getFolder(call.Body)
	case "FindFolder":
		body, fault = e.findFolder(call.Body)
	case "ConvertId":
		body, fault = e.convertID(call.Body)
	case "ResolveNames":
		body, fault = e.resolveNames(call.Body)
	case "GetServerTimeZones":
		body, fault = e.timeZones(call.Body)
	default:
		fault = soap.Unexpected(call.Body)
	}
	return body, e.code, fault
}

// impersonated finds whom the call acts as and whether the caller may.
//
// Source: learn.microsoft.com/exchange/client-developer/exchange-web-services/
// how-to-identify-the-account-to-impersonate and .../web-service-reference/responsecode.
// Unsure: that the server looks for the mailbox before it looks at the right, and that
// who impersonates oneself needs no right.
func (w *World) impersonated(caller org.User, call soap.Call) (org.User, *soap.Fault) {
	if w.has("impersonation-denied") {
		return org.User{}, &soap.Fault{Code: "ErrorImpersonationDenied"}
	}
	var u org.User
	var found bool
	switch call.SIDKind {
	case "PrincipalName":
		if u, found = w.byUPN(call.SID); !found {
			return u, &soap.Fault{Code: "ErrorInvalidUserPrincipalName"}
		}
	case "SID":
		if u, found = w.bySID(call.SID); !found {
			return u, &soap.Fault{Code: "ErrorInvalidUserSid"}
		}
	default:
		u, found = w.byAddress(call.SID)
		if found && call.SIDKind == "PrimarySmtpAddress" && !strings.EqualFold(u.Address, call.SID) {
			return u, &soap.Fault{Code: "ErrorNonPrimarySmtpAddress", Values: []soap.Value{{Name: "Primary", Value: u.Address}}}
		}
	}
	if !found || u.Address == "" {
		return u, &soap.Fault{Code: "ErrorNonExistentMailbox"}
	}
	if !strings.EqualFold(u.SAM, caller.SAM) && !w.organisation.MayImpersonate(caller, u) {
		return u, &soap.Fault{Code: "ErrorImpersonateUserDenied"}
	}
	return u, nil
}

// byUPN finds an account by its user principal name; an account without one has that
// which its domain implies.
func (w *World) byUPN(name string) (org.User, bool) {
	u, found := w.accounts.Lookup(name)
	if !found || !strings.Contains(name, "@") {
		return org.User{}, false
	}
	return w.organisation.Find(u.SAM)
}

// byAddress finds who has a mailbox under an SMTP address, whether or not it is the
// primary one.
func (w *World) byAddress(address string) (org.User, bool) {
	address = strings.TrimSpace(address)
	if len(address) > 5 && strings.EqualFold(address[:5], "smtp:") {
		address = address[5:]
	}
	if !strings.Contains(address, "@") {
		return org.User{}, false
	}
	for _, u := range w.organisation.Users() {
		if u.Address == "" {
			continue
		}
		if strings.EqualFold(u.Address, address) {
			return u, true
		}
		for _, alias := range u.Aliases {
			if strings.EqualFold(alias, address) {
				return u, true
			}
		}
	}
	return org.User{}, false
}

// ewsSession answers the operations of one call.
type ewsSession struct {
	w    *World
	user org.User // as whom it acts
	code string   // of the first response message that failed
}

// failed is a response message that says why.
func (e *ewsSession) failed(element, code, rest string) string {
	if e.code == "" {
		e.code = code
	}
	return soap.ErrorMessage(element, code, rest, plain)
}

func responses(operation, messages string) string {
	return `<m:` + operation + `Response xmlns:m="` + soap.MessagesNS + `" xmlns:t="` + soap.TypesNS + `"><m:ResponseMessages>` + messages + `</m:ResponseMessages></m:` + operation + `Response>`
}

// timeZones answers GetServerTimeZones with a few of them.
func (e *ewsSession) timeZones(op *soap.Node) (string, *soap.Fault) {
	wanted := map[string]bool{}
	for _, c := range op.Children {
		if !c.Is(soap.MessagesNS, "Ids") || len(op.Children) > 1 || len(c.Children) == 0 {
			return "", soap.Unexpected(c)
		}
		for _, id := range c.Children {
			if !id.Is(soap.TypesNS, "Id") {
				return "", soap.Unexpected(id)
			}
			wanted[strings.TrimSpace(id.Text)] = true
		}
	}
	if full := op.Attrs["ReturnFullTimeZoneData"]; full != "" && full != "true" && full != "false" && full != "0" && full != "1" {
		return "", soap.Violation(op, "The attribute ReturnFullTimeZoneData is wrong.")
	}
	full := op.Attrs["ReturnFullTimeZoneData"] == "true" || op.Attrs["ReturnFullTimeZoneData"] == "1"
	var b strings.Builder
	b.WriteString(`<m:GetServerTimeZonesResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:TimeZoneDefinitions>`)
	for _, z := range []struct{ id, name, bias string }{
		{"UTC", "(UTC) Coordinated Universal Time", "PT0S"},
		{"Tokyo Standard Time", "(UTC+09:00) Osaka, Sapporo, Tokyo", "-PT9H"},
		{"India Standard Time", "(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", "-PT5H30M"},
	} {
		if len(wanted) > 0 && !wanted[z.id] {
			continue
		}
		b.WriteString(`<t:TimeZoneDefinition Id="` + soap.Escape(z.id) + `" Name="` + soap.Escape(z.name) + `"`)
		if !full {
			b.WriteString(`/>`)
			continue
		}
		b.WriteString(`><t:Periods><t:Period Bias="` + z.bias + `" Name="Standard" Id="trule:Microsoft/Registry/` + soap.Escape(z.id) + `/1-Standard"/></t:Periods>` +
			`<t:TransitionsGroups><t:TransitionsGroup Id="0"><t:Transition><t:To Kind="Period">trule:Microsoft/Registry/` + soap.Escape(z.id) + `/1-Standard</t:To></t:Transition></t:TransitionsGroup></t:TransitionsGroups>` +
			`<t:Transitions><t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions></t:TimeZoneDefinition>`)
	}
	b.WriteString(`</m:TimeZoneDefinitions></m:GetServerTimeZonesResponseMessage>`)
	return responses("GetServerTimeZones", b.String()), nil
}

// resolveNames answers ResolveNames from the directory, at most 100 recipients.
func (e *ewsSession) resolveNames(op *soap.Node) (string, *soap.Fault) {
	if full := op.Attrs["ReturnFullContactData"]; full != "true" && full != "false" {
		return "", soap.Violation(op, "The attribute ReturnFullContactData is missing.")
	}
	rest := op.Children
	if len(rest) == 2 && rest[0].Is(soap.MessagesNS, "ParentFolderIds") {
		rest = rest[1:]
	}
	if len(rest) != 1 || !rest[0].Is(soap.MessagesNS, "UnresolvedEntry") || strings.TrimSpace(rest[0].Text) == "" {
		return "", soap.Violation(op, "ResolveNames must hold UnresolvedEntry.")
	}
	entry := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(rest[0].Text)), "smtp:")
	exact, _ := e.w.byAddress(entry)
	var found []org.User
	for _, u := range e.w.organisation.Users() {
		if u.Address == "" || u.Hidden || len(found) == 100 {
			continue
		}
		if strings.HasPrefix(strings.ToLower(u.DisplayName), entry) || strings.HasPrefix(strings.ToLower(u.SAM), entry) || exact.SAM == u.SAM {
			found = append(found, u)
		}
	}
	var b strings.Builder
	switch len(found) {
	case 0:
		return responses("ResolveNames", e.failed("ResolveNamesResponseMessage", "ErrorNameResolutionNoResults", "")), nil
	case 1:
		b.WriteString(`<m:ResolveNamesResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>`)
	default:
		b.WriteString(`<m:ResolveNamesResponseMessage ResponseClass="Warning"><m:MessageText>Multiple results were found.</m:MessageText><m:ResponseCode>ErrorNameResolutionMultipleResults</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>`)
	}
	b.WriteString(`<m:ResolutionSet TotalItemsInView="` + strconv.Itoa(len(found)) + `" IncludesLastItemInRange="true">`)
	for _, u := range found {
		b.WriteString(`<t:Resolution><t:Mailbox><t:Name>` + soap.Escape(u.DisplayName) + `</t:Name><t:EmailAddress>` + soap.Escape(u.Address) +
			`</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType><t:MailboxType>Mailbox</t:MailboxType></t:Mailbox></t:Resolution>`)
	}
	b.WriteString(`</m:ResolutionSet></m:ResolveNamesResponseMessage>`)
	return responses("ResolveNames", b.String()), nil
}
