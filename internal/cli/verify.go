package cli

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/wizard"
)

func newVerify(a *app) *cobra.Command {
	var all bool
	var timeout time.Duration
	side := sideBySide{}
	fix := &fixOptions{app: a}
	out := &reporting{app: a}
	cmd := &cobra.Command{
		Annotations: map[string]string{reports: "yes"},
		Use:         "verify [NAME…]", Short: "Check that saved connections really work", GroupID: groupConnect,
		Long: `Runs every check of the connection against the tenant or the server and keeps the
result in the profile. Nothing is changed there, unless --grant-impersonation or
--fix says so. With several connections the exit code is that of the failures
when they are all of one kind, else 5.

--output also offers the forms of a report: junit, markdown, html and prometheus.
--report writes one to a file, and may be given again. With --expires-within, a
certificate or client secret that ends within that time is a failed check.

Several connections are checked side by side. No tenant is sent more than --per-tenant
requests at a time, and one that is busy (429) is asked more slowly, which holds up
nobody else.

--fix looks at the registration as well, as an administrator who signs in: which
permissions lack consent, which are superfluous and what each would allow, whether
the certificate is registered. After showing the changes it adds what is missing, and
verifies. It removes nothing.

--grant-impersonation is for Exchange Servers: an account that may not act for
other mailboxes is given the role ApplicationImpersonation, by an assignment
whose name begins with "c2conn impersonation".`,
		Example: `  c2conn verify contoso-exchange
  c2conn verify --all --output json
  c2conn verify --all --expires-within 30d --report html=report.html --report junit=report.xml
  c2conn verify exch01 --grant-impersonation
  c2conn verify contoso-exchange --fix
  c2conn verify contoso-exchange --fix --dry-run --login device-code
  c2conn verify contoso-exchange --fix --yes --access-token-stdin < token`,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := fix.misused(all, args); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			if all == (len(args) > 0) {
				return &usageError{err: errors.New("give the names of connections, or --all"), command: cmd.CommandPath()}
			}
			if timeout <= 0 || side.connections < 1 || side.perTenant < 1 {
				return &usageError{err: errors.New("--timeout, --parallel and --per-tenant must be more than 0"), command: cmd.CommandPath()}
			}
			if err := out.read(cmd, fix.fix); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			if fix.fix {
				c, err := a.connection(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return fix.run(cmd.Context(), c, timeout)
			}
			if !cmd.Flags().Changed("timeout") {
				side.each = eachTimeout
			}
			side.timeout = timeout
			if all {
				return a.verifyAll(cmd.Context(), side, out)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			var list []connections.Connection
			for _, name := range args {
				c, err := a.connection(ctx, name)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(list, func(x connections.Connection) bool { return x.ID == c.ID }) {
					list = append(list, c)
				}
			}
			if len(list) == 1 {
				return a.verifyOne(ctx, list[0], out)
			}
			return a.verifyMany(cmd.Context(), list, nil, side, out)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "check every saved connection")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "longest time for all checks together; unless given, 5s more for each connection")
	cmd.Flags().IntVar(&side.connections, "parallel", 40, "how many connections are checked side by side")
	cmd.Flags().IntVar(&side.perTenant, "per-tenant", 8, "how many requests to one tenant are under way at a time")
	cmd.Flags().BoolVar(&a.grant, "grant-impersonation", false, "on the premises: grant the role ApplicationImpersonation to the account where it is missing")
	cmd.Flags().BoolVar(&fix.fix, "fix", false, "sign in as administrator and add what the registration lacks, after showing it")
	cmd.Flags().BoolVar(&fix.dryRun, "dry-run", false, "with --fix: show what is missing and what would be changed, and change nothing")
	cmd.Flags().BoolVarP(&fix.yes, "yes", "y", false, "with --fix: do not ask")
	fix.signIn = addSignInFlags(cmd)
	out.addFlags(cmd)
	return cmd
}

// verified is a connection with the outcome of its checks, or why they could not be run.
type verified struct {
	conn    connections.Connection
	report  verify.Report
	command string
	err     error
	gone    bool // deleted while it was verified
	ending  bool // its credential ends sooner than --expires-within allows
	facts   advice.Facts
}

// check verifies a saved connection and keeps the result in its profile.
func (a *app) check(ctx context.Context, c connections.Connection, listen func(task.Event)) verified {
	return a.checkFor(ctx, c, verify.Options{}, listen)
}

// checkFor is check with options; what they say of the outside world is filled in.
func (a *app) checkFor(ctx context.Context, c connections.Connection, options verify.Options, listen func(task.Event)) verified {
	v, note := a.examine(ctx, c, options, nil, listen)
	if note == nil {
		return v
	}
	store, err := a.store()
	if err != nil {
		return v.failed(err)
	}
	// By its name, which is one file; an id would have to be searched for.
	saved, err := store.Update(context.WithoutCancel(ctx), c.Name, note)
	return a.noted(v, saved, err)
}

// examine runs the checks of a saved connection. note puts what they found into its
// profile; it is nil where there is nothing to be noted. With shared, what several
// connections have in common is made once.
func (a *app) examine(ctx context.Context, c connections.Connection, options verify.Options, shared *sharing, listen func(task.Event)) (v verified, note func(*connections.Connection) error) {
	v = verified{conn: c, facts: verify.FactsOf(c, cloud.Cloud{}, a.Clock.Now())}
	load := a.credential
	if shared != nil && !shared.edited {
		load = shared.credential(load)
	}
	target, err := a.targetWith(ctx, c, load)
	if err != nil {
		return v.failed(err), nil
	}
	v.facts.Cloud = target.Cloud
	if target.Server != nil {
		if shared != nil {
			target.Server = shared.servers.Share(target.Server)
		}
		target.Server.Grant = a.grant
	} else if options.HTTP, err = a.httpClient(target.Cloud); err != nil {
		return v.failed(err), nil
	}
	store, err := a.store()
	if err != nil {
		return v.failed(err), nil
	}
	options.Clock = a.Clock
	if options.Saved == nil {
		options.Saved = store.List
	}
	if shared != nil && !shared.edited && target.Server == nil {
		// An application that cannot be made is told of by the checks.
		target.App, _ = shared.app(target, a.Clock.Now)
	}
	report := verify.Run(ctx, options, target, listen)
	if errors.Is(ctx.Err(), context.Canceled) {
		return v.failed(ctx.Err()), nil
	}
	v.report = report
	return v, func(x *connections.Connection) error {
		if x.ID != c.ID {
			return refuse("%s was replaced by another connection while it was verified; nothing was noted", c.Name)
		}
		if !sameSubject(*x, c) {
			return refuse("%s was edited while it was verified, so the result does not count; verify it again", c.Name)
		}
		x.Verification = report.Verification(a.Clock.Now())
		x.Tenant = report.Found.Tenant.Or(x.Tenant)
		x.Endpoints, x.Pins = report.Found.Endpoints(x.Endpoints), report.Found.Pins(x.Pins)
		x.AccountID = cmp.Or(report.Found.AccountID, x.AccountID)
		if report.Found.ObjectID != "" {
			x.Registration.ObjectID = report.Found.ObjectID
		}
		return nil
	}
}

// noted is an examined connection after its profile was written, or was not.
func (a *app) noted(v verified, saved connections.Connection, err error) verified {
	if err != nil {
		v = v.failed(err)
		v.gone = isNotFound(err)
		return v
	}
	v.conn, v.command = saved, a.newCommand(saved)
	return v
}

func (v verified) failed(err error) verified {
	v.err = &adviceError{err: err, facts: v.facts}
	return v
}

// sameSubject reports whether two versions of a profile are verified alike.
func sameSubject(a, b connections.Connection) bool {
	return a.Account == b.Account && a.Cloud == b.Cloud && a.Tenant == b.Tenant && a.Endpoints == b.Endpoints &&
		a.Registration.ClientID == b.Registration.ClientID && a.Registration.Permissions == b.Registration.Permissions && a.LegacyAdmin == b.LegacyAdmin && a.Credential == b.Credential && a.Kind == b.Kind && a.Location == b.Location && maps.Equal(a.Pins, b.Pins)
}

// target loads what the checks of a saved connection need.
func (a *app) target(ctx context.Context, c connections.Connection) (verify.Target, error) {
	return a.targetWith(ctx, c, a.credential)
}

// credentialLoader reads the credential of a saved connection.
type credentialLoader func(context.Context, connections.Connection) (entra.Credential, error)

func (a *app) targetWith(ctx context.Context, c connections.Connection, load credentialLoader) (verify.Target, error) {
	if c.Location == connections.OnPremises {
		server, err := a.server(ctx, c)
		return verify.Target{Connection: c, Server: server}, err
	}
	clouds, err := a.cloudSet()
	if err != nil {
		return verify.Target{}, err
	}
	cl, err := clouds.Find(c.Cloud)
	if err != nil {
		return verify.Target{}, err
	}
	cred, err := load(ctx, c)
	return verify.Target{Connection: c, Credential: cred, Cloud: cl}, err
}

// server is what the verification of a connection to a server on the premises takes.
func (a *app) server(ctx context.Context, c connections.Connection) (*verify.Server, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	password, err := wizard.LoadPassword(ctx, store, c)
	if err != nil {
		return nil, &entra.SecretError{What: "password", Err: err}
	}
	return verify.NewServer(c, verify.ServerOptions{Getenv: a.Getenv, ReadFile: a.ReadFile, Clock: a.Clock, Rand: a.Rand, Password: password})
}

// application is a saved connection's application, ready to sign in.
func (a *app) application(target verify.Target) (*entra.App, error) {
	client, err := a.httpClient(target.Cloud)
	if err != nil {
		return nil, err
	}
	c := target.Connection
	return entra.NewApp(entra.AppOptions{Cloud: target.Cloud, TenantID: c.Tenant.ID, ClientID: c.Registration.ClientID, Credential: target.Credential, HTTP: client, Now: a.Clock.Now, Rand: a.Rand})
}

func (a *app) credential(ctx context.Context, c connections.Connection) (entra.Credential, error) {
	store, err := a.store()
	if err != nil {
		return entra.Credential{}, err
	}
	personal, err := a.personalStore()
	if err != nil {
		return entra.Credential{}, err
	}
	return entra.LoadCredential(ctx, store, personal, c)
}

func (a *app) answer(v verified) answerJSON {
	return answerJSON{Connection: v.conn, Verified: v.report.State == connections.StateVerified, Saved: true, Checks: a.checksJSON(v.report.Results), Command: v.command}
}

func (v verified) class() advice.Class {
	switch {
	case v.gone:
		return advice.ClassNone
	case v.err != nil:
		return advice.ClassOf(v.err)
	}
	class := v.report.Class
	if v.report.State == connections.StateVerified {
		class = advice.ClassNone
	}
	if v.ending && (class == advice.ClassNone || class == advice.ClassPolicy) { // no policy alone any more
		class = advice.ClassCheck
	}
	return class
}

func (a *app) verifyOne(ctx context.Context, c connections.Connection, out *reporting) error {
	listen := a.progressLines()
	v := out.expiry(a.check(ctx, c, listen), listen)
	if isCancelled(v.err) {
		return v.err
	}
	written := out.write(a.printableOne(v))
	if v.err != nil {
		if slices.Contains(report.Forms(), a.output) {
			written = errors.Join(written, a.print(a.printableOne(v)))
		}
		if written == nil {
			return v.err
		}
		return errors.Join(v.err, written)
	}
	if err := a.sayVerified(v); err != nil && written == nil {
		return err
	}
	return written
}

// sayVerified prints the outcome of one verification; its class is the exit code.
func (a *app) sayVerified(v verified) error {
	a.adviceLines(v.report.Results)
	if err := a.print(a.printableOne(v)); err != nil {
		return err
	}
	if c := v.class(); c != advice.ClassNone {
		return &verdict{class: c}
	}
	return nil
}

// linkTo is the portal page of a registration, "" where the cloud has none.
func (a *app) linkTo(c connections.Connection, page func(cloud.Cloud, string) string) string {
	clouds, err := a.cloudSet()
	if err != nil {
		return ""
	}
	cl, err := clouds.Find(c.Cloud)
	if err != nil {
		return ""
	}
	return page(cl, c.Registration.ClientID)
}
