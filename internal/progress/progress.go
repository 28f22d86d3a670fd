// Package progress carries a word from deep inside a wait (a retry, a slow
// server) up to whoever shows it, without the layers between knowing of it.
package progress

import (
	"context"
	"time"
)

// Update is one sign of life of a running task.
type Update struct {
	Text    string    // what is being waited for, in plain words; never a secret
	Attempt int       // the try about to be made, 0 where tries are not counted
	Until   time.Time // when the wait ends at the latest; zero where unknown
}

type key struct{}

// With returns a context whose reports go to listen. A nil listen is allowed.
func With(ctx context.Context, listen func(Update)) context.Context {
	return context.WithValue(ctx, key{}, listen)
}

// Report hands u to the nearest listener; without one it does nothing.
func Report(ctx context.Context, u Update) {
	if listen, ok := ctx.Value(key{}).(func(Update)); ok && listen != nil {
		listen(u)
	}
}
