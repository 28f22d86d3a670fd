package psremoting_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/c2conn/c2conn/internal/psremoting"
	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

// exchange is the simulated endpoint of Exchange Server.
func exchange(t *testing.T, change func(*psrp.Options)) (*psrp.Server, *httptest.Server) {
	t.Helper()
	o := org.New(org.Options{Domain: "corp.test", NetBIOS: "CORP", Now: time.Now})
	for i := range 60 {
		name := fmt.Sprintf("user%02d", i)
		o.Add(org.User{SAM: name, DisplayName: "User <" + name + "> & Co", UPN: name + "@corp.test", Address: name + "@corp.test", Server: "EXCH01", Database: "DB01"})
	}
	o.Add(org.User{SAM: "exadmin", DisplayName: "Exchange Admin", UPN: "exadmin@corp.test", Address: "exadmin@corp.test", Server: "EXCH01", Database: "DB01"})
	o.Add(org.User{SAM: "viewer", UPN: "viewer@corp.test"})
	o.Add(org.User{SAM: "norps", UPN: "norps@corp.test", NoRemotePowerShell: true})
	o.Add(org.User{SAM: "nobody", UPN: "nobody@corp.test"})
	o.Join("Organization Management", "exadmin")
	o.Join("Organization Management", "norps")
	o.Join("View-Only Organization Management", "viewer")
	o.AddServer(org.Server{Name: "EXCH01", FQDN: "exch01.corp.test", Version: "Version 15.2 (Build 1748.10)"})
	options := psrp.Options{Organisation: o, Server: "exch01.corp.test", Now: time.Now, User: func(r *http.Request) string {
		name, _, _ := r.BasicAuth()
		return name
	}}
	if change != nil {
		change(&options)
	}
	s := psrp.New(options)
	t.Cleanup(s.Close)
	h := httptest.NewUnstartedServer(s)
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(h.Close)
	return s, h
}

// as signs in with a name.
func as(h *httptest.Server, user string) Options {
	c := *h.Client()
	c.Transport = signedIn{c.Transport, user}
	return Options{URL: h.URL + "/PowerShell/", HTTP: &c, Limit: 5 * time.Minute, CloseLimit: time.Minute}
}

type signedIn struct {
	next http.RoundTripper
	user string
}

func (s signedIn) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.user != "" {
		r = r.Clone(r.Context())
		r.SetBasicAuth(s.user, "x")
	}
	return s.next.RoundTrip(r)
}

func TestExchange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*psrp.Options){
		"as it is": nil, "small fragments": func(o *psrp.Options) { o.FragmentSize = 100 }, "without Running": func(o *psrp.Options) { o.SkipRunning = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h := exchange(t, change)
			session, err := Open(t.Context(), as(h, "exadmin@corp.test"))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(s.Open()); n != 1 {
				t.Errorf("%d shells", n)
			}
			out, err := session.Run(t.Context(), command("Get-Mailbox", String("ResultSize", "unlimited"), Strings("RecipientTypeDetails", "UserMailbox", "SharedMailbox")))
			if err != nil || len(out.Objects) != 61 {
				t.Fatalf("%d %v", len(out.Objects), err)
			}
			first := out.Objects[1] // sorted by name: "Exchange Admin" comes before
			if v, _ := first.Get("DisplayName"); v.Text != "User <user00> & Co" || !strings.HasSuffix(first.Types[0], ".Mailbox") {
				t.Errorf("%v %v", v, first.Types)
			}
			if v, _ := first.Get("PrimarySmtpAddress"); v.Text != "user00@corp.test" {
				t.Error(v)
			}
			out, err = session.Run(t.Context(), command("Get-Mailbox", Int("ResultSize", 5)))
			if err != nil || len(out.Objects) != 5 || len(out.Warnings) != 1 {
				t.Errorf("%d %q %v", len(out.Objects), out.Warnings, err)
			}
			out, err = session.Run(t.Context(), command("Get-ExchangeServer"))
			if v, _ := out.Objects[0].Get("AdminDisplayVersion"); err != nil || v.Text != "Version 15.2 (Build 1748.10)" {
				t.Errorf("%v %v", v, err)
			}
			// A role assignment is made, found and removed, with switches and Booleans.
			if _, err = session.Run(t.Context(), command("New-ManagementRoleAssignment", String("Name", "c2conn impersonation exadmin"),
				String("Role", "ApplicationImpersonation"), String("User", "exadmin@corp.test"))); err != nil {
				t.Error(err)
			}
			out, err = session.Run(t.Context(), command("Get-ManagementRoleAssignment", String("Role", "ApplicationImpersonation"),
				String("RoleAssignee", "exadmin@corp.test"), Bool("Delegating", false), Switch("GetEffectiveUsers")))
			if err != nil || len(out.Objects) != 1 {
				t.Errorf("%+v %v", out, err)
			} else if v, _ := out.Objects[0].Get("Enabled"); v.Value != true {
				t.Error(v)
			}
			// Asked for confirmation, and not answering.
			if _, err = session.Run(t.Context(), command("Remove-ManagementRoleAssignment", String("Identity", "c2conn impersonation exadmin"), Bool("Confirm", false))); err != nil {
				t.Error(err)
			}
			if _, err = session.Run(t.Context(), command("Set-Nothing")); !is[*NoCommandError](err) {
				t.Errorf("%T %v", err, err)
			}
			_, err = session.Run(t.Context(), command("Get-Mailbox", String("Identity", "nobody-there")))
			var e *CommandError
			if !errors.As(err, &e) || !strings.Contains(e.Message, "nobody-there") || !strings.Contains(e.ExceptionType, "NotFound") || e.FullyQualifiedErrorID == "" {
				t.Errorf("%+v", e)
			}
			if _, err = session.Run(t.Context(), command("Get-Mailbox", String("NoSuch", "x"))); !is[*CommandError](err) {
				t.Errorf("%T %v", err, err)
			}
			// More than one envelope takes.
			if _, err = session.Run(t.Context(), command("Get-Mailbox", String("Identity", strings.Repeat("x", 400_000)))); !is[*CommandError](err) {
				t.Errorf("%T %.300v", err, err)
			}
			if n := s.Open()[0].Commands; n != 0 {
				t.Errorf("%d commands were not released", n)
			}
			if err := session.Close(t.Context()); err != nil || len(s.Open()) != 0 {
				t.Errorf("%v; %d shells", err, len(s.Open()))
			}
		})
	}
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func TestExchangeConfirm(t *testing.T) {
	t.Parallel()
	s, h := exchange(t, nil)
	session, err := Open(t.Context(), as(h, "exadmin@corp.test"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = session.Run(t.Context(), command("Remove-ManagementRoleAssignment", String("Identity", "Mail Recipients-Recipient Management")))
	// The server asks its own console, which cannot answer either.
	var e *CommandError
	if !errors.As(err, &e) || !strings.Contains(e.Message, "does not support user interaction") {
		t.Errorf("%T %v", err, err)
	}
	if err := session.Close(t.Context()); err != nil || len(s.Open()) != 0 {
		t.Error(err)
	}
}

func TestExchangeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user  string
		fault string
		check func(error) bool
	}{
		"nobody":        {"", "", func(err error) bool { var e *Error; return errors.As(err, &e) && e.Status == 401 }},
		"no role":       {"nobody@corp.test", "", is[*DeniedError]},
		"no remote":     {"norps@corp.test", "", is[*DeniedError]},
		"access-denied": {"exadmin@corp.test", "access-denied", is[*DeniedError]},
		"quota":         {"exadmin@corp.test", "quota", is[*QuotaError]},
		"redirect=https://x": {"exadmin@corp.test", "redirect=https://x/PowerShell/", func(err error) bool {
			var e *RedirectError
			return errors.As(err, &e) && e.URL == "https://x/PowerShell/"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h := exchange(t, nil)
			if c.fault != "" {
				if err := s.Break(c.fault); err != nil {
					t.Fatal(err)
				}
			}
			session, err := Open(t.Context(), as(h, c.user))
			if err == nil {
				_ = session.Close(context.Background())
			}
			if !c.check(err) || len(s.Open()) != 0 {
				t.Errorf("%T %v; %d shells", err, err, len(s.Open()))
			}
		})
	}
}

// hurry lets the time of the server pass by its polls: each of a minute ends at once,
// and what takes longer when as many have ended.
func hurry(t *testing.T) func(time.Duration) (<-chan time.Time, func() bool) {
	var mu sync.Mutex
	var passed time.Duration
	type timer struct {
		at time.Duration
		c  chan time.Time
	}
	var timers []timer
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, w := range timers {
			close(w.c)
		}
	})
	return func(d time.Duration) (<-chan time.Time, func() bool) {
		mu.Lock()
		defer mu.Unlock()
		c := make(chan time.Time, 1)
		if d > time.Minute {
			timers = append(timers, timer{passed + d, c})
			return c, func() bool { return true }
		}
		passed += d
		c <- time.Time{}
		for len(timers) > 0 && timers[0].at <= passed {
			timers[0].c <- time.Time{}
			timers = timers[1:]
		}
		return c, func() bool { return true }
	}
}

func TestExchangeMisbehaves(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"dies", "drop", "hostile=bomb", "hostile=control", "hostile=cycle", "hostile=deep", "hostile=reference", "hostile=truncated", "hostile=type", "slow=3m"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s, h := exchange(t, func(o *psrp.Options) { o.After = hurry(t) })
			if err := s.Break(fault); err != nil {
				t.Fatal(err)
			}
			o := as(h, "exadmin@corp.test")
			o.Clock, o.Poll = still{}, time.Minute
			session, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			out, err := session.Run(t.Context(), command("Get-Mailbox", String("ResultSize", "unlimited")))
			switch fault {
			case "hostile=control", "hostile=cycle", "slow=3m":
				if err != nil {
					t.Errorf("%T %v", err, err)
				}
				for _, o := range out.Objects {
					for _, p := range o.Properties {
						if strings.ContainsAny(p.Value.String(), "\x00\x1b\n\u202e\u009b") {
							t.Errorf("%q", p.Value.String())
						}
					}
				}
			default:
				if !is[*Error](err) {
					t.Errorf("%T %v", err, err)
				}
			}
			if err := session.Close(t.Context()); err != nil || len(s.Open()) != 0 {
				t.Errorf("%v; %d shells", err, len(s.Open()))
			}
		})
	}
}
