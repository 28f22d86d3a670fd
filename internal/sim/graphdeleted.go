package sim

import (
	"slices"
	"strings"
	"time"
)

// keptDeleted is how long a soft-deleted object can be restored.
//
// Source: learn.microsoft.com/graph/api/resources/directory.
const keptDeleted = 30 * 24 * time.Hour

func (d *deletedItem) id() string {
	if d.application != nil {
		return d.application.ID
	}
	return d.principal.ID
}

func (d *deletedItem) owners() []string {
	if d.application != nil {
		return d.application.owners
	}
	return d.principal.owners
}

// remains drops what was deleted too long ago.
func (t *tenant) remains(now time.Time) []*deletedItem {
	return slices.DeleteFunc(slices.Clone(t.deleted), func(d *deletedItem) bool { return now.Sub(d.at) > keptDeleted })
}

func (w *World) deletedApplications(c graphCall) *answer {
	found := []any{}
	for _, d := range c.seen.remains(w.now()) {
		if d.application != nil {
			found = append(found, withoutKeys(d.application))
		}
	}
	return c.many("application", found)
}

func (w *World) deletedPrincipals(c graphCall) *answer {
	found := []any{}
	for _, d := range c.seen.remains(w.now()) {
		if d.principal != nil {
			found = append(found, d.principal)
		}
	}
	return c.many("servicePrincipal", found)
}

func (w *World) theDeleted(c graphCall) (*deletedItem, *answer) {
	for _, d := range c.seen.remains(w.now()) {
		if strings.EqualFold(d.id(), c.keys[0]) {
			return d, nil
		}
	}
	return nil, c.notFound(c.keys[0])
}

func (w *World) getDeleted(c graphCall) *answer {
	d, bad := w.theDeleted(c)
	if bad != nil {
		return bad
	}
	return d.show(c)
}

// show answers the object with its type, as a directoryObject.
func (d *deletedItem) show(c graphCall) *answer {
	var f fields
	if d.application != nil {
		f = typed("application", fieldsOf(withoutKeys(d.application)))
	} else {
		f = typed("servicePrincipal", fieldsOf(d.principal))
	}
	f["@odata.context"] = c.context("directoryObjects", true)
	return jsonAnswer(200, graphContentType, f)
}

// dig takes a deleted item out of the list at the primary and lets do go on.
func (w *World) dig(c graphCall, do func(t *tenant, d *deletedItem) *answer) *answer {
	d, bad := w.theDeleted(c)
	if bad != nil {
		return bad
	}
	if !c.manages(d.owners()) {
		return c.denied("/directory")
	}
	return w.dir.change(c.request, func(t *tenant) *answer {
		i := slices.IndexFunc(t.deleted, func(other *deletedItem) bool { return other.id() == d.id() })
		if i < 0 {
			return c.notFound(c.keys[0])
		}
		d = t.deleted[i]
		t.deleted = slices.Delete(t.deleted, i, i+1)
		return do(t, d)
	})
}

func (w *World) purgeDeleted(c graphCall) *answer {
	if bad := w.dig(c, func(*tenant, *deletedItem) *answer { return nil }); bad != nil {
		return bad
	}
	return done()
}

// restoreDeleted brings an application back without its service principal, or a
// service principal with its assignments.
//
// Source: learn.microsoft.com/graph/api/directory-deleteditems-restore.
func (w *World) restoreDeleted(c graphCall) *answer {
	var back *deletedItem
	bad := w.dig(c, func(t *tenant, d *deletedItem) *answer {
		back = &deletedItem{}
		if d.application != nil {
			alive := *d.application
			alive.DeletedDateTime = nil
			back.application = &alive
			t.applications = append(t.applications, &alive)
			return nil
		}
		alive := *d.principal
		alive.DeletedDateTime = nil
		if t.principal(alive.AppID) != nil {
			return c.principalExists(alive.AppID)
		}
		if t.applicationAt("appId='"+alive.AppID+"'") < 0 {
			text := "The appId '" + alive.AppID + "' of the service principal does not reference a valid application object."
			return c.refuse(text, graphErrorItem{Code: "NoBackingApplicationObject", Message: text})
		}
		back.principal = &alive
		t.principals = append(t.principals, &alive)
		t.assignments = append(t.assignments, d.assignments...)
		return nil
	})
	if bad != nil {
		return bad
	}
	return back.show(c)
}
