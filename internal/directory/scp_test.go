package directory_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/sim/onprem/ldapd"
)

func point(cn, url string, keywords ...string) ldapd.Endpoint {
	return ldapd.Endpoint{CN: cn, URL: url, Keywords: append([]string{ldapd.KeywordURL}, keywords...)}
}

func pointer(cn, url string, keywords ...string) ldapd.Endpoint {
	return ldapd.Endpoint{CN: cn, URL: url, Keywords: append([]string{ldapd.KeywordPointer}, keywords...)}
}

func subnet(prefix, site string) ldapd.Subnet { return ldapd.Subnet{Prefix: prefix, Site: site} }

func address(host string) string { return "https://" + host + "/Autodiscover/Autodiscover.xml" }

func TestAutodiscoverEndpointsBySite(t *testing.T) {
	t.Parallel()
	points := []ldapd.Endpoint{
		point("FAR", address("far.corp.test"), "Site=Far"),
		point("ANY", address("any.corp.test")),
		point("HERE", address("here.corp.test"), "Site=Elsewhere", "site=here"),
		point("AGAIN", address("HERE.corp.test"), "Site=Far"),
		point("PLAIN", "http://plain.corp.test/Autodiscover/Autodiscover.xml"),
		point("HOSTILE", "https://hostile.corp.test/\x1b[2J"),
		point("LOGIN", "https://user:pw@login.corp.test/"),
		point("NONSENSE", "https://%zz/"),
	}
	cases := []struct {
		name    string
		subnets []ldapd.Subnet
		site    string
		want    []string
		tiers   []int
	}{
		{"the smallest subnet counts", []ldapd.Subnet{subnet("127.0.0.0/24", "Here"), subnet("127.0.0.0/8", "Far"), subnet("10.0.0.0/8", "Far"), subnet("fd00::/8", "Far")},
			"Here", []string{"here", "any", "far"}, []int{1, 2, 3}},
		{"no subnet", []ldapd.Subnet{subnet("10.0.0.0/8", "Here")}, "", []string{"far", "any", "here"}, []int{2, 2, 2}},
		{"no subnets at all", nil, "", []string{"far", "any", "here"}, []int{2, 2, 2}},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(d *ldapd.Domain) { d.Endpoints, d.Subnets = points, tt.subnets })
			got, err := w.open(nil).AutodiscoverEndpoints(t.Context(), "contoso.example")
			if err != nil {
				t.Fatal(err)
			}
			var hosts []string
			var tiers []int
			for _, e := range got.List {
				host, _, _ := strings.Cut(strings.TrimPrefix(e.URL, "https://"), ".")
				hosts, tiers = append(hosts, host), append(tiers, e.Tier)
			}
			if got.Site != tt.site || !slices.Equal(hosts, tt.want) || !slices.Equal(tiers, tt.tiers) {
				t.Errorf("site %q, %v, tiers %v; want %q, %v, %v", got.Site, hosts, tiers, tt.site, tt.want, tt.tiers)
			}
		})
	}
}

// partner adds the domain controller of partner.test to the world.
func (w *world) partner(endpoints ...ldapd.Endpoint) *ldapd.Server {
	w.t.Helper()
	tree, err := ldapd.Build(ldapd.Domain{
		Name: "partner.test", NetBIOS: "PARTNER", Host: "dc.partner.test", SID: "S-1-5-21-1-2-3", Exchange: true, Endpoints: endpoints,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	s := ldapd.New(ldapd.Options{Tree: tree, Now: now, Certificate: w.certificate("dc.partner.test", "dc.partner.test"), SignIn: w.signIn})
	w.t.Cleanup(func() { _ = s.Close() })
	w.listen(s, "dc.partner.test")
	return s
}

func TestAutodiscoverPointers(t *testing.T) {
	t.Parallel()
	own := point("EXCH01", address("exch01.corp.test"))
	there := point("EXCH09", address("exch09.partner.test"))
	cases := []struct {
		name   string
		points []ldapd.Endpoint
		there  []ldapd.Endpoint
		want   string   // first address
		tried  []string // pointers
		failed string   // part of the error of the last pointer
		asked  bool     // the partner was
	}{
		{"for the mail domain", []ldapd.Endpoint{own, pointer("P", "LDAP://dc.partner.test", "domain=contoso.EXAMPLE")}, []ldapd.Endpoint{there},
			there.URL, []string{"LDAP://dc.partner.test"}, "", true},
		{"with a port and a name", []ldapd.Endpoint{own, pointer("P", "LDAP://dc.partner.test:389/CN=Configuration,DC=partner,DC=test", "Domain=contoso.example")}, []ldapd.Endpoint{there},
			there.URL, []string{"LDAP://dc.partner.test:389/CN=Configuration,DC=partner,DC=test"}, "", true},
		{"for another mail domain", []ldapd.Endpoint{own, pointer("P", "LDAP://dc.partner.test", "Domain=fabrikam.example")}, []ldapd.Endpoint{there},
			own.URL, nil, "", false},
		{"for all, not needed", []ldapd.Endpoint{own, pointer("P", "LDAP://dc.partner.test")}, []ldapd.Endpoint{there},
			own.URL, nil, "", false},
		{"for all, needed", []ldapd.Endpoint{pointer("P", "LDAP://dc.partner.test")}, []ldapd.Endpoint{there},
			there.URL, []string{"LDAP://dc.partner.test"}, "", true},
		{"for another mail domain, and nothing else", []ldapd.Endpoint{pointer("P", "LDAP://dc.partner.test", "Domain=fabrikam.example")}, []ldapd.Endpoint{there},
			"", nil, "", false},
		{"to itself", []ldapd.Endpoint{own, pointer("P", "LDAP://CN=Configuration,DC=corp,DC=test", "Domain=contoso.example")}, nil,
			own.URL, []string{"LDAP://CN=Configuration,DC=corp,DC=test"}, "", false},
		{"there only pointers", []ldapd.Endpoint{own, pointer("P", "LDAP://dc.partner.test", "Domain=contoso.example")}, []ldapd.Endpoint{pointer("Q", "LDAP://dc1.corp.test", "Domain=contoso.example")},
			own.URL, []string{"LDAP://dc.partner.test"}, "no address", true},
		{"to a stranger", []ldapd.Endpoint{own, pointer("P", "LDAP://dc.evil.example", "Domain=contoso.example")}, nil,
			own.URL, []string{"LDAP://dc.evil.example"}, "no credentials", false},
		{"nonsense", []ldapd.Endpoint{own, pointer("P", "file:///etc/passwd", "Domain=contoso.example")}, nil,
			own.URL, []string{"file:///etc/passwd"}, "no LDAP address", false},
		{"nobody there", []ldapd.Endpoint{own, pointer("P", "LDAP://dc2.partner.test", "Domain=contoso.example")}, nil,
			own.URL, []string{"LDAP://dc2.partner.test"}, "refused", false},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(d *ldapd.Domain) { d.Endpoints = tt.points })
			s := w.partner(tt.there...)
			got, err := w.open(nil).AutodiscoverEndpoints(t.Context(), "contoso.example")
			if err != nil {
				t.Fatal(err)
			}
			first := ""
			if len(got.List) > 0 {
				first = got.List[0].URL
			}
			if first != tt.want {
				t.Errorf("got %+v, want %s", got.List, tt.want)
			}
			var tried []string
			for _, p := range got.Pointers {
				tried = append(tried, p.Address)
				if failed := p.Err != nil; failed != (tt.failed != "") || failed && !strings.Contains(p.Err.Error(), tt.failed) {
					t.Errorf("the pointer %s ended with %v", p.Address, p.Err)
				}
			}
			if !slices.Equal(tried, tt.tried) {
				t.Errorf("looked at %v, want %v", tried, tt.tried)
			}
			if checked, _ := s.SignIns(); checked > 0 != tt.asked {
				t.Errorf("the partner saw %d sign-ins", checked)
			}
			for _, a := range w.asked() {
				if strings.Contains(a, "evil") {
					t.Errorf("asked %s", a)
				}
			}
		})
	}
}

func TestNoAutodiscoverInTheDirectory(t *testing.T) {
	t.Parallel()
	w := start(t, func(d *ldapd.Domain) { d.Endpoints = nil })
	got, err := w.open(nil).AutodiscoverEndpoints(t.Context(), "contoso.example")
	if err != nil || len(got.List) > 0 || len(got.Pointers) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSearchesTakeTurns(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.open(nil)
	done := make(chan error)
	const callers = 8
	for range callers {
		go func() {
			_, err := c.Administrators(context.Background(), directory.Query{})
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
