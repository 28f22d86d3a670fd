package ldapd

import "fmt"

// World is the simulated domain corp.test with its Exchange organization: people,
// groups that are nested, two trusts, one Autodiscover service connection point.
func World() Domain {
	exchange := "OU=Microsoft Exchange Security Groups"
	return Domain{
		Name: "corp.test", NetBIOS: "CORP", Host: "dc1.corp.test", SID: "S-1-5-21-1004336348-1177238915-682003330",
		Suffixes: []string{"contoso.example"}, Exchange: true,
		Users: []User{
			{CN: "Administrator", SAM: "Administrator", RID: 500},
			{CN: "Guest", SAM: "Guest", RID: 501, Disabled: true},
			{CN: "Exchange Admin", SAM: "exadmin", UPN: "exadmin@corp.test", DisplayName: "Exchange Admin", Mail: "exadmin@corp.test", Mailbox: true},
			{CN: "Alice Adams", SAM: "alice", UPN: "alice@contoso.example", DisplayName: "Alice Adams", Mail: "alice@contoso.example", Mailbox: true},
			{CN: "Bob Baker", SAM: "bob", UPN: "bob@corp.test", DisplayName: "Bob Baker", Mail: "bob@corp.test", Remote: true},
			{CN: "SharePoint Farm", SAM: "spfarm", UPN: "spfarm@corp.test", DisplayName: "SharePoint Farm", Mail: "spfarm@corp.test"},
			{CN: "Former Admin", SAM: "former", UPN: "former@corp.test", DisplayName: "Former Admin", Disabled: true},
			{CN: "O'Neil, Rory (IT)", SAM: "roneil", UPN: "roneil@corp.test", DisplayName: "O'Neil, Rory (IT)"},
		},
		Groups: []Group{
			{CN: "Administrators", BuiltinRID: 544, Members: []string{"Administrator", "Domain Admins", "Enterprise Admins"}},
			{CN: "Domain Admins", RID: 512, Members: []string{"Administrator", "roneil"}},
			{CN: "Domain Users", RID: 513},
			{CN: "Enterprise Admins", RID: 519, Members: []string{"Administrator"}},
			{CN: "Messaging Team", Members: []string{"alice", "bob", "Messaging Leads"}},
			{CN: "Messaging Leads", Members: []string{"Messaging Team"}}, // a circle, as it happens
			{CN: "Organization Management", OU: exchange, Members: []string{"exadmin", "Administrator", "former", "Messaging Team"}},
			{CN: "View-Only Organization Management", OU: exchange, Members: []string{"spfarm"}},
		},
		Endpoints: []Endpoint{
			{CN: "EXCH01", URL: "https://exch01.corp.test/Autodiscover/Autodiscover.xml", Keywords: []string{KeywordURL, "Site=Default-First-Site-Name"}},
		},
		Trusts: []Trust{
			{Name: "partner.test", NetBIOS: "PARTNER", Direction: 3, Attributes: 8},
			{Name: "child.corp.test", NetBIOS: "CHILD", Direction: 3, Attributes: trustWithinForest},
		},
		Subnets: []Subnet{{Prefix: "127.0.0.0/8", Site: "Default-First-Site-Name"}},
	}
}

// Crowd adds n users named user0001 and so on, each with a mailbox, to the group
// with the given sAMAccountName; "" = to none.
func (d *Domain) Crowd(n int, group string) {
	var sams []string
	for i := 1; i <= n; i++ {
		sam := fmt.Sprintf("user%04d", i)
		d.Users = append(d.Users, User{
			CN: fmt.Sprintf("User %04d", i), SAM: sam, UPN: sam + "@" + d.Name, DisplayName: fmt.Sprintf("User %04d", i),
			Mail: sam + "@" + d.Name, OU: "OU=Staff", Mailbox: d.Exchange,
		})
		sams = append(sams, sam)
	}
	for i, g := range d.Groups {
		if g.CN == group {
			d.Groups[i].Members = append(append([]string(nil), g.Members...), sams...)
		}
	}
}
