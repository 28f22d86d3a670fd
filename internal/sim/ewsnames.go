package sim

import (
	"slices"
	"strconv"
	"strings"
)

// convertID answers ConvertId. No item has an id here that could be converted,
// so every source is malformed or unknown; clients use the call to learn the
// server's version.
func (w *World) convertID(op *node, owner *user) (string, *soapFault) {
	formats := []string{"EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId"}
	if !slices.Contains(formats, op.attrs["DestinationFormat"]) {
		return "", violation(op, "The attribute DestinationFormat is missing or wrong.")
	}
	if len(op.children) != 1 || !op.children[0].is(messagesNS, "SourceIds") || len(op.children[0].children) == 0 {
		return "", violation(op, "ConvertId must hold SourceIds.")
	}
	var b strings.Builder
	b.WriteString(`<m:ConvertIdResponse xmlns:m="` + messagesNS + `" xmlns:t="` + typesNS + `"><m:ResponseMessages>`)
	for _, source := range op.children[0].children {
		if !source.is(typesNS, "AlternateId") || !slices.Contains(formats, source.attrs["Format"]) || source.attrs["Id"] == "" || source.attrs["Mailbox"] == "" {
			return "", unexpected(source)
		}
		code := "ErrorInvalidIdMalformed"
		if u := w.dir.recipient(source.attrs["Mailbox"]); u != nil && u != owner {
			code = "ErrorAccessDenied"
		}
		b.WriteString(w.errorMessage("ConvertIdResponseMessage", code, ""))
	}
	b.WriteString(`</m:ResponseMessages></m:ConvertIdResponse>`)
	return b.String(), nil
}

// resolveNames answers ResolveNames from the directory, at most 100 people.
func (w *World) resolveNames(op *node, _ *user) (string, *soapFault) {
	if full := op.attrs["ReturnFullContactData"]; full != "true" && full != "false" {
		return "", violation(op, "The attribute ReturnFullContactData is missing.")
	}
	rest := op.children
	if len(rest) == 2 && rest[0].is(messagesNS, "ParentFolderIds") {
		rest = rest[1:]
	}
	if len(rest) != 1 || !rest[0].is(messagesNS, "UnresolvedEntry") || strings.TrimSpace(rest[0].text) == "" {
		return "", violation(op, "ResolveNames must hold UnresolvedEntry.")
	}
	entry := strings.ToLower(strings.TrimSpace(rest[0].text))
	entry = strings.TrimPrefix(entry, "smtp:")
	var found []*user
	for _, u := range w.dir.users {
		if u.primarySMTP() == "" || len(found) == 100 {
			continue
		}
		hit := strings.HasPrefix(strings.ToLower(u.DisplayName), entry) || strings.HasPrefix(strings.ToLower(u.MailNickname), entry) || w.dir.recipient(entry) == u
		if hit {
			found = append(found, u)
		}
	}
	var b strings.Builder
	b.WriteString(`<m:ResolveNamesResponse xmlns:m="` + messagesNS + `" xmlns:t="` + typesNS + `"><m:ResponseMessages>`)
	switch len(found) {
	case 0:
		b.WriteString(w.errorMessage("ResolveNamesResponseMessage", "ErrorNameResolutionNoResults", ""))
	default:
		if len(found) == 1 {
			b.WriteString(`<m:ResolveNamesResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>`)
		} else {
			b.WriteString(`<m:ResolveNamesResponseMessage ResponseClass="Warning"><m:MessageText>Multiple results were found.</m:MessageText><m:ResponseCode>ErrorNameResolutionMultipleResults</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>`)
		}
		b.WriteString(w.resolutionSet(found))
		b.WriteString(`</m:ResolveNamesResponseMessage>`)
	}
	b.WriteString(`</m:ResponseMessages></m:ResolveNamesResponse>`)
	return b.String(), nil
}

func (w *World) resolutionSet(found []*user) string {
	var b strings.Builder
	b.WriteString(`<m:ResolutionSet TotalItemsInView="` + strconv.Itoa(len(found)) + `" IncludesLastItemInRange="true">`)
	for _, u := range found {
		kind := "Mailbox"
		if u.mailbox == nil {
			kind = "Contact"
		}
		b.WriteString(`<t:Resolution><t:Mailbox><t:Name>` + escape(w.human(u.DisplayName)) + `</t:Name><t:EmailAddress>` + escape(u.primarySMTP()) +
			`</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType><t:MailboxType>` + kind + `</t:MailboxType></t:Mailbox></t:Resolution>`)
	}
	b.WriteString(`</m:ResolutionSet>`)
	return b.String()
}
