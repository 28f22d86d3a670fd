package sim

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// tenant is one state of the registrations. It is never changed: a change makes
// a copy of the state, of the lists and of the objects that it touches.
type tenant struct {
	applications []*application
	principals   []*servicePrincipal
	assignments  []*appRoleAssignment
	deleted      []*deletedItem
}

// clone copies the lists; the objects in them stay shared.
func (t *tenant) clone() *tenant {
	return &tenant{applications: slices.Clone(t.applications), principals: slices.Clone(t.principals), assignments: slices.Clone(t.assignments), deleted: slices.Clone(t.deleted)}
}

// replicaCount is how many copies of the directory each service reads from.
const replicaCount = 4

// arrivals are the times at which a state reaches each replica of each service.
type arrivals map[service][replicaCount]time.Time

// logEntry is a state of the primary and when each replica gets to know it.
type logEntry struct {
	state   *tenant
	arrives arrivals
}

// changeLog holds the states of the tenant. Writes go to the primary, which is
// the newest state; replicas apply them in order, each with its own delay.
//
// Source: "Designing for Eventual Consistency for Microsoft Entra",
// devblogs.microsoft.com/identity.
type changeLog struct {
	mu      sync.Mutex
	now     func() time.Time
	dice    *dice
	lag     func() *activeFault // the fault replication, nil when it is off
	entries []logEntry
}

func (l *changeLog) begin(t *tenant) { l.entries = []logEntry{{state: t}} }

func (l *changeLog) newest() *tenant {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[len(l.entries)-1].state
}

// at returns what one replica of the service, chosen by the dice, knows now.
func (l *changeLog) at(s service) *tenant {
	if l.lag() == nil || s != serviceGraph && s != serviceLogin {
		return l.newest()
	}
	replica := l.dice.below(replicaCount)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for i := len(l.entries) - 1; i > 0; i-- {
		if !l.entries[i].arrives[s][replica].After(now) {
			return l.entries[i].state
		}
	}
	return l.entries[0].state
}

// change writes at the primary. A non-nil answer of the function refuses, and
// nothing is written.
func (l *changeLog) change(do func(*tenant) *answer) *answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.entries[len(l.entries)-1].state.clone()
	if refused := do(next); refused != nil {
		return refused
	}
	l.forget()
	l.entries = append(l.entries, logEntry{next, l.schedule()})
	return nil
}

// schedule decides when the replicas learn of a state written now: each lags
// with the fault's chance, never before what was written earlier.
func (l *changeLog) schedule() arrivals {
	now, lag := l.now(), l.lag()
	before := l.entries[len(l.entries)-1].arrives
	next := arrivals{}
	for _, s := range []service{serviceGraph, serviceLogin} {
		var times [replicaCount]time.Time
		for i := range times {
			times[i] = now
			if lag != nil && l.dice.chance() < lag.chance {
				times[i] = now.Add(time.Duration(l.dice.chance() * float64(lag.wait)))
			}
			if before[s][i].After(times[i]) {
				times[i] = before[s][i]
			}
		}
		next[s] = times
	}
	return next
}

// forget drops the states that every replica has left behind.
func (l *changeLog) forget() {
	now := l.now()
	for i := len(l.entries) - 1; i > 0; i-- {
		known := true
		for _, times := range l.entries[i].arrives {
			known = known && !slices.ContainsFunc(times[:], now.Before)
		}
		if known {
			l.entries = slices.Delete(l.entries, 0, i)
			return
		}
	}
}

// at is what the replica that serves the request knows of the registrations:
// the same for the whole of the request.
func (d *directory) at(r *request) *tenant {
	if r.seen == nil {
		r.seen = d.log.at(r.service)
		if f := r.world.faults.get("resource-missing"); f != nil {
			r.seen = r.seen.without(f.words)
		}
		if r.world.faults.get("no-sharepoint") != nil {
			r.seen = r.seen.without([]string{"sharepoint"})
		}
	}
	return r.seen
}

// without is the state of a tenant that lacks the service principals of some of
// Microsoft's services.
func (t *tenant) without(services []string) *tenant {
	names := map[string]string{"exchange": ExchangeAppID, "sharepoint": SharePointAppID, "graph": GraphAppID}
	less := *t
	less.principals = slices.DeleteFunc(slices.Clone(t.principals), func(p *servicePrincipal) bool {
		return slices.ContainsFunc(services, func(name string) bool {
			return strings.EqualFold(p.AppID, name) || names[strings.ToLower(name)] == p.AppID
		})
	})
	return &less
}

// change writes the registrations at the primary; later reads of the same
// request see the new state. The function works on a copy of the lists and
// replaces the objects that it changes.
func (d *directory) change(r *request, do func(*tenant) *answer) *answer {
	return d.log.change(func(t *tenant) *answer {
		refused := do(t)
		if refused == nil {
			r.seen = t
		}
		return refused
	})
}

// deletedItem is a soft-deleted application or service principal: restorable
// for 30 days.
//
// Source: learn.microsoft.com/graph/api/resources/directory.
type deletedItem struct {
	at          time.Time
	application *application
	principal   *servicePrincipal
	assignments []*appRoleAssignment // of the principal
}
