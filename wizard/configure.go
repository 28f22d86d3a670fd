package wizard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
)

// Outcome is what the Configuration step has led to: a connection that is ready
// to be saved, and what its checks found.
type Outcome struct {
	Connection connections.Connection
	Report     verify.Report
	Verified   bool
	Notes      []string // what the user should know about how the credential is kept

	// Of automatic registration only.
	Steps   []task.Result             // what became of registration.Steps
	Run     string                    // names the registration until the connection is saved
	Waiting bool                      // an administrator has to consent to Missing
	Missing []registration.Permission // not consented to so far

	keep func(context.Context) (kept, error)
}

// kept says where the credential is from now on. Undo, unless nil, takes back what
// was made for this connection alone; a certificate belongs to the personal store.
type kept struct {
	ref, password connections.Ref
	undo          func(context.Context) error
}

// Configure verifies the connection that the answers describe; with automatic
// registration it carries out the plan before. In all other cases it changes
// nothing, neither in the tenant nor on this machine. Answers that are missing or
// wrong give a *ProblemsError, a registration that broke off after it had begun a
// *HalfwayError; failed checks are not an error but part of the outcome.
func (s *Session) Configure(ctx context.Context, listen func(task.Event)) (*Outcome, error) {
	if problems := s.Ready(); len(problems) > 0 {
		return nil, &ProblemsError{Problems: problems}
	}
	if err := s.keepable(ctx); err != nil {
		return nil, err
	}
	if s.Automatic() {
		return s.configureAuto(ctx, listen)
	}
	a := s.answersInForce()
	if a.Get(keyLocation) == string(connections.OnPremises) {
		return s.configureServer(ctx, listen)
	}
	cl, err := s.Env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return nil, err
	}
	client, err := s.Env.HTTP(cl)
	if err != nil {
		return nil, err
	}
	out, cred, err := s.assemble(ctx, a, cl)
	if err != nil {
		return nil, err
	}
	if s.Env.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Env.Timeout)
		defer cancel()
	}
	out.Report = verify.Run(ctx, verify.Options{HTTP: client, Clock: s.Env.Clock, Parallel: s.Env.Parallel, Saved: s.Env.profiles().List},
		verify.Target{Connection: out.Connection, Credential: cred, Cloud: cl, Edited: s.edited()}, listen)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	out.Verified = out.Report.State == connections.StateVerified
	out.Connection.Verification = out.Report.Verification(s.Env.Clock.Now())
	out.Connection.Tenant = out.Report.Found.Tenant.Or(out.Connection.Tenant)
	out.Connection.Endpoints = out.Report.Found.Endpoints(out.Connection.Endpoints)
	out.Connection.AccountID = cmp.Or(out.Report.Found.AccountID, out.Connection.AccountID)
	out.Connection.Registration.ObjectID = cmp.Or(out.Report.Found.ObjectID, out.Connection.Registration.ObjectID)
	return out, nil
}

// assemble makes the connection from the answers and decides where its credential
// will be kept, before anything is asked of the tenant: a check that passed is
// worth little when its key cannot be kept afterwards.
func (s *Session) assemble(ctx context.Context, a Answers, cl cloud.Cloud) (*Outcome, entra.Credential, error) {
	out := &Outcome{Connection: s.asked(a)}
	c := &out.Connection
	c.Cloud, c.Tenant, c.Credential = cl.Name, connections.Tenant{ID: a.Resolved(keyTenantID)}, connections.Credential{}
	c.Registration.Mode, c.Registration.ClientID, c.Registration.Catalogue = a.Get(keyRegistration), a.Get(keyClientID), registration.CatalogueVersion
	if typed := a.Get(keyTenantID); !isGUID(typed) {
		out.Connection.Tenant.Domain = typed
	}
	cred, err := s.credential(ctx, a, out)
	if err != nil {
		return nil, cred, err
	}
	if id := cred.Identity; id != nil {
		out.Connection.Credential.Type = connections.TypeCertificate
		out.Connection.Credential.Thumbprint = string(id.Thumbprint())
		out.Connection.Credential.ThumbprintSHA256 = string(id.ThumbprintSHA256())
		out.Connection.Credential.NotAfter = id.Certificate.NotAfter.UTC()
	} else {
		out.Connection.Credential.Type = connections.TypeClientSecret
	}
	if s.edit != nil {
		s.edit.keepOn(c)
	}
	return out, cred, nil
}

// credential loads the credential that the answers name and plans its keeping.
func (s *Session) credential(ctx context.Context, a Answers, out *Outcome) (entra.Credential, error) {
	env := s.Env
	switch a.Get(keyCredential) {
	case byKeeping:
		return s.keptCredential(ctx, out)

	case byThumbprint:
		entry, err := env.Personal.Find(ctx, certs.Thumbprint(a.Get(keyThumbprint)))
		if err != nil {
			return entra.Credential{}, problem(s, keyThumbprint, err)
		}
		id, err := env.Personal.Identity(ctx, entry)
		if err != nil {
			return entra.Credential{}, problem(s, keyThumbprint, err)
		}
		out.keep = func(context.Context) (kept, error) { return kept{ref: entry.Ref}, nil }
		return entra.Credential{Identity: &id}, nil

	case byFile:
		id, err := identityFromFile(env, a)
		if err != nil {
			return entra.Credential{}, problem(s, certificateKey(err), err)
		}
		err = s.plan(ctx, out, keyCertFile, func(ctx context.Context) (kept, error) {
			entry, err := env.Personal.Import(ctx, id)
			return kept{ref: entry.Ref}, err
		})
		return entra.Credential{Identity: &id}, err

	case bySecret:
		secret := connections.NewSecret(trim(string(a[keySecret].Secret.Reveal())))
		err := s.plan(ctx, out, keySecret, func(ctx context.Context) (kept, error) {
			ref, err := env.Store.PutSecret(ctx, secret)
			return kept{ref: ref, undo: func(ctx context.Context) error { return env.Store.DeleteSecret(ctx, ref) }}, err
		})
		return entra.Credential{Secret: secret}, err

	case byReference:
		cred, err := credentialFromReference(ctx, env, a)
		if err != nil {
			return cred, problem(s, keyReference, err)
		}
		password, err := s.reference(keyCertPassword)
		if err != nil {
			return cred, problem(s, keyCertPassword, err)
		}
		out.keep = func(context.Context) (kept, error) {
			return kept{ref: connections.Ref(a.Get(keyReference)), password: password}, nil
		}
		return cred, nil
	}
	return entra.Credential{}, problem(s, keyCredential, ErrMissing)
}

// plan decides between a copy in the store, which is the rule, and a reference to
// where the credential lies, where this machine has no place to keep a secret.
func (s *Session) plan(ctx context.Context, out *Outcome, key string, store func(context.Context) (kept, error)) error {
	err := s.Env.Store.SecretsReady(ctx)
	if err == nil {
		out.keep = store
		return nil
	}
	if !errors.Is(err, connections.ErrNoKeyring) {
		return err
	}
	ref, refErr := s.reference(key)
	password := connections.Ref("")
	if refErr == nil && key == keyCertFile {
		password, refErr = s.reference(keyCertPassword)
	}
	if refErr != nil || ref == "" {
		return err
	}
	place := string(ref)
	if password != "" {
		place += " and its password " + string(password)
	}
	var why *connections.NoKeyringError
	reason := ""
	if errors.As(err, &why) {
		reason = " (" + why.Reason + ")"
	}
	out.Notes = append(out.Notes, fmt.Sprintf("The keychain cannot be used here%s and C2CONN_PASSPHRASE is not set, so the credential was not copied: "+
		"the connection refers to %s, which must stay there from now on.", reason, place))
	out.keep = func(context.Context) (kept, error) { return kept{ref: ref, password: password}, nil }
	return nil
}

// reference names the place that the answer was read from, "" when there is no
// answer. What was typed, or came through standard input, has no such place.
func (s *Session) reference(key string) (connections.Ref, error) {
	v, ok := s.Answers[key]
	if !ok || !s.Answers.Has(key) {
		return "", nil
	}
	path := v.From
	if f, _ := s.Flow.Field(key); f.Input == Path {
		path = expandHome(s.Env, v.Text)
	} else if v.Origin == FromEnv {
		return connections.Ref("env:" + v.From), nil
	} else if v.Origin != FromFile {
		return "", connections.ErrNoKeyring
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// A pipe, as in <(command), holds its content once only.
	if info, err := os.Stat(abs); err != nil || !info.Mode().IsRegular() {
		return "", connections.ErrNoKeyring
	}
	return connections.Ref("file:" + abs), nil
}

func certificateKey(err error) string {
	if errors.Is(err, certs.ErrPasswordNeeded) || errors.Is(err, certs.ErrWrongPassword) {
		return keyCertPassword
	}
	return keyCertFile
}

// problem ties an error to the field that caused it.
func problem(s *Session, key string, err error) error {
	f, _ := s.field(key)
	return &ProblemsError{Problems: []Problem{{Key: key, Title: f.Title, Flags: f.Flags(), Err: err}}}
}

// Save keeps the connection: the credential first, then the profile that refers
// to it, so that no profile ever points at a key that was not kept. In a session of
// Edit it replaces the connection, with the errors of connections.Store.Update.
func (s *Session) Save(ctx context.Context, out *Outcome) (connections.Connection, error) {
	credential, err := out.keep(ctx)
	if err != nil {
		return connections.Connection{}, fmt.Errorf("the credential could not be kept: %w", err)
	}
	conn := out.Connection
	conn.Credential.Secret, conn.Credential.Password = credential.ref, credential.password
	undo := []func(context.Context) error{credential.undo}
	var saved connections.Connection
	more, err := s.keepOthers(ctx, &conn, &out.Notes)
	undo = append(undo, more...)
	if err == nil {
		if s.edit != nil {
			saved, err = s.replace(ctx, conn)
		} else {
			saved, err = s.Env.profiles().Add(ctx, conn)
		}
	}
	if err != nil {
		for _, back := range undo {
			if back != nil {
				err = errors.Join(err, back(context.WithoutCancel(ctx)))
			}
		}
		return connections.Connection{}, err
	}
	out.Connection = saved
	if s.edit != nil {
		out.Notes = append(out.Notes, s.replaced(context.WithoutCancel(ctx), saved)...)
	}
	if out.Run != "" {
		// The profile is the record now. Should this fail, the next look at the journals
		// finds the connection and drops the journal.
		_ = s.registrar(cloud.Cloud{}).Finish(context.WithoutCancel(ctx), out.Run)
	}
	return saved, nil
}

// others are the answers that are kept as secrets beside the credential.
func (s *Session) others() (list []Field) {
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			if f.Keep != nil && s.Answers.Has(f.Key) {
				list = append(list, f)
			}
		}
	}
	return list
}

// keepable tells, before anything is asked of the tenant, whether they can be kept.
func (s *Session) keepable(ctx context.Context) error {
	for _, f := range s.others() {
		err := s.Env.Store.SecretsReady(ctx)
		if errors.Is(err, connections.ErrNoKeyring) {
			if ref, refErr := s.reference(f.Key); refErr == nil && ref != "" {
				continue
			}
			return problem(s, f.Key, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepOthers keeps them and puts the references into the connection; what is to be
// known about it goes into notes. undo takes back what was kept, also after an error.
func (s *Session) keepOthers(ctx context.Context, c *connections.Connection, notes *[]string) (undo []func(context.Context) error, err error) {
	for _, f := range s.others() {
		ref, err := s.Env.Store.PutSecret(ctx, s.Answers[f.Key].Secret)
		if errors.Is(err, connections.ErrNoKeyring) {
			if ref, err = s.reference(f.Key); err == nil {
				*notes = append(*notes, fmt.Sprintf("%s: not copied either; the connection refers to %s, which must stay there from now on.", f.Title, ref))
			}
		} else if err == nil {
			undo = append(undo, func(ctx context.Context) error { return s.Env.Store.DeleteSecret(ctx, ref) })
		}
		if err != nil {
			return undo, fmt.Errorf("%s could not be kept: %w", f.Title, err)
		}
		*f.Keep(c) = ref
	}
	return undo, nil
}
