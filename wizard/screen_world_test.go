package wizard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// The world of the drivers' tests: the real flow, whose look-ups answer without a
// network, and runs of Configure that go as a test wants.

const (
	testClientID = "2f1c9e1a-0000-4000-8000-0000000077aa"
	testTenantID = "11111111-2222-4333-8444-555555555555"
	testThumb    = "AB12CD34EF56AB12CD34EF56AB12CD34EF56AB12"
)

// testFlow is the Exchange flow with look-ups that answer from a table.
func testFlow() *Flow { return tabled(Exchange()) }

// tabled gives a flow look-ups that answer from a table.
func tabled(flow *Flow) *Flow {
	for i := range flow.Steps {
		for j := range flow.Steps[i].Fields {
			f := &flow.Steps[i].Fields[j]
			switch f.Key {
			case keyCloud:
				f.Options = Fixed(
					Option{Value: "global", Title: "Microsoft 365 worldwide (GCC included)"},
					Option{Value: "usgov", Title: "Microsoft 365 US Government GCC High (L4)"},
					Option{Value: "dod", Title: "Microsoft 365 US Government DoD (L5)"},
					Option{Value: "china", Title: "Microsoft 365 in China, operated by 21Vianet"})
			case keyTenantID:
				f.Lookup = answer(func(a Answers) (string, string, error) {
					switch v := a.Get(keyTenantID); {
					case isGUID(v):
						return "", v, nil
					case v == "contoso.onmicrosoft.com" || v == "contoso.com":
						return "→ " + testTenantID + " (found)", testTenantID, nil
					default:
						return "", "", fmt.Errorf("no tenant has the domain %s in the cloud %s; is it spelled right?", v, a.Get(keyCloud))
					}
				})
			case keyThumbprint:
				f.Lookup = answer(func(a Answers) (string, string, error) {
					if v := a.Get(keyThumbprint); v != testThumb {
						return "", "", errors.New("no certificate with this thumbprint is in your personal store")
					}
					return "AB12CD34… CN=c2conn, until 2031-11-22", testThumb, nil
				})
				f.Suggest = func(context.Context, *Env, Answers) []Option {
					return []Option{
						{Value: testThumb, Title: "AB12CD34… CN=c2conn, until 2031-11-22"},
						{Value: "0123456789ABCDEF0123456789ABCDEF01234567", Title: "01234567… CN=Contoso backup, until 2027-02-01"},
					}
				}
			case keyCertFile:
				f.Lookup = answer(func(a Answers) (string, string, error) {
					if a.Get(keyCertFile) != "/certs/app.pfx" {
						return "", "", fmt.Errorf("open %s: no such file", a.Get(keyCertFile))
					}
					switch string(a[keyCertPassword].Secret.Reveal()) {
					case "":
						return "", "", certs.ErrPasswordNeeded
					case "open sesame":
						return "AB12CD34… CN=c2conn, until 2031-11-22", testThumb, nil
					}
					return "", "", certs.ErrWrongPassword
				})
			case keyAccount:
				if f.Lookup != nil {
					f.Lookup = answer(func(a Answers) (string, string, error) {
						if a.Get(keyAccount) == "taken@contoso.com" {
							return "", "", &connections.AccountTakenError{Account: "taken@contoso.com", By: "contoso-target"}
						}
						return "", a.Get(keyAccount), nil
					})
				}
			case keyReference:
				f.Lookup = answer(func(Answers) (string, string, error) { return "a client secret", "client-secret", nil })
			case keyName:
				f.Lookup = answer(func(a Answers) (string, string, error) {
					if a.Get(keyName) == "taken" {
						return "", "", fmt.Errorf("%w: choose another name, or see what it is with: c2conn show taken", connections.ErrExists)
					}
					return "", a.Get(keyName), nil
				})
			}
		}
	}
	return flow
}

func answer(from func(Answers) (string, string, error)) func(context.Context, *Env, Answers) (string, string, error) {
	return func(ctx context.Context, _ *Env, a Answers) (string, string, error) {
		if ctx.Err() != nil {
			return "", "", ctx.Err()
		}
		return from(a)
	}
}

// testSession is a session without answers.
func testSession() *Session { return testSessionOf(testFlow()) }

func testSessionOf(flow *Flow) *Session {
	return NewSession(flow, &Env{Getenv: func(string) string { return "" }, Clouds: testClouds(), Clock: stillClock{}, BrowserLikely: true})
}

// answered is a session with every answer but the name.
func answered() *Session {
	s := testSession()
	for _, a := range [][2]string{
		{keyAccount, "admin@contoso.com"}, {keyClientID, testClientID}, {keyTenantID, "contoso.onmicrosoft.com"},
		{keyCredential, byThumbprint}, {keyThumbprint, testThumb},
	} {
		if err := s.Set(a[0], a[1], FromUser, ""); err != nil {
			panic(err)
		}
	}
	for _, key := range []string{keyTenantID, keyThumbprint} {
		if err := s.Lookup(context.Background(), key); err != nil {
			panic(err)
		}
	}
	return s
}

var testNow = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// blocked is what the tasks find in a tenant that blocks EWS.
func blocked() []task.Result {
	return []task.Result{
		pass("certificate", "Certificate", "2048 bits, 4 y 364 d left"),
		pass("token.graph", "Microsoft Graph token", "12 roles"),
		pass("token.exchange", "Exchange Online token", "1 role"),
		{ID: "permissions", Title: "Permissions", Status: task.Warn, Finding: "5 of 5, 1 superfluous: Directory.ReadWrite.All",
			Advice: &advice.Advice{What: "The application has a permission that c2conn does not use.", Why: "Directory.ReadWrite.All was granted as well.",
				Next: []string{"Remove it under API permissions, or leave it."}, Codes: []string{}}},
		pass("graph.organization", "Tenant", "Contoso, contoso.onmicrosoft.com"),
		pass("graph.user", "Dedicated account", "Admin Contoso"),
		pass("graph.groups", "Groups", ""),
		{ID: "graph.mailbox-settings", Title: "Mailbox settings", Status: task.Skip, Finding: "not run: Dedicated account was skipped"},
		{ID: "ews", Title: "Exchange Web Services", Status: task.Fail, Finding: "blocked by this tenant", Duration: 1230 * time.Millisecond,
			Advice: &advice.Advice{
				What: "Exchange Online answered 403: \"EWS is blocked by policy for this user or tenant\".",
				Why:  "Since October 2026 Exchange Online lets only listed applications use Exchange Web Services, and this one is not on the list.",
				Next: []string{
					"Run as Exchange administrator; this keeps what is on the list:",
					"PS> $ids = (Get-OrganizationConfig).EwsAppIDAllowList",
					"PS> Set-OrganizationConfig -EwsAppIDAllowList (@($ids) + '" + testClientID + "' | Select-Object -Unique)",
					"Wait up to 24 hours, then check again:",
					"$ c2conn verify contoso-exchange",
				},
				Link:  "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/deprecation-of-ews-exchange-online",
				Codes: []string{"EwsBlocked", "403"}, TraceID: "3f2a6c1e-0000-4000-8000-000000000001", Time: testNow,
			}},
	}
}

// fine is what the tasks find when nothing is wrong.
func fine() []task.Result {
	list := blocked()
	list[3] = pass("permissions", "Permissions", "5 of 5, none superfluous")
	list[7] = pass("graph.mailbox-settings", "Mailbox settings", "user mailbox")
	list[8] = pass("ews", "Exchange Web Services", "Inbox of admin@contoso.com, 42 items")
	return list
}

func pass(id, title, finding string) task.Result {
	return task.Result{ID: id, Title: title, Status: task.Pass, Finding: finding, Duration: 120 * time.Millisecond}
}

// ending is a Configure that finds results at once.
func ending(results []task.Result) func(context.Context, *Session, func(task.Event)) (*Outcome, error) {
	return func(_ context.Context, s *Session, listen func(task.Event)) (*Outcome, error) {
		out := &Outcome{Verified: true, Connection: connections.Connection{Name: s.Value(keyName).Text}}
		out.Report = verify.Report{Results: results, State: connections.StateVerified}
		for _, r := range results {
			listen(task.Event{Kind: task.Started, ID: r.ID, Title: r.Title, At: testNow})
			listen(task.Event{Kind: task.Finished, ID: r.ID, Title: r.Title, At: testNow, Result: &r})
			if r.Status == task.Fail {
				out.Verified, out.Report.State = false, connections.StateFailed
			}
		}
		return out, nil
	}
}
