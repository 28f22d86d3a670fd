package ews

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// MailboxError is a mailbox that is no e-mail address; nothing was sent.
type MailboxError struct{ Mailbox string }

func (e *MailboxError) Error() string {
	return fmt.Sprintf("%q is no e-mail address", transport.CleanText(e.Mailbox, 100))
}

// checkMailbox refuses what would break a header or the envelope. Whether the
// mailbox exists is for the server to say.
func checkMailbox(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > 320 || s != transport.CleanText(s, 400) || strings.ContainsAny(s, " <>") {
		return &MailboxError{Mailbox: s}
	}
	return nil
}

// getFolder writes the request that proves impersonation: one folder of the
// mailbox, by its fixed name, with these properties besides its id; without a mailbox
// it is one of the signed-in account. The order of the elements is the schema's.
//
// Source: learn.microsoft.com/exchange/client-developer/web-service-reference/getfolder-operation.
func getFolder(mailbox, folder string, properties ...string) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="` + nsSOAP + `" xmlns:t="` + nsTypes + `" xmlns:m="` + nsMessages + `">` +
		`<soap:Header><t:RequestServerVersion Version="Exchange2013_SP1"/>`)
	if mailbox != "" {
		b.WriteString(`<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>`)
		b.WriteString(escape(mailbox))
		b.WriteString(`</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>`)
	}
	b.WriteString(`</soap:Header><soap:Body><m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape>`)
	if len(properties) > 0 {
		b.WriteString(`<t:AdditionalProperties>`)
		for _, p := range properties {
			b.WriteString(`<t:FieldURI FieldURI="` + escape(p) + `"/>`)
		}
		b.WriteString(`</t:AdditionalProperties>`)
	}
	b.WriteString(`</m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="`)
	b.WriteString(escape(folder))
	b.WriteString(`"/></m:FolderIds></m:GetFolder></soap:Body></soap:Envelope>`)
	return b.Bytes()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}
