package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim"
	"github.com/c2conn/c2conn/internal/task"
)

func targetOutcomes() []outcome {
	return []outcome{
		{name: "well", checks: "mailbox-unique=skip", state: verified},
		{name: "no public folders", faults: []string{"public-folders-none"}, checks: "public-folders=warn mailbox-unique=skip", state: verified, look: "public-folders", says: "Get-Mailbox -PublicFolder"},
		{name: "not owner", faults: []string{"public-folders-not-owner"}, checks: "public-folders=warn mailbox-unique=skip", state: verified, look: "public-folders", says: `Add-PublicFolderClientPermission -Identity '\' -User 'admin@contoso.com' -AccessRights Owner`},
		{name: "rights unknown", faults: []string{"public-folders-rights-unknown"}, checks: "public-folders=warn mailbox-unique=skip", state: verified, look: "public-folders", says: "Get-PublicFolderClientPermission"},
		{name: "denied", faults: []string{"public-folders-error=ErrorAccessDenied"}, checks: "public-folders=warn mailbox-unique=skip", state: verified, look: "public-folders", says: "Add-PublicFolderClientPermission"},
		{name: "discovery", faults: []string{"public-folders-error=ErrorPublicFolderMailboxDiscoveryFailed"}, checks: "public-folders=warn mailbox-unique=skip", state: verified, look: "public-folders", says: "nothing is to be done"},
		{name: "another error", faults: []string{"public-folders-error=ErrorSomethingNew"}, checks: "public-folders=warn mailbox-unique=skip", state: verified},
		{name: "EWS blocked", faults: []string{"ews-blocked"}, checks: "ews=fail public-folders=warn mailbox-unique=skip", class: 6, state: failed},
		{name: "no Exchange", faults: []string{"no-exchange"}, checks: "token.exchange=fail ews=skip public-folders=skip mailbox-unique=skip", class: 3, state: failed},
		{name: "may not write users", faults: []string{"missing-role=User.ReadWrite.All"}, checks: "permissions=fail mailbox-unique=skip", class: 5, state: failed, look: "permissions", says: "User.ReadWrite.All"},
		{name: "no name of the tenant", faults: []string{"graph-denied=organization"}, checks: "graph.organization=fail mailbox-unique=skip", class: 5, state: failed, look: "graph.organization", says: "Organization.Read.All"},
		{name: "secret", credential: bySecret, checks: "mailbox-unique=skip", state: verified},
	}
}

func TestMigrationTargetFaults(t *testing.T) {
	t.Parallel()
	for _, o := range targetOutcomes() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.MigrationTarget, "", o.credential, o.faults...)
			o.hold(t, s, s.run(t, nil))
		})
	}
}

func TestMigrationSource(t *testing.T) {
	t.Parallel()
	for _, o := range []outcome{
		{name: "well", state: verified},
		{name: "secret", credential: bySecret, state: verified},
		{name: "too much", app: sim.AppMigrationTarget, checks: "permissions=warn", state: verified, look: "permissions", says: "User.ReadWrite.All"},
		{name: "a backup's", app: sim.AppBackup, state: verified}, // Directory.Read.All covers what the source needs
		{name: "missing", faults: []string{"missing-role"}, checks: "permissions=fail graph.mailbox-settings=fail", class: 5, state: failed},
	} {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.MigrationSource, o.app, o.credential, o.faults...)
			o.hold(t, s, s.run(t, nil))
		})
	}
}

// One mailbox serves one migration target, whatever it is called.
func TestMailboxUsedOnce(t *testing.T) {
	t.Parallel()
	own := connections.Connection{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Name: "own", Kind: connections.MigrationTarget, Account: sim.Mailbox}
	for _, c := range []struct {
		name   string
		others []connections.Connection
		err    error
		faults []string
		status task.Status
	}{
		{name: "alone", status: task.Pass},
		{name: "itself", others: []connections.Connection{own}, status: task.Pass},
		{name: "another mailbox", others: []connections.Connection{own, {ID: "b", Name: "b", Kind: connections.MigrationTarget, Account: "alex.w@contoso.com"}}, status: task.Pass},
		{name: "a source with the mailbox", others: []connections.Connection{{ID: "b", Name: "b", Kind: connections.MigrationSource, Account: sim.Mailbox}}, status: task.Pass},
		{name: "the same", others: []connections.Connection{own, {ID: "b", Name: "b", Kind: connections.MigrationTarget, Account: strings.ToUpper(sim.Mailbox)}}, status: task.Fail},
		{name: "by another address", others: []connections.Connection{{ID: "b", Name: "b", Kind: connections.MigrationTarget, Account: "Administrator@contoso.com"}}, status: task.Fail},
		{name: "by an address nobody knows", others: []connections.Connection{own, {ID: "b", Name: "b", Kind: connections.MigrationTarget, Account: "of-old@contoso.com", AccountID: "USER"}}, status: task.Fail},
		{name: "another user", others: []connections.Connection{own, {ID: "b", Name: "b", Kind: connections.MigrationTarget, Account: "of-old@contoso.com", AccountID: "44444444-2222-3333-4444-555555555555"}}, status: task.Pass},
		{name: "the same, user unknown", faults: []string{"user-not-found"}, others: []connections.Connection{{ID: "b", Name: "b", Kind: connections.MigrationTarget, Account: sim.Mailbox}}, status: task.Fail},
		{name: "damaged store", err: &connections.DamagedError{Path: "connections/x.yaml", Err: errors.New("no mapping")}, status: task.Warn},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := stageOf(t, connections.MigrationTarget, "", connections.TypeCertificate, c.faults...)
			s.target.Connection.ID = own.ID
			r := s.run(t, nil)
			if id := r.Found.AccountID; (id == "") != (c.faults != nil) || strings.ToLower(id) != id {
				t.Errorf("the user's id is %q", id)
			}
			for i := range c.others {
				if c.others[i].AccountID == "USER" {
					c.others[i].AccountID = strings.ToUpper(r.Found.AccountID)
				}
			}
			s.o.Saved = savedAs(c.err, c.others...)
			r = s.run(t, nil)
			one := result(t, r, "mailbox-unique")
			var taken *connections.AccountTakenError
			if one.Status != c.status || errors.As(one.Err, &taken) != (c.status == task.Fail) {
				t.Error(describe(r))
			}
			if taken != nil && (taken.By != "b" || !strings.Contains(strings.Join(one.Advice.Next, "\n"), "$ c2conn show b") || r.State != failed || r.Class != 5) {
				t.Errorf("%s%+v", describe(r), one.Advice)
			}
		})
	}
}

// savedAs is a store with these connections, and a damaged file.
func savedAs(err error, list ...connections.Connection) func(context.Context) ([]connections.Entry, error) {
	entries := []connections.Entry{{Connection: connections.Connection{Name: "damaged"}, Err: errors.New("damaged")}}
	for _, c := range list {
		entries = append(entries, connections.Entry{Connection: c})
	}
	return func(context.Context) ([]connections.Entry, error) { return entries, err }
}
