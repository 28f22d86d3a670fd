package ldapd_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

// found lists the common names that a search gives, sorted.
func found(t *testing.T, c *ldap.Conn, r *ldap.SearchRequest) []string {
	t.Helper()
	result, err := c.Search(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Filter, err)
	}
	var names []string
	for _, e := range result.Entries {
		names = append(names, e.GetAttributeValue("name"))
	}
	slices.Sort(names)
	return names
}

func TestFilters(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	orgManagement := "CN=Organization Management,OU=Microsoft Exchange Security Groups,DC=corp,DC=test"
	cases := []struct {
		filter string
		want   []string
	}{
		{"(sAMAccountName=ALICE)", []string{"Alice Adams"}},
		{"(samaccountname=alice)", []string{"Alice Adams"}},
		{"(displayName=alice*)", []string{"Alice Adams"}},
		{"(displayName=*AMS)", []string{"Alice Adams"}},
		{"(displayName=*li*da*)", []string{"Alice Adams"}},
		{"(displayName=a*b*)", nil},
		{"(displayName=Alice Adams)", []string{"Alice Adams"}},
		{"(displayName~=alice adams)", []string{"Alice Adams"}},
		{"(displayName=Alice  Adams)", nil},
		{"(&(objectCategory=person)(mail=*))", []string{"Alice Adams", "Bob Baker", "Exchange Admin", "SharePoint Farm"}},
		{"(&(objectCategory=user)(mail=bob@corp.test))", []string{"Bob Baker"}},
		{"(&(objectCategory=CN=Person,CN=Schema,CN=Configuration,DC=corp,DC=test)(mail=bob@corp.test))", []string{"Bob Baker"}},
		{"(objectCategory=nothing)", nil},
		{"(&(objectClass=user)(!(mail=*)))", []string{"Administrator", "Former Admin", "Guest", "O'Neil, Rory (IT)"}},
		{"(|(sAMAccountName=alice)(sAMAccountName=bob))", []string{"Alice Adams", "Bob Baker"}},
		// Attributes that the schema does not have make a filter undefined, also negated.
		{"(&(objectClass=user)(!(noSuchAttribute=1)))", nil},
		{"(&(objectClass=user)(noSuchAttribute=*))", nil},
		{"(|(noSuchAttribute=1)(sAMAccountName=bob))", []string{"Bob Baker"}},
		{"(!(|(noSuchAttribute=1)(sAMAccountName=bob)))", nil},
		// Numbers, names and bytes compare as what they are.
		{"(userAccountControl=512)", []string{"Administrator", "Alice Adams", "Bob Baker", "Exchange Admin", "O'Neil, Rory (IT)", "SharePoint Farm"}},
		{"(userAccountControl=0512)", []string{"Administrator", "Alice Adams", "Bob Baker", "Exchange Admin", "O'Neil, Rory (IT)", "SharePoint Farm"}},
		{"(userAccountControl>=513)", []string{"Former Admin", "Guest"}},
		{"(&(objectClass=user)(userAccountControl<=99))", nil},
		{"(userAccountControl=5*)", nil},
		{"(userAccountControl=x)", nil},
		{"(distinguishedName=cn=alice adams, cn=users ,DC=Corp,dc=TEST)", []string{"Alice Adams"}},
		{"(distinguishedName=*Adams*)", nil},
		{`(distinguishedName=CN=O'Neil\5c, Rory \28IT\29,CN=Users,DC=corp,DC=test)`, []string{"O'Neil, Rory (IT)"}},
		{"(whenCreated>=20190101000000.0Z)", nil}, // set below
		{"(objectSid=S-1-5-32-544)", []string{"Administrators"}},
		{`(objectSid=\01\02\00\00\00\00\00\05\20\00\00\00\20\02\00\00)`, []string{"Administrators"}},
		{"(objectSid=S-1-5-21-1004336348-1177238915-682003330-512)", []string{"Domain Admins"}},
		// The matching rules of Active Directory.
		{"(userAccountControl:1.2.840.113556.1.4.803:=2)", []string{"Former Admin", "Guest"}},
		{"(userAccountControl:1.2.840.113556.1.4.803:=514)", []string{"Former Admin", "Guest"}},
		{"(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.804:=512)))", nil},
		{"(displayName:1.2.840.113556.1.4.803:=2)", nil},
		{"(&(objectClass=user)(memberOf=" + orgManagement + "))", []string{"Administrator", "Exchange Admin", "Former Admin"}},
		{"(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=" + orgManagement + "))", []string{"Administrator", "Alice Adams", "Bob Baker", "Exchange Admin", "Former Admin"}},
		{"(member:1.2.840.113556.1.4.1941:=CN=Alice Adams,CN=Users,DC=corp,DC=test)", []string{"Messaging Leads", "Messaging Team", "Organization Management"}},
		{"(memberOf:1.2.840.113556.1.4.1941:=CN=Nobody,DC=corp,DC=test)", nil},
		{"(memberOf=*Management*)", nil},
		{"(sAMAccountName:=alice)", []string{"Alice Adams"}},
		{"(sAMAccountName:caseExactMatch:=alice)", nil},
		{"(cn:dn:=Users)", nil},
		{"(&(objectClass=trustedDomain)(trustDirection=3))", []string{"child.corp.test", "partner.test"}},
		{"(&)", nil}, // set below
	}
	for _, tt := range cases {
		if tt.filter == "(&)" || strings.HasPrefix(tt.filter, "(whenCreated") {
			if n := len(found(t, c, search("DC=corp,DC=test", 2, tt.filter, "name"))); n < 20 {
				t.Errorf("%s gives %d entries", tt.filter, n)
			}
			continue
		}
		if got := found(t, c, search("DC=corp,DC=test", 2, tt.filter, "name")); !slices.Equal(got, tt.want) {
			t.Errorf("%s gives %q, want %q", tt.filter, got, tt.want)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	for _, tt := range []struct {
		base  string
		scope int
		want  []string
	}{
		{"dc=CORP, dc=test", 0, []string{"corp"}},
		{"DC=corp,DC=test", 1, []string{"Builtin", "Computers", "Microsoft Exchange Security Groups", "System", "Users"}},
		{"OU=Microsoft Exchange Security Groups,DC=corp,DC=test", 2, []string{"Microsoft Exchange Security Groups", "Organization Management", "View-Only Organization Management"}},
		{"CN=Subnets,CN=Sites,CN=Configuration,DC=corp,DC=test", 1, []string{"127.0.0.0/8"}},
	} {
		if got := found(t, c, search(tt.base, tt.scope, "(objectClass=*)", "name")); !slices.Equal(got, tt.want) {
			t.Errorf("%s, scope %d: %q, want %q", tt.base, tt.scope, got, tt.want)
		}
	}
	_, err := c.Search(search("CN=Nobody,CN=Users,DC=corp,DC=test", 0, "(objectClass=*)"))
	refused(t, "no such entry", err, 32, "problem 2001 (NO_OBJECT)")
	var e *ldap.Error
	if errors.As(err, &e); e.MatchedDN != "CN=Users,DC=corp,DC=test" {
		t.Errorf("the best match is %q", e.MatchedDN)
	}
	_, err = c.Search(search("nonsense", 0, "(objectClass=*)"))
	refused(t, "no name", err, 34, "Error processing name")
	_, err = c.Search(search("", 2, "(objectClass=*)"))
	refused(t, "everything", err, 32, "NO_OBJECT")
}

func TestRequestedAttributes(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	get := func(attributes ...string) []string {
		r, err := c.Search(search("CN=Alice Adams,CN=Users,DC=corp,DC=test", 0, "(objectClass=*)", attributes...))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range r.Entries[0].Attributes {
			names = append(names, a.Name)
		}
		return names
	}
	if got := get("MAIL", "nothing", "memberof"); !slices.Equal(got, []string{"mail", "memberOf"}) {
		t.Errorf("got %v", got)
	}
	if got := get("1.1"); got != nil {
		t.Errorf("1.1 gives %v", got)
	}
	if all, star := get(), get("*"); len(all) < 12 || !slices.Equal(all, star) {
		t.Errorf("all are %v, * gives %v", all, star)
	}
	r := search("CN=Alice Adams,CN=Users,DC=corp,DC=test", 0, "(objectClass=*)", "mail")
	r.TypesOnly = true
	if got, err := c.Search(r); err != nil || len(got.Entries[0].Attributes) != 1 || len(got.Entries[0].Attributes[0].Values) != 0 {
		t.Errorf("types only: %v, %v", got, err)
	}
}

func TestSizeLimits(t *testing.T) {
	t.Parallel()
	d := start(t, func(x *ldapd.Domain) { x.Crowd(1234, "") })
	c := d.signedIn()
	crowd := func() *ldap.SearchRequest { return search("OU=Staff,DC=corp,DC=test", 1, "(objectClass=user)", "1.1") }
	r, err := c.Search(crowd())
	refused(t, "no pages", err, 4, "Size limit exceeded")
	if len(r.Entries) != 1000 {
		t.Errorf("%d entries came before it", len(r.Entries))
	}
	few := crowd()
	few.SizeLimit = 7
	r, err = c.Search(few)
	refused(t, "size limit", err, 4, "Size limit exceeded")
	if len(r.Entries) != 7 {
		t.Errorf("%d entries came before it", len(r.Entries))
	}
	for _, size := range []uint32{100, 1000, 5000} {
		r, err := c.SearchWithPaging(crowd(), size)
		seen := map[string]bool{}
		for _, e := range r.Entries {
			seen[e.DN] = true
		}
		if err != nil || len(r.Entries) != 1234 || len(seen) != 1234 {
			t.Errorf("pages of %d: %d entries, %d of them different, %v", size, len(r.Entries), len(seen), err)
		}
	}
	// A page holds at most a thousand, whatever is asked for.
	big := crowd()
	paging := ldap.NewControlPaging(5000)
	big.Controls = []ldap.Control{paging}
	r, err = c.Search(big)
	if err != nil || len(r.Entries) != 1000 {
		t.Fatalf("%d entries, %v", len(r.Entries), err)
	}
	next := ldap.FindControl(r.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
	paging.SetCookie(next.Cookie)
	if r, err = c.Search(big); err != nil || len(r.Entries) != 234 {
		t.Fatalf("%d entries, %v", len(r.Entries), err)
	}
	_, err = c.Search(big)
	refused(t, "a cookie twice", err, 53, "Error processing control")
	// The same cookie on another connection means nothing.
	_, err = d.signedIn().Search(big)
	refused(t, "a cookie of another connection", err, 53, "Error processing control")
}

func TestReferrals(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	for base, want := range map[string]string{
		"CN=Users,DC=child,DC=corp,DC=test": "ldap://child.corp.test/CN=Users,DC=child,DC=corp,DC=test",
		"DC=partner,DC=test":                "ldap://partner.test/DC=partner,DC=test",
		"OU=A B,DC=unknown,DC=example":      "ldap://unknown.example/OU=A%20B,DC=unknown,DC=example",
	} {
		_, err := c.Search(search(base, 0, "(objectClass=*)"))
		refused(t, base, err, 10, "0000202B: RefErr")
		var e *ldap.Error
		if !errors.As(err, &e) || !strings.Contains(string(e.Packet.Bytes()), want) {
			t.Errorf("%s: no referral to %s", base, want)
		}
	}
	r, err := c.Search(search("DC=corp,DC=test", 2, "(sAMAccountName=alice)", "1.1"))
	want := []string{
		"ldap://DomainDnsZones.corp.test/DC=DomainDnsZones,DC=corp,DC=test", "ldap://ForestDnsZones.corp.test/DC=ForestDnsZones,DC=corp,DC=test",
		"ldap://child.corp.test/DC=child,DC=corp,DC=test", "ldap://corp.test/CN=Configuration,DC=corp,DC=test",
	}
	if err != nil || len(r.Entries) != 1 {
		t.Fatal(r, err)
	}
	slices.Sort(r.Referrals)
	if !slices.Equal(r.Referrals, want) {
		t.Errorf("references %q, want %q", r.Referrals, want)
	}
	quiet := search("DC=corp,DC=test", 2, "(sAMAccountName=alice)", "1.1")
	quiet.Controls = []ldap.Control{ldap.NewControlString("1.2.840.113556.1.4.1339", true, "")}
	if r, err := c.Search(quiet); err != nil || len(r.Referrals) > 0 {
		t.Errorf("domain scope: %v, %v", r.Referrals, err)
	}
}

func TestTreeRefusesNonsense(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	for _, name := range []string{"nonsense", "", "CN=x,CN=nowhere,DC=corp,DC=test", "CN=Users,DC=corp,DC=test"} {
		if d.tree.Add(name, nil) == nil {
			t.Errorf("%q is taken", name)
		}
	}
	if d.tree.Add("CN=x,CN=Users,DC=corp,DC=test", ldapd.Attributes{"noSuchAttribute": {"1"}}) == nil {
		t.Error("an attribute that the schema does not have is taken")
	}
	if d.tree.Set("CN=nobody,DC=corp,DC=test", "mail", "x") == nil || d.tree.Get("CN=nobody,DC=corp,DC=test", "mail") != nil {
		t.Error("an entry that is not there is changed or read")
	}
	if _, err := ldapd.Build(ldapd.Domain{Name: "x.test", SID: "nonsense"}); err == nil {
		t.Error("a domain with a wrong SID is built")
	}
	world := ldapd.World()
	world.Groups = append(world.Groups, ldapd.Group{CN: "New", Members: []string{"nobody"}})
	if _, err := ldapd.Build(world); err == nil {
		t.Error("a group with a member that does not exist is built")
	}
}

func TestMembershipFollowsChanges(t *testing.T) {
	t.Parallel()
	d := start(t, nil)
	c := d.signedIn()
	team := "CN=Messaging Team,CN=Users,DC=corp,DC=test"
	if err := d.tree.Set(team, "member", "CN=Bob Baker,CN=Users,DC=corp,DC=test"); err != nil {
		t.Fatal(err)
	}
	if got := found(t, c, search("DC=corp,DC=test", 2, "(memberOf="+team+")", "name")); !slices.Equal(got, []string{"Bob Baker"}) {
		t.Errorf("got %v", got)
	}
}
