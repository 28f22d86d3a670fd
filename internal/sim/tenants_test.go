package sim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// call asks with a bearer token and returns status and body.
func call(t *testing.T, w *sim.World, method, address, bearer string, body url.Values) (int, string) {
	t.Helper()
	var r io.Reader
	if body != nil {
		r = strings.NewReader(body.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, r)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := w.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func appToken(t *testing.T, w *sim.World, segment, clientID, secret string) (int, string) {
	t.Helper()
	status, body := call(t, w, http.MethodPost, w.LoginURL()+"/"+segment+"/oauth2/v2.0/token", "",
		url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}, "scope": {w.GraphURL() + "/.default"}})
	var answer struct {
		Token string `json:"access_token"`
	}
	if status != http.StatusOK {
		return status, body
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return status, answer.Token
}

// Several tenants share the services, and nothing of one is seen through another.
func TestSeveralTenants(t *testing.T) {
	t.Parallel()
	w, err := sim.Start(sim.Options{Now: time.Now, Keys: sharedKeys(), Tenants: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	list := w.Tenants()
	if len(list) != 3 || list[0].TenantID == list[1].TenantID || list[1].ClientID == list[2].ClientID || list[1].LoginURL() != w.LoginURL() {
		t.Fatalf("%d tenants: %s, %s", len(list), list[0].TenantID, list[1].TenantID)
	}
	for _, tenant := range list {
		status, token := appToken(t, w, tenant.TenantDomain, tenant.ClientID, tenant.Secret)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", tenant.TenantDomain, status, token)
		}
		status, body := call(t, w, http.MethodGet, w.GraphURL()+"/v1.0/organization", token, nil)
		if status != http.StatusOK || !strings.Contains(body, tenant.TenantID) || !strings.Contains(body, tenant.Title()) {
			t.Errorf("%s: %d %s", tenant.TenantDomain, status, body)
		}
		if status, body := call(t, w, http.MethodGet, w.GraphURL()+"/v1.0/users/"+tenant.Mailbox, token, nil); status != http.StatusOK {
			t.Errorf("%s: %d %s", tenant.Mailbox, status, body)
		}
		admin, err := tenant.AdminToken(tenant.Account(sim.GlobalAdmin))
		if err != nil {
			t.Fatal(err)
		}
		if status, body := call(t, w, http.MethodGet, w.GraphURL()+"/v1.0/me", admin, nil); status != http.StatusOK || !strings.Contains(body, tenant.Mailbox) {
			t.Errorf("the administrator of %s: %d %s", tenant.TenantDomain, status, body)
		}
	}
	// An application of one tenant is unknown in another, and so are its people.
	if status, body := appToken(t, w, list[1].TenantID, list[2].ClientID, list[2].Secret); status == http.StatusOK || !strings.Contains(body, "AADSTS700016") {
		t.Errorf("%d %s", status, body)
	}
	_, token := appToken(t, w, list[1].TenantID, list[1].ClientID, list[1].Secret)
	if status, _ := call(t, w, http.MethodGet, w.GraphURL()+"/v1.0/users/"+list[2].Mailbox, token, nil); status != http.StatusNotFound {
		t.Errorf("a user of another tenant: %d", status)
	}
	if status, body := appToken(t, w, "contoso99.com", list[1].ClientID, list[1].Secret); status == http.StatusOK || !strings.Contains(body, "AADSTS90002") {
		t.Errorf("%d %s", status, body)
	}
	if got := list[2].Requests(); len(got) == 0 || got[0].Tenant != list[2].TenantDomain {
		t.Errorf("%d requests of the third tenant", len(got))
	}
}

// The limit of parallel requests is a tenant's own: exceeding it in one is no matter
// in another.
func TestParallelFault(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	arrived := make(chan struct{}, 8)
	sleep := func(ctx context.Context, _ time.Duration) error {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}
	w, err := sim.Start(sim.Options{Now: time.Now, Sleep: sleep, Keys: sharedKeys(), Tenants: 2, Faults: []string{"parallel=2", "slow-graph"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	busy, other := w.Tenants()[0], w.Tenants()[1]
	_, token := appToken(t, w, busy.TenantID, busy.ClientID, busy.Secret)
	_, foreign := appToken(t, w, other.TenantID, other.ClientID, other.Secret)
	statuses := make(chan int, 4)
	var wg sync.WaitGroup
	ask := func(token string) {
		wg.Go(func() {
			status, _ := call(t, w, http.MethodGet, w.GraphURL()+"/v1.0/organization", token, nil)
			statuses <- status
		})
		<-arrived
	}
	ask(token)
	ask(token)
	ask(foreign)
	ask(token) // the third of its tenant
	close(release)
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for s := range statuses {
		count[s]++
	}
	if count[http.StatusOK] != 3 || count[http.StatusTooManyRequests] != 1 {
		t.Errorf("answers by status: %v", count)
	}
	if busy.MostParallel() != 3 || other.MostParallel() != 1 {
		t.Errorf("most at a time: %d and %d", busy.MostParallel(), other.MostParallel())
	}
}
