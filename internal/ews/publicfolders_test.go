package ews

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// rightsAnswer is an answer of the schema: what it says of rights is given.
func rightsAnswer(effective, entries string) string {
	if entries != "" {
		entries = `<t:PermissionSet><t:Permissions>` + entries + `</t:Permissions></t:PermissionSet>`
	}
	return strings.Replace(okAnswer, `<t:DisplayName>Inbox</t:DisplayName><t:TotalCount>7</t:TotalCount>`, effective+entries, 1)
}

func effective(hierarchy, contents, modify, remove string) string {
	return fmt.Sprintf(`<t:EffectiveRights><t:CreateAssociated>true</t:CreateAssociated><t:CreateContents>%s</t:CreateContents><t:CreateHierarchy>%s</t:CreateHierarchy>`+
		`<t:Delete>%s</t:Delete><t:Modify>%s</t:Modify><t:Read>true</t:Read></t:EffectiveRights>`, contents, hierarchy, remove, modify)
}

func entry(address, level string) string {
	return `<t:Permission><t:UserId><t:SID>S-1-5-21-1</t:SID><t:PrimarySmtpAddress>` + address + `</t:PrimarySmtpAddress><t:DisplayName>A</t:DisplayName></t:UserId>` +
		`<t:CanCreateItems>true</t:CanCreateItems><t:CanCreateSubFolders>true</t:CanCreateSubFolders><t:IsFolderOwner>false</t:IsFolderOwner><t:IsFolderVisible>true</t:IsFolderVisible>` +
		`<t:IsFolderContact>false</t:IsFolderContact><t:EditItems>All</t:EditItems><t:DeleteItems>All</t:DeleteItems><t:ReadItems>FullDetails</t:ReadItems><t:PermissionLevel>` + level + `</t:PermissionLevel></t:Permission>`
}

const defaultEntry = `<t:Permission><t:UserId><t:DistinguishedUser>Default</t:DistinguishedUser></t:UserId><t:PermissionLevel>Owner</t:PermissionLevel></t:Permission>`

func TestPublicFolders(t *testing.T) {
	t.Parallel()
	all := FolderRights{Known: true, Owner: true, CreateHierarchy: true, CreateContents: true, Modify: true, Delete: true, Read: true}
	owner, publisher, some := all, FolderRights{Known: true, Level: "PublishingEditor", CreateHierarchy: true, CreateContents: true, Read: true}, FolderRights{Known: true, CreateContents: true, Read: true}
	owner.Level = "Owner"
	// A level that contradicts the effective rights, e.g. after a change that is still under way.
	ahead := some
	ahead.Owner, ahead.Level = true, "Owner"
	for name, c := range map[string]struct {
		effective, entries string
		want               FolderRights
	}{
		"everything":             {effective("true", "true", "true", "true"), defaultEntry + entry("A@b.c", "Owner"), owner},
		"effective rights alone": {effective("true", "1", " true ", "true"), "", all},
		"level alone":            {"", defaultEntry + entry("a@b.c", "Owner"), owner},
		"less":                   {effective("false", "true", "0", "false"), entry("x@b.c", "Owner"), some},
		"less, alone":            {"", entry("x@b.c", "Owner") + entry(" a@b.c ", "PublishingEditor"), publisher},
		"another's entry":        {"", entry("x@b.c", "Owner") + defaultEntry, FolderRights{}},
		"owner by level":         {effective("false", "true", "false", "false"), entry("a@b.c", "Owner"), ahead},
		"first entry counts":     {"", entry("a@b.c", "PublishingEditor") + entry("a@b.c", "Owner"), publisher},
		"empty":                  {"<t:EffectiveRights/>", "", FolderRights{}},
		"incomplete":             {"<t:EffectiveRights><t:CreateHierarchy>true</t:CreateHierarchy></t:EffectiveRights>", "", FolderRights{}},
		"no boolean":             {effective("true", "true", "TRUE", "true"), "", FolderRights{}},
		"nothing":                {"", "", FolderRights{}},
		"hostile level":          {"", entry("a@b.c", "Publishing\u202eEditor&#xA;"), publisher},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := newServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if !strings.Contains(string(body), `<t:AdditionalProperties><t:FieldURI FieldURI="folder:EffectiveRights"/><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="publicfoldersroot"/>`) ||
					r.Header.Get("X-AnchorMailbox") != "a@b.c" {
					t.Errorf("%v %s", r.Header, body)
				}
				xmlAnswer(w, 200, rightsAnswer(c.effective, c.entries))
			})
			got, version, err := client.PublicFolders(t.Context(), "a@b.c")
			if err != nil || got != c.want || version.Major != 15 {
				t.Errorf("%+v %v %v, want %+v", got, version, err, c.want)
			}
		})
	}
}

func TestPublicFoldersRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ErrorNoPublicFolderServerAvailable", "ErrorPublicFolderMailboxDiscoveryFailed", "ErrorPublicFolderOperationFailed", "ErrorAccessDenied"} {
		_, c := newServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			xmlAnswer(w, 200, fmt.Sprintf(messageError, code, "No."))
		})
		got, _, err := c.PublicFolders(t.Context(), "a@b.c")
		var e *Error
		if !errors.As(err, &e) || e.Code != code || e.Op != "GetFolder publicfoldersroot" || got != (FolderRights{}) {
			t.Errorf("%+v %v", got, err)
		}
	}
	_, c := newServer(t, func(int, http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	if _, _, err := c.PublicFolders(t.Context(), "nobody"); err == nil {
		t.Error("accepted")
	}
}
