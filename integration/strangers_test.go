//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// opened is what a client tells of a token and of Graph's answer to it.
type opened struct {
	Minutes int
	Type    string
	Status  int
	Tenant  string
	Name    string
	Cached  bool
}

// refusal is what a client makes of an error.
type refusal struct {
	Class, Error, Message, Correlation string
	Own                                bool // a class of the client's own
	Number, Status                     int
	BackOff                            float64 `json:"back_off"`
	Inbox                              string
	FolderClass                        string `json:"folder_class"`
	Total, Unread                      int
	ID                                 bool
	Build, API                         string
	Rights                             string
}

func decode(t *testing.T, r result, into any) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("the client ended with exit code %d\n%s\n%s", r.code, r.out, r.errors)
	}
	if err := json.Unmarshal([]byte(r.out), into); err != nil {
		t.Fatalf("the client's report: %v\n%s\n%s", err, r.out, r.errors)
	}
}

// wantRefusal compares class, number and the traces that support asks for.
func wantRefusal(t *testing.T, what string, got refusal, class, code string) {
	t.Helper()
	if got.Class != class || !got.Own {
		t.Errorf("%s: class %q (own: %t), want %s of the client", what, got.Class, got.Own, class)
	}
	if code == "" {
		return
	}
	for _, part := range []string{code + ": ", "Trace ID: ", "Correlation ID: ", "Timestamp: "} {
		if !strings.Contains(got.Message, part) {
			t.Errorf("%s: the message lacks %q: %s", what, part, got.Message)
		}
	}
}

func wantOpened(t *testing.T, n tenant, got map[string]opened, ways ...string) {
	t.Helper()
	for _, way := range ways {
		o := got[way]
		// 60 minutes less a second rounds to either.
		if o.Status != 200 || o.Tenant != n.world["SIM_TENANT_ID"] || o.Name == "" || o.Type != "Bearer" || o.Minutes < 59 || o.Minutes > 60 {
			t.Errorf("%s: %+v", way, o)
		}
	}
}

// pem makes files with certificate and key: of the tenant's application, and of
// a stranger. OpenSSL reads the PFX, which judges that too.
func (n tenant) pem(t *testing.T) (known, unknown string) {
	t.Helper()
	known, unknown = filepath.Join(n.dir(), "known.pem"), filepath.Join(n.dir(), "unknown.pem")
	want(t, n.run(t, "openssl", "pkcs12", "-in", n.world["SIM_CERT_FILE"], "-passin", "file:"+n.world["SIM_CERT_PASSWORD_FILE"], "-nodes", "-out", known), 0)
	want(t, n.run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=stranger", "-keyout", unknown, "-out", unknown+".crt"), 0)
	write(t, unknown, read(t, unknown)+read(t, unknown+".crt"), 0o600)
	return known, unknown
}

func (n tenant) node(t *testing.T, script string) result {
	t.Helper()
	known, unknown := n.pem(t)
	w := n.with("NODE_EXTRA_CA_CERTS", n.world["SIM_CA_FILE"], "C2CONN_NPM", suite.npm)
	return w.run(t, "node", filepath.Join(suite.clients, script), known, unknown)
}

func (n tenant) exchangelib(t *testing.T, task string) map[string]refusal {
	t.Helper()
	var got map[string]refusal
	w := n.with("REQUESTS_CA_BUNDLE", n.world["SIM_CA_FILE"])
	decode(t, w.run(t, "/usr/bin/python3", filepath.Join(suite.clients, "exchangelib_client.py"), task), &got)
	return got
}

func TestStrangers(t *testing.T) {
	check(t, "@azure/identity: secret, domain, certificate and chain; its own classes for refusals", func(t *testing.T) {
		n := newTenant(t, newWorld(t))
		var got struct {
			Good    map[string]opened
			Refused map[string]refusal
		}
		decode(t, n.node(t, "azure_identity.mjs"), &got)
		wantOpened(t, n, got.Good, "secret", "domain", "certificate", "chain")
		wantRefusal(t, "wrong secret", got.Refused["secret"], "AuthenticationRequiredError", "AADSTS7000215")
		wantRefusal(t, "unknown application", got.Refused["application"], "AuthenticationRequiredError", "AADSTS700016")
		wantRefusal(t, "unknown certificate", got.Refused["certificate"], "AuthenticationRequiredError", "AADSTS700027")
		// It asks for the tenant's metadata first, and does not pass on why that failed.
		wantRefusal(t, "unknown tenant", got.Refused["tenant"], "CredentialUnavailableError", "")
		if m := got.Refused["tenant"].Message; !strings.Contains(m, "endpoints_resolution_error") {
			t.Errorf("unknown tenant: %s", m)
		}
	})

	check(t, "@azure/msal-node: secret, SHA-256 and SHA-1 thumbprint and chain; its own classes for refusals", func(t *testing.T) {
		n := newTenant(t, newWorld(t))
		var got struct {
			Good    map[string]opened
			Refused map[string]refusal
		}
		decode(t, n.node(t, "msal_node.mjs"), &got)
		ways := []string{"secret", "domain", "certificate", "chain", "oldThumbprint"}
		wantOpened(t, n, got.Good, ways...)
		for _, way := range ways {
			if !got.Good[way].Cached {
				t.Errorf("%s: the second token did not come from the cache", way)
			}
		}
		for what, w := range map[string]struct {
			number, status int
			error          string
		}{
			"secret":      {7000215, 401, "invalid_client"},
			"application": {700016, 400, "unauthorized_client"},
			"certificate": {700027, 401, "invalid_client"},
		} {
			r := got.Refused[what]
			wantRefusal(t, "wrong "+what, r, "ServerError", fmt.Sprintf("AADSTS%d", w.number))
			if r.Number != w.number || r.Status != w.status || r.Error != w.error || len(r.Correlation) != 36 {
				t.Errorf("wrong %s: %+v", what, r)
			}
		}
		wantRefusal(t, "unknown tenant", got.Refused["tenant"], "ClientAuthError", "")
		if e := got.Refused["tenant"].Error; e != "endpoints_resolution_error" {
			t.Errorf("unknown tenant: %s", e)
		}
	})

	check(t, "exchangelib: opens the inbox as another user, and is told of a mailbox that is not there", func(t *testing.T) {
		n := newTenant(t, newWorld(t))
		got := n.exchangelib(t, "good")
		inbox := got["inbox"]
		if inbox.Class != "none" || inbox.Inbox != "Inbox" || inbox.FolderClass != "IPF.Note" || !inbox.ID || inbox.Total < inbox.Unread ||
			!strings.HasPrefix(inbox.Build, "15.20.") || inbox.API == "" {
			t.Errorf("inbox: %+v", inbox)
		}
		wantRefusal(t, "no mailbox", got["nobody"], "ErrorNonExistentMailbox", "")
		// A fault carries no version, as with Exchange Online.
		wantRefusal(t, "no mailbox, version unknown", got["guessed"], "TransportError", "")
		if m := got["guessed"].Message; !strings.Contains(m, "ErrorNonExistentMailbox") {
			t.Errorf("no mailbox, version unknown: %s", m)
		}
	})

	check(t, "exchangelib: a wrong secret, an unknown tenant, an unknown application", func(t *testing.T) {
		got := newTenant(t, newWorld(t)).exchangelib(t, "refused")
		wantRefusal(t, "wrong secret", got["secret"], "InvalidClientError", "AADSTS7000215")
		wantRefusal(t, "unknown application", got["application"], "UnauthorizedClientError", "AADSTS700016")
		// Its name for invalid_request, which is what Entra ID says of an unknown tenant.
		wantRefusal(t, "unknown tenant", got["tenant"], "InvalidClientIdError", "AADSTS90002")
		for what, status := range map[string]int{"secret": 401, "application": 400, "tenant": 400} {
			if got[what].Status != status {
				t.Errorf("wrong %s: status %d, want %d", what, got[what].Status, status)
			}
		}
	})

	for _, f := range []struct{ fault, class, text string }{
		{"ews-impersonation-denied", "ErrorImpersonateUserDenied", "impersonate"},
		{"ews-access-denied", "ErrorAccessDenied", "Access is denied"},
		{"ews-busy=300ms", "ErrorServerBusy", "try again later"},
		{"ews-blocked", "MalformedResponseError", "'X-Ews-Policy-Reason'"},
	} {
		check(t, "exchangelib: "+f.fault+" is "+f.class, func(t *testing.T) {
			got := newTenant(t, newWorld(t), f.fault).exchangelib(t, "fault")["inbox"]
			wantRefusal(t, f.fault, got, f.class, "")
			if !strings.Contains(strings.ToLower(got.Message), strings.ToLower(f.text)) {
				t.Errorf("%s: %s", f.fault, got.Message)
			}
			if f.class == "ErrorServerBusy" && got.BackOff != 0.3 {
				t.Errorf("it is told to wait %v s, want 0.3", got.BackOff)
			}
		})
	}

	check(t, "exchangelib: waits as long as a busy server says, and then opens the inbox", func(t *testing.T) {
		if got := newTenant(t, newWorld(t), "ews-busy=300ms").exchangelib(t, "patient")["inbox"]; got.Class != "none" || got.Inbox != "Inbox" {
			t.Errorf("%+v", got)
		}
	})

	check(t, "exchangelib: reads what three users may do with the root of the public folders, and that a tenant has none", func(t *testing.T) {
		got := newTenant(t, newWorld(t)).exchangelib(t, "public")
		for user, want := range map[string]string{
			"owner":     "create_associated create_contents create_hierarchy delete modify read view_private_items",
			"publisher": "create_contents create_hierarchy read",
			"nobody":    "",
		} {
			if g := got[user]; g.Class != "none" || !g.ID || g.Rights != want {
				t.Errorf("%s: %+v, want %q", user, g, want)
			}
		}
		if g := newTenant(t, newWorld(t), "public-folders-none").exchangelib(t, "public")["owner"]; g.Class != "ErrorNoPublicFolderServerAvailable" || !g.Own {
			t.Errorf("%+v", g)
		}
	})
}
