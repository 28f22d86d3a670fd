package ldapd

import "strings"

func (b *builder) organization() string { return b.d.NetBIOS + "ORG" }

// configuration fills the configuration and schema naming contexts.
func (b *builder) configuration() {
	b.add(b.config, "configuration", "Configuration", nil)
	b.add(b.schema, "dMD", "DMD", nil)
	for _, cn := range []string{"Partitions", "Services", "Sites"} {
		b.add("CN="+cn+","+b.config, "container", "Container", nil)
	}
	if len(b.d.Suffixes) > 0 {
		b.keep(b.t.Set("CN=Partitions,"+b.config, "uPNSuffixes", b.d.Suffixes...))
	}
	b.add("CN="+b.d.NetBIOS+",CN=Partitions,"+b.config, "crossRef", "Cross-Ref", Attributes{
		"nCName": {b.root}, "dnsRoot": {b.d.Name}, "nETBIOSName": {b.d.NetBIOS}, "systemFlags": {"3"},
	})
	for _, t := range b.d.Trusts {
		if t.Attributes&trustWithinForest != 0 {
			b.add("CN="+t.NetBIOS+",CN=Partitions,"+b.config, "crossRef", "Cross-Ref", Attributes{
				"nCName": {DN(t.Name)}, "dnsRoot": {t.Name}, "nETBIOSName": {t.NetBIOS}, "systemFlags": {"3"}, "trustParent": {"CN=" + b.d.NetBIOS + ",CN=Partitions," + b.config},
			})
		}
	}
	b.sites()
	for kind := range schema(b.d.Exchange) {
		// The schema naming context lists what clients look up there.
		if strings.HasPrefix(kind, "msExch") || kind == "homeMDB" || kind == "mail" {
			b.add("CN="+kind+","+b.schema, "attributeSchema", "Attribute-Schema", Attributes{"lDAPDisplayName": {kind}})
		}
	}
	if b.d.Exchange {
		b.exchange()
	}
}

const trustWithinForest = 0x20 // TRUST_ATTRIBUTE_WITHIN_FOREST (MS-ADTS 6.1.6.7.9)

func (b *builder) sites() {
	sites := "CN=Sites," + b.config
	b.add("CN=Subnets,"+sites, "subnetContainer", "Subnet-Container", nil)
	made := map[string]bool{}
	site := func(cn string) string {
		name := "CN=" + cn + "," + sites
		if !made[cn] {
			made[cn] = true
			b.add(name, "site", "Site", nil)
		}
		return name
	}
	site("Default-First-Site-Name")
	for _, s := range b.d.Subnets {
		b.add("CN="+escapeValue(s.Prefix)+",CN=Subnets,"+sites, "subnet", "Subnet", Attributes{"siteObject": {site(s.Site)}})
	}
}

func (b *builder) exchange() {
	name := "CN=Services," + b.config
	for _, cn := range []string{"Microsoft Exchange", b.organization(), "Administrative Groups", "Exchange Administrative Group (FYDIBOHF23SPDLT)", "Servers", "EXCH01", "Protocols", "Autodiscover"} {
		name = "CN=" + cn + "," + name
		b.add(name, "container", "Container", nil)
	}
	if group := b.names["organization management"]; group != "" {
		b.keep(b.t.Set("CN=Microsoft Exchange,CN=Services,"+b.config, "otherWellKnownObjects", "B:32:"+WellKnownOrganizationManagement+":"+group))
	}
	for _, e := range b.d.Endpoints {
		b.add("CN="+escapeValue(e.CN)+","+name, "serviceConnectionPoint", "Service-Connection-Point", Attributes{
			"keywords": e.Keywords, "serviceBindingInformation": {e.URL}, "serviceClassName": {"ms-Exchange-AutoDiscover-Service"}, "serviceDNSName": {e.CN},
		})
	}
}
