package soap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Folder is a folder of a mailbox.
type Folder struct {
	Name, Class   string
	Total, Unread int
	Children      int
	Parent        string // distinguished id of the parent
}

// DistinguishedIDs are the names of the schema's DistinguishedFolderIdNameType.
func DistinguishedIDs() []string {
	return strings.Fields("calendar contacts deleteditems drafts inbox journal notes outbox sentitems tasks msgfolderroot publicfoldersroot root junkemail searchfolders voicemail " +
		"recoverableitemsroot recoverableitemsdeletions recoverableitemsversions recoverableitemspurges archiveroot archivemsgfolderroot archivedeleteditems archiveinbox " +
		"archiverecoverableitemsroot archiverecoverableitemsdeletions archiverecoverableitemsversions archiverecoverableitemspurges syncissues conflicts localfailures serverfailures " +
		"recipientcache quickcontacts conversationhistory adminauditlogs todosearch mycontacts directory imcontactlist peopleconnect favorites")
}

// Folders are those that every mailbox has, by distinguished id.
func Folders() map[string]Folder {
	top := "msgfolderroot"
	return map[string]Folder{
		"root":                      {Name: "", Children: 12, Parent: "root"},
		"msgfolderroot":             {Name: "Top of Information Store", Class: "IPF.Note", Children: 11, Parent: "root"},
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
		"searchfolders":             {Name: "Finder", Children: 2, Parent: "root"},
		"recoverableitemsroot":      {Name: "Recoverable Items", Children: 3, Parent: "root"},
		"recoverableitemsdeletions": {Name: "Deletions", Total: 6, Parent: "recoverableitemsroot"},
	}
}

// Shape is what a FolderShape asks for.
type Shape struct {
	Base  string
	Extra []string // FieldURIs
}

// fields are the FieldURIs of folders in the schema's UnindexedFieldURIType.
func fields() []string {
	return strings.Fields("folder:FolderId folder:ParentFolderId folder:DisplayName folder:UnreadCount folder:TotalCount folder:ChildFolderCount folder:FolderClass folder:SearchParameters " +
		"folder:ManagedFolderInformation folder:PermissionSet folder:EffectiveRights folder:SharingEffectiveRights folder:DistinguishedFolderId folder:PolicyTag folder:ArchiveTag folder:ReplicaList")
}

// ParseShape reads a FolderShape.
func ParseShape(n *Node) (Shape, *Fault) {
	var s Shape
	if len(n.Children) == 0 || len(n.Children) > 2 || !n.Children[0].Is(TypesNS, "BaseShape") {
		return s, Violation(n, "FolderShape must begin with BaseShape.")
	}
	s.Base = strings.TrimSpace(n.Children[0].Text)
	if s.Base != "IdOnly" && s.Base != "Default" && s.Base != "AllProperties" {
		return s, Violation(n.Children[0], "The value '"+s.Base+"' is no shape.")
	}
	if len(n.Children) == 2 {
		more := n.Children[1]
		if !more.Is(TypesNS, "AdditionalProperties") || len(more.Children) == 0 {
			return s, Unexpected(more)
		}
		for _, p := range more.Children {
			switch {
			case p.Is(TypesNS, "FieldURI") && slices.Contains(fields(), p.Attrs["FieldURI"]):
				s.Extra = append(s.Extra, p.Attrs["FieldURI"])
			case p.Is(TypesNS, "ExtendedFieldURI"), p.Is(TypesNS, "IndexedFieldURI"): // known, and never there
			default:
				return s, Unexpected(p)
			}
		}
	}
	return s, nil
}

// Wants tells whether the shape asks for a property.
func (s Shape) Wants(uri string) bool {
	standard := uri == "folder:DisplayName" || uri == "folder:TotalCount" || uri == "folder:ChildFolderCount" || uri == "folder:UnreadCount"
	return s.Base == "AllProperties" && uri != "folder:PermissionSet" || s.Base == "Default" && standard || slices.Contains(s.Extra, uri)
}

// Rights is what a folder says of rights to it.
type Rights struct {
	Effective   []string // the rights of who asks; nil: not told
	Permissions string   // the PermissionSet; empty: not told
}

// EffectiveRights are the elements of EffectiveRights, in the schema's order.
func EffectiveRights() []string {
	return strings.Fields("CreateAssociated CreateContents CreateHierarchy Delete Modify Read ViewPrivateItems")
}

// Element writes the folder with what the shape asks for. The id is its distinguished
// one, key and parentKey the opaque ids of the folder and its parent.
func (f Folder) Element(id, key, parentKey string, shape Shape, rights Rights, human func(string) string) string {
	element := map[string]string{"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder", "IPF.Task": "TasksFolder"}[f.Class]
	if id == "searchfolders" || element == "" {
		element = "Folder"
	}
	var b strings.Builder
	tag := func(uri, name, value string) {
		if shape.Wants(uri) {
			b.WriteString("<t:" + name + ">" + Escape(value) + "</t:" + name + ">")
		}
	}
	b.WriteString("<t:" + element + `><t:FolderId Id="` + key + `" ChangeKey="AQAAABYAAAC` + strconv.Itoa(f.Total) + `"/>`)
	if shape.Wants("folder:ParentFolderId") {
		b.WriteString(`<t:ParentFolderId Id="` + parentKey + `" ChangeKey="AQAAAA=="/>`)
	}
	if f.Class != "" {
		tag("folder:FolderClass", "FolderClass", f.Class)
	}
	tag("folder:DisplayName", "DisplayName", human(f.Name))
	tag("folder:TotalCount", "TotalCount", strconv.Itoa(f.Total))
	tag("folder:ChildFolderCount", "ChildFolderCount", strconv.Itoa(f.Children))
	if shape.Wants("folder:EffectiveRights") && rights.Effective != nil {
		b.WriteString(`<t:EffectiveRights>`)
		for _, right := range EffectiveRights() {
			fmt.Fprintf(&b, "<t:%s>%t</t:%s>", right, slices.Contains(rights.Effective, right), right)
		}
		b.WriteString(`</t:EffectiveRights>`)
	}
	if slices.Contains(DistinguishedIDs(), id) {
		tag("folder:DistinguishedFolderId", "DistinguishedFolderId", id)
	}
	if shape.Wants("folder:PermissionSet") {
		b.WriteString(rights.Permissions)
	}
	if element == "Folder" || element == "TasksFolder" {
		tag("folder:UnreadCount", "UnreadCount", strconv.Itoa(f.Unread))
	}
	b.WriteString("</t:" + element + ">")
	return b.String()
}
