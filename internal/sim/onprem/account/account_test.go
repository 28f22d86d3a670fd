package account_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
)

func directory(t *testing.T, threshold int) *account.Directory {
	t.Helper()
	d, err := account.New(account.Options{
		Domain: "corp.test", NetBIOS: "CORP", Suffixes: []string{"contoso.example"}, LockoutThreshold: threshold,
		Users: []account.User{
			{SAM: "ExAdmin", UPN: "exadmin@corp.test", Password: "Ex4dmin!Pass"},
			{SAM: "alice", UPN: "alice.a@contoso.example", Password: "Al1ce!Pass"},
			{SAM: "Administrator", Password: "Adm1n!Pass"},
			{SAM: "shadow", UPN: "administrator2@corp.test", Password: "x"},
			{SAM: "administrator2", Password: "y"},
			{SAM: "EXCH01$", Password: "machine", SPNs: []string{"HTTP/exch01.corp.test"}, ETypes: []int32{account.AES256, account.RC4}},
			{SAM: "nt", Password: "Password"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLookup(t *testing.T) {
	t.Parallel()
	d := directory(t, 0)
	for name, want := range map[string]string{
		"exadmin":                  "ExAdmin",
		`CORP\EXADMIN`:             "ExAdmin",
		`corp.test\exadmin`:        "ExAdmin",
		`OTHER\exadmin`:            "",
		"EXADMIN@CORP.TEST":        "ExAdmin",
		"exadmin@corp":             "",
		"alice.a@contoso.example":  "alice",
		"alice@contoso.example":    "",
		"alice@corp.test":          "alice",
		"administrator@corp.test":  "Administrator",
		"administrator2@corp.test": "shadow", // the attribute wins over the implicit name
		"nobody":                   "",
		"":                         "",
		"@corp.test":               "",
		`CORP\`:                    "",
	} {
		if u, found := d.Lookup(name); u.SAM != want || found != (want != "") {
			t.Errorf("Lookup(%q) = %q, %v; want %q", name, u.SAM, found, want)
		}
	}
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	d := directory(t, 0)
	for _, c := range []struct {
		kind  int32
		parts []string
		want  string
	}{
		{account.NamePrincipal, []string{"EXADMIN"}, "ExAdmin"},
		{account.NamePrincipal, []string{"administrator2"}, "administrator2"}, // the sAMAccountName wins
		{account.NamePrincipal, []string{"exadmin@corp.test"}, ""},
		{account.NamePrincipal, []string{"HTTP", "exch01.corp.test"}, ""},
		{account.NamePrincipal, nil, ""},
		{account.NameEnterprise, []string{"alice.a@contoso.example"}, "alice"},
		{account.NameEnterprise, []string{"alice@CORP.TEST"}, "alice"},
		{account.NameEnterprise, []string{"alice"}, ""},
	} {
		if u, _ := d.Principal(c.kind, c.parts); u.SAM != c.want {
			t.Errorf("Principal(%d, %q) = %q, want %q", c.kind, c.parts, u.SAM, c.want)
		}
	}
	if u, found := d.Service("http/EXCH01.corp.test"); !found || u.SAM != "EXCH01$" {
		t.Errorf("Service = %q, %v", u.SAM, found)
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	d := directory(t, 0)
	for _, u := range []account.User{
		{SAM: "EXADMIN"}, {SAM: ""}, {SAM: `CORP\x`}, {SAM: "x", UPN: "Exadmin@corp.test"}, {SAM: "x", UPN: "nosuffix"},
		{SAM: "x", SPNs: []string{"http/exch01.corp.test"}},
	} {
		if err := d.Add(u); err == nil {
			t.Errorf("Add(%+v) took it", u)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		flags           func(*account.User)
		right, wrong    account.Reason
		badAfterOneMore int
	}{
		{"sound", func(*account.User) {}, 0, account.WrongPassword, 1},
		{"disabled", func(u *account.User) { u.Disabled = true }, account.AccountDisabled, account.WrongPassword, 1},
		{"locked", func(u *account.User) { u.Locked = true }, account.LockedOut, account.LockedOut, 0},
		{"expired", func(u *account.User) { u.PasswordExpired = true }, account.Expired, account.WrongPassword, 1},
		{"must change", func(u *account.User) { u.MustChange = true }, account.PasswordMustChange, account.WrongPassword, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := directory(t, 0)
			if err := d.Change("alice", c.flags); err != nil {
				t.Fatal(err)
			}
			_, err := d.SignInPassword(account.Basic, "alice", "Al1ce!Pass")
			if got := reason(err); got != c.right {
				t.Errorf("right password: reason %d (%v), want %d", got, err, c.right)
			}
			_, err = d.SignInPassword(account.LDAP, "alice", "wrong")
			if got := reason(err); got != c.wrong {
				t.Errorf("wrong password: reason %d (%v), want %d", got, err, c.wrong)
			}
			if n := d.BadPasswords("alice"); n != c.badAfterOneMore {
				t.Errorf("badPwdCount %d, want %d", n, c.badAfterOneMore)
			}
		})
	}
	_, err := directory(t, 0).SignInPassword(account.Basic, "nobody", "x")
	if reason(err) != account.UnknownUser {
		t.Errorf("unknown user: %v", err)
	}
}

func reason(err error) account.Reason {
	var r *account.RefusedError
	if errors.As(err, &r) {
		return r.Reason
	}
	return 0
}

// Ten wrong passwords, all at once and by several protocols, are ten failed sign-ins.
func TestCounts(t *testing.T) {
	t.Parallel()
	d := directory(t, 0)
	var wait sync.WaitGroup
	for i := range 10 {
		wait.Go(func() {
			_, err := d.SignInPassword([]account.Protocol{account.Basic, account.LDAP}[i%2], "alice", fmt.Sprint("wrong", i))
			if reason(err) != account.WrongPassword {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
	wait.Wait()
	if d.FailedSignIns() != 10 || d.BadPasswords("ALICE@corp.test") != 10 {
		t.Errorf("%d failed sign-ins and badPwdCount %d, want 10 and 10", d.FailedSignIns(), d.BadPasswords("alice"))
	}
	if got := d.Tally(account.LDAP); got != (account.Tally{Failed: 5, WrongPasswords: 5}) {
		t.Errorf("LDAP: %+v", got)
	}
	if _, err := d.SignInPassword(account.Basic, "alice", "Al1ce!Pass"); err != nil {
		t.Fatal(err)
	}
	if d.FailedSignIns() != 10 || d.BadPasswords("alice") != 0 || d.SuccessfulSignIns(account.Basic) != 1 {
		t.Errorf("after a good one: %d failed, badPwdCount %d, %d good", d.FailedSignIns(), d.BadPasswords("alice"), d.SuccessfulSignIns(account.Basic))
	}
}

func TestLockout(t *testing.T) {
	t.Parallel()
	d := directory(t, 3)
	for i, want := range []account.Reason{account.WrongPassword, account.WrongPassword, account.WrongPassword, account.LockedOut, account.LockedOut} {
		password := "wrong"
		if i == 4 {
			password = "Al1ce!Pass"
		}
		_, err := d.SignInPassword(account.Basic, "alice", password)
		if reason(err) != want {
			t.Errorf("sign-in %d: %v", i, err)
		}
	}
	if n := d.BadPasswords("alice"); n != 3 {
		t.Errorf("badPwdCount %d, want 3", n)
	}
	if err := d.Change("alice", func(u *account.User) { u.Locked = false }); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SignInPassword(account.Basic, "alice", "Al1ce!Pass"); err != nil {
		t.Error("after unlocking:", err)
	}
}

func TestRefusalOfProtocolIsNoWrongPassword(t *testing.T) {
	t.Parallel()
	d, other := directory(t, 1), errors.New("no channel binding")
	_, err := d.SignIn(account.NTLM, "alice", func(account.Keys) error { return other })
	if reason(err) != account.Other || !errors.Is(err, other) {
		t.Errorf("error %v", err)
	}
	if d.BadPasswords("alice") != 0 || d.FailedSignIns() != 1 {
		t.Errorf("badPwdCount %d, %d failed", d.BadPasswords("alice"), d.FailedSignIns())
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	d := directory(t, 0)
	// MS-NLMP 4.2.2.1.2: NTOWFv1 of "Password". The RC4 key of Kerberos is the same.
	_, err := d.SignIn(account.NTLM, "nt", func(k account.Keys) error {
		if got := hex.EncodeToString(k.NTHash()); got != "a4f49c406510bdcab6824ee7c30fd852" {
			t.Errorf("NT hash %s", got)
		}
		if _, ok := k.Kerberos(account.RC4); ok {
			t.Error("an account has a key that was not given to it")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Salt("exadmin"); got != "CORP.TESTExAdmin" {
		t.Errorf("salt of a user %q", got)
	}
	if got := d.Salt("exch01$"); got != "CORP.TESThostexch01.corp.test" {
		t.Errorf("salt of a computer %q", got)
	}
	before, ok := d.KerberosKey("alice", account.AES256)
	if !ok || len(before) != 32 {
		t.Fatalf("key of %d bytes", len(before))
	}
	if err := d.Change("alice", func(u *account.User) { u.Password = "another" }); err != nil {
		t.Fatal(err)
	}
	if after, _ := d.KerberosKey("alice", account.AES256); string(after) == string(before) {
		t.Error("a new password left the key as it was")
	}
}
