package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

func names(list []directory.Person) []string {
	var all []string
	for _, p := range list {
		all = append(all, p.UPN)
	}
	return all
}

func TestAdministrators(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	got, err := w.open(nil).Administrators(t.Context(), directory.Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := []directory.Person{
		{DisplayName: "Administrator", UPN: "Administrator@corp.test", NoUPN: true, SAM: "Administrator", HasMailbox: directory.No, Exchange: true,
			Groups: []string{"Organization Management", "Domain Admins", "Enterprise Admins", "Administrators"}, DN: "CN=Administrator,CN=Users,DC=corp,DC=test"},
		{DisplayName: "Alice Adams", UPN: "alice@contoso.example", SAM: "alice", Mail: "alice@contoso.example", HasMailbox: directory.Yes, Exchange: true,
			Groups: []string{"Organization Management"}, DN: "CN=Alice Adams,CN=Users,DC=corp,DC=test"},
		{DisplayName: "Bob Baker", UPN: "bob@corp.test", SAM: "bob", Mail: "bob@corp.test", HasMailbox: directory.No, Exchange: true, // his mailbox is in Exchange Online
			Groups: []string{"Organization Management"}, DN: "CN=Bob Baker,CN=Users,DC=corp,DC=test"},
		{DisplayName: "Exchange Admin", UPN: "exadmin@corp.test", SAM: "exadmin", Mail: "exadmin@corp.test", HasMailbox: directory.Yes, Exchange: true,
			Groups: []string{"Organization Management"}, DN: "CN=Exchange Admin,CN=Users,DC=corp,DC=test"},
		{DisplayName: "O'Neil, Rory (IT)", UPN: "roneil@corp.test", SAM: "roneil", HasMailbox: directory.No,
			Groups: []string{"Domain Admins", "Administrators"}, DN: `CN=O'Neil\, Rory (IT),CN=Users,DC=corp,DC=test`},
	}
	if got.More || len(got.List) != len(want) {
		t.Fatalf("got %v, more: %v", names(got.List), got.More)
	}
	for i, p := range got.List {
		if fmt.Sprintf("%+v", p) != fmt.Sprintf("%+v", want[i]) {
			t.Errorf("person %d is\n%+v, want\n%+v", i, p, want[i])
		}
	}
}

func TestAdministratorsByText(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.open(nil)
	cases := map[string][]string{
		"contoso":    {"alice@contoso.example"},
		"EXADMIN":    {"exadmin@corp.test"},
		"(IT)":       {"roneil@corp.test"},
		"bob baker":  {"bob@corp.test"},
		"*":          nil, // an asterisk is a character here
		")(cn=*":     nil,
		"\\2a":       nil,
		"spfarm":     nil, // no administrator
		"former":     nil, // disabled
		" Alice\t ":  {"alice@contoso.example"},
		"\x00":       nil,
		"Administra": {"Administrator@corp.test"},
	}
	for text, want := range cases {
		got, err := c.Administrators(t.Context(), directory.Query{Text: text})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if !slices.Equal(names(got.List), want) {
			t.Errorf("%q finds %v, want %v", text, names(got.List), want)
		}
	}
}

func TestAdministratorsInPages(t *testing.T) {
	t.Parallel()
	w := start(t, func(d *ldapd.Domain) { d.Crowd(1100, "Domain Admins") })
	c := w.open(nil)
	got, err := c.Administrators(t.Context(), directory.Query{Limit: 3000})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.List) != 1100+5 || got.More {
		t.Errorf("got %d, more: %v", len(got.List), got.More)
	}
	few, err := c.Administrators(t.Context(), directory.Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(few.List) != 10 || !few.More || !few.List[0].Exchange {
		t.Errorf("got %v, more: %v", names(few.List), few.More)
	}
}

func TestAdministratorsWithoutExchange(t *testing.T) {
	t.Parallel()
	w := start(t, func(d *ldapd.Domain) {
		d.Exchange, d.Endpoints = false, nil
		for i := range d.Users {
			d.Users[i].Mailbox, d.Users[i].Remote = false, false
		}
		d.Groups = slices.DeleteFunc(d.Groups, func(g ldapd.Group) bool { return strings.Contains(g.CN, "Organization") })
		d.Groups[1].CN, d.Groups[1].SAM = "Domänen-Admins", "Domänen-Admins" // names are translated
		d.Groups[0].Members = []string{"Administrator", "Domänen-Admins"}
	})
	c := w.open(nil)
	got, err := c.Administrators(t.Context(), directory.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Administrator@corp.test", "roneil@corp.test"}; !slices.Equal(names(got.List), want) {
		t.Fatalf("got %v, want %v", names(got.List), want)
	}
	for _, p := range got.List {
		if p.Exchange || p.HasMailbox != directory.Unknown || !slices.Contains(p.Groups, "Domänen-Admins") {
			t.Errorf("got %+v", p)
		}
	}
}

func TestAdministratorsByPrimaryGroup(t *testing.T) {
	t.Parallel()
	w := start(t, func(d *ldapd.Domain) { d.Users[5].PrimaryGroup = 512 })
	got, err := w.open(nil).Administrators(t.Context(), directory.Query{Text: "spfarm"})
	if err != nil || len(got.List) != 1 || !slices.Equal(got.List[0].Groups, []string{"Domain Admins"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRenamedOrganizationManagement(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	// Moved and renamed, as the well-known GUID allows.
	old := "CN=Organization Management,OU=Microsoft Exchange Security Groups,DC=corp,DC=test"
	name := "CN=Exchange People,CN=Users,DC=corp,DC=test"
	for _, err := range []error{
		w.tree.Add(name, ldapd.Attributes{"objectClass": {"top", "group"}, "objectCategory": {"CN=Group,CN=Schema,CN=Configuration,DC=corp,DC=test"}, "member": w.tree.Get(old, "member")}),
		w.tree.Set(old, "member"),
		w.tree.Set("CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=corp,DC=test", "otherWellKnownObjects", "B:32:"+ldapd.WellKnownOrganizationManagement+":"+name),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.open(nil).Find(t.Context(), "exadmin@corp.test")
	if err != nil || !p.Exchange || !slices.Equal(p.Groups, []string{"Exchange People"}) {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.open(nil)
	for _, tt := range []struct {
		name, sam string
		exchange  bool
		disabled  bool
	}{
		{"alice@contoso.example", "alice", true, false},
		{"ALICE@corp.test", "alice", true, false}, // sAMAccountName@domain works, too
		{`CORP\exadmin`, "exadmin", true, false},
		{"Administrator@corp.test", "Administrator", true, false},
		{"spfarm", "spfarm", false, false},
		{"former@corp.test", "former", true, true},
	} {
		p, err := c.Find(t.Context(), tt.name)
		if err != nil || p.SAM != tt.sam || p.Exchange != tt.exchange || p.Disabled != tt.disabled {
			t.Errorf("%s: got %+v, %v", tt.name, p, err)
		}
	}
	for _, name := range []string{"nobody@corp.test", "alice@elsewhere.example", "*", "", "ali*@contoso.example"} {
		_, err := c.Find(t.Context(), name)
		var e *directory.NotFoundError
		if !errors.As(err, &e) || e.Domain != "corp.test" {
			t.Errorf("%q: the error is %v", name, err)
		}
	}
}

func TestHostileEntries(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	if err := w.server.SetFault(ldapd.FaultHostile, true); err != nil {
		t.Fatal(err)
	}
	c := w.open(nil)
	people, err := c.Administrators(t.Context(), directory.Query{})
	if err != nil || len(people.List) != 5 {
		t.Fatalf("got %v, %v", names(people.List), err)
	}
	domains, err := c.Domains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	suffixes, err := c.Suffixes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprint(people, domains, suffixes)
	for _, r := range shown {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			t.Errorf("%q is in %q", r, shown)
			break
		}
	}
}

func TestSuffixesAndDomains(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.open(nil)
	suffixes, err := c.Suffixes(t.Context())
	if err != nil || !slices.Equal(suffixes, []string{"corp.test", "contoso.example"}) {
		t.Errorf("got %v, %v", suffixes, err)
	}
	domains, err := c.Domains(t.Context())
	want := []directory.Domain{
		{Name: "corp.test", NetBIOS: "CORP", Direction: directory.DirectionOwn, Transitive: true, SameForest: true},
		{Name: "child.corp.test", NetBIOS: "CHILD", Direction: directory.DirectionBoth, Transitive: true, SameForest: true},
		{Name: "partner.test", NetBIOS: "PARTNER", Direction: directory.DirectionBoth, Transitive: true},
	}
	if err != nil || !slices.Equal(domains, want) {
		t.Errorf("got %+v, %v", domains, err)
	}
}
