package sim

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// newMailbox makes the folders that every mailbox has.
func newMailbox(purpose string) *mailbox {
	return &mailbox{purpose: purpose, folders: soap.Folders()}
}

// archived maps the archive's folder names to the same folders; only mailboxes
// with an archive have them.
func (m *mailbox) folder(id string) (soap.Folder, bool) {
	if inner, ok := strings.CutPrefix(id, "archive"); ok {
		if !m.archive {
			return soap.Folder{}, false
		}
		f, ok := m.folders[inner]
		return f, ok
	}
	f, ok := m.folders[id]
	return f, ok
}

// folderKey is the opaque id of a folder: it names mailbox and folder.
func folderKey(u *user, id string) string {
	if strings.HasPrefix(id, "public") {
		return publicKey(id)
	}
	return "AAMk" + base64.StdEncoding.EncodeToString([]byte(u.ID+"|"+id))
}

// folderByKey reads an opaque id back.
func folderByKey(u *user, key string) (id string, malformed, mine bool) {
	if key == publicKey(publicRootID) {
		return publicRootID, false, true
	}
	rest, ok := strings.CutPrefix(key, "AAMk")
	raw, err := base64.StdEncoding.DecodeString(rest)
	owner, id, found := strings.Cut(string(raw), "|")
	if !ok || err != nil || !found {
		return "", true, false
	}
	return id, false, owner == u.ID
}

// ewsOperation answers the operations that are simulated.
func (w *World) ewsOperation(call ewsCall, owner *user) (string, *soap.Fault) {
	switch call.Operation {
	case "GetFolder":
		return w.getFolder(call, owner)
	case "ConvertId":
		return w.convertID(call.Body, owner)
	case "ResolveNames":
		return w.resolveNames(call.Body, owner)
	default:
		return "", soap.Unexpected(call.Body)
	}
}

func (w *World) getFolder(call ewsCall, owner *user) (string, *soap.Fault) {
	op := call.Body
	if len(op.Children) != 2 || !op.Children[0].Is(soap.MessagesNS, "FolderShape") || !op.Children[1].Is(soap.MessagesNS, "FolderIds") || len(op.Children[1].Children) == 0 {
		return "", soap.Violation(op, "GetFolder must hold FolderShape and FolderIds.")
	}
	shape, fault := soap.ParseShape(op.Children[0])
	if fault != nil {
		return "", fault
	}
	var b strings.Builder
	b.WriteString(`<m:GetFolderResponse xmlns:m="` + soap.MessagesNS + `" xmlns:t="` + soap.TypesNS + `"><m:ResponseMessages>`)
	for _, id := range op.Children[1].Children {
		message, fault := w.folderMessage(id, shape, call.routing, owner)
		if fault != nil {
			return "", fault
		}
		b.WriteString(message)
	}
	b.WriteString(`</m:ResponseMessages></m:GetFolderResponse>`)
	return b.String(), nil
}

// folderMessage answers one folder id of a request.
func (w *World) folderMessage(id *soap.Node, shape soap.Shape, route routing, owner *user) (string, *soap.Fault) {
	failed := func(code string) (string, *soap.Fault) {
		return soap.ErrorMessage("GetFolderResponseMessage", code, `<m:Folders/>`, w.human), nil
	}
	if f := w.faults.get("ews-error"); f != nil {
		return failed(f.words[0])
	}
	if w.faults.get("ews-access-denied") != nil {
		return failed("ErrorAccessDenied")
	}
	var name string
	switch {
	case id.Is(soap.TypesNS, "DistinguishedFolderId"):
		name = id.Attrs["Id"]
		if !slices.Contains(soap.DistinguishedIDs(), name) {
			return "", soap.Violation(id, "The value '"+name+"' is no distinguished folder.")
		}
		if len(id.Children) > 0 && name == publicRootID {
			return failed("ErrorInvalidOperation") // it belongs to no mailbox
		} else if len(id.Children) > 0 {
			if code := w.otherMailbox(id.Children[0], owner); code != "" {
				return failed(code)
			}
		}
	case id.Is(soap.TypesNS, "FolderId"):
		key, malformed, mine := folderByKey(owner, id.Attrs["Id"])
		if malformed {
			return failed("ErrorInvalidIdMalformed")
		}
		if !mine {
			return failed("ErrorFolderNotFound")
		}
		name = key
	default:
		return "", soap.Unexpected(id)
	}
	rights := soap.Rights{Effective: soap.EffectiveRights()} // the owner of a mailbox may do everything
	f, ok := owner.mailbox.folder(name)
	if name == publicRootID {
		var code string
		if f, rights, code = w.publicRoot(route, owner); code != "" {
			return failed(code)
		}
	} else if !ok {
		return failed("ErrorFolderNotFound")
	}
	return `<m:GetFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Folders>` + w.folderXML(owner, name, f, shape, rights) + `</m:Folders></m:GetFolderResponseMessage>`, nil
}

// otherMailbox judges the Mailbox inside a DistinguishedFolderId: the
// impersonated user's own, or one that the user has no right to.
func (w *World) otherMailbox(n *soap.Node, owner *user) string {
	for _, c := range n.Children {
		if c.Local != "EmailAddress" {
			continue
		}
		u := w.dir.recipient(strings.TrimSpace(c.Text))
		switch {
		case u == nil || u.mailbox == nil:
			return "ErrorNonExistentMailbox"
		case u != owner:
			return "ErrorAccessDenied"
		}
	}
	return ""
}

func (w *World) folderXML(u *user, id string, f soap.Folder, shape soap.Shape, rights soap.Rights) string {
	return f.Element(id, folderKey(u, id), folderKey(u, f.Parent), shape, rights, w.human)
}
