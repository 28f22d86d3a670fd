package azuretoken_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/azuretoken"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/sim"
)

// tenant is a simulated tenant and a store with connections to it.
type tenant struct {
	*sim.World
	store *connections.Store
	graph string
}

func newTenant(dir string) (*tenant, error) {
	w, err := sim.Start(sim.Options{Now: time.Now})
	if err != nil {
		return nil, err
	}
	clouds, err := cloud.Load(dir)
	if err != nil {
		return nil, err
	}
	c, err := clouds.Add(context.Background(), w.CloudYAML(), false)
	if err != nil {
		return nil, err
	}
	env := map[string]string{"CONTOSO_SECRET": w.Secret, "CONTOSO_PASSWORD": sim.PFXPassword}
	s, err := connections.Open(connections.Options{Dir: dir, Getenv: func(name string) string { return env[name] }})
	if err != nil {
		return nil, err
	}
	pfx := filepath.Join(dir, "contoso.pfx")
	if err := os.WriteFile(pfx, w.PFX, 0o600); err != nil {
		return nil, err
	}
	for name, credential := range map[string]connections.Credential{
		"contoso-backup": {Type: connections.TypeCertificate, Secret: connections.Ref("file:" + pfx), Password: "env:CONTOSO_PASSWORD", Thumbprint: w.Certificate.Thumbprint()},
		"by-secret":      {Type: connections.TypeClientSecret, Secret: "env:CONTOSO_SECRET"},
		"no-secret":      {Type: connections.TypeClientSecret, Secret: "env:NOT_SET"},
	} {
		_, err := s.Add(context.Background(), connections.Connection{
			Name: name, Kind: connections.Exchange, Location: connections.Online, Cloud: "sim",
			Tenant: connections.Tenant{ID: w.TenantID}, Account: w.Mailbox,
			Registration: connections.Registration{Mode: connections.ModeManual, ClientID: w.ClientID},
			Credential:   credential, Verification: connections.Verification{State: connections.StateUnverified},
		})
		if err != nil {
			return nil, err
		}
	}
	return &tenant{World: w, store: s, graph: c.GraphScope()}, nil
}

func TestGetToken(t *testing.T) {
	t.Parallel()
	w, err := newTenant(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	for _, name := range []string{"contoso-backup", "by-secret"} {
		c, err := azuretoken.New(t.Context(), w.store, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.CloseIdleConnections)
		for _, cae := range []bool{true, false, true} {
			tok, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{w.graph}, EnableCAE: cae, TenantID: strings.ToUpper(w.TenantID)})
			if err != nil || strings.Count(tok.Token, ".") != 2 || time.Until(tok.ExpiresOn) < time.Minute {
				t.Errorf("%v, expires %v", err, tok.ExpiresOn)
			}
		}
		if c.Connection().Name != name {
			t.Errorf("%+v", c.Connection())
		}
		for _, o := range []policy.TokenRequestOptions{{}, {Scopes: []string{"a", "b"}}, {Scopes: []string{w.graph}, TenantID: "99999999-9999-9999-9999-999999999999"}} {
			if _, err := c.GetToken(t.Context(), o); err == nil {
				t.Errorf("accepted %+v", o)
			}
		}
	}
	posts := 0
	for _, x := range w.Requests() {
		if x.Method == "POST" {
			posts++
		}
	}
	if posts != 4 {
		t.Errorf("%d tokens asked for, want 4: the third comes from memory", posts)
	}
}

// A profile may know its tenant by a domain only.
func TestGetTokenOfADomain(t *testing.T) {
	t.Parallel()
	w, err := newTenant(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	_, err = w.store.Update(t.Context(), "by-secret", func(c *connections.Connection) error {
		c.Tenant = connections.Tenant{Domain: w.TenantDomain}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := azuretoken.New(t.Context(), w.store, "by-secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	for tenant, ok := range map[string]bool{
		"": true, w.TenantID: true, strings.ToUpper(w.TenantID): true, strings.ToUpper(w.TenantDomain): true,
		"99999999-9999-9999-9999-999999999999": false, "fabrikam.example": false,
	} {
		tok, err := c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{w.graph}, TenantID: tenant})
		if (err == nil) != ok || (tok.Token != "") != ok {
			t.Errorf("tenant %q: %v", tenant, err)
		}
	}
	gets := 0
	for _, x := range w.Requests() {
		if x.Method == "GET" {
			gets++
		}
	}
	if gets != 1 {
		t.Errorf("the tenant was looked up %d times", gets)
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	w, err := newTenant(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if _, err := azuretoken.New(t.Context(), w.store, "nobody", nil); !errors.Is(err, connections.ErrNotFound) {
		t.Errorf("%v", err)
	}
	var ref *connections.ReferenceError
	if _, err := azuretoken.New(t.Context(), w.store, "no-secret", nil); !errors.As(err, &ref) {
		t.Errorf("%v", err)
	}
	if _, err := azuretoken.New(t.Context(), w.store, "by-secret", &azuretoken.Options{Getenv: func(string) string { return "/nowhere" }}); err == nil {
		t.Error("an unreadable SSL_CERT_FILE was accepted")
	}
}
