package sim

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// folder is a folder of a mailbox.
type folder struct {
	name, class   string
	total, unread int
	children      int
	parent        string // distinguished id of the parent
}

// distinguishedIDs are the names of the schema's DistinguishedFolderIdNameType.
func distinguishedIDs() []string {
	return strings.Fields("calendar contacts deleteditems drafts inbox journal notes outbox sentitems tasks msgfolderroot publicfoldersroot root junkemail searchfolders voicemail " +
		"recoverableitemsroot recoverableitemsdeletions recoverableitemsversions recoverableitemspurges archiveroot archivemsgfolderroot archivedeleteditems archiveinbox " +
		"archiverecoverableitemsroot archiverecoverableitemsdeletions archiverecoverableitemsversions archiverecoverableitemspurges syncissues conflicts localfailures serverfailures " +
		"recipientcache quickcontacts conversationhistory adminauditlogs todosearch mycontacts directory imcontactlist peopleconnect favorites")
}

// newMailbox makes the folders that every mailbox has.
func newMailbox(purpose string) *mailbox {
	top := "msgfolderroot"
	return &mailbox{purpose: purpose, folders: map[string]folder{
		"root":                      {name: "", children: 12, parent: "root"},
		"msgfolderroot":             {name: "Top of Information Store", class: "IPF.Note", children: 11, parent: "root"},
		"inbox":                     {"Inbox", "IPF.Note", 27, 3, 1, top},
		"sentitems":                 {"Sent Items", "IPF.Note", 12, 0, 0, top},
		"drafts":                    {"Drafts", "IPF.Note", 1, 0, 0, top},
		"outbox":                    {"Outbox", "IPF.Note", 0, 0, 0, top},
		"deleteditems":              {"Deleted Items", "IPF.Note", 4, 1, 0, top},
		"junkemail":                 {"Junk Email", "IPF.Note", 2, 2, 0, top},
		"calendar":                  {"Calendar", "IPF.Appointment", 18, 0, 0, top},
		"contacts":                  {"Contacts", "IPF.Contact", 42, 0, 2, top},
		"tasks":                     {"Tasks", "IPF.Task", 5, 0, 0, top},
		"notes":                     {"Notes", "IPF.StickyNote", 0, 0, 0, top},
		"journal":                   {"Journal", "IPF.Journal", 0, 0, 0, top},
		"searchfolders":             {name: "Finder", children: 2, parent: "root"},
		"recoverableitemsroot":      {name: "Recoverable Items", children: 3, parent: "root"},
		"recoverableitemsdeletions": {name: "Deletions", total: 6, parent: "recoverableitemsroot"},
	}}
}

// archived maps the archive's folder names to the same folders; only mailboxes
// with an archive have them.
func (m *mailbox) folder(id string) (folder, bool) {
	if inner, ok := strings.CutPrefix(id, "archive"); ok {
		if !m.archive {
			return folder{}, false
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
func (w *World) ewsOperation(call ewsCall, owner *user) (string, *soapFault) {
	switch call.operation {
	case "GetFolder":
		return w.getFolder(call, owner)
	case "ConvertId":
		return w.convertID(call.body, owner)
	case "ResolveNames":
		return w.resolveNames(call.body, owner)
	default:
		return "", unexpected(call.body)
	}
}

// folderShape is what GetFolder's FolderShape asks for.
type folderShape struct {
	base  string
	extra []string // FieldURIs
}

// folderFields are the FieldURIs of folders in the schema's UnindexedFieldURIType.
func folderFields() []string {
	return strings.Fields("folder:FolderId folder:ParentFolderId folder:DisplayName folder:UnreadCount folder:TotalCount folder:ChildFolderCount folder:FolderClass folder:SearchParameters " +
		"folder:ManagedFolderInformation folder:PermissionSet folder:EffectiveRights folder:SharingEffectiveRights folder:DistinguishedFolderId folder:PolicyTag folder:ArchiveTag folder:ReplicaList")
}

func parseShape(n *node) (folderShape, *soapFault) {
	var s folderShape
	if len(n.children) == 0 || len(n.children) > 2 || !n.children[0].is(typesNS, "BaseShape") {
		return s, violation(n, "FolderShape must begin with BaseShape.")
	}
	s.base = strings.TrimSpace(n.children[0].text)
	if s.base != "IdOnly" && s.base != "Default" && s.base != "AllProperties" {
		return s, violation(n.children[0], "The value '"+s.base+"' is no shape.")
	}
	if len(n.children) == 2 {
		more := n.children[1]
		if !more.is(typesNS, "AdditionalProperties") || len(more.children) == 0 {
			return s, unexpected(more)
		}
		for _, p := range more.children {
			switch {
			case p.is(typesNS, "FieldURI") && slices.Contains(folderFields(), p.attrs["FieldURI"]):
				s.extra = append(s.extra, p.attrs["FieldURI"])
			case p.is(typesNS, "ExtendedFieldURI"), p.is(typesNS, "IndexedFieldURI"): // known, and never there
			default:
				return s, unexpected(p)
			}
		}
	}
	return s, nil
}

func (s folderShape) wants(uri string) bool {
	standard := uri == "folder:DisplayName" || uri == "folder:TotalCount" || uri == "folder:ChildFolderCount" || uri == "folder:UnreadCount"
	return s.base == "AllProperties" && uri != "folder:PermissionSet" || s.base == "Default" && standard || slices.Contains(s.extra, uri)
}

func (w *World) getFolder(call ewsCall, owner *user) (string, *soapFault) {
	op := call.body
	if len(op.children) != 2 || !op.children[0].is(messagesNS, "FolderShape") || !op.children[1].is(messagesNS, "FolderIds") || len(op.children[1].children) == 0 {
		return "", violation(op, "GetFolder must hold FolderShape and FolderIds.")
	}
	shape, fault := parseShape(op.children[0])
	if fault != nil {
		return "", fault
	}
	var b strings.Builder
	b.WriteString(`<m:GetFolderResponse xmlns:m="` + messagesNS + `" xmlns:t="` + typesNS + `"><m:ResponseMessages>`)
	for _, id := range op.children[1].children {
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
func (w *World) folderMessage(id *node, shape folderShape, route routing, owner *user) (string, *soapFault) {
	failed := func(code string) (string, *soapFault) {
		return w.errorMessage("GetFolderResponseMessage", code, `<m:Folders/>`), nil
	}
	if f := w.faults.get("ews-error"); f != nil {
		return failed(f.words[0])
	}
	if w.faults.get("ews-access-denied") != nil {
		return failed("ErrorAccessDenied")
	}
	var name string
	switch {
	case id.is(typesNS, "DistinguishedFolderId"):
		name = id.attrs["Id"]
		if !slices.Contains(distinguishedIDs(), name) {
			return "", violation(id, "The value '"+name+"' is no distinguished folder.")
		}
		if len(id.children) > 0 && name == publicRootID {
			return failed("ErrorInvalidOperation") // it belongs to no mailbox
		} else if len(id.children) > 0 {
			if code := w.otherMailbox(id.children[0], owner); code != "" {
				return failed(code)
			}
		}
	case id.is(typesNS, "FolderId"):
		key, malformed, mine := folderByKey(owner, id.attrs["Id"])
		if malformed {
			return failed("ErrorInvalidIdMalformed")
		}
		if !mine {
			return failed("ErrorFolderNotFound")
		}
		name = key
	default:
		return "", unexpected(id)
	}
	rights := access{effective: effectiveRights()} // the owner of a mailbox may do everything
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
func (w *World) otherMailbox(n *node, owner *user) string {
	for _, c := range n.children {
		if c.local != "EmailAddress" {
			continue
		}
		u := w.dir.recipient(strings.TrimSpace(c.text))
		switch {
		case u == nil || u.mailbox == nil:
			return "ErrorNonExistentMailbox"
		case u != owner:
			return "ErrorAccessDenied"
		}
	}
	return ""
}

// errorMessage is a response message that says why, with HTTP status 200.
func (w *World) errorMessage(element, code, rest string) string {
	return `<m:` + element + ` ResponseClass="Error"><m:MessageText>` + escape(w.human(ewsText(code))) + `</m:MessageText><m:ResponseCode>` + escape(code) +
		`</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>` + rest + `</m:` + element + `>`
}

func (w *World) folderXML(u *user, id string, f folder, shape folderShape, rights access) string {
	element := map[string]string{"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder", "IPF.Task": "TasksFolder"}[f.class]
	if id == "searchfolders" || element == "" {
		element = "Folder"
	}
	var b strings.Builder
	tag := func(uri, name, value string) {
		if shape.wants(uri) {
			b.WriteString("<t:" + name + ">" + escape(value) + "</t:" + name + ">")
		}
	}
	b.WriteString("<t:" + element + `><t:FolderId Id="` + folderKey(u, id) + `" ChangeKey="AQAAABYAAAC` + strconv.Itoa(f.total) + `"/>`)
	if shape.wants("folder:ParentFolderId") {
		b.WriteString(`<t:ParentFolderId Id="` + folderKey(u, f.parent) + `" ChangeKey="AQAAAA=="/>`)
	}
	if f.class != "" {
		tag("folder:FolderClass", "FolderClass", f.class)
	}
	tag("folder:DisplayName", "DisplayName", w.human(f.name))
	tag("folder:TotalCount", "TotalCount", strconv.Itoa(f.total))
	tag("folder:ChildFolderCount", "ChildFolderCount", strconv.Itoa(f.children))
	if shape.wants("folder:EffectiveRights") && rights.effective != nil {
		b.WriteString(`<t:EffectiveRights>`)
		for _, right := range effectiveRights() {
			fmt.Fprintf(&b, "<t:%s>%t</t:%s>", right, slices.Contains(rights.effective, right), right)
		}
		b.WriteString(`</t:EffectiveRights>`)
	}
	if slices.Contains(distinguishedIDs(), id) {
		tag("folder:DistinguishedFolderId", "DistinguishedFolderId", id)
	}
	if shape.wants("folder:PermissionSet") {
		b.WriteString(rights.permissions)
	}
	if element == "Folder" || element == "TasksFolder" {
		tag("folder:UnreadCount", "UnreadCount", strconv.Itoa(f.unread))
	}
	b.WriteString("</t:" + element + ">")
	return b.String()
}
