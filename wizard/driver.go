package wizard

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// deeds are what the screen and the plain dialogue have done for them, in the
// background. Tests put others in their place.
type deeds struct {
	configure  func(context.Context, *Session, func(task.Event)) (*Outcome, error)
	save       func(context.Context, *Session, *Outcome) error
	signIn     func(context.Context, *Session, func(SignInPrompt)) error
	look       func(context.Context, *Session) error
	rollback   func(ctx context.Context, s *Session, run string, listen func(task.Event)) error
	unfinished func(context.Context, *Session) ([]registration.Unfinished, error)
}

func realDeeds() deeds {
	return deeds{
		configure: func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
			return s.Configure(ctx, listen)
		},
		save: func(ctx context.Context, s *Session, out *Outcome) error {
			_, err := s.Save(ctx, out)
			return err
		},
		signIn: func(ctx context.Context, s *Session, show func(SignInPrompt)) error { return s.SignIn(ctx, show) },
		look:   func(ctx context.Context, s *Session) error { return s.Look(ctx) },
		rollback: func(ctx context.Context, s *Session, run string, listen func(task.Event)) error {
			return s.Rollback(ctx, run, listen)
		},
		unfinished: func(ctx context.Context, s *Session) ([]registration.Unfinished, error) { return s.Unfinished(ctx) },
	}
}

// learn takes over what work on a fork has found out.
func (s *Session) learn(fork *Session) {
	if fork.Answers.Get(foundSum) != s.Answers.Get(foundSum) {
		delete(s.Answers, keyTrust) // it was about another certificate
	}
	for key, v := range fork.Answers {
		if strings.HasPrefix(key, "found.") {
			s.Answers[key] = v
		}
	}
}

// signedInHere is SignedIn, but nil when the answers have come to mean another
// cloud or another tenant since.
func (s *Session) signedInHere() *SignedIn {
	who := s.SignedIn()
	if who == nil {
		return nil
	}
	st, a := s.shared(), s.answersInForce()
	st.mu.Lock()
	there := st.wish.Cloud.Name
	st.mu.Unlock()
	if tenant := a.Resolved(keyTenantID); there != a.Get(keyCloud) || isGUID(tenant) && !strings.EqualFold(tenant, who.Tenant.ID) {
		return nil
	}
	return who
}

// begun is the registration that was begun in this session, or by the run that it
// goes on with; "" when there is none.
func (s *Session) begun() string {
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.run
}

// left adds to the error with which a dialogue ends what it leaves behind.
func (s *Session) left(err error) error {
	run := s.begun()
	if run == "" || err == nil {
		return err
	}
	return &HalfwayError{Run: run, AppName: s.Value(keyAppName).Text, Err: err}
}

// letGo leaves the registration of an earlier run as it is.
func (s *Session) letGo() {
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.run = ""
}

// cleanup is an unfinished registration that is to be removed once somebody has
// signed in for it.
type cleanup struct {
	run    string
	before Answers // as they were before
}

// cleaning makes the session sign in to where the registration is.
func (s *Session) cleaning(u registration.Unfinished) *cleanup {
	c := &cleanup{run: u.Run, before: s.Answers.Clone()}
	s.Resume(u)
	return c
}

// done gives the session its answers back, but for what the sign-in depended on and
// has found.
func (c *cleanup) done(s *Session) {
	fork := s.fork()
	s.Answers = c.before
	for _, key := range []string{keyLocation, keyCloud, keyTenantID, keyRegistration, keyLogin} {
		if v, ok := fork.Answers[key]; ok {
			s.Answers[key] = v
		}
	}
	s.learn(fork)
	s.letGo()
}

// proposal is what the Plan step shows.
type proposal struct {
	plan registration.Plan
	same []string // the registrations of the wished name, in words
	err  error    // why there is no plan; *advice.ExistsError: the user has to choose
}

// propose makes the plan. It may read a certificate file.
func (s *Session) propose() proposal {
	var p proposal
	p.plan, p.err = s.Plan()
	bare := s.fork()
	delete(bare.Answers, keyIfExists)
	delete(bare.Answers, keyUseApp)
	_, err := bare.Plan()
	var exists *advice.ExistsError
	if errors.As(err, &exists) {
		p.same = exists.Found
	}
	return p
}

// undecided says what has to be chosen before there can be a plan; "" for nothing.
func (s *Session) undecided(p proposal) string {
	var exists *advice.ExistsError
	if !errors.As(p.err, &exists) {
		return ""
	}
	if s.Value(keyIfExists).Text == registration.ExistsUse {
		return "Give the client ID of the one to use."
	}
	return "Choose what to do about it, or go back and change the name."
}

// consentLink is where an administrator consents to what is missing.
func (s *Session) consentLink(out *Outcome) string {
	cl, err := s.Env.Clouds.Find(out.Connection.Cloud)
	if err != nil {
		return ""
	}
	return cl.AdminConsent(out.Connection.Tenant.ID, out.Connection.Registration.ClientID)
}

// consentWords say what is missing and who can give it.
func consentWords(out *Outcome) string {
	var roles []string
	for _, p := range out.Missing {
		roles = append(roles, p.Marked())
	}
	return "The application is registered. An administrator still has to consent to " + strings.Join(roles, ", ") +
		": a Global Administrator or Privileged Role Administrator opens this address and accepts. It holds no secret."
}

// adviseSignIn is the advice for a sign-in, or what follows from one, that failed.
func (s *Session) adviseSignIn(err error) *advice.Advice {
	f := s.Facts()
	f.Login, f.Bootstrap = s.Value(keyLogin).Text, s.Value(keyBootstrap).Text
	if who := s.SignedIn(); who != nil {
		f.Admin, f.TenantID, f.TenantDomain = who.Account, who.Tenant.ID, who.Tenant.Domain
	}
	if a := advice.For(err, f); a != nil {
		return a
	}
	return &advice.Advice{What: err.Error()}
}

// otherWay is the other way in which a person can sign in; "" for those who
// cannot.
func otherWay(login string) string {
	switch login {
	case LoginBrowser:
		return LoginDeviceCode
	case LoginDeviceCode:
		return LoginBrowser
	}
	return ""
}

// otherWords name a way of signing in inside a sentence.
func otherWords(login string) string {
	if login == LoginBrowser {
		return "in a browser on this computer"
	}
	return "with a code, in a browser on any device"
}

// pageNames is what Microsoft's page says of who wants to sign in.
func (s *Session) pageNames() string {
	const why = ": that is the client used for signing in."
	switch id := s.Value(keyBootstrap).Text; id {
	case "", entra.AzureCLI:
		return "The page names “Microsoft Azure CLI”" + why
	case entra.GraphCLI:
		return "The page names “Microsoft Graph Command Line Tools”" + why
	default:
		return "The page names the application " + id + why
	}
}

// allowance is the life of a credential that the tenant's policy allows, as answer
// to the question for days, when err is a refusal of a longer one: what the policy
// says, or Longest where it could not be read. "" when there is nothing to propose.
func (s *Session) allowance(err error) string {
	var refused *advice.PolicyLifetimeError
	if !errors.As(err, &refused) || s.Value(keyNewCred).Text == ownFile {
		return ""
	}
	st := s.shared()
	st.mu.Lock()
	defer st.mu.Unlock()
	days := Longest
	if f := st.findings; f != nil && f.Policy != nil && refused.Allowed >= 24*time.Hour && (refused.Allowed == f.Policy.KeyLifetime || refused.Allowed == f.Policy.SecretLifetime) {
		days = strconv.Itoa(int(refused.Allowed / (24 * time.Hour)))
	}
	if s.Answers.Get(keyCertDays) == days {
		return "" // it was refused as well
	}
	return days
}

// allowanceWords ask whether to take it.
func (s *Session) allowanceWords(days string) string {
	what := s.newCredentialWord()
	if days == Longest {
		return "This tenant does not allow a " + what + " that lives this long. Use one that lives as long as the tenant takes?"
	}
	return "This tenant allows " + days + " days at most. Use a " + what + " of " + days + " days?"
}

// newCredentialWord is what the registration makes.
func (s *Session) newCredentialWord() string {
	if s.Value(keyNewCred).Text == newSecret {
		return "client secret"
	}
	return "certificate"
}

// unfinishedWords tell of a registration that an earlier run has left: what, where,
// when, by whom and how far.
func unfinishedWords(u registration.Unfinished) string {
	text := "On " + u.At.UTC().Format("2006-01-02 15:04 UTC")
	if u.Account != "" {
		text += " " + u.Account
	} else {
		text += " somebody"
	}
	text += " began to register “" + u.AppName + "”"
	if where := tenantWords(u.Tenant.Name, u.Tenant.Domain, u.Tenant.ID); where != "" {
		text += " in " + where
	}
	text += ", and that run did not end."
	switch {
	case u.RollingBack:
		text += " It was being removed again."
	case u.AppID != "":
		text += " The application is in the tenant; its client ID is " + u.AppID + "."
	}
	if u.Last != "" {
		text += " Last step: " + u.Last + "."
	}
	return text
}

func tenantWords(name, domain, id string) string {
	switch {
	case name != "" && domain != "":
		return name + " (" + domain + ")"
	case name+domain != "":
		return name + domain
	}
	return id
}

// keptWords say what becomes of what a registration has made when it is left as it is.
func (s *Session) keptWords() string {
	return "What has been made stays in your tenant. The next c2conn " + s.Flow.Verb + " offers to go on with it; c2conn app cleanup removes it."
}
