package sim

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long things live.
//
// Source: learn.microsoft.com/entra/identity-platform: v2-oauth2-auth-code-flow,
// v2-oauth2-device-code, refresh-tokens.
const (
	codeLife    = 10 * time.Minute
	flowLife    = 30 * time.Minute
	deviceLife  = 15 * time.Minute
	pollEvery   = 5 * time.Second
	refreshLife = 90 * 24 * time.Hour
)

// signedIn is a person who has signed in to an application: what a code, a
// refresh token or an approved device stands for.
type signedIn struct {
	account string // object id in the tenant
	tenant  string
	client  string
	scopes  scopes
	shared  bool // asked for without naming the tenant
	nonce   string
	mfa     bool
	at      time.Time
	device  bool
	kind    string // of the redirect address; redirectPublic for devices
}

// codeGrant is an authorization code.
type codeGrant struct {
	signedIn
	redirect          string
	challenge, method string
	ends              time.Time
	used              bool
}

// refreshGrant is a refresh token.
type refreshGrant struct {
	signedIn
	issued time.Time
}

// States of a device code.
const (
	deviceWaiting = iota
	deviceApproved
	deviceDeclined
	deviceBlocked
	deviceUsed
)

// device is a device code and the short code that a person types.
type device struct {
	code, short string
	client      string
	segment     string // of the tenant that was asked
	scopes      scopes
	ends        time.Time
	next        time.Time     // no poll before
	every       time.Duration // between polls; grows with each slow_down
	state       int
	blocked     int // AADSTS code of deviceBlocked
	by          signedIn
}

// grants is what Entra ID remembers between requests: sign-ins under way,
// sessions of browsers, what was issued, and who consented to what.
type grants struct {
	mu       sync.Mutex
	flows    map[string]*flow
	codes    map[string]*codeGrant
	refresh  map[string]*refreshGrant
	devices  []*device
	sessions map[string]string   // of a browser: cookie → object id
	consents map[string][]string // delegated: consentKey → permissions
}

// put stores under a new name in one of the maps, which it makes when needed.
func put[V any](g *grants, m *map[string]V, name string, v V) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
	return name
}

func look[V any](g *grants, m *map[string]V, name string) V {
	g.mu.Lock()
	defer g.mu.Unlock()
	return (*m)[name]
}

// forget drops sign-ins that were given up and codes that ended long ago.
func (g *grants) forget(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.flows, func(_ string, f *flow) bool { return now.After(f.ends) })
	maps.DeleteFunc(g.codes, func(_ string, c *codeGrant) bool { return now.Sub(c.ends) > flowLife })
}

// addDevice remembers a device code; codes that ended long ago are forgotten.
func (g *grants) addDevice(d *device, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.devices = slices.DeleteFunc(g.devices, func(old *device) bool { return now.Sub(old.ends) > deviceLife })
	g.devices = append(g.devices, d)
}

// withDevice runs do under the lock with the device that fits, or nil.
func (g *grants) withDevice(fits func(*device) bool, do func(*device)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.devices, fits)
	if i < 0 {
		do(nil)
		return
	}
	do(g.devices[i])
}

func consentKey(clientID, resourceAppID, who string) string {
	return strings.ToLower(clientID + "|" + resourceAppID + "|" + who)
}

// everyone is who a consent on behalf of the organisation is for.
const everyone = "*"

// consent remembers delegated permissions that someone granted to a client.
func (g *grants) consent(clientID, resourceAppID, who string, names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.consents == nil {
		g.consents = map[string][]string{}
	}
	key := consentKey(clientID, resourceAppID, who)
	for _, name := range names {
		if !slices.Contains(g.consents[key], name) {
			g.consents[key] = append(g.consents[key], name)
		}
	}
}

// consented lists what a client may do for a person, by their own consent and
// by the organisation's.
func (g *grants) consented(clientID, resourceAppID, who string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := slices.Concat(g.consents[consentKey(clientID, resourceAppID, everyone)], g.consents[consentKey(clientID, resourceAppID, who)])
	slices.Sort(list)
	return slices.Compact(list)
}

// random is a code that nobody can guess from the one before.
func (w *World) random(prefix string) string {
	return prefix + strings.ReplaceAll(w.dice.guid()+w.dice.guid(), "-", "")
}
