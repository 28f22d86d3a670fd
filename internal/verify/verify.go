// Package verify proves that a connection works: it runs the checks of its kind
// side by side and reports what each one found. It hides which checks a kind
// has, what they depend on, and how their failures add up to one verdict.
package verify

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/registration"
)

// defaultLimit is how long one check may take, its retries included.
const defaultLimit = 30 * time.Second

// Options are what Run needs from outside.
type Options struct {
	HTTP  *http.Client    // of transport.New
	Clock transport.Clock // nil means the computer's clock
	Limit time.Duration   // time limit of each check; 0 means 30 s; listing all sites may take ten times as long, or to the end of the context

	Parallel int // how many checks run side by side; 0 means all that can

	// Fresh is for an application that was registered a moment ago: for so long a check
	// is repeated whose failure shows that a service has not heard of it yet.
	Fresh time.Duration

	// Saved lists the saved connections, the one that is verified perhaps among them.
	// It is only asked where that matters: what another connection needs of the same
	// application is not superfluous, and a mailbox serves one migration target. nil
	// means that there are none.
	Saved func(ctx context.Context) ([]connections.Entry, error)
}

// Target is what is verified: a connection (it need not be saved yet), the
// credential it signs in with, and the endpoints of its cloud.
type Target struct {
	Connection connections.Connection
	Credential entra.Credential
	Cloud      cloud.Cloud
	App        *entra.App // with the tokens that it has; nil for a new one
	Server     *Server    // of an on-premises connection; without it none can be verified
	Edited     bool       // the connection is saved with other answers than these
}

// TitlesOf returns the checks of a connection in their order, with id and title and
// nothing to run: screens show them before the first one starts. A kind that cannot
// be verified yet has none.
func TitlesOf(c connections.Connection) []task.Task {
	var out []task.Task
	for _, c := range checksOf(c) {
		out = append(out, task.Task{ID: c.id, Title: c.title, Needs: c.needs, After: c.after})
	}
	return out
}

// Run verifies target and reports to listen (nil is allowed) as task.Run does.
// It changes nothing in the tenant; on the premises it does so only where
// Server.Grant allows it. A failed check hides no other one: all that do not depend on
// it are run.
//
// A kind that cannot be verified yet gives a Report whose Err is an
// *advice.NotOfferedError.
func Run(ctx context.Context, o Options, target Target, listen func(task.Event)) Report {
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	c := target.Connection
	checks := checksOf(c)
	if len(checks) == 0 {
		err := &advice.NotOfferedError{Kind: c.Kind, Location: c.Location}
		return Report{State: connections.StateUnverified, Class: advice.ClassOf(err), Err: err}
	}
	s := newSubject(o, target)
	end, limited := ctx.Deadline()
	if s.facts.Patience = o.Limit; limited {
		s.facts.Patience = min(o.Limit, time.Until(end))
	}
	whole, stop := context.WithCancel(ctx)
	defer stop()
	if c.Location == connections.OnPremises {
		if target.Server == nil {
			return Report{State: connections.StateUnverified, Class: advice.ClassOf(errNoServer), Err: errNoServer}
		}
		if isFarm(c) {
			s.farm = s.newFarm()
		} else {
			s.exchange = s.newExchange()
		}
	}
	s.elsewhere = s.lookElsewhere(whole)
	tasks := make([]task.Task, len(checks))
	for i, check := range checks {
		limit := max(o.Limit*time.Duration(max(check.times, 1)), o.Fresh)
		if limited && check.times > 1 {
			limit = max(limit, time.Until(end)) // what goes on for so long may go on to the end
		}
		tasks[i] = task.Task{ID: check.id, Title: check.title, Needs: check.needs, After: check.after, Limit: limit,
			Run: func(ctx context.Context) task.Result { return s.settled(ctx, check) }}
	}
	most := o.Parallel
	if most <= 0 {
		most = len(tasks)
	}
	results := task.RunAtMost(ctx, most, o.Clock.Now, tasks, listen)
	report := Report{Results: results, Found: s.foundSoFar()}
	if s.exchange != nil {
		report.endSession(ctx, s.exchange)
	}
	if c.Location == connections.OnPremises {
		report.Found.pins = target.Server.Pins(nil)
	}
	report.State, report.Class = verdict(ctx, results, c.Verification.State == connections.StateWaiting)
	return report
}

// subject is one run of Run: what the checks share.
type subject struct {
	o       Options
	target  Target
	purpose registration.Purpose
	facts   advice.Facts
	app     func() (*entra.App, error) // made once; every token check tells why it cannot be

	elsewhere *elsewhere // the application's roles on services that are not checked
	listed    *listed    // the first sites of the list
	exchange  *exchange  // of an on-premises connection to Exchange
	farm      *farm      // of one to SharePoint

	mu        sync.Mutex
	tokens    map[registration.Resource]entra.Token
	refusal   error // of the token for Microsoft Graph
	found     Found
	place     place
	silent    error    // why Microsoft Graph did not tell the addresses in its time; of the one check that asks
	addresses []string // of the dedicated account
	ews       bool     // EWS let the application in
}

func newSubject(o Options, target Target) *subject {
	c := target.Connection
	s := &subject{
		o: o, target: target, tokens: map[registration.Resource]entra.Token{}, listed: newListed(),
		purpose: registration.PurposeOf(c), facts: Facts(target, o.Clock.Now()),
	}
	s.purpose.Secret = target.Credential.Identity == nil // the credential at hand is what counts
	tenant := c.Tenant.ID
	if tenant == "" {
		tenant = c.Tenant.Domain
	}
	s.app = sync.OnceValues(func() (*entra.App, error) {
		if target.App != nil {
			return target.App, nil
		}
		return entra.NewApp(entra.AppOptions{
			Cloud: target.Cloud, TenantID: tenant, ClientID: c.Registration.ClientID,
			Credential: target.Credential, HTTP: o.HTTP, Now: o.Clock.Now,
		})
	})
	return s
}

// guidShape is what the id of a client secret looks like, and its value never does.
var guidShape = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\s*$`)
})

// FactsOf are what advice needs to know of a connection whose credential has
// not been read. in is the zero Cloud while it is not known.
func FactsOf(c connections.Connection, in cloud.Cloud, now time.Time) advice.Facts {
	f := advice.Facts{
		ClientID: c.Registration.ClientID, TenantID: c.Tenant.ID, TenantDomain: c.Tenant.Domain,
		Account: c.Account, Site: c.Endpoints.SharePoint, Cloud: in, Kind: c.Kind,
		CredentialType: c.Credential.Type, Thumbprint: c.Credential.Thumbprint, Now: now,
		OnPremises: c.Location == connections.OnPremises, Pins: c.Pins,
	}
	if isFarm(c) {
		f.Central = c.Endpoints.Admin
	}
	auto := c.Registration.Mode == connections.ModeAutomatic
	if c.ID != "" || auto { // only what is saved can be verified by its name; what c2conn registered will be
		f.Connection = c.Name
	}
	f.Waiting = c.Verification.State == connections.StateWaiting
	f.Registered = auto && (c.ID == "" || now.Sub(c.Created) < newFor)
	return f
}

// newFor is how long servers of the tenant may not know an application that c2conn
// registered: minutes as a rule, hours at worst.
const newFor = time.Hour

// Facts are what advice needs to know of a target. What the credential at hand
// shows of itself goes before what the profile says of it.
func Facts(target Target, now time.Time) advice.Facts {
	f := FactsOf(target.Connection, target.Cloud, now)
	f.CredentialType, f.Thumbprint = connections.TypeClientSecret, ""
	f.SecretIsID = guidShape().Match(target.Credential.Secret.Reveal())
	if target.Edited {
		f.Connection, f.Edited = "", true
	}
	f.Refused = target.Server != nil && target.Server.Account.Refused()
	if id := target.Credential.Identity; id != nil {
		f.CredentialType, f.Thumbprint = connections.TypeCertificate, string(id.Thumbprint())
	}
	return f
}

func (s *subject) keep(resource registration.Resource, t entra.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[resource] = t
	s.elsewhere.begin()
	if resource == registration.Graph {
		s.refusal = nil
	}
	if t.Claims.ObjectID != "" {
		s.found.ObjectID = t.Claims.ObjectID
	}
	if s.found.Tenant.ID == "" { // its name takes a permission that not every kind has
		s.found.Tenant.ID = strings.ToLower(t.Claims.TenantID)
	}
}

func (s *subject) refused(resource registration.Resource, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if resource == registration.Graph {
		s.refusal = err
	}
}

// roles are the application permissions in the tokens so far, by service. A
// token that cannot be read is treated as one that is not there.
func (s *subject) roles() map[registration.Resource][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[registration.Resource][]string{}
	for resource, t := range s.tokens {
		if !t.Claims.Opaque {
			out[resource] = t.Claims.Roles
		}
	}
	return out
}

func (s *subject) note(change func(*Found)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.found)
}

func (s *subject) foundSoFar() Found {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// pass, warn and fail make results; ids, titles and durations are task.Run's.

func pass(finding string) task.Result { return task.Result{Status: task.Pass, Finding: short(finding)} }

func (s *subject) warn(finding string, err error) task.Result {
	if finding == "" {
		finding = advice.Short(err, s.facts)
	}
	return task.Result{Status: task.Warn, Finding: short(finding), Err: err, Advice: advice.For(err, s.facts)}
}

// fail tells of err; takes is what the refused call takes, left out where it is none.
func (s *subject) fail(finding string, err error, takes ...need) task.Result {
	f := s.facts
	for _, n := range takes {
		f.Permission, f.Carried = permission(s.purpose, n), s.carries(n)
	}
	if finding == "" {
		finding = advice.Short(err, f)
	}
	return task.Result{Status: task.Fail, Finding: short(finding), Err: err, Advice: advice.For(err, f)}
}

// carries reports whether the token that the refused call was made with holds what it
// takes. An unreadable one holds nothing.
func (s *subject) carries(n need) bool {
	return n.role != "" && slices.ContainsFunc(s.roles()[n.service], func(role string) bool {
		return registration.Covers(n.service, role, n.role)
	})
}

// permission names what meets a need: the permission of the catalogue that does, or
// where none of a connection's permissions is meant for it, the least one.
func permission(p registration.Purpose, n need) string {
	name := n.role
	for _, q := range registration.Catalogue(p) {
		switch {
		case q.Resource != n.service:
		case q.Role == n.role:
			return n.role
		case registration.Covers(q.Resource, q.Role, n.role):
			name = q.Role
		}
	}
	return name
}

// short keeps a finding on one line of a narrow screen.
func short(s string) string {
	s = transport.CleanText(s, 0)
	r := []rune(s)
	if len(r) <= mostFinding {
		return s
	}
	return string(r[:mostFinding-1]) + "…"
}

const mostFinding = 60
