package wizard

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/internal/winauth"
)

// configureServer verifies a connection to a server on the premises. Nothing is changed
// there, but for the right to impersonate where the answers say to grant it. A
// certificate that nobody has said to trust is a *ProblemsError, and the question
// whether to trust it is asked from then on.
func (s *Session) configureServer(ctx context.Context, listen func(task.Event)) (*Outcome, error) {
	a := s.answersInForce()
	out := &Outcome{Connection: s.asked(a)}
	c := &out.Connection
	if st := s.shared(); s.Env.Accounts != nil {
		st.mu.Lock()
		again := st.configured
		st.configured = true
		st.mu.Unlock()
		if again {
			s.Env.Accounts.Forget()
		}
	}
	password, err := s.serverCredential(ctx, a, out)
	if err != nil {
		return nil, err
	}
	s.pinGiven(a, c)
	for host, sum := range acceptedPins(a) {
		if c.Pins = maps.Clone(c.Pins); c.Pins == nil {
			c.Pins = map[string]string{}
		}
		c.Pins[host] = sum
	}
	server, err := s.server(a, *c, password)
	if err != nil {
		return nil, err
	}
	if s.Env.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Env.Timeout)
		defer cancel()
	}
	out.Report = verify.Run(ctx, verify.Options{Clock: s.Env.Clock, Parallel: s.Env.Parallel, Saved: s.Env.profiles().List}, verify.Target{Connection: *c, Server: server, Edited: s.edited()}, listen)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	if untrusted := unknownCertificate(out.Report); untrusted != nil {
		return nil, s.askTrust(untrusted, out.Report.Found.Pins(nil))
	}
	out.Verified = out.Report.State == connections.StateVerified
	c.Verification = out.Report.Verification(s.Env.Clock.Now())
	c.Endpoints = out.Report.Found.Endpoints(c.Endpoints)
	c.Pins = out.Report.Found.Pins(c.Pins)
	if len(c.Pins) > 0 && s.firstUse(a) {
		for host, sum := range c.Pins {
			out.Notes = append(out.Notes, fmt.Sprintf("The certificate of %s was trusted because it was the first one: SHA-256 %s. Compare it with the server's own.", host, sum))
		}
	}
	return out, nil
}

// unchanged says what Configure leaves as it is.
func (s *Session) unchanged() string {
	switch a := s.answersInForce(); {
	case a.Get(keyLocation) != string(connections.OnPremises):
		return "Nothing in your tenant is changed."
	case a.Get(keyGrant) == yes:
		return "The impersonation right is granted if it is missing."
	}
	return "Nothing on the server is changed."
}

// server is what the verification of c takes besides.
func (s *Session) server(a Answers, c connections.Connection, password connections.Secret) (*verify.Server, error) {
	trusted := slices.Collect(maps.Values(acceptedPins(a))) // a server may show one at several ports
	if sums := a.Get(keyCertSum); sums != "" && (s.edit == nil || sums != s.edit.loaded.Get(keyCertSum)) {
		trusted = append(trusted, strings.Split(sums, ",")...)
	}
	server, err := verify.NewServer(c, verify.ServerOptions{
		Getenv: s.Env.Getenv, ReadFile: s.Env.ReadFile, Clock: s.Env.Clock, Rand: s.Env.Rand, Password: password,
		Trusted: trusted, FirstUse: s.firstUse(a),
	})
	if err != nil {
		return nil, err
	}
	if s.Env.Accounts != nil {
		server = s.Env.Accounts.Share(server)
	}
	server.Grant = a.Get(keyGrant) == yes
	server.PlainCentral = s.plainCentral(a)
	return server, nil
}

// firstUse reports whether the first certificate that a server shows is trusted: nobody
// has seen one yet, and none was named, which would be the only one to trust.
func (s *Session) firstUse(a Answers) bool {
	return a.Get(keyTrust) == yes && a.Get(foundSum) == "" && !s.namedSum()
}

// namedSum reports whether this run was told which certificate to trust.
func (s *Session) namedSum() bool {
	v, ok := s.Answers[keyCertSum]
	return ok && v.Text != "" && (v.Origin == FromFlag || v.Origin == FromEnv)
}

// pinGiven makes the sum that was given the one pin of the connection's own host: another
// certificate is refused, also one that was trusted before. Of several hosts, or sums,
// nobody knows which belong together: of the hosts' pins those stay that are among the
// sums, and what else one of them shows is looked up in the sums.
func (s *Session) pinGiven(a Answers, c *connections.Connection) {
	given, was := a.Get(keyCertSum), ""
	if s.edit != nil {
		was = s.edit.loaded.Get(keyCertSum)
	}
	if given == "" || given == was {
		return
	}
	sums, own, pins := strings.Split(given, ","), serverHosts(*c), map[string]string{}
	for host, pin := range c.Pins {
		switch {
		case slices.Contains(own, host) && !slices.Contains(sums, strings.ToUpper(pin)):
			continue
		case len(sums) == 1 && strings.EqualFold(pin, was):
			pin = given
		}
		pins[host] = pin
	}
	if len(sums) == 1 && len(own) == 1 {
		pins[own[0]] = given
	}
	c.Pins = pins
}

// unknownCertificate is the certificate for which a check failed because nobody has
// said to trust it; nil where there is none.
func unknownCertificate(r verify.Report) *winauth.UntrustedError {
	for _, result := range r.Results {
		if e, ok := errors.AsType[*winauth.UntrustedError](result.Err); ok && result.Status == task.Fail {
			return e
		}
	}
	return nil
}

// refused reports whether a check found that the password is wrong, or may be.
func refused(r verify.Report) bool {
	return slices.ContainsFunc(r.Results, func(result task.Result) bool { return errors.As(result.Err, new(*winauth.WrongPasswordError)) })
}

// passwordKey is the question whose answer changes the password; "" where none does.
func (s *Session) passwordKey() string {
	for _, key := range []string{keyAdminSecret, keyPassRef, keySignInBy} {
		for _, st := range s.Steps() {
			if slices.ContainsFunc(s.Asked(st), func(f Field) bool { return f.Key == key }) {
				return key
			}
		}
	}
	return ""
}

// askTrust puts the certificate before whoever answers. shown are those by which servers of
// this run were trusted, by host.
func (s *Session) askTrust(e *winauth.UntrustedError, shown map[string]string) error {
	text := describeServer(e)
	given, matched := "", []string{}
	if s.namedSum() {
		given = s.Answers.Get(keyCertSum)
		for _, sum := range slices.Sorted(maps.Values(shown)) {
			if s.Flow.Kind == connections.SharePoint && strings.Contains(given, sum) && !slices.Contains(matched, sum) { // others have one server
				matched = append(matched, sum)
			}
		}
	}
	if pins := acceptedPins(s.Answers); len(pins) > 0 {
		var lines []string
		for _, host := range slices.Sorted(maps.Keys(pins)) {
			lines = append(lines, host+" "+pins[host])
		}
		s.Answers[foundPins] = Value{Text: strings.Join(lines, "\n")}
	}
	delete(s.Answers, keyTrust)
	s.Answers[foundUntrusted] = Value{Text: yes, Note: text}
	s.Answers[foundSum] = Value{Text: e.SHA256, Resolved: strings.Join(hostsOf(e), " ")}
	f, _ := s.field(keyTrust)
	return &ProblemsError{Problems: []Problem{{Key: keyTrust, Title: f.Title, Flags: []string{"--certificate-sha256", "--trust-certificate"}, Err: &CertificateError{Description: text, Given: given, Matched: strings.Join(matched, ","), Shown: e.SHA256}}}}
}

// acceptedPins are the certificates that somebody said to trust when they came up, for
// the hosts that showed them or that they are for.
func acceptedPins(a Answers) map[string]string {
	pins := map[string]string{}
	for line := range strings.SplitSeq(a.Get(foundPins), "\n") {
		if host, sum, ok := strings.Cut(line, " "); ok {
			pins[host] = sum
		}
	}
	if a.Get(keyTrust) == yes && a.Get(foundSum) != "" {
		for _, host := range strings.Fields(a[foundSum].Resolved) {
			pins[host] = a.Get(foundSum)
		}
	}
	return pins
}

// hostsOf are the host that showed the certificate, and those whose names are in it, which
// were on the screen when it was accepted.
func hostsOf(e *winauth.UntrustedError) []string {
	hosts := []string{e.Host}
	if e.Certificate == nil {
		return hosts
	}
	for _, name := range e.Certificate.DNSNames {
		if name = strings.ToLower(name); domainPattern().MatchString(name) && len(hosts) <= mostNames {
			if host := net.JoinHostPort(name, "443"); !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// trustArgs are the flags that trust what was trusted on the way.
func (s *Session) trustArgs(a Answers) []string {
	if a.Get(keyLocation) != string(connections.OnPremises) || a.Get(keyTrust) != yes || a.Has(keyCertSum) {
		return nil
	}
	if sums := trustedSums(a); sums != "" {
		return []string{"--certificate-sha256", advice.ShellWord(sums)}
	}
	return []string{"--trust-certificate"}
}

// trustedSums are the certificates that were named and those that were accepted.
func trustedSums(a Answers) string {
	sums := slices.Collect(maps.Values(acceptedPins(a)))
	if a.Has(keyCertSum) {
		sums = append(sums, strings.Split(a.Get(keyCertSum), ",")...)
	}
	slices.Sort(sums)
	return strings.Join(slices.Compact(sums), ",")
}

// describeServer says in words what a server shows.
func describeServer(e *winauth.UntrustedError) string {
	text := e.Host + " shows a certificate that is not trusted: " + e.Reason + "."
	if c := e.Certificate; c != nil {
		text += fmt.Sprintf(" Subject %s, issued by %s, for %s, valid %s to %s.", transport.CleanText(c.Subject.String(), 200), transport.CleanText(c.Issuer.String(), 200),
			names(c), c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly))
	}
	return text + " SHA-256 " + grouped(e.SHA256) + "."
}

func names(c *x509.Certificate) string {
	var list []string
	for _, n := range c.DNSNames {
		list = append(list, transport.CleanText(n, 100))
	}
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return "no name"
	}
	if len(list) > mostNames {
		list = append(list[:mostNames], "…")
	}
	return strings.Join(list, ", ")
}

const mostNames = 6

// grouped writes a sum so that it can be compared by eye.
func grouped(sum string) string {
	var b strings.Builder
	for i, r := range sum {
		if i > 0 && i%8 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// serverCredential decides where the password is kept, and returns it.
func (s *Session) serverCredential(ctx context.Context, a Answers, out *Outcome) (connections.Secret, error) {
	env, c := s.Env, &out.Connection
	c.Credential = connections.Credential{Type: connections.TypePassword, PlainNTLM: s.plainNTLM(a)}
	switch a.Get(keySignInBy) {
	case byKeeping:
		was := s.edit.was
		if !strings.EqualFold(c.Account, was.Account) {
			return connections.Secret{}, problem(s, keySignInBy, fmt.Errorf("what is saved belongs to %s; give the password of %s", was.Account, c.Account))
		}
		c.Credential = was.Credential
		c.Credential.PlainNTLM = s.plainNTLM(a)
		out.keep = func(context.Context) (kept, error) { return kept{ref: was.Credential.Secret}, nil }
		if was.Credential.Type == connections.TypeTicketCache {
			return connections.Secret{}, nil
		}
		password, err := LoadPassword(ctx, env.Store, was)
		if err != nil {
			return password, problem(s, keySignInBy, err)
		}
		return password, nil
	case byTickets:
		c.Credential = connections.Credential{Type: connections.TypeTicketCache, Cache: expandHome(env, a.Get(keyTickets))}
		out.keep = func(context.Context) (kept, error) { return kept{}, nil }
		return connections.Secret{}, nil
	case byReference:
		ref := connections.Ref(a.Get(keyPassRef))
		password, err := env.Store.Secret(ctx, ref)
		if err == nil {
			password, err = passwordText(password)
		}
		if err != nil {
			return password, problem(s, keyPassRef, err)
		}
		out.keep = func(context.Context) (kept, error) { return kept{ref: ref}, nil }
		return password, nil
	}
	password := a[keyAdminSecret].Secret
	err := s.plan(ctx, out, keyAdminSecret, func(ctx context.Context) (kept, error) {
		ref, err := env.Store.PutSecret(ctx, password)
		return kept{ref: ref, undo: func(ctx context.Context) error { return env.Store.DeleteSecret(ctx, ref) }}, err
	})
	return password, err
}

// plainNTLM reports whether the answers allow NTLM over http: they do where it is asked.
func (s *Session) plainNTLM(a Answers) bool {
	f, asks := s.Flow.Field(keyPlainNTLM)
	return asks && a.holds(f.When) && a.Get(keyPlainNTLM) == yes
}

// LoadPassword reads the password of a saved on-premises connection; none where it
// signs in with Kerberos tickets.
func LoadPassword(ctx context.Context, store *connections.Store, c connections.Connection) (connections.Secret, error) {
	if c.Credential.Type == connections.TypeTicketCache {
		return connections.Secret{}, nil
	}
	secret, err := store.Secret(ctx, c.Credential.Secret)
	if err != nil {
		return secret, err
	}
	return passwordText(secret)
}

// passwordText is a password as it was meant by whoever wrote the file: without the
// line's end.
func passwordText(secret connections.Secret) (connections.Secret, error) {
	text := SecretText(secret.Reveal())
	if text.IsZero() {
		return text, errors.New("the password is empty")
	}
	return text, nil
}
