package sim

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// The tenant's public folders are two below one root. Exchange Online calls the
// root IPM_SUBTREE.
//
// Sources: learn.microsoft.com/exchange/client-developer/exchange-web-services/
// public-folder-access-with-ews-in-exchange (GetFolder is routed like a request for
// content) and how-to-route-public-folder-content-requests; ".../web-service-reference/
// effectiverights" (it is MAPI's PR_ACCESS), permissionset and permissionlevel;
// learn.microsoft.com/powershell/module/exchangepowershell/
// add-publicfolderclientpermission (what each level holds).
const publicRootID = "publicfoldersroot"

// publicKeyPrefix begins the opaque ids of public folders: they name no mailbox.
const publicKeyPrefix = "AQEuAAAD"

func publicKey(id string) string {
	return publicKeyPrefix + base64.StdEncoding.EncodeToString([]byte(id))
}

// routing are the headers by which Exchange finds the mailbox of a public folder.
type routing struct{ anchor, mailbox string }

// folderEntry is an entry of the root's list: a user's name, Default or Anonymous.
type folderEntry struct{ who, level string }

func (w *World) publicPermissions() []folderEntry {
	return []folderEntry{{"Default", "Author"}, {"Anonymous", "None"}, {w.is.at(Mailbox), "Owner"}, {"alex.w@" + w.is.domain(), "PublishingEditor"}, {"support@" + w.is.domain(), "None"}}
}

// levelRights are the rights that a level of permission gives to the folder itself:
// only its owner may change or delete it. Unsure: nobody documents how PR_ACCESS
// follows from a level.
func levelRights(level string) []string {
	switch level {
	case "Owner":
		return soap.EffectiveRights()
	case "PublishingEditor":
		return []string{"CreateContents", "CreateHierarchy", "Read"}
	case "Author":
		return []string{"CreateContents", "Read"}
	default:
		return []string{}
	}
}

// publicRoot is the root and the user's rights to it, or the code of a refusal.
func (w *World) publicRoot(route routing, owner *user) (soap.Folder, soap.Rights, string) {
	root, rights := soap.Folder{Name: "IPM_SUBTREE", Children: 2, Parent: "publicstore"}, soap.Rights{}
	if f := w.faults.get("public-folders-error"); f != nil {
		return root, rights, f.words[0]
	}
	if w.faults.get("public-folders-none") != nil {
		return root, rights, "ErrorNoPublicFolderServerAvailable"
	}
	if !w.routed(route) {
		return root, rights, "ErrorPublicFolderMailboxDiscoveryFailed"
	}
	if w.faults.get("public-folders-rights-unknown") != nil {
		return root, rights, ""
	}
	list := w.publicPermissions()
	if w.faults.get("public-folders-not-owner") != nil {
		list = slices.DeleteFunc(list, func(p folderEntry) bool { return p.level == "Owner" })
	}
	level := list[0].level
	for _, p := range list {
		if strings.EqualFold(p.who, owner.UserPrincipalName) {
			level = p.level
		}
	}
	rights.Effective = levelRights(level)
	if slices.Contains(rights.Effective, "Read") { // Unsure: who may read the list is not documented.
		rights.Permissions = w.permissionSet(list)
	}
	return root, rights, ""
}

// routed tells whether the headers lead to the public folders. The documentation
// wants both; X-PublicFolderMailbox may be left out where one mailbox holds all
// public folders and the anchor is a mailbox of the same tenant, as Microsoft's own
// sample for Exchange Online does. Unsure: the code of the refusal.
func (w *World) routed(route routing) bool {
	own := guidOf(w.options.Seed, "public folder mailbox") + "@" + w.is.domain()
	if route.mailbox != "" && !strings.EqualFold(route.mailbox, own) {
		return false
	}
	u := w.dir.recipient(route.anchor)
	if u == nil {
		u = w.dir.user(route.anchor)
	}
	return strings.EqualFold(route.anchor, own) || u != nil && u.mailbox != nil
}

// permissionSet writes the list.
func (w *World) permissionSet(list []folderEntry) string {
	var b strings.Builder
	tag := func(name, value string) { b.WriteString("<t:" + name + ">" + soap.Escape(value) + "</t:" + name + ">") }
	flag := func(name string, value bool) {
		tag(name, map[bool]string{true: "true", false: "false"}[value])
	}
	b.WriteString(`<t:PermissionSet><t:Permissions>`)
	for _, p := range list {
		b.WriteString(`<t:Permission><t:UserId>`)
		if u := w.dir.user(p.who); u != nil {
			tag("SID", u.sid)
			tag("PrimarySmtpAddress", u.primarySMTP())
			tag("DisplayName", w.human(u.DisplayName))
		} else {
			tag("DistinguishedUser", p.who)
		}
		b.WriteString(`</t:UserId>`)
		holds := func(right string) bool { return slices.Contains(levelRights(p.level), right) }
		items := map[string]string{"Owner": "All", "PublishingEditor": "All", "Author": "Owned"}[p.level]
		if items == "" {
			items = "None"
		}
		flag("CanCreateItems", holds("CreateContents"))
		flag("CanCreateSubFolders", holds("CreateHierarchy"))
		flag("IsFolderOwner", p.level == "Owner")
		flag("IsFolderVisible", true)
		flag("IsFolderContact", p.level == "Owner")
		tag("EditItems", items)
		tag("DeleteItems", items)
		tag("ReadItems", map[bool]string{true: "FullDetails", false: "None"}[holds("Read")])
		tag("PermissionLevel", p.level)
		b.WriteString(`</t:Permission>`)
	}
	b.WriteString(`</t:Permissions></t:PermissionSet>`)
	return b.String()
}
