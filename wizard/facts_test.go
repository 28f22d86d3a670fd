package wizard

import (
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/sim"
)

// The tenant is known from the sign-in, although nobody has typed it.
func TestFactsOfTheSignedIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, sim.GlobalAdmin)
	s := o.session()
	if f := s.Facts(); f.TenantID != "" || f.Admin != "" || f.Cloud.Name != o.cloud.Name {
		t.Errorf("before: %+v", f)
	}
	_ = s.Set(keyNewCred, newSecret, FromUser, "")
	if err := s.SignIn(t.Context(), func(SignInPrompt) {}); err != nil {
		t.Fatal(err)
	}
	who := s.SignedIn()
	if f := s.Facts(); f.TenantID == "" || f.TenantID != who.Tenant.ID || f.TenantDomain != who.Tenant.Domain || f.Admin != who.Account || f.CredentialType != connections.TypeClientSecret {
		t.Errorf("%+v", f)
	}
	// Signed in, but the tenant could not be read.
	s.shared().findings = nil
	if f := s.Facts(); f.TenantID != who.Tenant.ID || f.Admin != who.Account {
		t.Errorf("without findings: %+v", f)
	}
}
