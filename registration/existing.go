package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/graph"
)

// useExisting adds the credential and the permissions to a registration that
// others may use as well.
func (w *work) useExisting(ctx context.Context) error {
	if made := w.plan.Existing.Created; w.r.o.Clock.Now().Sub(made) < recent {
		ctx = w.replicated(ctx)
	}
	app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
	if err != nil {
		return err
	}
	w.adopt(app)
	if !w.wish.secret() {
		if err := w.addKey(ctx); err != nil {
			return err
		}
	}
	merged, more := w.plan.merge(app.Required)
	if !more {
		return nil
	}
	const what = "ask for the permissions"
	err = w.change(stepApplication, what, func(j *journal) { j.Required = append(j.Required, added(app.Required, merged)...) },
		func() error { return w.admin.Graph.SetRequired(ctx, app.ObjectID, merged) }, nil)
	return w.refusal(ctx, what, err)
}

// recent is how young an object is that some replicas may not know yet, whatever
// the limit of a wait.
const recent = 10 * time.Minute

// added lists what after asks for beyond before.
func added(before, after []graph.ResourceAccess) (list []assignedNote) {
	for _, r := range after {
		for _, id := range r.Roles {
			if !asks(before, r.ResourceAppID, id) {
				list = append(list, assignedNote{ResourceID: r.ResourceAppID, RoleID: id})
			}
		}
	}
	return list
}

func asks(list []graph.ResourceAccess, resourceAppID, roleID string) bool {
	return slices.ContainsFunc(list, func(r graph.ResourceAccess) bool {
		return r.ResourceAppID == resourceAppID && slices.Contains(r.Roles, roleID)
	})
}

// addKey adds the certificate to the application, in place of those that it
// replaces; all others stay.
func (w *work) addKey(ctx context.Context) error {
	for {
		id := *w.identity
		err := w.setKeys(ctx, func(keys []graph.Key) []graph.Key {
			keys = slices.DeleteFunc(slices.Clone(keys), func(k graph.Key) bool {
				return slices.ContainsFunc(w.j.Key.Old, func(t certs.Thumbprint) bool { return sameKey(k, t, nil) })
			})
			if !slices.ContainsFunc(keys, func(k graph.Key) bool { return sameKey(k, id.Thumbprint(), id.CertificateDER()) }) {
				keys = append(keys, keyOf(id))
			}
			return keys
		})
		if err == nil {
			return w.dropOld(ctx)
		}
		again, err := w.shorten(ctx, w.refusal(ctx, "add the certificate", err))
		if err != nil || !again {
			return err
		}
	}
}

// mostMends bounds how often certificates of others are put back.
const mostMends = 3

// setKeys changes the certificates of the application. Graph replaces the whole
// list, so the others must not be lost on the way: the list is read until two
// reads agree, and read again afterwards; what is missing then is put back.
//
// Source: learn.microsoft.com/graph/api/application-addkey ("replaces the
// collection"); azure-cli issue 32467 for what comes of a stale read.
func (w *work) setKeys(ctx context.Context, edit func([]graph.Key) []graph.Key) error {
	ctx = w.replicated(ctx)
	g, id := w.admin.Graph, w.j.Application.ObjectID
	before, err := w.agreedKeys(ctx)
	if err != nil {
		return err
	}
	want := edit(before)
	if sameKeys(before, want) {
		return nil
	}
	for n := 1; ; n++ {
		for _, k := range want {
			if len(k.Public) == 0 {
				return fmt.Errorf("the tenant does not show the certificate “%s” of the application, so the list of certificates cannot be changed without losing it; use another registration, or change the list by hand", k.DisplayName)
			}
		}
		err := w.change(stepApplication, "set the certificates", func(j *journal) { j.Key.Sent = true }, func() error { return g.SetKeys(ctx, id, want) }, nil)
		if err == nil {
			err = w.flush("the certificates are set")
		}
		if err != nil {
			return err
		}
		missing, err := w.missingKeys(ctx, before, want)
		if err != nil || len(missing) == 0 {
			return err
		}
		if n == mostMends {
			return fmt.Errorf("certificates of the application disappear while c2conn changes the list; somebody else is changing it: %s", keyNames(missing))
		}
		now, err := w.agreedKeys(ctx)
		if err != nil {
			return err
		}
		before = now
		want = edit(append(slices.Clone(now), missing...))
	}
}

// agreedKeys reads the certificates until two reads in a row agree.
func (w *work) agreedKeys(ctx context.Context) ([]graph.Key, error) {
	var last []graph.Key
	read := false
	agreed, err := w.r.search(ctx, "Reading the certificates until two answers agree", w.r.o.Clock.Now(), func() (bool, error) {
		for range 2 {
			app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
			if err != nil {
				return false, err
			}
			if read && sameKeys(last, app.Keys) {
				return true, nil
			}
			last, read = app.Keys, true
		}
		return false, nil
	})
	if err == nil && !agreed {
		err = errors.New("the certificates of the application change all the time; nothing was changed, try again later")
	}
	return last, err
}

// missingKeys reads the certificates back, from a replica that knows of the
// change, and gives those that should be there and are not. Where no replica shows
// the change in time, it counts as made: the tenant has accepted it.
func (w *work) missingKeys(ctx context.Context, before, want []graph.Key) (missing []graph.Key, err error) {
	_, err = w.r.search(ctx, "Reading the certificates back", w.r.o.Clock.Now(), func() (bool, error) {
		app, err := w.admin.Graph.Application(ctx, w.j.Application.ObjectID)
		if err != nil {
			return false, err
		}
		if sameKeys(app.Keys, before) {
			return false, nil // not there yet
		}
		missing = slices.DeleteFunc(slices.Clone(want), func(k graph.Key) bool { return hasKey(app.Keys, k) })
		return true, nil
	})
	return missing, err
}

func hasKey(list []graph.Key, k graph.Key) bool {
	return slices.ContainsFunc(list, func(l graph.Key) bool { return sameKey(l, certs.Thumbprint(k.Thumbprint), k.Public) })
}

func sameKeys(a, b []graph.Key) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(k graph.Key) bool { return !hasKey(b, k) })
}

func keyNames(keys []graph.Key) (names []string) {
	for _, k := range keys {
		names = append(names, k.DisplayName+" ("+k.Thumbprint+")")
	}
	return names
}
