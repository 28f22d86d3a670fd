package sim

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

const ewsContentType = "text/xml; charset=utf-8"

// outlook is Exchange Online's front door: only EWS is behind it.
func (w *World) outlook(r *request) *answer {
	a := w.outlookRoute(r)
	h := a.header
	h.Set("request-id", r.id)
	h.Set("X-FEServer", "SIM0CA0001")
	h.Set("X-Powered-By", "ASP.NET")
	if r.Header.Get("client-request-id") != "" && strings.EqualFold(r.Header.Get("return-client-request-id"), "true") {
		h.Set("client-request-id", r.correlation)
	}
	return a
}

func (w *World) outlookRoute(r *request) *answer {
	if !strings.EqualFold(strings.TrimSuffix(r.URL.Path, "/"), "/EWS/Exchange.asmx") {
		return named("ews unknown path", newAnswer(http.StatusNotFound, "", nil))
	}
	if f := w.faults.get("ews-gone"); f != nil {
		status := http.StatusGone
		if len(f.words) > 0 && f.words[0] == "404" {
			status = http.StatusNotFound
		}
		return named("ews gone", newAnswer(status, "", nil))
	}
	claims, err := w.bearer(r, ExchangeAppID)
	if err != nil {
		return named("ews unauthorized", w.ewsUnauthorized(r, err))
	}
	if challenge := w.challenge(r, claims, ExchangeAppID); challenge != "" {
		a := newAnswer(http.StatusUnauthorized, "", nil)
		a.header.Set("WWW-Authenticate", challenge)
		return named("ews claims challenge", a)
	}
	if a := w.ewsPermission(claims); a != nil {
		return named("ews forbidden", a)
	}
	if r.Method != http.MethodPost {
		return named("ews method", newAnswer(http.StatusMethodNotAllowed, "", nil))
	}
	if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "text/xml" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return named("ews content type", newAnswer(http.StatusUnsupportedMediaType, "", nil))
	}
	return w.ewsCall(r, claims)
}

// ewsUnauthorized is the refusal of a token.
//
// Source: the x-ms-diagnostics codes of Exchange's OAuth front end.
func (w *World) ewsUnauthorized(r *request, why error) *answer {
	a := newAnswer(http.StatusUnauthorized, "", nil)
	challenge := `Bearer client_id="` + ExchangeAppID + `", trusted_issuers="00000001-0000-0000-c000-000000000000@*", token_types="app_asserted_user_v1 service_asserted_app_v1", authorization_uri="` + w.authorizeURL(r) + `"`
	diagnostics := ""
	switch {
	case errors.Is(why, errNoToken):
	case errors.Is(why, errWrongAudience):
		diagnostics = `2000003;reason="The audience claim value is invalid 'aud'.";error_category="invalid_resource"`
	case errors.Is(why, errWrongTenant):
		diagnostics = `2000004;reason="The tenant for tenant guid does not exist.";error_category="invalid_tenant"`
	case errors.Is(why, errExpiredToken):
		diagnostics = `2000001;reason="The token has expired.";error_category="token_expired"`
	default:
		diagnostics = `2000000;reason="The token cannot be read or its signature is invalid.";error_category="invalid_signature"`
	}
	if diagnostics != "" {
		challenge += `, error="invalid_token"`
		a.header.Set("x-ms-diagnostics", diagnostics)
	}
	a.header.Set("WWW-Authenticate", challenge)
	return a
}

// ewsPermission asks for full_access_as_app: a token without any role is
// refused otherwise than one with other roles.
func (w *World) ewsPermission(c accessClaims) *answer {
	switch {
	case len(c.Roles) == 0:
		a := newAnswer(http.StatusUnauthorized, "", nil)
		a.header.Set("x-ms-diagnostics", `2000008;reason="The token contains no permissions, or permissions can not be understood.";error_category="invalid_grant"`)
		a.header.Set("WWW-Authenticate", `Bearer client_id="`+ExchangeAppID+`", trusted_issuers="00000001-0000-0000-c000-000000000000@*", token_types="app_asserted_user_v1 service_asserted_app_v1", error="invalid_token"`)
		return a
	case !allowed(c.Roles, []string{"full_access_as_app"}) || w.faults.get("ews-no-permission") != nil:
		a := newAnswer(http.StatusForbidden, "", nil)
		a.header.Set("x-ms-diagnostics", `2000008;reason="The token contains not enough scope to make this call.";error_category="invalid_grant"`)
		return a
	}
	return nil
}

// ewsPolicyAnswer is the tenant's block: a status and a header, no body.
//
// Source: learn.microsoft.com/exchange/client-developer/exchange-web-services/
// how-to-control-access-to-ews-in-exchange.
func (w *World) ewsPolicyAnswer(clientID string, mailbox *bool) *answer {
	w.dir.mu.RLock()
	policy := w.dir.policy
	w.dir.mu.RUnlock()
	off := false
	if w.faults.get("ews-disabled") != nil {
		policy.enabled = &off
	}
	if w.faults.get("ews-blocked") != nil {
		on := true
		policy.enabled, policy.allowed = &on, nil
	}
	if w.faults.get("ews-mailbox-disabled") != nil {
		mailbox = &off
	}
	reason := policy.verdict(clientID, mailbox)
	if reason == "" {
		return nil
	}
	a := newAnswer(http.StatusForbidden, "", nil)
	a.header.Set("X-EWS-Policy-Reason", reason)
	return a
}

// ewsCall answers an EWS request whose token is good.
func (w *World) ewsCall(r *request, claims accessClaims) *answer {
	if a := w.ewsPolicyAnswer(claims.AppID, nil); a != nil {
		return named("ews blocked", a)
	}
	call := ewsCall{}
	var fault *soap.Fault
	call.Call, fault = soap.ParseCall(r.body, serverVersions())
	call.routing = routing{anchor: r.Header.Get("X-AnchorMailbox"), mailbox: r.Header.Get("X-PublicFolderMailbox")}
	name := "ews " + call.Operation
	if fault != nil {
		return named("ews invalid", w.soapFault(*fault))
	}
	if f := w.faults.get("ews-busy"); f != nil && f.take("ews") {
		return named(name, w.soapFault(soap.Fault{Code: "ErrorServerBusy", Values: []soap.Value{{Name: "BackOffMilliseconds", Value: strconv.FormatInt(int64(f.wait/time.Millisecond), 10)}}}))
	}
	w.dir.mu.RLock()
	owner, fault := w.impersonated(call)
	w.dir.mu.RUnlock()
	if fault != nil {
		return named(name, w.soapFault(*fault))
	}
	if a := w.ewsPolicyAnswer(claims.AppID, owner.mailbox.ewsEnabled); a != nil {
		return named("ews blocked", a)
	}
	if f := w.faults.get("ews-fault"); f != nil {
		return named(name, w.soapFault(soap.Fault{Code: f.words[0]}))
	}
	w.dir.mu.RLock()
	defer w.dir.mu.RUnlock()
	body, fault := w.ewsOperation(call, owner)
	if fault != nil {
		return named(name, w.soapFault(*fault))
	}
	return named(name, newAnswer(http.StatusOK, ewsContentType, []byte(soapEnvelope(body))))
}

// impersonated finds the mailbox that the call acts on. A token for an
// application carries no user, so the header is required.
func (w *World) impersonated(call ewsCall) (*user, *soap.Fault) {
	if w.faults.get("ews-impersonation-denied") != nil {
		return nil, &soap.Fault{Code: "ErrorImpersonateUserDenied"}
	}
	if w.faults.get("ews-no-mailbox") != nil {
		return nil, &soap.Fault{Code: "ErrorNonExistentMailbox"}
	}
	var u *user
	switch call.SIDKind {
	case "":
		return nil, &soap.Fault{Code: "ErrorInvalidExchangeImpersonationHeaderData", Text: "ExchangeImpersonation SOAP header must be present for this type of OAuth token."}
	case "PrincipalName":
		for _, candidate := range w.dir.users {
			if strings.EqualFold(candidate.UserPrincipalName, call.SID) {
				u = candidate
			}
		}
		if u == nil {
			return nil, &soap.Fault{Code: "ErrorInvalidUserPrincipalName"}
		}
	case "SID":
		for _, candidate := range w.dir.users {
			if strings.EqualFold(candidate.sid, call.SID) {
				u = candidate
			}
		}
		if u == nil {
			return nil, &soap.Fault{Code: "ErrorInvalidUserSid"}
		}
	case "PrimarySmtpAddress":
		u = w.dir.recipient(call.SID)
		if u != nil && !strings.EqualFold(u.primarySMTP(), call.SID) {
			return nil, &soap.Fault{Code: "ErrorNonPrimarySmtpAddress", Values: []soap.Value{{Name: "Primary", Value: u.primarySMTP()}}}
		}
	default:
		u = w.dir.recipient(call.SID)
	}
	if u == nil || u.mailbox == nil {
		return nil, &soap.Fault{Code: "ErrorNonExistentMailbox"}
	}
	return u, nil
}

// ewsCall is a request that has the form of EWS, with the headers of HTTP that lead it.
type ewsCall struct {
	soap.Call
	routing routing
}

// human is a text for people, spoiled by the fault hostile-text.
func (w *World) human(text string) string {
	if w.faults.at("hostile-text", serviceOutlook) != nil {
		return hostileXML(text)
	}
	return text
}

func (w *World) soapFault(f soap.Fault) *answer {
	return newAnswer(http.StatusInternalServerError, ewsContentType, []byte(f.Document(w.human)))
}

// soapEnvelope wraps a response message as a build of Exchange Online does.
func soapEnvelope(body string) string {
	return soap.Build{Major: 15, Minor: 20, Build: 9253, Revision: 12, Schema: "V2018_01_08"}.Envelope(body)
}

// serverVersions are the values of RequestServerVersion: those of the published
// schema and those that Exchange Online added.
func serverVersions() []string {
	return []string{"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016",
		"V2015_10_05", "V2016_01_06", "V2016_04_13", "V2016_07_13", "V2016_10_10", "V2017_01_07", "V2017_04_14", "V2017_07_11", "V2017_10_09", "V2018_01_08"}
}
