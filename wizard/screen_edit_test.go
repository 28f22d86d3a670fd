package wizard

import (
	"testing"
	"time"

	"github.com/c2conn/c2conn/connections"
)

// savedConnection is one that was registered automatically, with a certificate.
func savedConnection() connections.Connection {
	return connections.Connection{
		Schema: 1, ID: "01KAXVV4Q8R6GZ0M1N2P3S4T5V", Name: "contoso", Kind: connections.Exchange, Location: connections.Online, Cloud: "global",
		Tenant: connections.Tenant{ID: testTenantID, Domain: "contoso.com", Name: "Contoso"}, Account: "admin@contoso.com",
		Registration: connections.Registration{Mode: connections.ModeAutomatic, ClientID: testClientID, AppName: "CodeTwo Backup Exchange", Catalogue: "2026-11"},
		Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: testThumb, NotAfter: time.Date(2031, 11, 22, 0, 0, 0, 0, time.UTC),
			Secret: "store:01KAXVV4Q8R6GZ0M1N2P3S4T5W", KeyID: "7a0c1f4e-0000-4000-8000-000000000001"},
	}
}

// editing is a session that changes it, with look-ups that answer from a table.
func editing(t *testing.T) *Session {
	t.Helper()
	s, err := Edit(testSession().Env, savedConnection())
	if err != nil {
		t.Fatal(err)
	}
	tabled(s.Flow)
	return s
}

var editScenes = []scene{
	{"edit-location", func(t *testing.T) *driver { return drive(t, editing(t)) }},
	{"edit-registration", func(t *testing.T) *driver { return drive(t, editing(t)).keys("enter", "enter") }},
	{"edit-registration-automatic", func(t *testing.T) *driver { return drive(t, editing(t)).keys("enter", "enter", "up") }},
	{"edit-details", func(t *testing.T) *driver {
		return drive(t, editing(t)).keys("enter", "enter", "enter", "tab", "tab", "tab")
	}},
	{"edit-details-another-certificate", func(t *testing.T) *driver {
		return drive(t, editing(t)).keys("enter", "enter", "enter", "tab", "tab", "tab", "down", "tab")
	}},
	{"edit-configuration", func(t *testing.T) *driver { return editedTo(t) }},
	{"edit-configuration-failed", func(t *testing.T) *driver {
		d := editedTo(t)
		d.m.configure = ending(blocked())
		return d.keys("enter", "f")
	}},
}

func editedTo(t *testing.T) *driver {
	t.Helper()
	d := drive(t, editing(t)).keys("enter", "enter", "enter", "enter", "enter", "enter", "enter")
	if !d.m.onConfiguration() {
		t.Fatalf("the screen is at %s", d.m.step)
	}
	return d
}
