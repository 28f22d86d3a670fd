package autodiscover

import (
	"fmt"
	"strconv"
	"strings"
)

// Namespaces of SOAP autodiscover.
const (
	nsSOAP         = "http://schemas.xmlsoap.org/soap/envelope/"
	nsAddressing   = "http://www.w3.org/2005/08/addressing"
	nsAutodiscover = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
	soapAction     = nsAutodiscover + "/Autodiscover/GetUserSettings"
)

// The settings that are asked for.
const (
	settingInternal = "InternalEwsUrl"
	settingExternal = "ExternalEwsUrl"
	settingServer   = "InternalMailboxServer"
	settingVersion  = "CasVersion"
)

// soapRequest asks for the settings of a mailbox at url.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/getusersettings-operation-soap.
func soapRequest(address, url string) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="` + nsSOAP + `" xmlns:a="` + nsAutodiscover + `" xmlns:wsa="` + nsAddressing + `"><soap:Header>` +
		`<a:RequestedServerVersion>Exchange2010</a:RequestedServerVersion><wsa:Action>` + soapAction + `</wsa:Action><wsa:To>` + escape(url) + `</wsa:To></soap:Header>` +
		`<soap:Body><a:GetUserSettingsRequestMessage><a:Request><a:Users><a:User><a:Mailbox>` + escape(address) + `</a:Mailbox></a:User></a:Users><a:RequestedSettings>`)
	for _, s := range []string{settingInternal, settingExternal, settingServer, settingVersion} {
		b.WriteString(`<a:Setting>` + s + `</a:Setting>`)
	}
	b.WriteString(`</a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage></soap:Body></soap:Envelope>`)
	return []byte(b.String())
}

// parseSOAP reads the answer to soapRequest. An error can be that of the request, of
// the user and of a setting.
func parseSOAP(body []byte) (answer, error) {
	root, err := readXML(body)
	if err != nil {
		return answer{}, err
	}
	if root.name.Space != nsSOAP || root.name.Local != "Envelope" {
		return answer{}, errNotXML
	}
	content := root.child(nsSOAP, "Body")
	if f := content.child(nsSOAP, "Fault"); f != nil {
		_, c, _ := strings.Cut(f.value("", "faultcode"), ":") // without the prefix of its namespace
		return answer{err: &AnswerError{Status: 500, Code: code(c), Message: f.value("", "faultstring")}}, nil
	}
	response := content.child(nsAutodiscover, "GetUserSettingsResponseMessage").child(nsAutodiscover, "Response")
	if response == nil {
		return answer{}, errNotXML
	}
	var a answer
	a.version = headerVersion(root.child(nsSOAP, "Header").child(nsAutodiscover, "ServerVersionInfo"))
	if a.err = failed(response); a.err != nil {
		return a, nil
	}
	user := response.child(nsAutodiscover, "UserResponses").child(nsAutodiscover, "UserResponse")
	if user == nil {
		return answer{}, errNotXML
	}
	target := user.value(nsAutodiscover, "RedirectTarget")
	switch c := user.value(nsAutodiscover, "ErrorCode"); {
	case c == "RedirectAddress" && target != "":
		a.toAddress = target
		return a, nil
	case c == "RedirectUrl" && target != "":
		a.toURL = target
		return a, nil
	}
	if a.err = failed(user); a.err != nil {
		return a, nil
	}
	for _, s := range user.child(nsAutodiscover, "UserSettings").all(nsAutodiscover, "UserSetting") {
		v := s.value(nsAutodiscover, "Value")
		switch s.value(nsAutodiscover, "Name") {
		case settingInternal:
			a.internal = first(a.internal, v)
		case settingExternal:
			a.external = first(a.external, v)
		case settingServer:
			a.server = first(a.server, v)
		case settingVersion:
			a.version = first(a.version, v)
		}
	}
	if a.internal == "" && a.external == "" {
		a.err = missing(user)
	}
	return a, nil
}

// failed returns the error of a Response or UserResponse.
func failed(n *node) *AnswerError {
	c := n.value(nsAutodiscover, "ErrorCode")
	if c == "" || c == "NoError" {
		return nil
	}
	return &AnswerError{Status: 200, Code: c, Message: n.value(nsAutodiscover, "ErrorMessage")}
}

// missing says why an answer has no EWS URL.
func missing(user *node) *AnswerError {
	for _, e := range user.child(nsAutodiscover, "UserSettingErrors").all(nsAutodiscover, "UserSettingError") {
		switch e.value(nsAutodiscover, "SettingName") {
		case settingInternal, settingExternal:
			if err := failed(e); err != nil {
				return err
			}
		}
	}
	return &AnswerError{Status: 200, Code: "settings", Message: "the settings of the mailbox name no EWS URL"}
}

func headerVersion(v *node) string {
	var parts [4]int
	for i, name := range []string{"MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber"} {
		n, err := strconv.Atoi(v.value(nsAutodiscover, name))
		if err != nil || n < 0 || n > 1<<20 {
			return ""
		}
		parts[i] = n
	}
	return fmt.Sprintf("%d.%d.%d.%d", parts[0], parts[1], parts[2], parts[3])
}
