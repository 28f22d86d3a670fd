package sim

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Several tenants share the services as they do at Microsoft: one address for
// signing in, one for Microsoft Graph, one for Exchange Online. What is asked tells
// whom: the tenant in the path of a sign-in, the tenant in the token of a call, the
// host name at SharePoint. Each tenant has people, applications, certificates,
// policies and faults of its own.

// tenantName is what a tenant is called; the zero value is Contoso.
type tenantName struct{ number int }

// label is the tenant's name in host names.
func (n tenantName) label() string {
	if n.number == 0 {
		return "contoso"
	}
	return fmt.Sprintf("contoso%02d", n.number)
}

// title is the organisation's name.
func (n tenantName) title() string {
	if n.number == 0 {
		return "Contoso"
	}
	return fmt.Sprintf("Contoso %02d", n.number)
}

func (n tenantName) domain() string  { return n.label() + ".com" }
func (n tenantName) initial() string { return n.label() + ".onmicrosoft.com" }

// at is an account of the first tenant as it is called in this one.
func (n tenantName) at(upn string) string {
	if local, ok := strings.CutSuffix(upn, "@"+DefaultDomain); ok {
		return local + "@" + n.domain()
	}
	return upn
}

// makeWorld makes a tenant that is empty and serves nothing yet.
func makeWorld(o Options, is tenantName, log *recorder) *World {
	w := &World{options: o, is: is, keys: o.Keys, start: o.Now(), dice: newDice(o.Seed), TenantDomain: is.initial(), Mailbox: is.at(Mailbox),
		dir: &directory{}, apps: map[string]App{}, faults: faultSet{active: map[string]*activeFault{}}, record: log}
	w.dir.log = changeLog{now: o.Now, dice: newDice(o.Seed + 1), lag: func() *activeFault { return w.faults.get("replication") }}
	return w
}

// mostTenants bounds what one machine simulates.
const mostTenants = 200

// tenantSeeds is how far apart the seeds of the tenants are.
const tenantSeeds = 1_000_003

// addTenants fills this tenant and makes the others. The faults of the options are
// everybody's, unless they name a tenant: "contoso02:throttle".
func (w *World) addTenants() error {
	n := max(w.options.Tenants, 1)
	if n > mostTenants {
		return fmt.Errorf("%d tenants are more than the %d that are simulated", n, mostTenants)
	}
	w.tenants = []*World{w}
	for i := 2; i <= n; i++ {
		o := w.options
		o.Seed += int64(i-1) * tenantSeeds
		t := makeWorld(o, tenantName{i}, w.record)
		t.names = w.names
		w.tenants = append(w.tenants, t)
	}
	for _, t := range w.tenants {
		for _, spec := range w.options.Faults {
			if label, rest, ok := strings.Cut(spec, ":"); ok && w.isTenant(label) {
				if spec = rest; label != t.is.label() {
					continue
				}
			}
			if err := t.SetFault(spec); err != nil {
				return err
			}
		}
		if err := t.populate(); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) isTenant(label string) bool {
	return slices.ContainsFunc(w.tenants, func(t *World) bool { return t.is.label() == label })
}

// Tenants lists the tenants that these services answer for, this one first. Those of
// another's services share its addresses; they are closed with it.
func (w *World) Tenants() []*World {
	if w.tenants == nil {
		return []*World{w}
	}
	return slices.Clone(w.tenants)
}

// Title is the organisation's name.
func (w *World) Title() string { return w.is.title() + " (simulated)" }

// Account is what one of the accounts of Admins is called in this tenant.
func (w *World) Account(upn string) string { return w.is.at(upn) }

// tenantFor finds the tenant that a request asks. Where nothing names one, it is the
// first: so is who signs in through "common" without having said where.
func (w *World) tenantFor(r *request) *World {
	if len(w.tenants) < 2 {
		return w
	}
	var is func(t *World) bool
	switch r.service {
	case serviceLogin:
		is = w.tenantOfSignIn(r)
	case serviceSharePoint:
		is = func(t *World) bool { _, ok := t.sharePointHostOf(r.Host); return ok }
	default:
		id := tokenTenant(r.Header.Get("Authorization"))
		is = func(t *World) bool { return t.TenantID == id }
	}
	if i := slices.IndexFunc(w.tenants, is); i >= 0 {
		return w.tenants[i]
	}
	return w
}

// tenantOfSignIn tells which tenant a request to Entra ID is about: that of its path,
// or of the sign-in that it goes on with.
func (w *World) tenantOfSignIn(r *request) func(*World) bool {
	segment, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(r.URL.Path), "/"), "/")
	if segment != "common" && segment != "organizations" {
		return func(t *World) bool { return segment == t.TenantID || t.dir.hasDomain(segment) }
	}
	form, err := url.ParseQuery(string(r.body))
	if err != nil {
		form = url.Values{}
	}
	flow, code := form.Get("flow"), readUserCode(form)
	return func(t *World) bool {
		found := flow != "" && look(t.grants(), &t.grants().flows, flow) != nil
		if code != "" {
			t.grants().withDevice(func(d *device) bool { return d.short == code }, func(d *device) { found = found || d != nil })
		}
		return found
	}
}

// tokenTenant reads the tenant from a token that nobody has verified yet.
func tokenTenant(authorization string) string {
	_, raw, _ := strings.Cut(authorization, " ")
	token, err := parseJWT(strings.TrimSpace(raw))
	if err != nil {
		return ""
	}
	var c struct {
		TenantID string `json:"tid"`
	}
	_ = json.Unmarshal(token.payload, &c) // what cannot be read names none
	return c.TenantID
}

// load counts the requests that a tenant is answering.
type load struct {
	mu           sync.Mutex
	inside, most int
}

// enter counts a request and tells how many there are now.
func (l *load) enter() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside++
	l.most = max(l.most, l.inside)
	return l.inside
}

// leave takes a request out again that has entered.
func (l *load) leave(r *request) {
	if r.inside == 0 || r.left {
		return
	}
	r.left = true
	l = &r.world.load
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside--
}

// MostParallel is the highest number of requests that the tenant had to answer at one
// time, sign-ins included.
func (w *World) MostParallel() int {
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	return w.load.most
}
