package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/internal/handout"
)

type envOptions struct {
	format                    string
	certPath                  string
	force, showSecrets, unset bool
	written                   *privateFile // the file of --cert-path
}

func newEnv(a *app) *cobra.Command {
	var o envOptions
	var formats []string
	for _, f := range handout.Formats() {
		formats = append(formats, string(f))
	}
	cmd := &cobra.Command{
		Use: "env NAME", Short: "Print the variables with which other tools use a connection", GroupID: groupUse,
		Long: `Prints lines that set the variables which Azure's libraries read, for bash (and other
POSIX shells), fish, PowerShell, a .env file or GitHub Actions. github writes them to
the file that GITHUB_ENV names, and masks the secret in the log.

Libraries read a certificate from a file. Where the connection refers to one it is
named; else --cert-path writes it, with its private key, for this user alone. Rather
use c2conn exec, whose file is gone afterwards.

A secret is not shown on a terminal, unless --show-secrets is given.`,
		Example: "  eval \"$(c2conn env contoso)\"\n  c2conn env contoso --format fish | source\n  c2conn env contoso --format powershell | Out-String | Invoke-Expression\n" +
			"  c2conn env contoso --format dotenv --cert-path contoso.pem > .env\n  eval \"$(c2conn env contoso --unset)\"",
		Args:              oneArgument("the name of a connection"),
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.output = "table" // a shell reads standard output: no error may be there, whatever C2CONN_OUTPUT says
			usage := func(text string) error { return &usageError{err: errors.New(text), command: cmd.CommandPath()} }
			switch {
			case cmd.Flags().Changed("output"):
				return usage("--format is what says the form of the variables, not --output")
			case !slices.Contains(formats, o.format):
				return usage(fmt.Sprintf("--format %q is not one of %s", clean(o.format), strings.Join(formats, ", ")))
			case o.unset && o.format == string(handout.Dotenv):
				return usage("a .env file cannot take a variable back; remove the file")
			case o.format == string(handout.GitHub) && a.Getenv("GITHUB_ENV") == "":
				return usage("GITHUB_ENV is not set, so this is no step of GitHub Actions; choose another --format")
			case o.unset && o.certPath != "":
				return usage("--unset writes no certificate: leave --cert-path out")
			}
			return o.run(cmd, a, args[0])
		},
	}
	otherwise := handout.Bash
	if runtime.GOOS == "windows" {
		otherwise = handout.PowerShell
	}
	cmd.Flags().StringVar(&o.format, "format", string(otherwise), "for whom: "+strings.Join(formats, ", "))
	cmd.Flags().StringVar(&o.certPath, "cert-path", "", "write the certificate with its private key to this file (PEM)")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace the file of --cert-path")
	cmd.Flags().BoolVar(&o.showSecrets, "show-secrets", false, "show a secret on a terminal too")
	cmd.Flags().BoolVar(&o.unset, "unset", false, "print the lines that take the variables back")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("cert-path")
	return cmd
}

func (o *envOptions) run(cmd *cobra.Command, a *app, name string) (err error) {
	h, err := a.handOut(cmd.Context(), name)
	if err != nil {
		return err
	}
	format := handout.Format(o.format)
	if o.unset {
		return o.takeBack(a, h, format)
	}
	if err := h.load(cmd.Context(), a); err != nil {
		return err
	}
	credential, err := o.credential(cmd, a, h)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && o.written != nil { // nobody was told of the key
			err = errors.Join(err, o.written.undo())
		}
	}()
	vars := append(h.variables(), credential...)
	var text, masks strings.Builder
	for _, other := range handout.Competing(vars) {
		text.WriteString(format.Unset(other))
	}
	for _, v := range vars {
		hidden := v.Secret && a.OutTerminal && !o.showSecrets
		switch {
		case v.Secret && format == handout.GitHub && !hidden:
			masks.WriteString(handout.Mask(v.Value))
		case hidden && format != handout.GitHub:
			text.WriteString(format.Comment(v.Name + " is not shown on a terminal; give --show-secrets, or let the shell read it: see c2conn env --help"))
			continue
		}
		line, err := format.Set(v, rand.Text())
		if err != nil {
			return refuse("%s; use c2conn exec %s -- COMMAND instead", err, advice.ShellWord(h.conn.Name))
		}
		text.WriteString(line)
	}
	if format != handout.GitHub {
		return a.write(text.String())
	}
	// Masked before anything can show it.
	if err := a.write(masks.String()); err != nil {
		return err
	}
	return a.toGitHub(text.String())
}

// credential is the credential as variables; a certificate needs a file.
func (o *envOptions) credential(cmd *cobra.Command, a *app, h *handedOut) ([]handout.Variable, error) {
	id, c := h.credential.Identity, h.conn.Credential
	switch {
	case id == nil && o.certPath != "":
		return nil, &usageError{err: fmt.Errorf("%s signs in with a client secret: there is no certificate for --cert-path", h.conn.Name), command: cmd.CommandPath()}
	case id == nil:
		return []handout.Variable{h.secretVariable()}, nil
	case o.certPath != "":
		pem, err := id.PEM()
		if err != nil {
			return nil, a.about(h, err)
		}
		if o.written, err = a.writePrivate(o.certPath, pem, o.force); err != nil {
			return nil, err
		}
		return []handout.Variable{{Name: handout.CertificatePath, Value: o.written.path}}, nil
	case c.Secret.Scheme() != connections.SchemeFile:
		return nil, refuse("the certificate of %s is not in a file of its own, and libraries read it from one. Give it to one command, in a file that is gone afterwards: "+
			"c2conn exec %s -- COMMAND. Or write a file that stays, with the private key, for you alone: --cert-path FILE", h.conn.Name, advice.ShellWord(h.conn.Name))
	}
	return a.fileAsItLies(cmd.Context(), h)
}

// fileAsItLies names the certificate's file that the connection refers to.
func (a *app) fileAsItLies(ctx context.Context, h *handedOut) ([]handout.Variable, error) {
	c := h.conn.Credential
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	list, password := []handout.Variable{{Name: handout.CertificatePath, Value: c.Secret.Value()}}, ""
	if c.Password != "" {
		secret, err := store.Secret(ctx, c.Password)
		if err != nil {
			return nil, a.about(h, err)
		}
		password = strings.TrimRight(string(secret.Reveal()), "\r\n") // as it is read to open the file
		list = append(list, handout.Variable{Name: handout.CertificatePassword, Value: password, Secret: true})
	}
	data, err := store.SecretBytes(ctx, c.Secret)
	if err != nil {
		return nil, a.about(h, err)
	}
	var several *certs.SeveralError
	if _, err := certs.Parse(data.Reveal(), password); errors.As(err, &several) {
		return nil, refuse("%s holds several certificates, and libraries take the first, not the one of %s. Give that one to a command: c2conn exec %s -- COMMAND. Or write it to a file of its own: --cert-path FILE",
			clean(c.Secret.Value()), h.conn.Name, advice.ShellWord(h.conn.Name))
	}
	return list, nil
}

// takeBack prints the lines that unset whatever env sets.
func (o *envOptions) takeBack(a *app, h *handedOut, format handout.Format) error {
	names := handout.Competing(nil)
	for _, v := range h.variables() {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	var text strings.Builder
	for _, name := range slices.Compact(names) {
		text.WriteString(format.Unset(name))
	}
	if format == handout.GitHub {
		return a.toGitHub(text.String())
	}
	return a.write(text.String())
}

func (a *app) write(text string) error {
	if _, err := a.Out.Write([]byte(text)); err != nil {
		return fmt.Errorf("writing the result: %w", connections.Full("standard output", err))
	}
	return nil
}
