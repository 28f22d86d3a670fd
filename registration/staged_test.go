package registration

import (
	"testing"

	"github.com/c2conn/c2conn/connections"
)

// TestStagedConnectionIsKnown: a run whose connection is staged, not yet saved, is as
// little left over as one that is saved.
func TestStagedConnectionIsKnown(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.start()
	res, err := p.register(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Add(t.Context(), connections.Connection{Name: "it", Kind: connections.Exchange, Location: connections.Online, Cloud: "global", Tenant: res.Tenant, Account: adminUPN,
		Registration: res.Registration, Credential: res.Credential}); err != nil {
		t.Fatal(err)
	}
	g.Close()
	p.r.Close() // the process ended after the change was staged and before Finish
	p = s.start()
	if left, err := p.r.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("a staged connection uses it: %+v %v", left, err)
	}
}

// TestStagedCertificateStays: taking a run back leaves the key that a staged connection uses.
func TestStagedCertificateStays(t *testing.T) {
	t.Parallel()
	p, run := half(t, nil)
	j, err := readJournal(p.r.dir, run)
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Add(t.Context(), connections.Connection{Name: "other", Kind: connections.Exchange, Location: connections.Online, Cloud: "global",
		Tenant: connections.Tenant{ID: tenantID}, Account: adminUPN, Registration: connections.Registration{Mode: connections.ModeManual, ClientID: "99999999-0000-4000-8000-000000000000"},
		Credential: connections.Credential{Type: connections.TypeCertificate, Thumbprint: string(j.Key.Thumbprint), Secret: "store:" + connections.Ref(run)}}); err != nil {
		t.Fatal(err)
	}
	if err := p.r.Rollback(t.Context(), p.admin(), run, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.credentials(1, 0); err != nil {
		t.Errorf("a staged connection uses it: %v", err)
	}
}
