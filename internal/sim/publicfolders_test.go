package sim_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/sim"
)

const publicRoot = `<t:DistinguishedFolderId Id="publicfoldersroot"/>`

// publicFolders asks for a folder's rights, with these headers instead of the usual.
func publicFolders(t *testing.T, w *sim.World, mailbox, ids string, headers map[string]string) reply {
	t.Helper()
	body := strings.Replace(soapBody("SmtpAddress", mailbox, ids), `Default</t:BaseShape>`,
		`Default</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:EffectiveRights"/><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties>`, 1)
	all := map[string]string{"Authorization": "Bearer " + token(t, w, sim.AppBackup, w.OutlookURL()), "Content-Type": "text/xml; charset=utf-8", "X-AnchorMailbox": mailbox}
	for name, value := range headers {
		all[name] = value
	}
	return send(t, w.Client(), http.MethodPost, w.OutlookURL()+"/EWS/Exchange.asmx", body, all)
}

func TestPublicFolders(t *testing.T) {
	t.Parallel()
	w := start(t)
	_, rest, _ := strings.Cut(publicFolders(t, w, sim.Mailbox, publicRoot, nil).body, `<t:FolderId Id="`)
	id, _, _ := strings.Cut(rest, `"`)
	byID := `<t:FolderId Id="` + id + `"/>`
	full := "<t:CreateContents>true</t:CreateContents><t:CreateHierarchy>true</t:CreateHierarchy><t:Delete>true</t:Delete><t:Modify>true</t:Modify><t:Read>true</t:Read>"
	for name, c := range map[string]struct {
		mailbox, ids    string
		anchor, routing string // instead of the mailbox and nothing
		code, has       string
	}{
		"owner":            {sim.Mailbox, publicRoot, "", "", "NoError", full},
		"by id":            {"alex.wilber@contoso.com", byID, "", "", "NoError", "<t:CreateHierarchy>true</t:CreateHierarchy><t:Delete>false</t:Delete><t:Modify>false</t:Modify><t:Read>true</t:Read>"},
		"publishes":        {"alex.wilber@contoso.com", publicRoot, "", "", "NoError", "<t:PermissionLevel>PublishingEditor</t:PermissionLevel>"},
		"by default":       {"person001@contoso.com", publicRoot, "", "", "NoError", "<t:CreateContents>true</t:CreateContents><t:CreateHierarchy>false</t:CreateHierarchy>"},
		"none":             {"support@contoso.com", publicRoot, "", "", "NoError", "<t:Read>false</t:Read>"},
		"in a mailbox":     {sim.Mailbox, `<t:DistinguishedFolderId Id="publicfoldersroot"><t:Mailbox><t:EmailAddress>` + sim.Mailbox + `</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>`, "", "", "ErrorInvalidOperation", ""},
		"other anchor":     {sim.Mailbox, publicRoot, "person001@contoso.com", "", "NoError", ""},
		"anchor by name":   {sim.Mailbox, publicRoot, "alex.w@contoso.com", "", "NoError", ""},
		"foreign anchor":   {sim.Mailbox, publicRoot, "someone@fabrikam.com", "", "ErrorPublicFolderMailboxDiscoveryFailed", ""},
		"no such mailbox":  {sim.Mailbox, publicRoot, "unlicensed@contoso.com", "", "ErrorPublicFolderMailboxDiscoveryFailed", ""},
		"anchor empty":     {sim.Mailbox, publicRoot, " ", "", "ErrorPublicFolderMailboxDiscoveryFailed", ""},
		"wrong routing":    {sim.Mailbox, publicRoot, "", sim.Mailbox, "ErrorPublicFolderMailboxDiscoveryFailed", ""},
		"mailbox's folder": {sim.Mailbox, inbox, "someone@fabrikam.com", "", "NoError", full},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := map[string]string{}
			if c.anchor != "" {
				headers["X-AnchorMailbox"] = c.anchor
			}
			if c.routing != "" {
				headers["X-PublicFolderMailbox"] = c.routing
			}
			r := publicFolders(t, w, c.mailbox, c.ids, headers)
			if r.status != 200 || ewsCode(t, r) != c.code || !strings.Contains(r.body, c.has) {
				t.Errorf("%d %s\n%s", r.status, ewsCode(t, r), r.body)
			}
			if c.mailbox == "support@contoso.com" && strings.Contains(r.body, "PermissionSet") {
				t.Error("who may not read is shown who may")
			}
		})
	}
}

// publicFolderChecks are those of the faults of public folders.
func publicFolderChecks() map[string]func(probe) {
	root := func(p probe) reply { return publicFolders(p.t, p.w, sim.Mailbox, publicRoot, nil) }
	is := func(code string) func(probe) {
		return func(p probe) {
			if r := root(p); r.status != 200 || ewsCode(p.t, r) != code {
				p.t.Errorf("%d %s", r.status, r.body)
			}
			p.ewsIs(200, "NoError") // the mailbox is as ever
		}
	}
	return map[string]func(probe){
		"public-folders-none": is("ErrorNoPublicFolderServerAvailable"),
		"public-folders-error=ErrorPublicFolderOperationFailed": is("ErrorPublicFolderOperationFailed"),
		"public-folders-not-owner": func(p probe) {
			if r := root(p); !strings.Contains(r.body, "<t:CreateHierarchy>false<") || strings.Contains(r.body, ">Owner<") {
				p.t.Error(r.body)
			}
		},
		"public-folders-rights-unknown": func(p probe) {
			if r := root(p); ewsCode(p.t, r) != "NoError" || strings.Contains(r.body, "Rights>") || strings.Contains(r.body, "PermissionSet") {
				p.t.Error(r.body)
			}
		},
	}
}

// TestPublicFoldersAreValid holds the answers against the official schema, where it is at hand.
func TestPublicFoldersAreValid(t *testing.T) {
	t.Parallel()
	schema := os.Getenv("C2CONN_EWS_SCHEMA")
	lint, err := exec.LookPath("xmllint")
	if schema == "" || err != nil {
		return // `make conformance` judges what the journeys record
	}
	dir, i := t.TempDir(), 0
	for _, fault := range []string{"", "public-folders-none", "public-folders-not-owner", "public-folders-rights-unknown", "hostile-text=outlook"} {
		w := startWith(t, sim.Options{Faults: strings.Fields(fault)})
		for _, mailbox := range []string{sim.Mailbox, "alex.wilber@contoso.com", "support@contoso.com"} {
			i++
			file := filepath.Join(dir, strconv.Itoa(i)+".xml")
			if err := os.WriteFile(file, []byte(publicFolders(t, w, mailbox, publicRoot, nil).body), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), lint, "--noout", "--nonet", "--schema", schema, file).CombinedOutput(); err != nil {
				t.Errorf("%s %s: %s", fault, mailbox, out)
			}
		}
	}
}
