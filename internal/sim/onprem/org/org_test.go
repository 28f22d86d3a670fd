package org_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// world is an organisation with an administrator, a mailbox owner and an
// account that has neither UPN nor mailbox.
func world(now func() time.Time) *org.Organisation {
	o := org.New(org.Options{Domain: "corp.test", NetBIOS: "CORP", Now: now, Rand: bytes.NewReader(nil)})
	o.Add(org.User{SAM: "exadmin", DisplayName: "Exchange Admin", UPN: "exadmin@corp.test", Address: "exadmin@corp.test"})
	o.Add(org.User{SAM: "alice", DisplayName: "Alice", UPN: "alice@contoso.example", Address: "alice@contoso.example", Aliases: []string{"a.smith@contoso.example"}})
	o.Add(org.User{SAM: "Administrator"})
	o.Join("Organization Management", "exadmin")
	return o
}

func fixed() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

func TestFind(t *testing.T) {
	t.Parallel()
	o := world(fixed)
	alice, _ := o.Find("alice")
	for identity, sam := range map[string]string{
		"alice@contoso.example": "alice", "ALICE@CONTOSO.EXAMPLE": "alice", `CORP\alice`: "alice", "Alice": "alice",
		"alice@corp.test": "alice", "a.smith@contoso.example": "alice", "corp.test/Users/Alice": "alice",
		"CN=Alice,CN=Users,DC=corp,DC=test": "alice", alice.ID.String(): "alice", "Exchange Admin": "exadmin",
		`corp\administrator`: "Administrator",
	} {
		if u, ok := o.Find(identity); !ok || u.SAM != sam {
			t.Errorf("%s: %q, %v", identity, u.SAM, ok)
		}
	}
	for _, identity := range []string{"", "nobody", `OTHER\alice`, "alice@", "@corp.test"} {
		if u, ok := o.Find(identity); ok {
			t.Errorf("%q: found %s", identity, u.SAM)
		}
	}
}

func TestDelegatingAssignmentImpersonatesNobody(t *testing.T) {
	t.Parallel()
	o := world(fixed)
	admin, _ := o.Find("exadmin")
	alice, _ := o.Find("alice")
	if o.MayImpersonate(admin, alice) {
		t.Error("Organization Management may impersonate although its assignment only delegates")
	}
	o.Join("Hygiene Management", "admins")
	o.Join("admins", "exadmin")
	o.Join("admins", "Hygiene Management") // a cycle
	if !o.MayImpersonate(admin, alice) {
		t.Error("a nested member of Hygiene Management may not impersonate")
	}
}

func TestAssignment(t *testing.T) {
	t.Parallel()
	now := fixed()
	o := world(func() time.Time { return now })
	o.AddScope(org.Scope{Name: "Sales", Filter: "Department -eq 'Sales'", Holds: func(u org.User) bool { return u.SAM == "alice" }})
	admin, _ := o.Find("exadmin")
	alice, _ := o.Find("alice")
	nobody, _ := o.Find("Administrator")
	o.Delay(time.Minute)

	a, err := o.Assign(&admin, org.Assignment{Name: "c2conn impersonation exadmin", Role: "applicationimpersonation", Assignee: "exadmin@corp.test", Scope: "sales"})
	if err != nil || a.Role != org.Impersonation || a.Assignee != "exadmin" {
		t.Fatalf("%+v, %v", a, err)
	}
	if o.MayImpersonate(admin, alice) {
		t.Error("in force at once in spite of the delay")
	}
	now = now.Add(time.Minute)
	if !o.MayImpersonate(admin, alice) || o.MayImpersonate(admin, nobody) {
		t.Error("the scope does not decide")
	}

	var exists *org.ExistsError
	if _, err := o.Assign(&admin, org.Assignment{Name: a.Name, Role: a.Role, Assignee: "alice"}); !errors.As(err, &exists) {
		t.Errorf("second of that name: %v", err)
	}
	var refused *org.NotDelegatedError
	if _, err := o.Assign(&alice, org.Assignment{Role: a.Role, Assignee: "alice"}); !errors.As(err, &refused) {
		t.Errorf("by somebody without a delegating assignment: %v", err)
	}
	if err := o.Unassign(&alice, a.Name); !errors.As(err, &refused) {
		t.Errorf("removed by somebody without a delegating assignment: %v", err)
	}
	var missing *org.NotFoundError
	for _, wrong := range []org.Assignment{
		{Role: "Nothing", Assignee: "alice"}, {Role: a.Role, Assignee: "ghost"},
		{Role: a.Role, Assignee: "ghosts", Type: org.AssigneeSecurityGroup}, {Role: a.Role, Assignee: "alice", Scope: "Nowhere"},
	} {
		if _, err := o.Assign(&admin, wrong); !errors.As(err, &missing) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if err := o.Unassign(&admin, a.ID.String()); err != nil {
		t.Error(err)
	}
	if o.MayImpersonate(admin, alice) {
		t.Error("still in force after it was removed")
	}
	if err := o.Unassign(&admin, a.Name); !errors.As(err, &missing) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestNamesOfAssignments(t *testing.T) {
	t.Parallel()
	o := world(fixed)
	for _, want := range []string{"ApplicationImpersonation-alice", "ApplicationImpersonation-alice-1"} {
		a, err := o.Assign(nil, org.Assignment{Role: org.Impersonation, Assignee: "alice"})
		if err != nil || a.Name != want {
			t.Errorf("%q, %v, want %q", a.Name, err, want)
		}
	}
	a, err := o.Assign(nil, org.Assignment{Role: org.Impersonation, Assignee: `CORP\Recipient Management`, Type: org.AssigneeSecurityGroup, Delegating: true})
	if err != nil || a.Type != org.AssigneeRoleGroup || a.Name != "ApplicationImpersonation-Recipient Management-Delegating" {
		t.Errorf("%+v, %v", a, err)
	}
}
