package entra

import (
	"context"
	"sync"
)

// Tenants remembers what the login service said of tenants, for Apps that share it:
// each tenant's metadata is asked for once. The zero value is ready; it is safe for use
// by several goroutines.
type Tenants struct {
	mu    sync.Mutex
	known map[string]*finder // by authority
}

// finder is the one for an authority; without Tenants it is nobody else's.
func (t *Tenants) finder(authority string) *finder {
	if t == nil {
		return &finder{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]*finder{}
	}
	if t.known[authority] == nil {
		t.known[authority] = &finder{}
	}
	return t.known[authority]
}

// finder fetches the metadata of one tenant.
type finder struct {
	mu      sync.Mutex
	found   *discovery
	finding chan struct{} // closed when the running discovery ends; nil when none runs
}

// get returns the metadata. Those who come while another fetches it wait for it; should
// that one have been cancelled, the next takes over. (MSAL would fail them all with its
// first caller's context.)
func (f *finder) get(ctx context.Context, o AppOptions) (*discovery, error) {
	for {
		f.mu.Lock()
		if found := f.found; found != nil {
			f.mu.Unlock()
			return found, nil
		}
		if f.finding == nil {
			break
		}
		wait := f.finding
		f.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	done := make(chan struct{})
	f.finding = done
	f.mu.Unlock()
	found, err := discover(ctx, o.HTTP, o.Cloud, o.TenantID)
	f.mu.Lock()
	f.found, f.finding = found, nil
	f.mu.Unlock()
	close(done)
	return found, err
}
