package ldapd_test

import (
	"testing"

	"github.com/c2conn/c2conn/internal/sim/onprem/account"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	accounts, err := account.New(account.Options{Domain: "corp.test", NetBIOS: "CORP", Suffixes: []string{"contoso.example"}, Users: []account.User{
		{SAM: "exadmin", UPN: "exadmin@corp.test", Password: secret}, {SAM: "alice", UPN: "alice@contoso.example", Password: secret},
		{SAM: "disabled", Password: secret, Disabled: true}, {SAM: "locked", Password: secret, Locked: true},
		{SAM: "expired", Password: secret, PasswordExpired: true}, {SAM: "change", Password: secret, MustChange: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, nil, func(o *ldapd.Options) { o.SignIn = ldapd.Accounts(accounts) })
	c := d.client(true)
	for name, want := range map[string]string{
		"exadmin@corp.test": "exadmin", `CORP\exadmin`: "exadmin", "alice@contoso.example": "alice", "ALICE@corp.test": "alice",
		"cn=Exchange Admin,cn=Users,dc=corp,dc=test": "exadmin",
	} {
		if err := c.Bind(name, secret); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if who, err := c.WhoAmI(nil); err != nil || who.AuthzID != `u:CORP\`+want {
			t.Errorf("%s is %v, %v", name, who, err)
		}
	}
	for name, text := range map[string]string{
		"nobody@corp.test": "data 525,", "CN=Nobody,DC=corp,DC=test": "data 525,", `CORP\disabled`: "data 533,", "locked@corp.test": "data 775,",
		"expired@corp.test": "data 532,", "change@corp.test": "data 773,",
	} {
		refused(t, name, c.Bind(name, secret), 49, text)
	}
	refused(t, "wrong password", c.Bind("alice@contoso.example", "x"), 49, "data 52e,")
	if tally := accounts.Tally(account.LDAP); tally.Succeeded != 5 || tally.Failed != 7 || tally.WrongPasswords != 1 {
		t.Errorf("the accounts saw %+v", tally)
	}
}
