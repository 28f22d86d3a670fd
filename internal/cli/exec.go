package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/entra"
	"github.com/c2conn/c2conn/internal/handout"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/wizard"
)

// watchCommand is how c2conn starts itself to remove a folder when it is gone.
const watchCommand = "__watch"

func newWatch(a *app) *cobra.Command {
	return &cobra.Command{
		Use: watchCommand + " FOLDER", Short: "Remove the folder of an exec when its process is gone", Hidden: true, GroupID: groupOther,
		Long:        "c2conn exec starts this by itself; it is of no use otherwise.",
		Example:     "  c2conn exec contoso -- COMMAND",
		Annotations: map[string]string{quick: "yes"},
		Args:        oneArgument("the folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return handout.Watch(cmd.Context(), a.In, args[0], a.Clock.Sleep)
		},
	}
}

type execOptions struct {
	format string
	tokens []string
}

func newExec(a *app) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use: "exec NAME [flags] -- COMMAND [ARGUMENT]…", DisableFlagsInUseLine: true, Short: "Run a command with a connection's credential", GroupID: groupUse,
		Long: `Runs a command that finds the connection's credential in its environment, in the
variables that Azure's libraries read: AZURE_TENANT_ID, AZURE_CLIENT_ID and
AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, AZURE_AUTHORITY_HOST outside the
global cloud, and C2CONN_CONNECTION_… with the account and the addresses. For a server
on the premises those are all, with C2CONN_CONNECTION_PASSWORD (or KRB5CCNAME).

A certificate is in a private file that exists as long as the command runs. It is
removed when the command has ended, and also when c2conn or the command is killed; the
next exec removes what a power cut leaves. In memory ($XDG_RUNTIME_DIR) where there is
such a place, else beneath the state directory.

The command gets signals, and its exit code is that of exec (128 and the number of the
signal that ended it; 126 and 127 where it cannot be started). It does not get
c2conn's own secrets.`,
		Example: "  c2conn exec contoso -- python3 report.py\n  c2conn exec contoso --cert-format pfx -- dotnet run\n" +
			"  c2conn exec contoso --token GRAPH_TOKEN=graph -- sh -c 'curl -H \"Authorization: Bearer $GRAPH_TOKEN\" \"$C2CONN_CONNECTION_GRAPH_URL/organization\"'",
		Annotations: map[string]string{quick: "it passes signals on"},
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
				return &usageError{err: errors.New("give the name of a connection, --, and the command: c2conn exec NAME -- COMMAND"), command: cmd.CommandPath()}
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault // the command's own
			}
			return a.completeNames(cmd, args, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), a, args[0], args[1:]) },
	}
	cmd.Flags().StringVar(&o.format, "cert-format", "pem", "form of a certificate's file: pem, or pfx with a password made for it")
	cmd.Flags().StringArrayVar(&o.tokens, "token", nil, "VARIABLE=RESOURCE: an access token in a variable, as c2conn token prints it; can be repeated")
	_ = cmd.RegisterFlagCompletionFunc("cert-format", cobra.FixedCompletions([]string{"pem", "pfx"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *execOptions) run(ctx context.Context, a *app, name string, command []string) (err error) {
	if o.format != "pem" && o.format != "pfx" {
		return &usageError{err: fmt.Errorf("--cert-format %q is neither pem nor pfx", o.format), command: "c2conn exec"}
	}
	// Until the command runs Ctrl-C ends us; then it is the command's.
	stop := context.CancelFunc(func() {})
	if a.Signals != nil {
		ctx, stop = a.Signals(ctx)
	}
	defer func() { stop() }()
	c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	if c.Location == connections.OnPremises {
		vars, err := o.serverVariables(ctx, a, c)
		if err != nil {
			return err
		}
		return a.runHandedOut(command, a.environ(), vars, stop)
	}
	h, err := a.handOut(ctx, name)
	if err != nil {
		return err
	}
	if err := h.load(ctx, a); err != nil {
		return err
	}
	tokens, err := o.tokenVariables(ctx, a, h)
	if err != nil {
		return err
	}
	var folder *handout.Folder
	if h.credential.Identity != nil {
		if folder, err = a.privateFolder(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, folder.Close()) }()
	}
	credential, err := o.credential(h, folder)
	if err != nil {
		return a.about(h, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	environ := a.environ()
	for _, t := range tokens {
		if slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, t.Name+"=") && len(e) > len(t.Name)+1 }) {
			a.errorf("%s is set here already; the command gets the new token in it instead.\n", t.Name)
		}
	}
	vars := append(append(h.variables(), credential...), tokens...)
	return a.runHandedOut(command, environ, vars, stop)
}

func (a *app) environ() []string {
	if a.Environ == nil {
		return nil
	}
	return a.Environ()
}

// serverVariables are what a command gets of a connection to a server on the premises.
func (o *execOptions) serverVariables(ctx context.Context, a *app, c connections.Connection) ([]handout.Variable, error) {
	if len(o.tokens) > 0 {
		return nil, refuse("%s is on-premises: there are no access tokens for its server; leave --token out", c.Name)
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	password, err := wizard.LoadPassword(ctx, store, c)
	if err != nil {
		return nil, &adviceError{err: &entra.SecretError{What: "password", Err: err}, facts: verify.FactsOf(c, cloud.Cloud{}, a.Clock.Now())}
	}
	e := c.Endpoints
	var list []handout.Variable
	for _, fact := range [][2]string{
		{"NAME", c.Name}, {"KIND", string(c.Kind)}, {"ACCOUNT", c.Account}, {"DOMAIN", e.Domain}, {"SERVER", e.Server}, {"EWS_URL", e.EWS}, {"POWERSHELL_URL", e.PowerShell},
		{"SHAREPOINT_URL", e.SharePoint}, {"CENTRAL_ADMIN_URL", e.Admin},
	} {
		if fact[1] != "" {
			list = append(list, handout.Variable{Name: "C2CONN_CONNECTION_" + fact[0], Value: fact[1]})
		}
	}
	if c.Credential.Type == connections.TypeTicketCache {
		return append(list, handout.Variable{Name: "KRB5CCNAME", Value: verify.TicketCache(c, a.Getenv)}), nil
	}
	return append(list, handout.Variable{Name: "C2CONN_CONNECTION_PASSWORD", Value: string(password.Reveal()), Secret: true}), nil
}

// runHandedOut runs the command with the variables; its exit code is ours.
func (a *app) runHandedOut(command, environ []string, vars []handout.Variable, stop func()) error {
	code, err := handout.Command{Args: command, Env: handout.Environ(environ, vars), In: a.In, Out: a.Out, Err: a.Err, Started: stop}.Run()
	switch {
	case err != nil:
		a.errorf("c2conn: %s cannot be run: %s\n", clean(command[0]), clean(err.Error()))
		return &verdict{class: advice.Class(code)}
	case code != 0:
		return &verdict{class: advice.Class(code)} // the command's own, which it has explained
	}
	return nil
}

// credential is the credential as variables, a certificate also as a file.
func (o *execOptions) credential(h *handedOut, folder *handout.Folder) ([]handout.Variable, error) {
	if h.credential.Identity == nil {
		return []handout.Variable{h.secretVariable()}, nil
	}
	if o.format == "pfx" {
		password := rand.Text()
		data, err := h.credential.Identity.PFX(password)
		if err != nil {
			return nil, err
		}
		path, err := folder.Write("certificate.pfx", data)
		return []handout.Variable{{Name: handout.CertificatePath, Value: path}, {Name: handout.CertificatePassword, Value: password, Secret: true}}, err
	}
	pem, err := h.credential.Identity.PEM()
	if err != nil {
		return nil, err
	}
	path, err := folder.Write("certificate.pem", pem.Reveal())
	return []handout.Variable{{Name: handout.CertificatePath, Value: path}}, err
}

// tokenVariables asks for the tokens that --token names.
func (o *execOptions) tokenVariables(ctx context.Context, a *app, h *handedOut) ([]handout.Variable, error) {
	var list []handout.Variable
	for _, t := range o.tokens {
		variable, resource, ok := strings.Cut(t, "=")
		taken := handout.Reserved(variable) || slices.ContainsFunc(list, func(v handout.Variable) bool { return v.Name == variable })
		switch {
		case ok && resource != "" && taken:
			return nil, &usageError{err: fmt.Errorf("--token %s: that variable is given twice, or it is one of the credential that the command gets anyhow; choose another name", clean(variable)), command: "c2conn exec"}
		case !ok || !variableName(variable) || resource == "":
			return nil, &usageError{err: fmt.Errorf("--token %q is not VARIABLE=RESOURCE, such as GRAPH_TOKEN=graph", clean(t)), command: "c2conn exec"}
		}
		scope, err := h.scope(resource)
		if err != nil {
			return nil, err
		}
		token, err := h.token(ctx, a, scope)
		if err != nil {
			return nil, err
		}
		list = append(list, handout.Variable{Name: variable, Value: string(token.Raw.Reveal()), Secret: true})
	}
	return list, nil
}

// variableName tells whether a shell takes s for the name of a variable.
func variableName(s string) bool {
	for i, r := range s {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// handoutPlace is where the files of exec lie.
func (a *app) handoutPlace() (handout.Place, error) {
	state, err := a.stateDir()
	return handout.Place{Runtime: a.Getenv("XDG_RUNTIME_DIR"), State: state}, err
}

// privateFolder is a folder that does not outlive this process.
func (a *app) privateFolder(ctx context.Context) (*handout.Folder, error) {
	place, err := a.handoutPlace()
	if err != nil {
		return nil, err
	}
	if a.Program == nil {
		return nil, refuse("c2conn does not know its own file, so nobody would remove the credential afterwards; nothing was handed out")
	}
	program, err := a.Program()
	if err != nil {
		return nil, err
	}
	return place.New(ctx, program, watchCommand)
}
