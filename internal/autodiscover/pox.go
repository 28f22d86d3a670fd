package autodiscover

import (
	"fmt"
	"strconv"
	"strings"
)

// Namespaces of plain XML (POX). Some of Microsoft's pages show them with https; the
// real ones begin with http.
const (
	nsPOXRequest = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	nsPOX        = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006" // root, and the Response of an error
	nsPOXOutlook = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

// answer is what an autodiscover service said, in whichever form.
type answer struct {
	internal, external string // EWS URLs, as sent
	server             string // name of the mailbox server, as sent
	version            string // e.g. 15.2.1544.4
	toURL, toAddress   string // redirect
	err                *AnswerError
}

// poxRequest asks for the settings of a mailbox.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/pox-autodiscover-request-for-exchange.
func poxRequest(address string) []byte {
	return []byte(`<?xml version="1.0" encoding="utf-8"?>` + "\n" +
		`<Autodiscover xmlns="` + nsPOXRequest + `"><Request><EMailAddress>` + escape(address) + `</EMailAddress>` +
		`<AcceptableResponseSchema>` + nsPOXOutlook + `</AcceptableResponseSchema></Request></Autodiscover>`)
}

// parsePOX reads the answer to poxRequest.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/pox-autodiscover-response-for-exchange.
func parsePOX(body []byte) (answer, error) {
	root, err := readXML(body)
	if err != nil {
		return answer{}, err
	}
	if root.name.Space != nsPOX || root.name.Local != "Autodiscover" {
		return answer{}, errNotXML
	}
	// An error comes in a Response of either namespace.
	for _, ns := range []string{nsPOXOutlook, nsPOX} {
		if e := root.child(ns, "Response").child(ns, "Error"); e != nil {
			return answer{err: &AnswerError{Status: 200, Code: code(e.value(ns, "ErrorCode")), Message: e.value(ns, "Message")}}, nil
		}
	}
	account := root.child(nsPOXOutlook, "Response").child(nsPOXOutlook, "Account")
	if account == nil {
		return answer{}, errNotXML
	}
	var a answer
	switch action := account.value(nsPOXOutlook, "Action"); {
	case strings.EqualFold(action, "redirectAddr"):
		if a.toAddress = account.value(nsPOXOutlook, "RedirectAddr"); a.toAddress == "" {
			return answer{}, errNotXML
		}
		return a, nil
	case strings.EqualFold(action, "redirectUrl"):
		if a.toURL = account.value(nsPOXOutlook, "RedirectUrl"); a.toURL == "" {
			return answer{}, errNotXML
		}
		return a, nil
	case !strings.EqualFold(action, "settings"):
		return answer{}, errNotXML
	}
	a.protocols(account.all(nsPOXOutlook, "Protocol"))
	if a.internal == "" && a.external == "" {
		a.err = &AnswerError{Status: 200, Code: "settings", Message: "the settings of the mailbox name no EWS URL"}
	}
	return a, nil
}

// protocols reads where EWS is: EXCH is for clients in the network, EXPR for those
// outside; WEB repeats both. EXHTTP comes only to clients that ask for it, which is
// not done here.
func (a *answer) protocols(list []*node) {
	for _, p := range list {
		url := p.value(nsPOXOutlook, "EwsUrl")
		if url == "" {
			url = p.value(nsPOXOutlook, "ASUrl") // the same service; Exchange 2007 has this one only
		}
		switch p.value(nsPOXOutlook, "Type") {
		case "EXCH":
			a.internal = first(a.internal, url)
			a.server = first(a.server, p.value(nsPOXOutlook, "Server"))
			a.version = first(a.version, hexVersion(p.value(nsPOXOutlook, "ServerVersion")))
		case "EXPR":
			a.external = first(a.external, url)
			a.version = first(a.version, hexVersion(p.value(nsPOXOutlook, "ServerVersion")))
		}
	}
	for _, p := range list {
		if p.value(nsPOXOutlook, "Type") != "WEB" {
			continue
		}
		inside := p.child(nsPOXOutlook, "Internal").child(nsPOXOutlook, "Protocol").value(nsPOXOutlook, "ASUrl")
		outside := p.child(nsPOXOutlook, "External").child(nsPOXOutlook, "Protocol").value(nsPOXOutlook, "ASUrl")
		a.internal, a.external = first(a.internal, inside), first(a.external, outside)
	}
}

func first(have, more string) string {
	if have != "" {
		return have
	}
	return more
}

// hexVersion reads a ServerVersion: 4 bits to be ignored, 6 bits major, 6 bits minor,
// 1 bit to be ignored, 15 bits build.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/serverversion-pox.
func hexVersion(s string) string {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) > 8 || n == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", n>>22&0x3f, n>>16&0x3f, n&0x7fff)
}

// code is an error code; an empty one must not look like none.
func code(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
