package sim

import (
	"net/http"
	"slices"
)

// upsertApplication is PATCH /applications(uniqueName='…'): it makes the
// application when there is none and the client prefers that.
//
// Source: learn.microsoft.com/graph/api/application-upsert.
func (w *World) upsertApplication(c graphCall, unique string) *answer {
	if f := w.faults.get("no-upsert"); f != nil {
		return c.graphError(statusOf(f.words, http.StatusBadRequest), "Request_BadRequest", "The request is not supported: applications cannot be addressed by 'uniqueName' in an update.")
	}
	body, bad := c.object()
	if bad != nil {
		return bad
	}
	if bad := c.work("unique name " + unique); bad != nil {
		return bad
	}
	var made, changed *application
	bad = w.dir.change(c.request, func(t *tenant) *answer {
		i := t.applicationAt(c.keys[0])
		switch {
		case i >= 0 && !c.manages(t.applications[i].owners):
			return c.denied("/applications")
		case i >= 0:
			next := *t.applications[i]
			if bad := w.applyApplication(c, &next, body); bad != nil {
				return bad
			}
			changed, t.applications[i] = &next, &next
			t.rename(&next)
			return c.work("app " + next.AppID)
		case !slices.Contains(c.preferences(), "create-if-missing"):
			return c.notFound(c.keys[0])
		}
		if unique == "" || len(unique) > 256 {
			return c.invalid("Application", "uniqueName")
		}
		var bad *answer
		made, bad = w.register(c, t, body, &unique)
		return bad
	})
	switch {
	case bad != nil:
		return bad
	case changed != nil:
		return c.updated("application", withoutKeys(changed))
	}
	w.listForEWS(made.AppID)
	return c.written(http.StatusCreated, "application", withoutKeys(made))
}

func statusOf(words []string, otherwise int) int {
	for _, word := range words {
		if n := atoi(word); n >= 400 && n < 600 {
			return n
		}
	}
	return otherwise
}

// listForEWS is what an Exchange administrator of the tenant does soon after a
// registration: the client id goes into EwsAllowedAppIDs. The fault
// ews-not-listed makes the tenant one where nobody does.
func (w *World) listForEWS(clientID string) {
	if w.faults.get("ews-not-listed") != nil {
		return
	}
	w.dir.mu.Lock()
	defer w.dir.mu.Unlock()
	w.dir.policy.allowed = append(slices.Clone(w.dir.policy.allowed), clientID)
}
