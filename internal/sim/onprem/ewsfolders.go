package onprem

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/soap"
)

// folderKey is the opaque id of a folder: it names mailbox and folder.
func folderKey(u org.User, id string) string {
	return "AAMk" + base64.StdEncoding.EncodeToString([]byte(u.SAM+"|"+id))
}

// folderByKey reads an opaque id back.
func folderByKey(u org.User, key string) (id string, malformed, mine bool) {
	rest, ok := strings.CutPrefix(key, "AAMk")
	raw, err := base64.StdEncoding.DecodeString(rest)
	owner, id, found := strings.Cut(string(raw), "|")
	if !ok || err != nil || !found {
		return "", true, false
	}
	return id, false, strings.EqualFold(owner, u.SAM)
}

// locate finds the folder that an id of a request means; the code is the reason why
// there is none.
func (e *ewsSession) locate(id *soap.Node) (name, code string, fault *soap.Fault) {
	switch {
	case id.Is(soap.TypesNS, "DistinguishedFolderId"):
		if name = id.Attrs["Id"]; !slices.Contains(soap.DistinguishedIDs(), name) {
			return "", "", soap.Violation(id, "The value '"+name+"' is no distinguished folder.")
		}
		if len(id.Children) == 0 && e.user.Address == "" {
			return "", "ErrorMissingEmailAddress", nil
		}
		if len(id.Children) > 0 {
			if code := e.otherMailbox(id.Children[0]); code != "" {
				return "", code, nil
			}
		}
		if name == "publicfoldersroot" {
			return "", "ErrorNoPublicFolderServerAvailable", nil
		}
	case id.Is(soap.TypesNS, "FolderId"):
		key, malformed, mine := folderByKey(e.user, id.Attrs["Id"])
		switch {
		case malformed:
			return "", "ErrorInvalidIdMalformed", nil
		case !mine:
			return "", "ErrorFolderNotFound", nil
		}
		name = key
	default:
		return "", "", soap.Unexpected(id)
	}
	if _, ok := soap.Folders()[name]; !ok {
		return "", "ErrorFolderNotFound", nil
	}
	return name, "", nil
}

// otherMailbox judges the Mailbox inside a DistinguishedFolderId: one's own, or one
// that one has no right to: nobody has shared anything here.
func (e *ewsSession) otherMailbox(n *soap.Node) string {
	if !n.Is(soap.TypesNS, "Mailbox") {
		return "ErrorNonExistentMailbox"
	}
	address := n.Child(soap.TypesNS, "EmailAddress")
	if address == nil {
		return "ErrorNonExistentMailbox"
	}
	u, found := e.w.byAddress(address.Text)
	switch {
	case !found:
		return "ErrorNonExistentMailbox"
	case u.SAM != e.user.SAM:
		return "ErrorAccessDenied"
	}
	return ""
}

func (e *ewsSession) element(name string, shape soap.Shape) string {
	f := soap.Folders()[name]
	return f.Element(name, folderKey(e.user, name), folderKey(e.user, f.Parent), shape, soap.Rights{Effective: soap.EffectiveRights()}, plain)
}

func (e *ewsSession) getFolder(op *soap.Node) (string, *soap.Fault) {
	if len(op.Children) != 2 || !op.Children[0].Is(soap.MessagesNS, "FolderShape") || !op.Children[1].Is(soap.MessagesNS, "FolderIds") || len(op.Children[1].Children) == 0 {
		return "", soap.Violation(op, "GetFolder must hold FolderShape and FolderIds.")
	}
	shape, fault := soap.ParseShape(op.Children[0])
	if fault != nil {
		return "", fault
	}
	var b strings.Builder
	for _, id := range op.Children[1].Children {
		name, code, fault := e.locate(id)
		if fault != nil {
			return "", fault
		}
		if forced, on := e.w.fault("ews-error"); on {
			code = forced
		}
		if code != "" {
			b.WriteString(e.failed("GetFolderResponseMessage", code, `<m:Folders/>`))
			continue
		}
		b.WriteString(`<m:GetFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Folders>` + e.element(name, shape) + `</m:Folders></m:GetFolderResponseMessage>`)
	}
	return responses("GetFolder", b.String()), nil
}

// findFolder lists what is in folders, without paging: there are few.
func (e *ewsSession) findFolder(op *soap.Node) (string, *soap.Fault) {
	deep := op.Attrs["Traversal"] == "Deep"
	if !deep && op.Attrs["Traversal"] != "Shallow" && op.Attrs["Traversal"] != "SoftDeleted" {
		return "", soap.Violation(op, "The attribute Traversal is missing or wrong.")
	}
	shapeNode, parents := op.Child(soap.MessagesNS, "FolderShape"), op.Child(soap.MessagesNS, "ParentFolderIds")
	if shapeNode == nil || parents == nil || len(parents.Children) == 0 || op.Children[0] != shapeNode || op.Children[len(op.Children)-1] != parents {
		return "", soap.Violation(op, "FindFolder must begin with FolderShape and end with ParentFolderIds.")
	}
	for _, c := range op.Children {
		if known := c == shapeNode || c == parents || c.Is(soap.MessagesNS, "IndexedPageFolderView") || c.Is(soap.MessagesNS, "FractionalPageFolderView") || c.Is(soap.MessagesNS, "Restriction"); !known {
			return "", soap.Unexpected(c)
		}
	}
	shape, fault := soap.ParseShape(shapeNode)
	if fault != nil {
		return "", fault
	}
	var b strings.Builder
	for _, id := range parents.Children {
		name, code, fault := e.locate(id)
		if fault != nil {
			return "", fault
		}
		if code != "" {
			b.WriteString(e.failed("FindFolderResponseMessage", code, ""))
			continue
		}
		list := children(name, deep)
		if op.Attrs["Traversal"] == "SoftDeleted" {
			list = nil
		}
		b.WriteString(`<m:FindFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:RootFolder IndexedPagingOffset="` + strconv.Itoa(len(list)) +
			`" TotalItemsInView="` + strconv.Itoa(len(list)) + `" IncludesLastItemInRange="true"><t:Folders>`)
		for _, child := range list {
			b.WriteString(e.element(child, shape))
		}
		b.WriteString(`</t:Folders></m:RootFolder></m:FindFolderResponseMessage>`)
	}
	return responses("FindFolder", b.String()), nil
}

// children are the distinguished ids of the folders in a folder, in a fixed order.
func children(parent string, deep bool) []string {
	var list []string
	all := soap.Folders()
	for _, id := range soap.DistinguishedIDs() {
		if f, ok := all[id]; ok && id != "root" && f.Parent == parent {
			list = append(list, id)
			if deep {
				list = append(list, children(id, true)...)
			}
		}
	}
	return list
}

// convertID answers ConvertId. No item has an id here that could be converted, so every
// source is malformed; clients use the call to learn the server's version.
func (e *ewsSession) convertID(op *soap.Node) (string, *soap.Fault) {
	formats := []string{"EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId"}
	if !slices.Contains(formats, op.Attrs["DestinationFormat"]) {
		return "", soap.Violation(op, "The attribute DestinationFormat is missing or wrong.")
	}
	if len(op.Children) != 1 || !op.Children[0].Is(soap.MessagesNS, "SourceIds") || len(op.Children[0].Children) == 0 {
		return "", soap.Violation(op, "ConvertId must hold SourceIds.")
	}
	var b strings.Builder
	for _, source := range op.Children[0].Children {
		if !source.Is(soap.TypesNS, "AlternateId") || !slices.Contains(formats, source.Attrs["Format"]) || source.Attrs["Id"] == "" || source.Attrs["Mailbox"] == "" {
			return "", soap.Unexpected(source)
		}
		b.WriteString(e.failed("ConvertIdResponseMessage", "ErrorInvalidIdMalformed", ""))
	}
	return responses("ConvertId", b.String()), nil
}
