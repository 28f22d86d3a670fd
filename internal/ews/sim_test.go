package ews_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/transport"
)

func (w world) ews() *ews.Client {
	return ews.New(ews.Options{URL: w.cloud.EWS(), Token: w.token(w.cloud.ExchangeScope()), HTTP: w.http, Clock: quick{}})
}

func TestSimulatedMailbox(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"", "throttle=outlook", "throttle-date=outlook", "throttle-fraction=outlook", "unavailable=outlook", "cut=outlook", "ews-busy", "cae-challenge"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			var faults []string
			if fault != "" {
				faults = []string{fault}
			}
			w := start(t, sim.AppBackup, faults...)
			f, v, err := w.ews().GetFolder(t.Context(), w.Mailbox, "inbox")
			if err != nil || f.ID == "" || !strings.HasPrefix(v.String(), "15.20.") {
				t.Errorf("%+v %v %v", f, v, err)
			}
		})
	}
}

func TestSimulatedRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault string
		want  ews.Error // Status, Code, PolicyReason
		diag  bool
	}{
		{"ews-blocked", ews.Error{Status: 403, PolicyReason: "EWS is blocked by policy for this user or tenant"}, false},
		{"ews-disabled", ews.Error{Status: 403, PolicyReason: "EWS is disabled for this user or tenant"}, false},
		{"ews-mailbox-disabled", ews.Error{Status: 403, PolicyReason: "EWS is disabled for this user or tenant"}, false},
		{"ews-gone", ews.Error{Status: 410}, false},
		{"ews-gone=404", ews.Error{Status: 404}, false},
		{"ews-impersonation-denied", ews.Error{Status: 500, Code: "ErrorImpersonateUserDenied"}, false},
		{"ews-no-mailbox", ews.Error{Status: 500, Code: "ErrorNonExistentMailbox"}, false},
		{"ews-no-permission", ews.Error{Status: 403}, true},
		{"ews-access-denied", ews.Error{Status: 200, Code: "ErrorAccessDenied"}, false},
		{"ews-fault=ErrorMailboxStoreUnavailable", ews.Error{Status: 500, Code: "ErrorMailboxStoreUnavailable"}, false},
		{"ews-error=ErrorMailboxMoveInProgress", ews.Error{Status: 200, Code: "ErrorMailboxMoveInProgress"}, false},
		{"garbage=outlook", ews.Error{Status: 200}, false},
		{"proxy-page=outlook", ews.Error{Status: 200}, false},
		{"proxy-denied=outlook", ews.Error{Status: 403}, false},
		{"redirect=outlook", ews.Error{Status: 302}, false},
		{"empty=outlook", ews.Error{Status: 200}, false},
		{"deep-xml", ews.Error{Status: 200}, false},
		{"xml-bomb", ews.Error{Status: 200}, false},
		{"outlook-down", ews.Error{Status: 503}, false},
		{"cut-always=outlook", ews.Error{}, false},
		{"huge=outlook", ews.Error{}, false},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			w := start(t, sim.AppBackup, c.fault)
			_, _, err := w.ews().GetFolder(t.Context(), w.Mailbox, "inbox")
			var e *ews.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.Status != c.want.Status || e.Code != c.want.Code || e.PolicyReason != c.want.PolicyReason || (e.Diagnostics != "") != c.diag {
				t.Errorf("%+v", e)
			}
			if e.Error() != transport.CleanText(e.Error(), 4000) {
				t.Errorf("%q", e.Error())
			}
		})
	}
}

func TestSimulatedStrangeMailbox(t *testing.T) {
	t.Parallel()
	w := start(t, sim.AppBackup, "hostile-text=outlook")
	_, _, err := w.ews().GetFolder(t.Context(), `nobody<&>"'@contoso.com`, "inbox")
	if err == nil {
		t.Fatal("found")
	}
	_, _, err = w.ews().GetFolder(t.Context(), "nobody@contoso.com", "inbox")
	var e *ews.Error
	if !errors.As(err, &e) || e.Code != "ErrorNonExistentMailbox" || e.Message != transport.CleanText(e.Message, 1010) {
		t.Errorf("%+v", err)
	}
}

func TestSimulatedPublicFolders(t *testing.T) {
	t.Parallel()
	all := ews.FolderRights{Known: true, Owner: true, Level: "Owner", CreateHierarchy: true, CreateContents: true, Modify: true, Delete: true, Read: true}
	publisher := ews.FolderRights{Known: true, Level: "PublishingEditor", CreateHierarchy: true, CreateContents: true, Read: true}
	author := ews.FolderRights{Known: true, CreateContents: true, Read: true}
	for _, c := range []struct {
		fault, mailbox string
		want           ews.FolderRights
		code           string
	}{
		{"", sim.Mailbox, all, ""},
		{"", "alex.wilber@contoso.com", publisher, ""},
		{"", "person001@contoso.com", author, ""},
		{"", "support@contoso.com", ews.FolderRights{Known: true}, ""},
		{"public-folders-not-owner", sim.Mailbox, author, ""},
		{"public-folders-rights-unknown", sim.Mailbox, ews.FolderRights{}, ""},
		{"public-folders-none", sim.Mailbox, ews.FolderRights{}, "ErrorNoPublicFolderServerAvailable"},
		{"public-folders-error=ErrorPublicFolderOperationFailed", sim.Mailbox, ews.FolderRights{}, "ErrorPublicFolderOperationFailed"},
		{"ews-access-denied", sim.Mailbox, ews.FolderRights{}, "ErrorAccessDenied"},
		{"ews-busy", sim.Mailbox, all, ""},
		{"hostile-text=outlook", sim.Mailbox, all, ""},
		{"xml-bomb", sim.Mailbox, ews.FolderRights{}, "-"},
		{"deep-xml", sim.Mailbox, ews.FolderRights{}, "-"},
	} {
		t.Run(c.fault+" "+c.mailbox, func(t *testing.T) {
			t.Parallel()
			var faults []string
			if c.fault != "" {
				faults = []string{c.fault}
			}
			got, version, err := start(t, sim.AppBackup, faults...).ews().PublicFolders(t.Context(), c.mailbox)
			var e *ews.Error
			switch {
			case c.code == "" && (err != nil || !strings.HasPrefix(version.String(), "15.20.")):
				t.Errorf("%v %v", version, err)
			case c.code != "" && (!errors.As(err, &e) || c.code != "-" && e.Code != c.code):
				t.Errorf("%v, want %s", err, c.code)
			}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
