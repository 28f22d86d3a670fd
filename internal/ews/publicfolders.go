package ews

import (
	"context"
	"strings"

	"github.com/c2conn/c2conn/internal/transport"
)

// FolderRights are what a mailbox may do with a folder.
type FolderRights struct {
	Known bool   // false: the server told nothing from which the rights follow
	Owner bool   // may create, change and delete in it, as its owner
	Level string // PermissionLevel of the mailbox's own entry, e.g. PublishingEditor; empty when it has none or none was told

	CreateHierarchy, CreateContents, Modify, Delete, Read bool
}

// PublicFolders tells what mailbox (an SMTP address) may do with the root of the
// tenant's public folders. It changes nothing. The version is given with an error,
// too, when the server told it.
//
// The rights are those of EffectiveRights. Whether Exchange Online fills that for the
// root is not documented; where it does not, the mailbox's own entry of the
// PermissionSet decides, found by its primary address.
//
// The documentation counts GetFolder among the requests for content, with
// X-AnchorMailbox and X-PublicFolderMailbox both naming the public folder mailbox. The
// root lies in the hierarchy, which Exchange Online finds from any mailbox of the
// tenant: only X-AnchorMailbox is sent, as in Microsoft's own sample.
//
// Errors are GetFolder's. Of *Error, the codes of a tenant without public folders and
// of one whose public folders cannot be reached are ErrorNoPublicFolderServerAvailable,
// ErrorPublicFolderMailboxDiscoveryFailed and ErrorPublicFolderOperationFailed.
//
// Sources: learn.microsoft.com/exchange/client-developer/web-service-reference/effectiverights,
// permissionset, permissionlevel and responsecode; ".../exchange-web-services/
// public-folder-access-with-ews-in-exchange".
func (c *Client) PublicFolders(ctx context.Context, mailbox string) (FolderRights, ServerVersion, error) {
	a, err := c.open(ctx, mailbox, "publicfoldersroot", "folder:EffectiveRights", "folder:PermissionSet")
	if err != nil {
		return FolderRights{}, a.version, err
	}
	return a.rights.of(mailbox), a.version, nil
}

// rightsXML is what a folder says of rights to it.
type rightsXML struct {
	Effective *struct {
		CreateHierarchy string `xml:"CreateHierarchy"`
		CreateContents  string `xml:"CreateContents"`
		Modify          string `xml:"Modify"`
		Delete          string `xml:"Delete"`
		Read            string `xml:"Read"`
	} `xml:"EffectiveRights"`
	Permissions []struct {
		Address          string `xml:"UserId>PrimarySmtpAddress"`
		Level            string `xml:"PermissionLevel"`
		CreateItems      string `xml:"CanCreateItems"`
		CreateSubFolders string `xml:"CanCreateSubFolders"`
		Owner            string `xml:"IsFolderOwner"`
		Read             string `xml:"ReadItems"`
	} `xml:"PermissionSet>Permissions>Permission"`
}

// of judges the rights of a mailbox.
func (x rightsXML) of(mailbox string) FolderRights {
	var r FolderRights
	for _, p := range x.Permissions {
		if !strings.EqualFold(strings.TrimSpace(p.Address), mailbox) {
			continue
		}
		owner := truth(p.Owner)
		// An entry says nothing of the folder itself but whether one owns it.
		r = FolderRights{Known: true, Level: transport.CleanText(strings.TrimSpace(p.Level), 40), CreateHierarchy: truth(p.CreateSubFolders), CreateContents: truth(p.CreateItems),
			Modify: owner, Delete: owner, Read: strings.TrimSpace(p.Read) == "FullDetails"}
		if r.Level == "Owner" {
			r.CreateHierarchy, r.CreateContents, r.Modify, r.Delete, r.Read = true, true, true, true, true
		}
		break
	}
	// An element that is empty, or lacks one of these, tells nothing.
	if e := x.Effective; e != nil && told(e.CreateHierarchy, e.CreateContents, e.Modify, e.Delete) {
		r.Known = true
		r.CreateHierarchy, r.CreateContents, r.Modify, r.Delete, r.Read = truth(e.CreateHierarchy), truth(e.CreateContents), truth(e.Modify), truth(e.Delete), truth(e.Read)
	}
	r.Owner = r.Level == "Owner" || r.CreateHierarchy && r.CreateContents && r.Modify && r.Delete
	return r
}

// told reports whether every text is an xs:boolean.
func told(texts ...string) bool {
	for _, s := range texts {
		if s = strings.TrimSpace(s); !truth(s) && s != "false" && s != "0" {
			return false
		}
	}
	return true
}

// truth reads an xs:boolean; anything else is false.
func truth(s string) bool {
	s = strings.TrimSpace(s)
	return s == "true" || s == "1"
}
