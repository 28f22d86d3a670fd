package cli

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
)

// sharing holds what connections that are checked together have in common: the tokens
// of an application, its credential, the metadata of a tenant, and the tenant's patience.
type sharing struct {
	from      *app
	perTenant int
	tenants   entra.Tenants
	servers   *verify.Accounts
	edited    bool // meanwhile: each connection's credential is read anew

	mu     sync.Mutex
	apps   map[string]*entra.App
	creds  map[string]func() (entra.Credential, error)
	queues map[string]*transport.Slots
}

func newSharing(a *app, perTenant int) *sharing {
	return &sharing{from: a, perTenant: perTenant, servers: &verify.Accounts{}, apps: map[string]*entra.App{}, creds: map[string]func() (entra.Credential, error){}, queues: map[string]*transport.Slots{}}
}

// tenantKey tells tenants apart.
func tenantKey(c connections.Connection) string {
	if c.Location == connections.OnPremises {
		return "on-premises\n" + strings.ToLower(cmp.Or(c.Endpoints.Server, c.Account))
	}
	if c.Tenant.ID != "" {
		return c.Cloud + "\n" + strings.ToLower(c.Tenant.ID)
	}
	return c.Cloud + "\n" + strings.ToLower(c.Tenant.Domain)
}

// credentialKey tells credentials apart: by where they are and what they must be.
func credentialKey(c connections.Connection) string {
	return strings.Join([]string{c.Credential.Type, string(c.Credential.Secret), string(c.Credential.Password), c.Credential.Thumbprint, c.Credential.ThumbprintSHA256}, "\n")
}

// slots are those of the connection's tenant.
func (s *sharing) slots(c connections.Connection) *transport.Slots {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := tenantKey(c)
	if s.queues[key] == nil {
		s.queues[key] = transport.NewSlots(s.perTenant, s.from.Clock)
	}
	return s.queues[key]
}

// credential reads each credential once.
func (s *sharing) credential(load credentialLoader) credentialLoader {
	return func(ctx context.Context, c connections.Connection) (entra.Credential, error) {
		s.mu.Lock()
		key := credentialKey(c)
		get := s.creds[key]
		if get == nil {
			get = sync.OnceValues(func() (entra.Credential, error) { return load(ctx, c) })
			s.creds[key] = get
		}
		s.mu.Unlock()
		return get()
	}
}

// app is the application of a connection, the same for all that sign in alike.
func (s *sharing) app(target verify.Target, now func() time.Time) (*entra.App, error) {
	c := target.Connection
	key := strings.Join([]string{tenantKey(c), strings.ToLower(c.Registration.ClientID), credentialKey(c)}, "\n")
	client, err := s.from.httpClient(target.Cloud)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.apps[key]; known != nil {
		return known, nil
	}
	tenant := c.Tenant.ID
	if tenant == "" {
		tenant = c.Tenant.Domain
	}
	made, err := entra.NewApp(entra.AppOptions{Cloud: target.Cloud, TenantID: tenant, ClientID: c.Registration.ClientID,
		Credential: target.Credential, HTTP: client, Tenants: &s.tenants, Now: now})
	if err == nil {
		s.apps[key] = made
	}
	return made, err
}

// turns decides which connection is next: one of the tenant that is worked on least, and
// never more than so many of one, so that a slow tenant does not take all hands.
type turns struct {
	mu      sync.Mutex
	change  *sync.Cond
	list    []connections.Connection
	order   []string // tenants, as they come
	waiting map[string][]int
	active  map[string]int
	most    int
	left    int
}

func newTurns(list []connections.Connection, mostOfOne int) *turns {
	t := &turns{list: list, waiting: map[string][]int{}, active: map[string]int{}, most: mostOfOne, left: len(list)}
	t.change = sync.NewCond(&t.mu)
	for i, c := range list {
		key := tenantKey(c)
		if len(t.waiting[key]) == 0 {
			t.order = append(t.order, key)
		}
		t.waiting[key] = append(t.waiting[key], i)
	}
	return t
}

// next waits for a connection to work on; false when none is left.
func (t *turns) next() (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.left > 0 {
		best := ""
		for _, key := range t.order {
			if len(t.waiting[key]) > 0 && t.active[key] < t.most && (best == "" || t.active[key] < t.active[best]) {
				best = key
			}
		}
		if best != "" {
			i := t.waiting[best][0]
			t.waiting[best] = t.waiting[best][1:]
			t.active[best]++
			t.left--
			return i, true
		}
		t.change.Wait()
	}
	return 0, false
}

// done ends the work on a connection.
func (t *turns) done(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active[tenantKey(t.list[i])]--
	t.change.Broadcast()
}

// stop lets nobody begin any more.
func (t *turns) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = 0
	t.change.Broadcast()
}
