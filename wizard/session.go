package wizard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/registration"
)

// Profiles are the saved connections: those of the store itself, or with changes
// that are staged and not saved yet.
type Profiles interface {
	Get(ctx context.Context, nameOrID string) (connections.Connection, error)
	List(ctx context.Context) ([]connections.Entry, error)
	TargetOf(ctx context.Context, account string) (connections.Connection, error)
	Add(ctx context.Context, c connections.Connection) (connections.Connection, error)
	Update(ctx context.Context, nameOrID string, change func(*connections.Connection) error) (connections.Connection, error)
}

func (env *Env) profiles() Profiles {
	if env.Profiles != nil {
		return env.Profiles
	}
	return env.Store
}

// Env is what a flow needs of the world. All of it comes from outside.
type Env struct {
	Store    *connections.Store
	Profiles Profiles // where connections are saved; nil for Store
	Personal certs.Store
	Clouds   *cloud.Set
	HTTP     func(cloud.Cloud) (*http.Client, error)
	Clock    transport.Clock
	Rand     io.Reader
	ReadFile func(path string) ([]byte, error)
	Getenv   func(name string) string
	Parallel int           // how many checks run side by side; 0 for all that can
	Timeout  time.Duration // longest time for all checks together; 0 for their own limits only

	// Accounts share what is known of passwords: with the sessions of the same Env, and
	// between what is looked up and Configure. nil for each on its own.
	Accounts *verify.Accounts

	// What automatic registration needs besides.
	StateDir      string        // of the store; its journals lie there
	Consistency   time.Duration // how long replicas are waited for; 0 for registration.DefaultConsistency
	BrowserLikely bool          // a browser of this computer can probably be opened
	OpenBrowser   func(ctx context.Context, url string) error
}

// Session is one run through a flow: the answers so far and what may be asked
// next. The drivers differ only in how they talk; all rules are here.
type Session struct {
	Flow    *Flow
	Env     *Env
	Answers Answers

	auto *auto // nil until automatic registration is used
	edit *edit // nil for a new connection
}

// lookupLimit is the longest time that one look-up may take.
const lookupLimit = 30 * time.Second

// NewSession starts a run through flow.
func NewSession(flow *Flow, env *Env) *Session {
	return &Session{Flow: flow, Env: env, Answers: Answers{}, auto: &auto{}}
}

// fork returns a session with a copy of the answers; all else is shared. A driver
// that works in the background gives the work a fork.
func (s *Session) fork() *Session {
	return &Session{Flow: s.Flow, Env: s.Env, Answers: s.Answers.Clone(), auto: s.shared(), edit: s.edit}
}

// Problem is one answer that is missing or wrong.
type Problem struct {
	Key     string
	Title   string
	Flags   []string // the flags that would answer it, any one of them
	Missing bool
	Err     error
}

func (p Problem) Error() string {
	if p.Missing {
		return p.Title + " is missing"
	}
	return p.Title + ": " + p.Err.Error()
}

func (p Problem) Unwrap() error { return p.Err }

// ProblemsError lists all missing or wrong answers at once.
type ProblemsError struct{ Problems []Problem }

func (e *ProblemsError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "; ")
}

// Unwrap gives errors.Is and errors.As access to every problem.
func (e *ProblemsError) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// ErrMissing is the Err of a Problem with a required field without an answer.
var ErrMissing = errors.New("an answer is needed")

// answersInForce are the answers with the defaults of unanswered fields filled in.
func (s *Session) answersInForce() Answers {
	a := s.Answers.Clone()
	if s.Flow.Location != "" {
		a[keyLocation] = Value{Text: string(s.Flow.Location), Origin: FromDefault}
	}
	for _, f := range s.Flow.variants() {
		if v := a[f.Key]; v.Origin == FromDefault && f.Input == Text && f.Default != nil && f.Default(s.Env, a) != v.Text {
			delete(a, f.Key) // it was looked up, but what is proposed has changed since
		}
		if !a.Has(f.Key) && a[f.Key].Err == nil && f.Default != nil {
			if d := f.Default(s.Env, a); d != "" {
				a[f.Key] = Value{Text: d, Origin: FromDefault}
			}
		}
	}
	return a
}

// Value returns the field's answer, or its default while there is none.
func (s *Session) Value(key string) Value { return s.answersInForce()[key] }

// field returns the field with that key, as the step asks for it that is part of
// the way; else the first of its variants.
func (s *Session) field(key string) (Field, bool) {
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			if f.Key == key {
				return f, true
			}
		}
	}
	return s.Flow.Field(key)
}

// optional reports whether the field may stay without an answer.
func (f Field) optional(a Answers) bool {
	return f.Optional || len(f.OptionalWhen) > 0 && a.holds(f.OptionalWhen)
}

// Steps lists the steps that are part of the way, as the answers stand.
func (s *Session) Steps() []Step {
	a := s.answersInForce()
	var steps []Step
	for _, st := range s.Flow.Steps {
		if a.holds(st.When) {
			steps = append(steps, st)
		}
	}
	return steps
}

// Asked lists the fields of the step that are asked, as the answers stand.
func (s *Session) Asked(st Step) []Field {
	a := s.answersInForce()
	var fields []Field
	for _, f := range st.Fields {
		_, given := s.Answers[f.Key]
		if a.holds(f.When) && (given || !f.ScriptOnly || len(f.Unless) > 0 && a.holds(f.Unless)) {
			f.Optional = f.optional(a)
			fields = append(fields, f)
		}
	}
	return fields
}

// Set answers a field. A wrong answer is kept, as typed, with its error, so that
// it can be mended rather than typed again.
func (s *Session) Set(key, text string, origin Origin, from string) error {
	f, ok := s.field(key)
	if !ok {
		return fmt.Errorf("there is no field %q", key)
	}
	v := Value{Text: text, Origin: origin, From: from}
	if strings.TrimSpace(text) == "" {
		delete(s.Answers, key)
		if f.Optional || f.Default != nil {
			return nil
		}
		return ErrMissing
	}
	if f.Input == Choice {
		v.Text, v.Err = s.choose(f, text)
	} else if f.Check != nil {
		clean, err := f.Check(s.Env, s.answersInForce(), text)
		if v.Err = err; err == nil {
			v.Text = clean
		}
	}
	if old := s.Answers[key]; old.Text == v.Text && old.Err == nil && v.Err == nil {
		v.Resolved, v.Note = old.Resolved, old.Note
	}
	s.Answers[key] = v
	return v.Err
}

func (s *Session) choose(f Field, text string) (string, error) {
	var known []string
	for _, o := range f.Options(s.Env) {
		if strings.EqualFold(o.Value, strings.TrimSpace(text)) {
			if o.Unavailable != "" {
				return o.Value, &UnavailableError{Title: o.Title, Reason: o.Unavailable}
			}
			return o.Value, nil
		}
		known = append(known, o.Value)
	}
	if f.Key == keyCloud {
		// A cloud whose definition cannot be used is none of the options: say why.
		if _, err := s.Env.Clouds.Find(text); err != nil && !errors.Is(err, cloud.ErrUnknown) {
			return text, err
		}
	}
	return text, fmt.Errorf("%q is not one of %s", text, strings.Join(known, ", "))
}

// UnavailableError is the answer to a choice that is shown but cannot be made yet.
type UnavailableError struct{ Title, Reason string }

func (e *UnavailableError) Error() string { return e.Title + ": " + e.Reason }

// SetSecret answers a Secret field.
func (s *Session) SetSecret(key string, secret connections.Secret, origin Origin, from string) error {
	f, ok := s.field(key)
	if !ok {
		return fmt.Errorf("there is no secret field %q", key)
	}
	if secret.IsZero() {
		delete(s.Answers, key)
		if f.Optional {
			return nil
		}
		return ErrMissing
	}
	v := Value{Secret: secret, Origin: origin, From: from}
	if f.CheckSecret != nil {
		v.Err = f.CheckSecret(s.answersInForce(), secret)
	}
	s.Answers[key] = v
	return v.Err
}

// Lookup asks the outside world about a field's answer, where the field wants
// that, and keeps what it learns: the note, what the answer stands for, or the
// error. It does nothing for an answer that is missing or wrong already.
func (s *Session) Lookup(ctx context.Context, key string) error {
	f, ok := s.field(key)
	if !ok || f.Lookup == nil {
		return nil
	}
	a := s.answersInForce()
	v, ok := a[key]
	if !ok || v.Err != nil {
		return v.Err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	note, resolved, err := f.Lookup(ctx, s.Env, a)
	return s.keepLookup(key, v, note, resolved, err)
}

// keepLookup stores the outcome of a look-up unless the answer has changed since.
func (s *Session) keepLookup(key string, asked Value, note, resolved string, err error) error {
	if now, ok := s.Answers[key]; ok && now.Text != asked.Text {
		return nil
	}
	if err != nil && errors.Is(err, context.Canceled) {
		return err
	}
	asked.Note, asked.Resolved, asked.Err = note, resolved, err
	s.Answers[key] = asked
	return err
}

// LookupFunc returns the look-up of a field as a function without access to the
// session, for drivers that run it in the background, and a function that keeps
// its outcome. It returns nil when there is nothing to look up.
func (s *Session) LookupFunc(key string) (run func(ctx context.Context) (note, resolved string, err error), keep func(note, resolved string, err error) error) {
	f, ok := s.field(key)
	if !ok || f.Lookup == nil {
		return nil, nil
	}
	a := s.answersInForce()
	v, ok := a[key]
	if !ok || v.Err != nil || v.Resolved != "" {
		return nil, nil
	}
	env := s.Env
	return func(ctx context.Context) (string, string, error) {
			ctx, cancel := context.WithTimeout(ctx, lookupLimit)
			defer cancel()
			return f.Lookup(ctx, env, a)
		},
		func(note, resolved string, err error) error { return s.keepLookup(key, v, note, resolved, err) }
}

// Problems lists what is missing or wrong in the step.
func (s *Session) Problems(st Step) []Problem {
	var list []Problem
	a := s.answersInForce()
	for _, f := range s.Asked(st) {
		v, ok := a[f.Key]
		switch {
		case v.Err != nil:
			list = append(list, Problem{Key: f.Key, Title: f.Title, Flags: f.Flags(), Err: v.Err})
		case !ok && a[f.Within].Err != nil:
		case !ok && !f.Optional:
			list = append(list, Problem{Key: f.Key, Title: f.Title, Flags: s.answeringFlags(f), Missing: true, Err: ErrMissing})
		case ok && f.Check != nil:
			// A value may have become wrong through the answers that came after it.
			if _, err := f.Check(s.Env, a, v.Text); err != nil {
				list = append(list, Problem{Key: f.Key, Title: f.Title, Flags: f.Flags(), Err: err})
			}
		}
	}
	return list
}

// answeringFlags lists the flags that answer a field: its own, or for a choice
// that has none those of the fields that imply it.
func (s *Session) answeringFlags(f Field) []string {
	flags := f.Flags()
	if f.Input != Choice || f.FlagName() != "" || len(f.optionFlags()) > 0 {
		return flags
	}
	for _, other := range s.Flow.variants() {
		if _, ok := implies(other, f.Key); ok {
			flags = append(flags, other.Flags()...)
		}
	}
	return flags
}

// implies tells which single value of the choice key the field belongs to.
func implies(f Field, key string) (string, bool) {
	for _, c := range f.When {
		if c.Key == key && len(c.Values) == 1 && !c.Resolved && !f.Confirms {
			return c.Values[0], true
		}
	}
	return "", false
}

// Ready lists every problem on the way, in order.
func (s *Session) Ready() []Problem {
	var list []Problem
	for _, st := range s.Steps() {
		list = append(list, s.Problems(st)...)
	}
	return list
}

// Tasks lists the tasks of the Configuration step before they run, in order.
func (s *Session) Tasks() []task.Task {
	tasks := verify.TitlesOf(s.asked(s.answersInForce()))
	if s.Automatic() {
		tasks = append(registration.Steps(), tasks...)
	}
	return tasks
}

// asked is the connection that the answers ask for, as far as they go: without
// credential, and not checked.
func (s *Session) asked(a Answers) connections.Connection {
	c := connections.Connection{
		Name: a.Get(keyName), Kind: s.Flow.Kind, Location: connections.Location(a.Get(keyLocation)), Cloud: a.Get(keyCloud), Account: a.Get(keyAccount),
	}
	if c.Location == connections.OnPremises {
		c.Cloud, c.Account = "", ""
		s.Flow.Fill(s.Env, a, cloud.Cloud{}, &c)
	} else if cl, err := s.Env.Clouds.Find(c.Cloud); err == nil && s.Flow.Fill != nil {
		s.Flow.Fill(s.Env, a, cl, &c)
	}
	if s.edit != nil {
		return s.edit.over(s, c)
	}
	return c
}

// Facts is what the answers tell about the connection, to make advice concrete.
func (s *Session) Facts() advice.Facts {
	a := s.answersInForce()
	f := advice.Facts{ClientID: a.Get(keyClientID), TenantID: a.Resolved(keyTenantID), TenantDomain: a.Get(keyTenantID), Account: a.Get(keyAccount), Kind: s.Flow.Kind, Now: s.Env.Clock.Now()}
	if cl, err := s.Env.Clouds.Find(a.Get(keyCloud)); err == nil {
		f.Cloud = cl
	}
	asked := s.asked(a)
	f.Site = asked.Endpoints.SharePoint
	if asked.Location == connections.OnPremises {
		f.OnPremises, f.Account, f.Command = true, asked.Account, "c2conn "+s.Flow.Verb
		if f.Edited = s.edited(); s.edit != nil && !f.Edited {
			f.Connection = s.edit.was.Name
		}
		return f
	}
	if _, asks := s.Flow.Field(keyLogin); asks && a.Get(keyRegistration) != byHand {
		if s.Flow.Kind == "" {
			f.Command = "c2conn " + s.Flow.Verb // a command of its own, not one that makes a connection
		}
		f.Login, f.Bootstrap, f.ClientID = a.Get(keyLogin), a.Get(keyBootstrap), ""
		if f.CredentialType = connections.TypeCertificate; a.Get(keyNewCred) == newSecret {
			f.CredentialType = connections.TypeClientSecret
		}
		st := s.shared()
		st.mu.Lock()
		if st.admin != nil && st.findings == nil { // signed in, but nothing could be read
			c := st.admin.Claims
			f.Admin, f.TenantID = cmp.Or(c.UPN, c.Name, c.AppID), cmp.Or(c.TenantID, f.TenantID)
		}
		st.mu.Unlock()
		if who := s.SignedIn(); who != nil {
			f.Admin, f.TenantID, f.TenantDomain = who.Account, who.Tenant.ID, who.Tenant.Domain
		}
	}
	return f
}

// Load answers the session as the saved connection was made. A client secret is
// not read: its place in the command is enough.
func (s *Session) Load(c connections.Connection) {
	mode := map[string]string{connections.ModeManual: "manual", connections.ModeAutomatic: "auto"}[c.Registration.Mode]
	set := func(key, text string) { s.Answers[key] = Value{Text: text, Origin: FromUser} }
	set(keyLocation, string(c.Location))
	set(keyCloud, c.Cloud)
	set(keyRegistration, mode)
	set(keyAccount, c.Account)
	set(keyClientID, c.Registration.ClientID)
	set(keyTenantID, cmp.Or(c.Tenant.ID, c.Tenant.Domain))
	set(keyName, c.Name)
	switch ref := c.Credential.Secret; {
	case ref.Scheme() == connections.SchemeFile, ref.Scheme() == connections.SchemeEnv, ref.Scheme() == connections.SchemeExec:
		set(keyCredential, byReference)
		set(keyReference, string(ref))
	case c.Credential.Type == connections.TypeCertificate:
		set(keyCredential, byThumbprint)
		set(keyThumbprint, c.Credential.Thumbprint)
	default:
		set(keyCredential, bySecret)
		set(keySecret, "")
	}
	if c.Location == connections.OnPremises { // what is set above is about registrations
		for _, key := range []string{keyCloud, keyRegistration, keyAccount, keyClientID, keyTenantID, keyCredential, keyThumbprint, keySecret, keyReference} {
			delete(s.Answers, key)
		}
	}
	if s.Flow.Load != nil {
		s.Flow.Load(c, set)
	}
}

// Command is the scripted command that does the same again. Secrets and
// passwords appear as a placeholder for a file, never with their value.
func (s *Session) Command() string {
	if s.edit != nil {
		return s.editCommand()
	}
	a := s.answersInForce()
	if v := a[keyCertSum]; v.Text != "" {
		v.Text = trustedSums(a)
		a[keyCertSum] = v
	}
	args := []string{"c2conn"}
	args = append(args, strings.Fields(s.Flow.Verb)...)
	for _, st := range s.Steps() {
		for _, f := range s.Asked(st) {
			if f.Key != keyTrust { // see trustArgs: what was trusted is named
				args = append(args, commandArgs(f, a, s.Env)...)
			}
		}
	}
	if s.Automatic() && !s.Answers.Has(keyIfExists) {
		args = append(args, "--if-exists", registration.ExistsUse) // by then it does
	}
	return strings.Join(append(args, s.trustArgs(a)...), " ")
}

func commandArgs(f Field, a Answers, env *Env) []string {
	v, ok := a[f.Key]
	// A script must name its result and the account; all other defaults are the same there.
	proposed := f.Input == Text && v.Origin == FromDefault || f.Default != nil && v.Text == f.Default(env, a)
	if !ok || proposed && f.FlagName() != "" && f.Key != keyName && f.Key != keyAccount {
		return nil
	}
	if f.Input == Choice {
		for _, o := range f.Options(env) {
			if o.Value == v.Text && o.Flag != "" {
				return []string{"--" + o.Flag}
			}
		}
	}
	name := f.FlagName()
	switch {
	case name == "", f.Input != Secret && v.Text == "":
		return nil
	case f.Input == Secret && v.Origin == FromFile:
		return []string{"--" + name + "-file", advice.ShellWord(v.From)}
	case f.Input == Secret && v.Origin == FromStdin:
		return []string{"--" + name + "-stdin"}
	case f.Input == Secret:
		return []string{"--" + name + "-file", "FILE"}
	}
	return []string{"--" + name, advice.ShellWord(v.Text)}
}
