package wizard

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/registration"
)

// Login is how an administrator signs in, and to which tenant of which cloud.
type Login struct {
	Method    string // LoginBrowser, LoginDeviceCode, LoginApp or LoginToken
	Cloud     cloud.Cloud
	Tenant    string             // id or domain; empty for the account's own
	Bootstrap string             // client id used for signing in; empty for the built-in one
	Token     connections.Secret // with LoginToken
	ClientID  string             // with LoginApp
	App       entra.Credential   // with LoginApp
}

// SignInPrompt is what an administrator has to do to sign in: open a page, or enter
// a code there.
type SignInPrompt struct {
	Method string // LoginBrowser or LoginDeviceCode
	URL    string
	Code   string    // with LoginDeviceCode only
	Until  time.Time // when it is too late
	Opened bool      // a browser of this computer is being told to open the page
	Client string    // the application that Microsoft's page will name
}

// clientName is how Microsoft's sign-in page calls the client that is signed in with.
func clientName(bootstrap string) string {
	switch strings.ToLower(bootstrap) {
	case "", entra.AzureCLI:
		return "Microsoft Azure CLI"
	case entra.GraphCLI:
		return "Microsoft Graph Command Line Tools"
	}
	return "the application " + bootstrap
}

// login is what the answers say of signing in.
func (s *Session) login(a Answers) (Login, error) {
	cl, err := s.Env.Clouds.Find(a.Get(keyCloud))
	if err != nil {
		return Login{}, err
	}
	l := Login{Method: a.Get(keyLogin), Cloud: cl, Tenant: a.Resolved(keyTenantID), Bootstrap: a.Get(keyBootstrap), Token: a[keyAccessToken].Secret}
	if l.Method != LoginApp {
		return l, nil
	}
	l.ClientID = a.Get(keyLoginClient)
	l.App.Secret = connections.NewSecret(trim(string(a[keyLoginSecret].Secret.Reveal())))
	if path := a.Get(keyLoginCert); path != "" {
		data, err := s.Env.ReadFile(expandHome(s.Env, path))
		if err != nil {
			return l, problem(s, keyLoginCert, err)
		}
		id, err := certs.Parse(data, string(a[keyLoginPass].Secret.Reveal()))
		if err != nil {
			return l, problem(s, keyLoginCert, err)
		}
		l.App.Identity = &id
	}
	switch {
	case l.App.Identity == nil && l.App.Secret.IsZero():
		return l, problem(s, keyLoginCert, errors.New("an application signs in with a certificate file or a client secret; give one"))
	case l.App.Identity != nil && !l.App.Secret.IsZero():
		return l, problem(s, keyLoginCert, errors.New("a certificate and a client secret were given; one is enough"))
	case l.Tenant == "":
		return l, problem(s, keyTenantID, errors.New("an application signs in to one tenant: say which"))
	}
	return l, nil
}

// Administrator signs an administrator in. show is told what the administrator has
// to do, and must not block; with LoginApp and LoginToken there is nothing to do.
// The token stays in memory, with the value that is returned.
//
// Errors: those of entra.User, entra.GivenToken and entra.App.
func (env *Env) Administrator(ctx context.Context, l Login, show func(SignInPrompt)) (*registration.Admin, error) {
	client, err := env.HTTP(l.Cloud)
	if err != nil {
		return nil, err
	}
	who, err := env.signIn(ctx, client, l, show)
	if err != nil {
		return nil, err
	}
	g, err := graph.New(graph.Options{BaseURL: l.Cloud.GraphBase(), Token: who.Token, HTTP: client, Clock: env.Clock})
	if err != nil {
		return nil, err
	}
	return &registration.Admin{Graph: g, Claims: who.Claims()}, nil
}

func (env *Env) signIn(ctx context.Context, client *http.Client, l Login, show func(SignInPrompt)) (*entra.Admin, error) {
	switch l.Method {
	case LoginToken:
		admin, err := entra.GivenToken(l.Token, l.Cloud, env.Clock.Now())
		if err != nil {
			return nil, err
		}
		if isGUID(l.Tenant) {
			err = admin.InTenant(l.Tenant)
		}
		return admin, err
	case LoginApp:
		app, err := entra.NewApp(entra.AppOptions{Cloud: l.Cloud, TenantID: l.Tenant, ClientID: l.ClientID, Credential: l.App, HTTP: client, Now: env.Clock.Now, Rand: env.Rand})
		if err != nil {
			return nil, err
		}
		return entra.AppAdmin(ctx, app, l.Cloud.GraphScope())
	}
	user, err := entra.NewUser(entra.UserOptions{Cloud: l.Cloud, Tenant: l.Tenant, ClientID: l.Bootstrap, HTTP: client, Clock: env.Clock, Rand: env.Rand})
	if err != nil {
		return nil, err
	}
	if l.Method == LoginDeviceCode {
		return user.DeviceCode(ctx, func(p entra.DevicePrompt) {
			show(SignInPrompt{Method: LoginDeviceCode, URL: p.URL, Code: p.Code, Until: p.Until, Client: clientName(l.Bootstrap)})
		})
	}
	return user.Browser(ctx, func(p entra.BrowserPrompt) {
		prompt := SignInPrompt{Method: LoginBrowser, URL: p.URL, Until: p.Until, Client: clientName(l.Bootstrap), Opened: env.OpenBrowser != nil}
		show(prompt) // first: an opener may take seconds
		if prompt.Opened && env.OpenBrowser(ctx, p.URL) != nil {
			prompt.Opened = false
			show(prompt)
		}
	})
}

// SignInFlow asks for nothing but a sign-in, for the commands that change or read
// something in a tenant. Its answers are given by flags and variables like those of
// any flow; Session.Administrator carries them out.
func SignInFlow(verb string) *Flow {
	return &Flow{Verb: verb, Steps: []Step{{
		ID: "sign-in", Title: "Administrator sign-in",
		Fields: append([]Field{cloudField()}, append(loginFields(), tenantOfAccount())...),
		Action: SignIn,
	}}}
}

// tenantOfAccount asks for the tenant where an account may belong to several.
func tenantOfAccount() Field {
	f := tenantField("Only where your account belongs to several tenants; empty for its own.")
	f.Optional = true
	return f
}

// Administrator signs in as the answers say; see Env.Administrator.
func (s *Session) Administrator(ctx context.Context, show func(SignInPrompt)) (*registration.Admin, error) {
	if problems := s.Ready(); len(problems) > 0 {
		return nil, &ProblemsError{Problems: problems}
	}
	login, err := s.login(s.answersInForce())
	if err != nil {
		return nil, err
	}
	return s.Env.Administrator(ctx, login, show)
}
