package registration

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/graph"
)

// rotationNote is what a journal knows of a rotation besides the new credential.
type rotationNote struct {
	Old         connections.Credential `json:"old"`
	OldMade     bool                   `json:"old_made,omitempty"` // by c2conn: its private key goes with it
	Connections []string               `json:"connections"`        // names
	KeyID       string                 `json:"key_id,omitempty"`   // of the new certificate in the application
	SentAt      time.Time              `json:"sent_at,omitzero"`   // the request that adds it
	Grace       time.Duration          `json:"grace_ns"`
	Switched    time.Time              `json:"switched,omitzero"` // when the connections were; the old one is of no use to them since
}

func (n *rotationNote) valid() bool {
	for _, id := range []string{n.KeyID, n.Old.KeyID} {
		if id != "" && !isGUID(id) {
			return false
		}
	}
	for _, r := range []connections.Ref{n.Old.Secret, n.Old.Password} {
		if r != "" && r.Validate() != nil {
			return false
		}
	}
	for _, t := range []string{n.Old.Thumbprint, n.Old.ThumbprintSHA256} {
		if _, err := certs.ParseThumbprint(t); t != "" && err != nil {
			return false
		}
	}
	return n.Grace >= 0
}

// due is when the old credential is to be removed.
func (n *rotationNote) due() time.Time { return n.Switched.Add(n.Grace) }

// The states of a rotation.
const (
	RotationBegun   = "begun"   // broken off before the connections were switched
	RotationWaiting = "waiting" // the old credential waits for its removal
)

// Rotation is a rotation that broke off, or whose old credential waits for its
// removal. Its JSON form is part of c2conn's contract.
type Rotation struct {
	Run           string             `json:"run"`
	At            time.Time          `json:"begun"`
	State         string             `json:"state"` // RotationBegun or RotationWaiting
	Cloud         string             `json:"cloud"`
	Tenant        connections.Tenant `json:"tenant"`
	Connections   []string           `json:"connections"` // that use the new credential, or will
	AppName       string             `json:"app_name"`
	ClientID      string             `json:"client_id"`
	Type          string             `json:"credential_type"`
	OldThumbprint string             `json:"old_thumbprint,omitempty"`
	OldKeyID      string             `json:"old_key_id,omitempty"`
	NewThumbprint string             `json:"new_thumbprint,omitempty"`
	NewSecret     connections.Ref    `json:"new_secret,omitempty"`
	Due           time.Time          `json:"due,omitzero"` // when the old credential is to be removed
	Path          string             `json:"path"`         // of the journal
	Err           error              `json:"-"`            // why the journal cannot be read; all but Run and Path is empty then
}

// Uses tells whether a connection is one of those that the rotation is about: it has
// the new credential, or the old one.
func (o Rotation) Uses(c connections.Connection) bool {
	if !strings.EqualFold(c.Tenant.ID, o.Tenant.ID) || !strings.EqualFold(c.Registration.ClientID, o.ClientID) {
		return false
	}
	return o.NewThumbprint != "" && strings.EqualFold(c.Credential.Thumbprint, o.NewThumbprint) ||
		o.NewSecret != "" && c.Credential.Secret == o.NewSecret ||
		o.State == RotationBegun && slices.ContainsFunc(o.Connections, func(name string) bool { return strings.EqualFold(name, c.Name) })
}

// apart is the Registrar of rotations: their journals lie where no registration is
// looked for.
func (r *Registrar) apart() *Registrar {
	return &Registrar{o: r.o, dir: filepath.Join(r.dir, "rotations"), held: map[string]*flock.Flock{}, step: r.step}
}

// alone lets one process at a time rotate the credentials of an application.
func (r *Registrar) alone(clientID string) (unlock func(), err error) {
	name := "application-" + strings.ToLower(clientID)
	if err := r.hold(name); err != nil {
		if errors.As(err, new(*BusyError)) {
			err = &advice.RotationBusyError{ClientID: clientID}
		}
		return nil, err
	}
	return func() { r.drop(name, false) }, nil
}

// Rotations lists the rotations that broke off or whose old credential waits for its
// removal, oldest first, without those that another process is working on. One that
// never reached the tenant is dropped with its key.
func (r *Registrar) Rotations(ctx context.Context) ([]Rotation, error) {
	apart := r.apart()
	names, err := runs(apart.dir)
	if err != nil {
		return nil, err
	}
	var list []Rotation
	for _, run := range names {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		j, err := readJournal(apart.dir, run)
		if err != nil {
			list = append(list, Rotation{Run: run, Path: filepath.Join(apart.dir, run+journalEnding), Err: err})
			continue
		}
		unlock, err := apart.alone(j.Application.AppID)
		if errors.As(err, new(*advice.RotationBusyError)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// It may have gone on before it was locked.
		if j, err = readJournal(apart.dir, run); err == nil && !j.Touched {
			err = apart.dropRotation(ctx, j)
		} else if err == nil {
			list = append(list, j.rotation(apart.dir))
		}
		unlock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return list, nil
}

// dropRotation removes one that never reached the tenant, unless nobody can tell who
// uses its key.
func (r *Registrar) dropRotation(ctx context.Context, j *journal) error {
	err := r.dropLocal(ctx, j)
	if err == nil {
		return r.forget(j.Run)
	}
	if errors.Is(err, errUses) {
		return nil // another time
	}
	return err
}

func (j *journal) rotation(dir string) Rotation {
	o := Rotation{
		Run: j.Run, At: j.Begun, State: RotationBegun, Cloud: j.Cloud, Tenant: j.Tenant, Connections: slices.Clone(j.Rotation.Connections), AppName: j.AppName,
		ClientID: j.Application.AppID, Type: j.Type, OldThumbprint: j.Rotation.Old.Thumbprint, OldKeyID: j.Rotation.Old.KeyID,
		NewThumbprint: string(j.Key.Thumbprint), NewSecret: j.Secret.Ref, Path: filepath.Join(dir, j.Run+journalEnding),
	}
	if !j.Rotation.Switched.IsZero() {
		o.State, o.Due = RotationWaiting, j.Rotation.due()
	}
	return o
}

// rotationsOf reads the journals of an application's rotations.
func (r *Registrar) rotationsOf(tenant, clientID string) (list []*journal, err error) {
	names, err := runs(r.dir)
	if err != nil {
		return nil, err
	}
	for _, run := range names {
		j, err := readJournal(r.dir, run)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err // it may be about this very application
		}
		if strings.EqualFold(j.Application.AppID, clientID) && strings.EqualFold(j.Tenant.ID, tenant) {
			list = append(list, j)
		}
	}
	return list, nil
}

// SameCredential reports whether two saved connections of one application sign in with
// the same credential, so that Rotate switches both.
func SameCredential(a, b connections.Connection) bool {
	return a.Registration.ClientID != "" && uses(connections.Entry{Connection: b}, a.Tenant.ID, a.Registration.ClientID) && sameCredential(a.Credential, b.Credential)
}

// sameCredential tells whether two connections of an application sign in with the
// same credential.
func sameCredential(a, b connections.Credential) bool {
	same := func(x, y string) bool { return x != "" && strings.EqualFold(x, y) }
	if a.Type != b.Type {
		return false
	}
	if a.Type == connections.TypeCertificate && (same(a.Thumbprint, b.Thumbprint) || same(a.ThumbprintSHA256, b.ThumbprintSHA256)) {
		return true
	}
	return a.Secret != "" && a.Secret == b.Secret && a.Password == b.Password && (a.Thumbprint == "" || b.Thumbprint == "")
}

// keyID is the key id of a certificate in an application's list; "" where it is not
// there.
func keyID(keys []graph.Key, id *certs.Identity) string {
	if id != nil {
		for _, k := range keys {
			if sameKey(k, id.Thumbprint(), id.CertificateDER()) {
				return k.ID
			}
		}
	}
	return ""
}

// madeHere tells whether c2conn made a certificate for its application, rather than
// somebody who brought it along: c2conn has put it there, and it bears the
// application's name, which nobody but c2conn gave.
func madeHere(c connections.Connection, id *certs.Identity) bool {
	if id == nil || c.Registration.Mode != connections.ModeAutomatic && c.Credential.KeyID == "" {
		return false
	}
	subject := pkix.Name{CommonName: commonName(c.Registration.AppName)}.String()
	return id.Certificate.Subject.String() == subject && id.Certificate.Issuer.String() == subject
}
