package connections

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Testing a passphrase takes a second, so a wrong one from the environment is
// tested once and not again for every connection.
func TestWrongPassphraseOfTheEnvironmentIsRemembered(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "open sesame") })
	ref := mustPut(t, s, "hunter2")
	var passphrase atomic.Value
	passphrase.Store("open barley")
	r := reopened(t, s, func(o *Options) { o.Getenv = func(string) string { return passphrase.Load().(string) } })
	if _, err := r.Secret(ctx, ref); !errors.Is(err, ErrWrongPassphrase) {
		t.Fatalf("got %v", err)
	}
	// Without the file a second test would tell that the key is gone.
	key := mustGlob(t, s, "identity-*")[0]
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := r.Secret(ctx, ref); !errors.Is(err, ErrWrongPassphrase) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	// Another passphrase is another matter.
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	passphrase.Store("open sesame")
	if got, err := r.Secret(ctx, ref); err != nil || string(got.Reveal()) != "hunter2" {
		t.Errorf("got %v", err)
	}
}

// Many connections are verified side by side: their user is asked as for one.
func TestOnePromptForAll(t *testing.T) {
	t.Parallel()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "open sesame") })
	ref := mustPut(t, s, "hunter2")
	for _, test := range []struct {
		name    string
		answers []string // the last one again and again
		asked   int64
		want    error
	}{
		{"right", []string{"open sesame"}, 1, nil},
		{"right at the third time", []string{"open barley", "open rye", "open sesame"}, 3, nil},
		{"wrong", []string{"open barley"}, 3, ErrWrongPassphrase},
		{"nothing typed", []string{""}, 1, ErrPassphraseNeeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const many = 20
			var asked, prompts atomic.Int64
			var now atomic.Int64
			waiting := make(chan struct{}, many)
			r := reopened(t, s, func(o *Options) {
				o.Now = func() time.Time { return testTime.Add(time.Duration(now.Load())) }
				o.Passphrase = func(context.Context, bool) (Secret, error) {
					if prompts.Add(1) > 1 {
						t.Error("two prompts at a time")
					}
					defer prompts.Add(-1)
					n := asked.Add(1)
					if n == 1 { // all the others are on their way
						for range many {
							<-waiting
						}
					}
					return NewSecret(test.answers[min(int(n), len(test.answers))-1]), nil
				}
			})
			r.waiting = func() { waiting <- struct{}{} }
			var all sync.WaitGroup
			for range many + 1 {
				all.Go(func() {
					if _, err := r.Secret(t.Context(), ref); !errors.Is(err, test.want) {
						t.Errorf("got %v", err)
					}
				})
			}
			all.Wait()
			if asked.Load() != test.asked {
				t.Errorf("asked %d times", asked.Load())
			}
			if test.want != ErrWrongPassphrase { //nolint:errorlint // the table's own value
				return
			}
			// The rest of the same go is not asked either; a later one is.
			if _, err := r.Secret(t.Context(), ref); !errors.Is(err, ErrWrongPassphrase) || asked.Load() != test.asked {
				t.Errorf("%v, asked %d times", err, asked.Load())
			}
			now.Store(int64(refusalLimit))
			if _, err := r.Secret(t.Context(), ref); !errors.Is(err, ErrWrongPassphrase) || asked.Load() != 2*test.asked {
				t.Errorf("%v, asked %d times", err, asked.Load())
			}
		})
	}
}

// Who waits for another's prompt asks itself when the other gives up.
func TestAPromptThatIsGivenUpIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := testStore(t, func(o *Options) { o.Getenv = environment(envPassphrase, "open sesame") })
	ref := mustPut(t, s, "hunter2")
	first, cancel := context.WithCancel(t.Context())
	asking, waiting := make(chan struct{}), make(chan struct{}, 2)
	r := reopened(t, s, func(o *Options) {
		o.Passphrase = func(ctx context.Context, _ bool) (Secret, error) {
			if ctx != first {
				return NewSecret("open sesame"), nil
			}
			close(asking)
			<-ctx.Done()
			return Secret{}, ctx.Err()
		}
	})
	r.waiting = func() { waiting <- struct{}{} }
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := r.Secret(first, ref); !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
	})
	<-asking
	all.Go(func() {
		if got, err := r.Secret(t.Context(), ref); err != nil || string(got.Reveal()) != "hunter2" {
			t.Errorf("the second: %v", err)
		}
	})
	<-waiting
	// One that waits gives up without waiting for the prompt.
	impatient, stop := context.WithCancel(t.Context())
	all.Go(func() { <-waiting; stop() })
	if _, err := r.Secret(impatient, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("the third: %v", err)
	}
	cancel()
	all.Wait()
}
