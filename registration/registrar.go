package registration

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/oklog/ulid/v2"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/transport"
)

// DefaultConsistency is how long a registration waits for the tenant's replicas.
//
// Source: what azure-cli allows (36 tries, 5 s apart).
const DefaultConsistency = 180 * time.Second

// Options are what New needs.
type Options struct {
	Dir      string             // state directory; journals lie in Dir/registrations
	Personal certs.Store        // where certificates are kept
	Store    *connections.Store // where client secrets are kept and connections are saved
	Cloud    cloud.Cloud        // for links to what could not be removed; may be zero
	Clock    transport.Clock    // nil means the computer's
	Rand     io.Reader          // nil means the computer's
	// Consistency is how long replicas are waited for in each step, 0 for DefaultConsistency.
	Consistency time.Duration
	// Key gives the key pair for a new certificate, so that it can be made while
	// nothing else happens; nil means that it is made when it is needed.
	Key func(context.Context) (*rsa.PrivateKey, error)
}

// Registrar carries plans out, and remembers on disk what it did, so that a run
// which ended half-way can be gone on with or taken back. While a run is under way,
// and after Apply until Finish, Rollback or Close, no other process can work on it.
// A Registrar is safe for use by several goroutines.
type Registrar struct {
	o   Options
	dir string

	mu   sync.Mutex
	held map[string]*flock.Flock // locks of runs, by their ids

	step func(point string) // tests end the process here; nil in production
}

// New returns a Registrar. Nothing is read or created yet.
func New(o Options) *Registrar {
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	o.Consistency = cmp.Or(o.Consistency, DefaultConsistency)
	return &Registrar{o: o, dir: filepath.Join(o.Dir, "registrations"), held: map[string]*flock.Flock{}}
}

// Close lets go of the runs that were not finished: they count as unfinished then.
func (r *Registrar) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for run, l := range r.held {
		_ = l.Close()
		delete(r.held, run)
	}
}

func (r *Registrar) newRun() (string, error) {
	id, err := ulid.New(ulid.Timestamp(r.o.Clock.Now()), r.o.Rand)
	if err != nil {
		return "", fmt.Errorf("no randomness for the id of the registration: %w", err)
	}
	return id.String(), nil
}

// reach marks a point at which the tests may end the process.
func (r *Registrar) reach(point string) {
	if r.step != nil {
		r.step(point)
	}
}

// write saves the journal.
func (r *Registrar) write(j *journal, why string) error {
	r.reach("before journal: " + why)
	if err := j.save(r.dir); err != nil {
		return err
	}
	r.reach("after journal: " + why)
	return nil
}

// Finish ends a run whose connection is saved: the profile is the record from now
// on, and the journal goes. A run without a journal is finished already.
func (r *Registrar) Finish(ctx context.Context, run string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if _, err := ulid.ParseStrict(run); err != nil {
		return fmt.Errorf("%q is no id of a registration", transport.CleanText(run, 60))
	}
	return r.forget(run)
}

// Unfinished is a registration that was begun and neither finished nor taken back,
// and on which nobody is working.
type Unfinished struct {
	Run            string             `json:"run"`
	At             time.Time          `json:"begun"`
	Cloud          string             `json:"cloud"`
	Tenant         connections.Tenant `json:"tenant"`
	Account        string             `json:"account,omitempty"` // who began it
	Kind           connections.Kind   `json:"kind"`
	Set            Set                `json:"permissions,omitempty"` // of permissions
	Connection     string             `json:"connection,omitempty"`
	AppName        string             `json:"app_name"`
	Action         string             `json:"action"` // ActionCreate or ActionUse
	AppID          string             `json:"client_id,omitempty"`
	CredentialType string             `json:"credential_type"`
	RollingBack    bool               `json:"rolling_back"` // taking it back was begun
	Last           string             `json:"last,omitempty"`
	Path           string             `json:"path"` // of the journal
	Err            error              `json:"-"`    // why the journal cannot be read; all but Run and Path is empty then
}

// Unfinished lists what earlier runs have left, oldest first. On the way it tidies
// up: a run whose connection is saved is finished, and one that never reached the
// tenant is dropped with its key.
func (r *Registrar) Unfinished(ctx context.Context) ([]Unfinished, error) {
	names, err := runs(r.dir)
	if err != nil {
		return nil, err
	}
	var list []Unfinished
	for _, run := range names {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		u, left, err := r.judge(ctx, run)
		if err != nil {
			return nil, err
		}
		if left {
			list = append(list, u)
		}
	}
	return list, nil
}

// judge tells whether a run is unfinished, and tidies up after one that is not.
func (r *Registrar) judge(ctx context.Context, run string) (_ Unfinished, left bool, err error) {
	path := filepath.Join(r.dir, run+journalEnding)
	var busy *BusyError
	mine := r.holds(run)
	switch err := r.hold(run); {
	case errors.As(err, &busy), mine:
		return Unfinished{}, false, nil // under way
	case err != nil:
		return Unfinished{Run: run, Path: path, Err: err}, true, nil
	}
	defer r.drop(run, false)
	j, err := readJournal(r.dir, run)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Unfinished{}, false, r.forget(run) // finished since it was listed
	case err != nil:
		return Unfinished{Run: run, Path: path, Err: err}, true, nil
	}
	saved, err := r.saved(ctx, j)
	switch {
	case err != nil:
		return Unfinished{}, false, err
	case saved:
		return Unfinished{}, false, r.forget(run)
	case !j.Touched:
		err := r.dropLocal(ctx, j)
		if err == nil {
			err = r.forget(run)
		} else if errors.Is(err, errUses) {
			err = nil // another time
		}
		return Unfinished{}, false, err
	}
	u := Unfinished{
		Run: run, At: j.Begun, Cloud: j.Cloud, Tenant: j.Tenant, Account: j.Account, Kind: j.Kind, Set: j.Set, Connection: j.Connection,
		AppName: j.AppName, Action: j.Action, AppID: j.Application.AppID, CredentialType: j.Type, RollingBack: j.RollingBack, Path: path,
	}
	if n := len(j.Log); n > 0 {
		u.Last = transport.CleanText(j.Log[n-1].Change+" ("+j.Log[n-1].Outcome+")", 200)
	}
	return u, true, nil
}

func (r *Registrar) holds(run string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[run] != nil
}

// saved tells whether a connection, saved or staged, signs in with what the run made.
func (r *Registrar) saved(ctx context.Context, j *journal) (bool, error) {
	entries, err := r.o.Store.InUse(ctx)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		c := e.Connection
		if e.Err == nil && strings.EqualFold(c.Registration.ClientID, j.Application.AppID) && j.Application.AppID != "" && j.signsIn(c.Credential) {
			return true, nil
		}
	}
	return false, nil
}

// signsIn tells whether a connection's credential is the run's.
func (j *journal) signsIn(c connections.Credential) bool {
	if j.Type == connections.TypeClientSecret {
		return j.Secret.Ref != "" && c.Secret == j.Secret.Ref
	}
	return names(c, j.Key.Thumbprint)
}

// names tells whether a credential is the certificate.
func names(c connections.Credential, t certs.Thumbprint) bool {
	return t != "" && strings.EqualFold(c.Thumbprint, string(t))
}

// errUses means that a damaged profile may refer to a credential.
var errUses = errors.New("which connections use the credential of the registration cannot be told")

// dropLocal removes the credentials that the run keeps on this computer, except
// for what others use or the user brought along.
func (r *Registrar) dropLocal(ctx context.Context, j *journal) error {
	r.reach("before removing the credential")
	entries, err := r.o.Store.InUse(ctx)
	if err != nil {
		return err
	}
	used := func(is func(connections.Credential) bool) bool {
		return slices.ContainsFunc(entries, func(e connections.Entry) bool { return is(e.Connection.Credential) })
	}
	for _, e := range entries {
		if e.Err != nil {
			return fmt.Errorf("%w: %w", errUses, e.Err)
		}
	}
	thumbprints := j.Key.Old
	if !j.Key.Stays && j.Key.Thumbprint != "" {
		thumbprints = append(thumbprints[:len(thumbprints):len(thumbprints)], j.Key.Thumbprint)
	}
	for _, t := range thumbprints {
		if used(func(c connections.Credential) bool { return names(c, t) || j.Key.Ref != "" && c.Secret == j.Key.Ref }) {
			continue
		}
		if err := r.o.Personal.Delete(ctx, t); err != nil && !errors.Is(err, certs.ErrNotFound) {
			return fmt.Errorf("the certificate of the registration %s cannot be removed: %w", j.Run, err)
		}
	}
	if ref := j.Secret.Ref; ref != "" && !used(func(c connections.Credential) bool { return c.Secret == ref }) {
		if err := r.o.Store.DeleteSecret(ctx, ref); err != nil && !errors.Is(err, connections.ErrNotFound) {
			return fmt.Errorf("the client secret of the registration %s cannot be removed: %w", j.Run, err)
		}
	}
	r.reach("after removing the credential")
	return nil
}
