package sim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// convertID answers ConvertId. No item has an id here that could be converted,
// so every source is malformed or unknown; clients use the call to learn the
// server's version.
func (w *World) convertID(op *soap.Node, owner *user) (string, *soap.Fault) {
	formats := []string{"EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId"}
	if !slices.Contains(formats, op.Attrs["DestinationFormat"]) {
		return "", soap.Violation(op, "The attribute DestinationFormat is missing or wrong.")
	}
	if len(op.Children) != 1 || !op.Children[0].Is(soap.MessagesNS, "SourceIds") || len(op.Children[0].Children) == 0 {
		return "", soap.Violation(op, "ConvertId must hold SourceIds.")
	}
	var b strings.Builder
	b.WriteString(`<m:ConvertIdResponse xmlns:m="` + soap.MessagesNS + `" xmlns:t="` + soap.TypesNS + `"><m:ResponseMessages>`)
	for _, source := range op.Children[0].Children {
		if !source.Is(soap.TypesNS, "AlternateId") || !slices.Contains(formats, source.Attrs["Format"]) || source.Attrs["Id"] == "" || source.Attrs["Mailbox"] == "" {
			return "", soap.Unexpected(source)
		}
		code := "ErrorInvalidIdMalformed"
		if u := w.dir.recipient(source.Attrs["Mailbox"]); u != nil && u != owner {
			code = "ErrorAccessDenied"
		}
		b.WriteString(soap.ErrorMessage("ConvertIdResponseMessage", code, "", w.human))
	}
	b.WriteString(`</m:ResponseMessages></m:ConvertIdResponse>`)
	return b.String(), nil
}

// resolveNames answers ResolveNames from the directory, at most 100 people.
func (w *World) resolveNames(op *soap.Node, _ *user) (string, *soap.Fault) {
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
	entry := strings.ToLower(strings.TrimSpace(rest[0].Text))
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
	b.WriteString(`<m:ResolveNamesResponse xmlns:m="` + soap.MessagesNS + `" xmlns:t="` + soap.TypesNS + `"><m:ResponseMessages>`)
	switch len(found) {
	case 0:
		b.WriteString(soap.ErrorMessage("ResolveNamesResponseMessage", "ErrorNameResolutionNoResults", "", w.human))
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
		b.WriteString(`<t:Resolution><t:Mailbox><t:Name>` + soap.Escape(w.human(u.DisplayName)) + `</t:Name><t:EmailAddress>` + soap.Escape(u.primarySMTP()) +
			`</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType><t:MailboxType>` + kind + `</t:MailboxType></t:Mailbox></t:Resolution>`)
	}
	b.WriteString(`</m:ResolutionSet>`)
	return b.String()
}
