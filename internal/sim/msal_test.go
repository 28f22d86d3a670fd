package sim_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/c2conn/c2conn/internal/sim"
)

// TestMSAL lets Microsoft's own library live in the world: by secret, by
// certificate from the PFX, by an assertion of its own; on loopback and under
// the public names with instance discovery.
func TestMSAL(t *testing.T) {
	t.Parallel()
	w := start(t)
	key, leaf, err := pkcs12.Decode(w.PFX, sim.PFXPassword)
	if err != nil {
		t.Fatal(err)
	}
	bySecret, err := confidential.NewCredFromSecret(w.Secret)
	if err != nil {
		t.Fatal(err)
	}
	byCertificate, err := confidential.NewCredFromCert([]*x509.Certificate{leaf}, key)
	if err != nil {
		t.Fatal(err)
	}
	backup, _ := w.App(sim.AppBackup)
	byAssertion := confidential.NewCredFromAssertionCallback(func(_ context.Context, o confidential.AssertionRequestOptions) (string, error) {
		return assertion(t, w, backup, func(s *signer) { s.claims["aud"] = o.TokenEndpoint }), nil
	})
	for name, c := range map[string]struct {
		credential confidential.Credential
		authority  string
		scope      string
		public     bool
	}{
		"secret":                  {bySecret, w.LoginURL() + "/" + w.TenantID, w.GraphURL(), false},
		"certificate":             {byCertificate, w.LoginURL() + "/" + w.TenantID, w.OutlookURL(), false},
		"certificate, by domain":  {byCertificate, w.LoginURL() + "/" + sim.DefaultDomain, w.OutlookURL(), false},
		"assertion":               {byAssertion, w.LoginURL() + "/" + w.TenantID, w.GraphURL(), false},
		"secret, public":          {bySecret, "https://login.microsoftonline.com/" + w.TenantID, "https://graph.microsoft.com", true},
		"certificate, public":     {byCertificate, "https://login.microsoftonline.com/" + w.TenantID, "https://outlook.office365.com", true},
		"certificate, government": {byCertificate, "https://login.microsoftonline.us/" + w.TenantID, "https://outlook.office365.us", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := w.Client()
			if c.public {
				client = w.PublicClient()
			}
			app, err := confidential.New(c.authority, w.ClientID, c.credential, confidential.WithHTTPClient(client), confidential.WithInstanceDiscovery(c.public))
			if err != nil {
				t.Fatal(err)
			}
			got, err := app.AcquireTokenByCredential(t.Context(), []string{c.scope + "/.default"})
			if err != nil {
				t.Fatal(err)
			}
			if claims := claimsOf(t, w, got.AccessToken); claims["appid"] != w.ClientID || claims["aud"] != c.scope {
				t.Errorf("%v", claims)
			}
		})
	}
	wrong, err := confidential.NewCredFromSecret("wrong")
	if err != nil {
		t.Fatal(err)
	}
	app, err := confidential.New(w.LoginURL()+"/"+w.TenantID, w.ClientID, wrong, confidential.WithHTTPClient(w.Client()), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.AcquireTokenByCredential(t.Context(), []string{w.GraphURL() + "/.default"}); err == nil || !strings.Contains(err.Error(), "AADSTS7000215") {
		t.Errorf("%v", err)
	}
}

// TestMSALAnswersTheChallenge shows that MSAL can carry a claims challenge.
func TestMSALAnswersTheChallenge(t *testing.T) {
	t.Parallel()
	w := start(t, "cae-challenge")
	credential, err := confidential.NewCredFromSecret(w.Secret)
	if err != nil {
		t.Fatal(err)
	}
	app, err := confidential.New(w.LoginURL()+"/"+w.TenantID, w.ClientID, credential, confidential.WithHTTPClient(w.Client()), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	call := func(options ...confidential.AcquireByCredentialOption) reply {
		got, err := app.AcquireTokenByCredential(t.Context(), []string{w.GraphURL() + "/.default"}, options...)
		if err != nil {
			t.Fatal(err)
		}
		return graph(t, w, "organization", got.AccessToken)
	}
	first := call()
	if first.status != http.StatusUnauthorized {
		t.Fatalf("%d", first.status)
	}
	_, rest, _ := strings.Cut(first.header.Get("WWW-Authenticate"), `claims="`)
	if second := call(confidential.WithClaims(decode(t, strings.TrimSuffix(rest, `"`)))); second.status != http.StatusOK {
		t.Errorf("%d %s", second.status, second.body)
	}
}
