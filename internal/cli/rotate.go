package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// defaultGrace is how long an old credential stays: access tokens live for an hour, and
// what was exported or handed out before wants a day to follow.
const defaultGrace = period(24 * time.Hour)

// rotateOptions are the flags of rotate.
type rotateOptions struct {
	*app
	signIn                 *signInOptions
	all                    bool
	within, grace          period
	onlyEnding             bool // --expires-within was given
	days                   string
	certFile, passwordFile string
	dryRun, yes            bool
	finish, now, abandon   bool
	named                  []string // to be finished or abandoned
	consistency            time.Duration
}

func newRotate(a *app) *cobra.Command {
	o := &rotateOptions{app: a, grace: defaultGrace}
	cmd := &cobra.Command{
		Use: "rotate [NAME…]", Short: "Renew the certificate or client secret of connections", GroupID: groupConnect,
		Long: `Adds a new credential beside the old one, waits until the application signs in with
it, verifies, and only then switches the connection, with every other one that has the
same credential. The old credential is removed after --grace, by rotate --finish, or at
once with --grace 0. Whatever fails leaves a connection that works; the same command
goes on where it broke off, and --abandon takes back what it did. --all also removes what earlier ones left that is due.

An application renews its certificate by itself, with a proof that it has the old one;
nobody signs in. A client secret, a certificate that has expired, or flags for signing in
take an administrator.`,
		Example: `  c2conn rotate contoso-exchange
  c2conn rotate --all --expires-within 30d --dry-run
  c2conn rotate --all --expires-within 30d --grace 2d --output json
  c2conn rotate contoso-exchange --login device-code --grace 0
  c2conn rotate contoso-exchange --cert-file new.pfx --cert-password-file new.pass
  c2conn rotate --finish --all
  c2conn rotate --abandon contoso-exchange`,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.onlyEnding = cmd.Flags().Changed(expiresWithin)
			if err := o.misused(cmd, args); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			o.signIn.command = func() string {
				words := []string{"rotate"}
				for _, name := range args {
					words = append(words, advice.ShellWord(name))
				}
				return strings.Join(words, " ")
			}
			switch {
			case o.finish, o.abandon:
				return o.end(cmd.Context(), args)
			case len(args) == 0 && !o.all:
				return o.sayWhich(cmd.Context())
			}
			return o.run(cmd.Context(), args)
		},
	}
	flags := cmd.Flags()
	o.signIn = addSignInFlags(cmd)
	flags.BoolVar(&o.all, "all", false, "every saved connection; with --finish: every old credential that is due")
	addExpiresWithin(cmd, &o.within, "with --all: only where the credential ends within this time, such as 30d")
	flags.Var(&o.grace, "grace", "how long the old credential stays valid, such as 24h or 7d; 0 removes it in the same run")
	flags.StringVar(&o.days, "cert-days", wizard.Longest, "days until the new credential expires, or longest for what the tenant allows: five years at most, a client secret two")
	flags.StringVar(&o.certFile, "cert-file", "", "your own new certificate with its private key, PFX or PEM, instead of one that c2conn makes")
	flags.StringVar(&o.passwordFile, "cert-password-file", "", "file with the password of --cert-file (or variable C2CONN_CERT_PASSWORD)")
	flags.BoolVar(&o.finish, "finish", false, "remove the old credentials of earlier rotations that are due")
	flags.BoolVar(&o.now, "now", false, "with --finish: also those that are not due yet")
	flags.BoolVar(&o.abandon, "abandon", false, "take back a rotation that broke off before its connection was switched")
	flags.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and do nothing")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	flags.DurationVar(&o.consistency, "consistency-timeout", registration.DefaultConsistency, "longest wait for the tenant to know the new credential everywhere")
	cmd.MarkFlagsMutuallyExclusive("finish", "abandon")
	return cmd
}

// misused tells whether flags were given that do not go together.
func (o *rotateOptions) misused(cmd *cobra.Command, names []string) error {
	given := func(list ...string) string {
		for _, name := range list {
			if cmd.Flags().Changed(name) {
				return name
			}
		}
		return ""
	}
	renewing := given("grace", "cert-days", "cert-file", "cert-password-file", expiresWithin)
	switch {
	case o.all && len(names) > 0:
		return errors.New("give the names of connections or --all, not both")
	case (o.finish || o.abandon) && renewing != "":
		return fmt.Errorf("--%s is for a new credential; it does not go with --finish or --abandon", renewing)
	case o.now && !o.finish:
		return errors.New("--now goes with --finish")
	case o.abandon && (o.all || len(names) == 0):
		return errors.New("--abandon takes the names of connections")
	case o.onlyEnding && !o.all:
		return errors.New("--expires-within goes with --all")
	case o.passwordFile != "" && o.certFile == "":
		return errors.New("--cert-password-file goes with --cert-file")
	case o.certFile != "" && (o.all || len(names) != 1):
		return errors.New("--cert-file is for one connection: give its name")
	case o.certFile != "" && o.days != wizard.Longest:
		return errors.New("--cert-days is for a credential that c2conn makes; it does not go with --cert-file")
	case o.consistency <= 0:
		return errors.New("--consistency-timeout must be more than 0")
	}
	_, err := o.valid()
	return err
}

// mostDays is a life of thirty years; more is a typing error.
const mostDays = 10950

// valid is how long a new credential lives; zero for what the tenant allows.
func (o *rotateOptions) valid() (certs.Validity, error) {
	if o.days == wizard.Longest {
		return certs.Validity{}, nil
	}
	days, err := strconv.Atoi(o.days)
	if err != nil || days < 1 || days > mostDays {
		return certs.Validity{}, fmt.Errorf("--cert-days %q is no number of days up to %d; give for example 365, or longest", o.days, mostDays)
	}
	return certs.Validity{Days: days}, nil
}

// own reads the user's own new certificate; nil where none was given.
func (o *rotateOptions) own() (*certs.Identity, error) {
	if o.certFile == "" {
		return nil, nil
	}
	data, err := o.ReadFile(o.certFile)
	if err != nil {
		return nil, err
	}
	password := []byte(o.Getenv("C2CONN_CERT_PASSWORD"))
	if o.passwordFile != "" {
		if password, err = o.ReadFile(o.passwordFile); err != nil {
			return nil, err
		}
	}
	id, err := certs.Parse(data, strings.TrimRight(string(password), "\r\n"))
	return &id, err
}

// sayWhich ends a rotate that was told nothing: it lists what earlier ones left, and
// asks for names.
func (o *rotateOptions) sayWhich(ctx context.Context) error {
	list, err := o.rotations(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		o.errorf("! %s\n", o.waitingText(r))
	}
	return &usageError{err: errors.New("give the names of connections, or --all"), command: "c2conn rotate"}
}

// rotateItem is one credential to be renewed, with the connections that have it.
type rotateItem struct {
	conn   connections.Connection // the first of them
	others []string
	begun  *registration.Rotation // it broke off, and is gone on with

	rotated  *wizard.Rotated
	switched []connections.Connection // as they are saved now
	err      error
	ended    bool
}

// renewed tells whether connections use the new credential.
func (i *rotateItem) renewed() bool {
	return i.rotated != nil && (i.rotated.State == registration.RotationWaiting || i.rotated.State == registration.RotationDone)
}

func (i *rotateItem) names() []string { return append([]string{i.conn.Name}, i.others...) }

// items are the credentials to be renewed: of the named connections, or of all. What
// cannot be renewed is skipped with --all.
func (o *rotateOptions) items(ctx context.Context, names []string) (list []*rotateItem, problems []problemJSON, err error) {
	store, err := o.store()
	if err != nil {
		return nil, nil, err
	}
	entries, err := store.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	var wanted []connections.Connection
	for _, name := range names {
		c, err := o.connection(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		wanted = append(wanted, c)
	}
	for _, e := range entries {
		switch c := e.Connection; {
		case e.Err != nil:
			problems = append(problems, problemJSON{e.Path, clean(e.Err.Error())})
		case !o.all, c.Location != connections.Online, c.Registration.ClientID == "":
		case !o.onlyEnding || c.Credential.ExpiresWithin(o.Clock.Now(), time.Duration(o.within)):
			wanted = append(wanted, c)
		}
	}
	if !o.all {
		problems = nil
	}
	begun, err := o.rotations(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range wanted {
		if slices.ContainsFunc(list, func(i *rotateItem) bool { return i.conn.ID == c.ID || registration.SameCredential(i.conn, c) }) {
			continue
		}
		item := &rotateItem{conn: c}
		list = append(list, item)
		for _, r := range begun {
			if r.State == registration.RotationBegun && r.Uses(c) {
				item.begun = &r
			}
		}
		for _, e := range entries {
			if e.Err == nil && e.Connection.ID != c.ID && registration.SameCredential(c, e.Connection) {
				item.others = append(item.others, e.Connection.Name)
			}
		}
	}
	return list, problems, nil
}

// rotations lists the rotations that broke off, or whose old credential waits for its
// removal, oldest first.
func (a *app) rotations(ctx context.Context) ([]registration.Rotation, error) {
	env, err := a.wizardEnv()
	if err != nil {
		return nil, err
	}
	return env.Rotations(ctx)
}
