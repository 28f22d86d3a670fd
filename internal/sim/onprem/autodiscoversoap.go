package onprem

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

const (
	discoverNS   = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
	addressingNS = "http://www.w3.org/2005/08/addressing"
	settingsCall = discoverNS + "/Autodiscover/GetUserSettings"
)

// autodiscoverSOAP is autodiscover.svc: GetUserSettings alone.
//
// Source: MS-OXWSADISC, section 3.1.4.3; learn.microsoft.com/exchange/client-developer/
// web-service-reference/getusersettings-operation-soap.
func (w *World) autodiscoverSOAP(r *request) *answer {
	if r.Method != http.MethodPost {
		return newAnswer("autodiscover svc", http.StatusMethodNotAllowed, "", "")
	}
	if a := w.spoiled(); a != nil {
		return a
	}
	root, err := soap.Parse(r.body)
	if err != nil || !root.Is(soap.EnvelopeNS, "Envelope") {
		return discoverFault("a:InternalServiceFault", "The message is no SOAP 1.1 envelope.")
	}
	head, body := root.Child(soap.EnvelopeNS, "Header"), root.Child(soap.EnvelopeNS, "Body")
	if head == nil || body == nil || len(body.Children) != 1 {
		return discoverFault("a:InternalServiceFault", "The message needs a Header and a Body with one operation.")
	}
	action := head.Child(addressingNS, "Action")
	if action == nil || strings.TrimSpace(action.Text) != settingsCall || !body.Children[0].Is(discoverNS, "GetUserSettingsRequestMessage") {
		return discoverFault("a:ActionNotSupported", "The message cannot be processed at the receiver, because its action is not supported.")
	}
	if version := head.Child(discoverNS, "RequestedServerVersion"); version == nil || !discoverVersion(strings.TrimSpace(version.Text)) {
		return w.discovered(`<ErrorCode>InvalidRequest</ErrorCode><ErrorMessage>The RequestedServerVersion header is missing or wrong.</ErrorMessage><UserResponses/>`).because("InvalidRequest")
	}
	ask := body.Children[0].Child(discoverNS, "Request")
	if ask == nil {
		return w.discovered(`<ErrorCode>InvalidRequest</ErrorCode><ErrorMessage>The request is missing.</ErrorMessage><UserResponses/>`).because("InvalidRequest")
	}
	users, settings := ask.Child(discoverNS, "Users"), ask.Child(discoverNS, "RequestedSettings")
	if users == nil || settings == nil || len(users.Children) == 0 || len(users.Children) > 100 || len(settings.Children) == 0 {
		return w.discovered(`<ErrorCode>InvalidRequest</ErrorCode><ErrorMessage>Users and settings are missing, or too many.</ErrorMessage><UserResponses/>`).because("InvalidRequest")
	}
	var b strings.Builder
	code := ""
	for _, u := range users.Children {
		mailbox := u.Child(discoverNS, "Mailbox")
		address := ""
		if mailbox != nil {
			address = strings.TrimSpace(mailbox.Text)
		}
		text, why := w.userSettings(r, address, settings)
		b.WriteString(text)
		if code == "" {
			code = why
		}
	}
	return w.discovered(`<ErrorCode>NoError</ErrorCode><ErrorMessage/><UserResponses>` + b.String() + `</UserResponses>`).because(code)
}

func discoverVersion(text string) bool {
	return text == "Exchange2010" || strings.HasPrefix(text, "Exchange201") || text == "Exchange_Current"
}

// userSettings is the response for one user; the code is empty when all is well.
func (w *World) userSettings(r *request, address string, settings *soap.Node) (text, code string) {
	failed := func(code, message, target string) (string, string) {
		if target == "" {
			target = `<RedirectTarget i:nil="true"/>`
		} else {
			target = `<RedirectTarget>` + soap.Escape(target) + `</RedirectTarget>`
		}
		return `<UserResponse><ErrorCode>` + code + `</ErrorCode><ErrorMessage>` + soap.Escape(message) + `</ErrorMessage>` + target + `<UserSettingErrors/><UserSettings/></UserResponse>`, code
	}
	u, found := w.byAddress(address)
	switch to := w.led(r, address); {
	case w.has("autodiscover-error"):
		return failed("InvalidUser", "The user was not found.", "")
	case to.address != "":
		return failed("RedirectAddress", "Redirection address.", to.address)
	case to.url != "":
		return failed("RedirectUrl", "Redirection URL.", strings.Replace(to.url, "Autodiscover.xml", "Autodiscover.svc", 1))
	case !found:
		return failed("InvalidUser", "The user was not found.", "")
	}
	values := map[string]string{
		"UserDisplayName": u.DisplayName, "UserDN": legacyDN(u), "AutoDiscoverSMTPAddress": u.Address,
		"InternalEwsUrl": w.ewsURL(), "ExternalEwsUrl": w.ewsURL(), "InternalMailboxServer": Server, "ExternalMailboxServer": w.webName(),
		"EwsSupportedSchemas": strings.Join(w.supported(), ", "), "ActiveDirectoryServer": DomainController,
		"ExternalEwsVersion": w.version.Build, "CasVersion": w.version.Build,
	}
	var good, bad strings.Builder
	for _, s := range settings.Children {
		name := strings.TrimSpace(s.Text)
		switch value, known := values[name]; {
		case !s.Is(discoverNS, "Setting") || name == "":
			return failed("InvalidRequest", "The list of settings is wrong.", "")
		case known:
			good.WriteString(`<UserSetting i:type="StringSetting"><Name>` + name + `</Name><Value>` + soap.Escape(value) + `</Value></UserSetting>`)
		default:
			bad.WriteString(`<UserSettingError><ErrorCode>SettingIsNotAvailable</ErrorCode><ErrorMessage>The setting is not available.</ErrorMessage><SettingName>` + soap.Escape(name) + `</SettingName></UserSettingError>`)
		}
	}
	return `<UserResponse><ErrorCode>NoError</ErrorCode><ErrorMessage>No error.</ErrorMessage><RedirectTarget i:nil="true"/><UserSettingErrors>` + bad.String() + `</UserSettingErrors><UserSettings>` +
		good.String() + `</UserSettings></UserResponse>`, ""
}

// supported are the names of the schemas that EwsSupportedSchemas lists.
func (w *World) supported() []string {
	var list []string
	for _, v := range w.version.schemas {
		if strings.HasPrefix(v, "Exchange") {
			list = append(list, v)
		}
	}
	return list
}

func (w *World) discovered(response string) *answer {
	n := w.version.number
	version := map[string]string{"2013": "Exchange2013_SP1"}[w.version.Name]
	if version == "" {
		version = "Exchange2016"
	}
	return newAnswer("autodiscover svc", http.StatusOK, xmlType, `<s:Envelope xmlns:s="`+soap.EnvelopeNS+`" xmlns:a="`+addressingNS+`"><s:Header><a:Action s:mustUnderstand="1">`+settingsCall+`Response</a:Action>`+
		fmt.Sprintf(`<h:ServerVersionInfo xmlns:h="%s" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><h:MajorVersion>%d</h:MajorVersion><h:MinorVersion>%d</h:MinorVersion><h:MajorBuildNumber>%d</h:MajorBuildNumber><h:MinorBuildNumber>%d</h:MinorBuildNumber><h:Version>%s</h:Version></h:ServerVersionInfo>`,
			discoverNS, n.Major, n.Minor, n.Build, n.Revision, version)+
		`</s:Header><s:Body><GetUserSettingsResponseMessage xmlns="`+discoverNS+`"><Response xmlns:i="http://www.w3.org/2001/XMLSchema-instance">`+response+`</Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>`)
}

// discoverFault is a SOAP fault of the Windows Communication Foundation.
func discoverFault(code, text string) *answer {
	return newAnswer("autodiscover svc", http.StatusInternalServerError, xmlType, `<s:Envelope xmlns:s="`+soap.EnvelopeNS+`"><s:Body><s:Fault><faultcode xmlns:a="http://schemas.microsoft.com/ws/2005/05/addressing/none">`+
		soap.Escape(code)+`</faultcode><faultstring xml:lang="en-US">`+soap.Escape(text)+`</faultstring></s:Fault></s:Body></s:Envelope>`).because(code)
}
