package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/autodiscover"
	"github.com/c2conn/c2conn/internal/directory"
	"github.com/c2conn/c2conn/internal/ews"
	"github.com/c2conn/c2conn/internal/exchangeserver"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/winauth"
)

// discovers reports whether a connection finds its server by Autodiscover. One whose
// server was named has an EWS URL from the beginning.
func discovers(c connections.Connection) bool {
	return c.Endpoints.Autodiscover != "" || c.Endpoints.EWS == ""
}

// checksOfExchange lists the checks of an Exchange Server.
func checksOfExchange(c connections.Connection) []check {
	var list []check
	server := check{id: idServer, title: "Exchange Server", run: (*subject).exchangeServer}
	mailboxes := check{id: idMailboxes, title: "Mailboxes", after: []string{idServer}, times: manyPages, run: (*subject).mailboxes}
	if discovers(c) {
		list = append(list, check{id: idAutodiscover, title: "Autodiscover", run: (*subject).autodiscover})
		if c.Endpoints.EWS == "" {
			server.needs, mailboxes.needs = []string{idAutodiscover}, []string{idAutodiscover}
		} else {
			server.after = []string{idAutodiscover}
		}
	}
	return append(list, server,
		// It takes another mailbox to act for, and the list tells which there are.
		check{id: idImpersonation, title: "Impersonation", needs: []string{idServer}, after: []string{idMailboxes}, times: manyPages, run: (*subject).impersonation},
		mailboxes)
}

// endSession closes what the checks have opened: Exchange counts open sessions.
func (r *Report) endSession(ctx context.Context, x *exchange) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err := x.close(limited)
	if err == nil {
		return
	}
	for i := range r.Results {
		if r.Results[i].ID == idMailboxes {
			r.Results[i].Details = append(r.Results[i].Details, "The remote PowerShell session could not be closed: "+transport.CleanText(err.Error(), 200)+". The server ends it by itself after some minutes.")
		}
	}
}

const closeLimit = 10 * time.Second

// autodiscover finds the EWS URL.
func (s *subject) autodiscover(ctx context.Context, _ need) task.Result {
	c, server := s.target.Connection, s.target.Server
	found, err := autodiscover.Find(ctx, autodiscover.Options{
		Address: c.Account, Domain: c.Endpoints.Domain, SCP: s.directoryEndpoints,
		Anonymous: server.Trust.Client(winauth.HTTPOptions{Dial: server.Reach.Dial, Proxy: server.proxy, Clock: s.o.Clock}),
		SignedIn:  server.Account.HTTP(winauth.HTTPOptions{Trust: server.Trust, Dial: server.Reach.Dial, Proxy: server.proxy, Clock: s.o.Clock}),
		Resolver:  server.Reach.Resolver, Clock: s.o.Clock,
		Listen: func(a autodiscover.Attempt) { progress.Report(ctx, progress.Update{Text: attemptText(a)}) },
	})
	if err != nil {
		var nowhere *autodiscover.NotFoundError
		r := s.fail("", err)
		if errors.As(err, &nowhere) {
			r.Details = attempts(nowhere.Tried)
		}
		if c.Endpoints.EWS != "" && !isSignInError(err) { // the address that it told before may do
			r.Status = task.Warn
		}
		return r
	}
	moved := c.Endpoints.EWS != "" && !strings.EqualFold(c.Endpoints.EWS, found.EWS)
	s.exchange.found(found.EWS)
	host, _ := s.exchange.at()
	s.note(func(f *Found) { f.ews, f.server, f.autodiscover = found.EWS, host, found.URL })
	r := pass("found " + host)
	if moved {
		r = pass("moved to " + host)
	}
	r.Details = append([]string{"EWS URL: " + found.EWS}, attempts(found.Tried)...)
	return r
}

// isSignInError reports whether the account itself was refused.
func isSignInError(err error) bool {
	var (
		wrong   *winauth.WrongPasswordError
		locked  *winauth.LockedError
		unknown *winauth.UnknownUserError
	)
	return errors.As(err, &wrong) || errors.As(err, &locked) || errors.As(err, &unknown)
}

func attempts(tried []autodiscover.Attempt) (lines []string) {
	for _, a := range tried {
		lines = append(lines, attemptText(a))
	}
	return lines
}

func attemptText(a autodiscover.Attempt) string {
	text := a.URL + ": " + a.Text
	if a.Took >= time.Second {
		text += fmt.Sprintf(" (%.0f s)", a.Took.Seconds())
	}
	return text
}

// directoryEndpoints asks Active Directory where Autodiscover is.
func (s *subject) directoryEndpoints(ctx context.Context, mailDomain string) ([]autodiscover.Endpoint, error) {
	server := s.target.Server
	_, suffix, _ := strings.Cut(s.target.Connection.Account, "@")
	domain := cmp.Or(s.target.Connection.Endpoints.Domain, suffix)
	d, err := directory.Open(ctx, directory.Options{Domain: domain, Account: server.Account, Trust: server.Directory, Resolver: server.Reach.Resolver, Dial: server.Reach.Dial, Clock: s.o.Clock})
	if strange(err) {
		// Others may know where the server is; whom to trust is asked for its own certificate.
		return nil, errors.New(err.Error())
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, err := d.AutodiscoverEndpoints(ctx, mailDomain)
	if err != nil {
		return nil, err
	}
	list := make([]autodiscover.Endpoint, len(found.List))
	for i, e := range found.List {
		list[i] = autodiscover.Endpoint{URL: e.URL}
	}
	return list, nil
}

// serverEWS asks EWS as the account.
func (s *subject) serverEWS() *ews.Client {
	_, at := s.exchange.at()
	return ews.New(ews.Options{URL: at, HTTP: s.target.Server.client, Clock: s.o.Clock})
}

// exchangeServer opens the account's own inbox: that proves the address, the
// certificate, the sign-in and the mailbox, and tells the version.
func (s *subject) exchangeServer(ctx context.Context, _ need) task.Result {
	_, at := s.exchange.at()
	_, version, err := s.serverEWS().GetFolder(ctx, "", "inbox")
	signedIn, known := s.target.Server.Account.SignIn(hostPort(at))
	if err != nil {
		s.exchange.mu.Lock()
		s.exchange.strange = strange(err)
		s.exchange.mu.Unlock()
		return s.fail("", s.explained(err))
	}
	v := exchangeserver.VersionOf(version.Major, version.Minor, version.MajorBuild)
	r := pass(v.Name)
	if known && signedIn.Method != "" {
		r.Details = append(r.Details, fmt.Sprintf("Signed in to %s with %s.", hostPort(at), signedIn.Method))
		for _, why := range signedIn.Why {
			r.Details = append(r.Details, "Not with Kerberos: "+transport.CleanText(why.Error(), 300))
		}
	}
	if text := version.String(); text != "" {
		r.Finding = v.Name + ", build " + text
	} else {
		r.Finding = "answers; it did not tell its version"
	}
	if v.Ended != "" {
		w := s.warn(v.Name+", out of support since "+v.Ended, &advice.OldServerError{Name: v.Name, Build: version.String(), Ended: v.Ended})
		w.Details = r.Details
		return w
	}
	return r
}

// strange reports whether a server shows a certificate that is not trusted: then it is
// not asked in other ways either.
func strange(err error) bool {
	var (
		untrusted *winauth.UntrustedError
		changed   *winauth.PinChangedError
	)
	return errors.As(err, &untrusted) || errors.As(err, &changed)
}

// explained tells a refusal by policy from others.
func (s *subject) explained(err error) error {
	var e *ews.Error
	if errors.As(err, &e) && e.Status == http.StatusForbidden {
		return &advice.EWSForbiddenError{Err: err}
	}
	return err
}

func hostPort(at string) string {
	host := strings.TrimPrefix(at, "https://")
	host, _, _ = strings.Cut(host, "/")
	return host
}

// mostMailboxes is how many mailboxes are counted; each takes the server some time.
const mostMailboxes = 1000

// mailboxes lists the mailboxes by remote PowerShell.
func (s *subject) mailboxes(ctx context.Context, _ need) task.Result {
	if s.exchange.isStrange() {
		return task.Result{Status: task.Skip, Finding: "not run: the server's certificate is not trusted"}
	}
	session, err := s.exchange.open(ctx)
	if err != nil {
		r := s.fail("", err)
		var open *exchangeserver.OpenError
		if errors.As(err, &open) {
			for _, w := range open.Tried {
				r.Details = append(r.Details, fmt.Sprintf("%s, %s: %s", w.URL, w.Name, transport.CleanText(w.Err.Error(), 300)))
			}
		}
		return r
	}
	found, err := session.Mailboxes(ctx, mostMailboxes)
	if err != nil {
		return s.fail("", err)
	}
	own, err := session.OwnAddress(ctx, s.target.Connection.Account)
	if err != nil {
		own = ""
	}
	s.exchange.mu.Lock()
	s.exchange.samples, s.exchange.own = found.Sample, own
	s.exchange.mu.Unlock()
	via := "Remote PowerShell: " + session.URL() + ", " + session.Way() + "."
	switch {
	case found.Count == 0:
		r := s.fail("", &advice.NoMailboxesError{})
		r.Details = []string{via}
		return r
	case found.More:
		r := pass(fmt.Sprintf("%d or more found", found.Count))
		r.Details = []string{via}
		return r
	}
	r := pass(fmt.Sprintf("%d found", found.Count))
	r.Details = []string{via}
	return r
}
