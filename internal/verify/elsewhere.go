package verify

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/c2conn/c2conn/registration"
)

// elsewhereLimit is how long the tokens for other services may take: they come when
// the others come, or they are not worth waiting for.
const elsewhereLimit = 10 * time.Second

// elsewhere is what the application may do on the services that the connection does
// not use: no check asks them, but a permission there is superfluous. Nothing fails
// for want of it.
type elsewhere struct {
	begin func()        // at the first call; returns at once
	done  chan struct{} // closed when all is known that will be
	mu    sync.Mutex
	roles map[registration.Resource][]string
}

// lookElsewhere prepares to ask for tokens in the background, until ctx ends. It begins
// with the first token that a check got: before that, a refusal would only be repeated.
// While the checks ask the services, the other tokens come.
func (s *subject) lookElsewhere(ctx context.Context) *elsewhere {
	e := &elsewhere{done: make(chan struct{}), roles: map[registration.Resource][]string{}}
	e.begin = sync.OnceFunc(func() {
		go func() {
			defer close(e.done)
			ctx, cancel := context.WithTimeout(ctx, min(s.o.Limit, elsewhereLimit))
			defer cancel()
			used := services(s.target.Connection)
			var all sync.WaitGroup
			for _, r := range allServices() {
				if !slices.Contains(used, r) {
					all.Go(func() { s.askElsewhere(ctx, e, r) })
				}
			}
			all.Wait()
		}()
	})
	return e
}

func (s *subject) askElsewhere(ctx context.Context, e *elsewhere, r registration.Resource) {
	scope := r.AppID() + "/.default" // SharePoint's address need not be known
	switch r {
	case registration.Graph:
		scope = s.target.Cloud.GraphScope()
	case registration.Exchange:
		scope = s.target.Cloud.ExchangeScope()
	}
	app, err := s.app()
	if err != nil {
		return
	}
	t, err := app.Token(ctx, scope, "")
	if err != nil || t.Claims.Opaque {
		return // not known
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.roles[r] = t.Claims.Roles
}

// addTo adds what was found to the roles of the services that are checked. It waits
// until that is known.
func (e *elsewhere) addTo(ctx context.Context, roles map[registration.Resource][]string) {
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for r, names := range e.roles {
		roles[r] = names
	}
}
