package wizard

import (
	"context"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/winauth"
)

// Scenes of connections to a SharePoint Server on the premises.

// farmResults are what the checks find at a farm.
func farmResults() []task.Result {
	return []task.Result{
		pass("sites", "Site collections", "1,204 in 2 content databases, listed by SiteData"),
		pass("site", "Site", "Intranet, https://sharepoint.contoso.com"),
		pass("central-administration", "Central Administration", "SharePoint Server SE, http"),
	}
}

// atFarm is the step Server address.
func atFarm(t *testing.T) *driver {
	t.Helper()
	return kindDriver(t, SharePoint(), farmResults()).keys("down", "enter")
}

// atFarmAdmin is the step Admin's credentials of a farm at url.
func atFarmAdmin(t *testing.T, url string) *driver {
	t.Helper()
	return atFarm(t).typed(url).keys("enter").typed("34567").keys("enter").next()
}

// farmAnswered has all answers.
func farmAnswered(t *testing.T) *driver {
	t.Helper()
	return atFarmAdmin(t, "https://sharepoint.contoso.com").keys("tab").typed("spadmin@contoso.com").keys("enter", "enter").typed("Pa55w0rd!").next()
}

// farmEdit opens a saved connection whose Central Administration was found on http.
func farmEdit(t *testing.T) *driver {
	t.Helper()
	s, err := Edit(testSession().Env, connections.Connection{
		ID: "01KAXVV4Q8R6GZ0M1N2P3S4T5V", Name: "farm", Kind: connections.SharePoint, Location: connections.OnPremises, Account: "spadmin@contoso.com",
		Credential: connections.Credential{Type: connections.TypePassword, Secret: "store:01KAXVV4Q8R6GZ0M1N2P3S4T5W", PlainNTLM: true},
		Endpoints:  connections.Endpoints{Server: "sharepoint.contoso.com", SharePoint: "https://sharepoint.contoso.com", Admin: "http://sharepoint.contoso.com:34567"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tabled(s.Flow)
	return drive(t, s)
}

var sharePointServerScenes = []scene{
	{"farm-address-empty", atFarm},
	{"farm-address", func(t *testing.T) *driver {
		return atFarm(t).typed("https://sharepoint.contoso.com/sites/hr/").keys("enter").typed("34567").keys("enter")
	}},
	{"farm-address-http", func(t *testing.T) *driver {
		return atFarm(t).typed("http://sharepoint.contoso.com").keys("enter").typed("34567").keys("enter")
	}},
	{"farm-address-ip", func(t *testing.T) *driver { return atFarm(t).typed("https://10.0.0.30").keys("enter") }},
	{"farm-address-short-name", func(t *testing.T) *driver { return atFarm(t).typed("https://sp01").keys("enter") }},
	{"farm-address-central", func(t *testing.T) *driver {
		return atFarm(t).typed("http://sharepoint.contoso.com:34567").keys("enter").typed("34567").keys("enter", "enter")
	}},
	{"farm-admin", func(t *testing.T) *driver { return atFarmAdmin(t, "https://sharepoint.contoso.com") }},
	{"farm-admin-ntlm", func(t *testing.T) *driver {
		d := atFarmAdmin(t, "http://sharepoint.contoso.com").keys("tab").typed("spadmin@contoso.com").keys("enter", "enter").typed("Pa55w0rd!")
		return d.keys("tab", "down", "space")
	}},
	{"farm-admin-tickets", func(t *testing.T) *driver {
		return atFarmAdmin(t, "https://sharepoint.contoso.com").keys("tab").typed("spadmin@contoso.com").keys("enter", "down", "enter")
	}},
	{"farm-edit-address", func(t *testing.T) *driver {
		return farmEdit(t).next().keys("tab", "end", "backspace").typed("8").keys("tab")
	}},
	{"farm-edit-admin", func(t *testing.T) *driver { return farmEdit(t).next().next() }},
	{"farm-trust", func(t *testing.T) *driver {
		d := farmAnswered(t)
		d.m.configure = func(_ context.Context, s *Session, _ func(task.Event)) (*Outcome, error) {
			return nil, s.askTrust(untrusted(), nil)
		}
		return d.keys("enter", "b")
	}},
	{"farm-passed", func(t *testing.T) *driver { return farmAnswered(t).keys("enter") }},
}

// The same in plain words.
func TestPlainSharePointServer(t *testing.T) {
	t.Parallel()
	plainKind(t, "farm", SharePoint(), farmResults(),
		"2", "sharepoint", "https://sp01", "http://SharePoint.contoso.com/", "0", "34567", "", // an address that is at last right
		"", "spadmin@contoso.com", "", "Pa55w0rd!", "2", // by a password, also with NTLM
		"", "", "1")
}

// TestSecondStrangeCertificate: who trusts one certificate has not trusted the next one.
func TestSecondStrangeCertificate(t *testing.T) {
	t.Parallel()
	sites, central := untrusted(), untrusted()
	sites.Host, central.Host = "sharepoint.contoso.com:443", "sharepoint.contoso.com:34567"
	central.SHA256 = strings.Repeat("A1", 32)
	d := farmAnswered(t)
	configure, accepted := d.m.configure, []map[string]string{}
	d.m.configure = func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		pins := acceptedPins(s.Answers)
		accepted = append(accepted, pins)
		for _, e := range []*winauth.UntrustedError{sites, central} {
			if pins[e.Host] != e.SHA256 {
				return nil, s.askTrust(e, pins)
			}
		}
		return configure(ctx, s, listen)
	}
	d = d.keys("enter", "b", "down", "space").next().next().keys("enter", "r")
	if last := accepted[len(accepted)-1]; len(accepted) != 3 || last[sites.Host] != sites.SHA256 || last[central.Host] != "" {
		t.Errorf("trusted: %v", accepted)
	}
	d = d.keys("b", "down", "space").next().next().keys("enter")
	if last := accepted[len(accepted)-1]; last[sites.Host] != sites.SHA256 || last[central.Host] != central.SHA256 {
		t.Errorf("trusted: %v\n%s", accepted, d.m.View().Content)
	}
}
