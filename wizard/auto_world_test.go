package wizard

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/graph"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
)

// The world of automatic registration in the drivers' tests: sign-ins, looks at the
// tenant and rollbacks that go as a test wants, without a network. The plans are
// real ones.

const testRun = "01KAA0000000000000000000RN"

// stillClock shows testNow for ever.
type stillClock struct{}

func (stillClock) Now() time.Time { return testNow }

func (stillClock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

var testClouds = sync.OnceValue(func() *cloud.Set {
	set, err := cloud.Load(filepath.Join(os.TempDir(), "c2conn-no-such-folder"))
	if err != nil {
		panic(err)
	}
	return set
})

// found is what a look at the test's tenant finds.
func found() *registration.Findings { return foundFor(connections.Exchange) }

func foundFor(kind connections.Kind) *registration.Findings {
	f := &registration.Findings{
		Tenant: connections.Tenant{ID: testTenantID, Domain: "contoso.onmicrosoft.com", Name: "Contoso"}, Account: "admin@contoso.com",
		Me:        graph.User{UPN: "admin@contoso.com", Mail: "admin@contoso.com", DisplayName: "Admin Contoso"},
		Roles:     []graph.DirectoryRole{{Name: "Global Administrator", TemplateID: "62e90394-69f5-4237-9190-012177145e10"}},
		May:       registration.May{Register: registration.Yes, ConsentExchange: registration.Yes, ConsentGraph: registration.Yes},
		Resources: map[string]graph.ServicePrincipal{},
	}
	for _, p := range registration.Catalogue(registration.Purpose{Kind: kind}) {
		sp := f.Resources[p.ResourceAppID]
		sp.AppID, sp.ObjectID, sp.Enabled = p.ResourceAppID, "aaaaaaaa-0000-4000-8000-"+p.ResourceAppID[24:], true
		sp.Roles = append(sp.Roles, graph.AppRole{ID: p.RoleID, Value: p.Role, Enabled: true, ForApplications: true})
		f.Resources[p.ResourceAppID] = sp
	}
	return f
}

// halfAdmin is an account that cannot consent to Microsoft Graph's permissions.
func halfAdmin(f *registration.Findings) {
	f.Roles = []graph.DirectoryRole{{Name: "Application Administrator", TemplateID: "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"}}
	f.May.ConsentGraph = registration.No
	f.Account, f.Me = "app.admin@contoso.com", graph.User{UPN: "app.admin@contoso.com"}
	f.Notes = []string{
		"By the active roles of app.admin@contoso.com (Application Administrator) permissions on Microsoft Graph cannot be granted. " +
			"Everything else will be done; then a Global Administrator or Privileged Role Administrator has to consent.",
		"If you use Privileged Identity Management, activate the role and then sign in again: the sign-in that you have does not gain it.",
	}
}

// sameName is a tenant that has the application already.
func sameName(f *registration.Findings) {
	f.Same = []registration.Existing{{
		Application: graph.Application{
			ObjectID: "bbbbbbbb-0000-4000-8000-000000000001", AppID: testClientID, DisplayName: "CodeTwo Backup Exchange", SignInAudience: "AzureADMyOrg",
			Created: testNow.AddDate(-1, -2, 0), Keys: []graph.Key{{ID: "k1", End: testNow.AddDate(3, 10, 0)}},
		},
		Owners:    []graph.Owner{{UPN: "meike@contoso.com"}},
		Principal: graph.ServicePrincipal{ObjectID: "cccccccc-0000-4000-8000-000000000001"},
	}}
}

// know makes the session one in which somebody has signed in and f was found.
func (s *Session) know(f *registration.Findings) {
	st := s.shared()
	cl, _ := s.Env.Clouds.Find(s.Value(keyCloud).Text)
	st.mu.Lock()
	st.admin = &registration.Admin{Claims: entra.AdminClaims{TenantID: f.Tenant.ID, UPN: f.Account}}
	st.findings, st.wish = f, registration.Wish{Cloud: cl, AppName: s.Value(keyAppName).Text}
	st.mu.Unlock()
	s.remember(f)
}

var (
	browserPrompt = SignInPrompt{
		Method: LoginBrowser, Until: testNow.Add(4*time.Minute + 32*time.Second), Opened: true,
		URL: "https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize?client_id=04b07795-8ddb-461a-bbee-02f9e1bf7b46&" +
			"code_challenge=Zk3vXwY0y1yH2pXbq5mZy8eK9a7b6c5d4e3f2g1h0ij&code_challenge_method=S256&prompt=select_account&" +
			"redirect_uri=http%3A%2F%2Flocalhost%3A40123&response_mode=form_post&response_type=code&" +
			"scope=https%3A%2F%2Fgraph.microsoft.com%2F.default+openid+profile+offline_access&state=9f8e7d6c5b4a39281706f5e4d3c2b1a0",
	}
	codePrompt = SignInPrompt{Method: LoginDeviceCode, Code: "FJC3GH2K9", URL: "https://login.microsoft.com/device", Until: testNow.Add(14*time.Minute + 53*time.Second)}
)

// signingIn is a sign-in that shows what is to be done and succeeds with f; with a
// nil f it waits for ever.
func signingIn(f *registration.Findings) func(context.Context, *Session, func(SignInPrompt)) error {
	return func(ctx context.Context, s *Session, show func(SignInPrompt)) error {
		if s.Value(keyLogin).Text == LoginDeviceCode {
			show(codePrompt)
		} else {
			show(browserPrompt)
		}
		if f == nil {
			<-ctx.Done()
			return ctx.Err()
		}
		s.know(f)
		return nil
	}
}

func refusing(err error) func(context.Context, *Session, func(SignInPrompt)) error {
	return func(context.Context, *Session, func(SignInPrompt)) error { return err }
}

// blockedCode is what Entra ID answers where a policy forbids the device code.
func blockedCode() error {
	return &entra.Error{OAuth: "invalid_grant", Codes: []int{53003}, TraceID: "3f2a6c1e-0000-4000-8000-000000000002",
		Description: "AADSTS53003: Access has been blocked by Conditional Access policies."}
}

// autoDeeds are deeds that go well.
func autoDeeds(f *registration.Findings) deeds {
	return deeds{
		configure: registering(fine()), save: func(context.Context, *Session, *Outcome) error { return nil },
		signIn: signingIn(f),
		look: func(_ context.Context, s *Session) error {
			s.know(f)
			return nil
		},
		rollback: func(_ context.Context, s *Session, run string, listen func(task.Event)) error {
			for _, title := range []string{"Remove the application", "Remove the credential from this computer"} {
				r := pass(title, title, "")
				listen(task.Event{Kind: task.Started, ID: title, Title: title})
				listen(task.Event{Kind: task.Finished, ID: title, Title: title, Result: &r})
			}
			if s.begun() == run {
				s.letGo()
			}
			return nil
		},
		unfinished: func(context.Context, *Session) ([]registration.Unfinished, error) { return nil, nil },
	}
}

// registered is what the tasks of a registration find.
func registered() []task.Result {
	return []task.Result{
		pass("key", "Key pair", "2048 bits, made now"),
		pass("application", "Application", "client id "+testClientID),
		pass("service-principal", "Service principal", "object id cccccccc-0000-4000-8000-000000000002"),
		pass("consent", "Admin consent", "5 permissions"),
		pass("ready", "Application sign-in", "with all 5 permissions"),
	}
}

// registering is a Configure that registers, and whose checks find results.
func registering(results []task.Result) func(context.Context, *Session, func(task.Event)) (*Outcome, error) {
	return func(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		s.begin()
		out, err := ending(append(registered(), results...))(ctx, s, listen)
		out.Run = testRun
		out.Connection.Tenant, out.Connection.Registration.ClientID = found().Tenant, testClientID
		out.Connection.Cloud = "global"
		return out, err
	}
}

func (s *Session) begin() {
	st := s.shared()
	st.mu.Lock()
	st.run = testRun
	st.mu.Unlock()
}

// waiting is a Configure that registers without consent to Graph's permissions.
func waiting(ctx context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
	results := fine()
	for i := 1; i < len(results); i++ {
		results[i] = task.Result{ID: results[i].ID, Title: results[i].Title, Status: task.Skip, Finding: "not run: consent is missing"}
	}
	out, err := registering(results)(ctx, s, listen)
	for _, p := range registration.Catalogue(registration.Purpose{Kind: connections.Exchange}) {
		if p.Resource == registration.Graph {
			out.Missing = append(out.Missing, p)
		}
	}
	out.Verified, out.Waiting, out.Report.State = false, true, connections.StateWaiting
	i := 3
	out.Report.Results[i] = task.Result{ID: "consent", Title: "Admin consent", Status: task.Warn, Finding: "1 of 5, 4 need another administrator"}
	return out, err
}

// breaking is a Configure whose registration breaks off with err.
func breaking(err error) func(context.Context, *Session, func(task.Event)) (*Outcome, error) {
	return func(_ context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		s.begin()
		steps := registered()
		for i, r := range steps[:3] {
			if i == 2 {
				r = task.Result{ID: r.ID, Title: r.Title, Status: task.Fail, Finding: "the service is unavailable", Err: err}
			}
			listen(task.Event{Kind: task.Started, ID: r.ID, Title: r.Title})
			listen(task.Event{Kind: task.Finished, ID: r.ID, Title: r.Title, Result: &r})
		}
		return nil, &HalfwayError{Run: testRun, AppName: "CodeTwo Backup Exchange", Err: err}
	}
}

// strict is a tenant whose policy could be read.
func strict(f *registration.Findings) *registration.Findings {
	f.Policy = &graph.AppPolicy{ID: "dddddddd-0000-4000-8000-000000000001", Enabled: true, KeyLifetime: 180 * 24 * time.Hour}
	return f
}

func lifetime() error {
	return &advice.PolicyLifetimeError{Wanted: 1826 * 24 * time.Hour, Allowed: 180 * 24 * time.Hour, Err: errors.New("refused")}
}

// unfinished is what an earlier run has left.
func unfinished() registration.Unfinished {
	return registration.Unfinished{
		Run: testRun, At: testNow.Add(-26 * time.Hour), Cloud: "global", Tenant: found().Tenant, Account: "admin@contoso.com", Kind: connections.Exchange,
		Connection: "contoso-exchange", AppName: "CodeTwo Backup Exchange", Action: registration.ActionCreate, AppID: testClientID,
		CredentialType: connections.TypeCertificate, Last: "create the service principal (sent)",
	}
}

func leftBy(list ...registration.Unfinished) func(context.Context, *Session) ([]registration.Unfinished, error) {
	return func(context.Context, *Session) ([]registration.Unfinished, error) { return list, nil }
}
