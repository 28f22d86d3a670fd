package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/connections/bundle"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/move"
	"github.com/c2conn/c2conn/wizard"
)

// envExport is the passphrase of bundles, for scripts.
const envExport = "C2CONN_EXPORT_PASSPHRASE" //nolint:gosec // the name of a variable, not a secret

func newExport(a *app) *cobra.Command {
	o := &exportOptions{app: a}
	cmd := &cobra.Command{
		Use: "export NAME… | --all", Short: "Write connections and their secrets to an encrypted file", GroupID: groupUse,
		Long: `Writes connections to a bundle that c2conn import reads on another computer: the
profiles, private keys with their certificates, client secrets, and the clouds that
you defined. The bundle is text, encrypted with age: with a passphrase (asked for twice
in a terminal), or to age and SSH public keys. It goes to --to, or to standard output
where that is no terminal.

References to variables and commands (env:, exec:) stay references; those to files
(file:) too, unless --embed-references takes along what the files hold. A key that
cannot leave its store is told; the other connections are exported, and the exit code
is 1.`,
		Example: `  c2conn export contoso-exchange --to contoso.bundle
  c2conn export --all --passphrase-file pass --to all.bundle
  c2conn export --all --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p > all.bundle
  c2conn export --all --recipients-file ~/.ssh/authorized_keys --to all.bundle
  c2conn export --all --without-secrets --to profiles.json`,
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.all == (len(args) > 0) {
				return &usageError{err: errors.New("give the names of connections, or --all"), command: cmd.CommandPath()}
			}
			if err := o.check(); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return o.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "export every saved connection")
	f.StringVar(&o.to, "to", "", "file to write; it must not exist yet")
	o.passphrase.add(cmd)
	f.StringArrayVar(&o.recipients, "recipient", nil, "encrypt to this public key: age1…, ssh-ed25519 … or ssh-rsa … (repeatable)")
	f.StringArrayVar(&o.recipientFiles, "recipients-file", nil, "encrypt to the public keys of this file, one a line; an authorized_keys file is one (repeatable)")
	f.BoolVar(&o.embed, "embed-references", false, "take along what file: references point to")
	f.BoolVar(&o.without, "without-secrets", false, "export the profiles only, with their references; encryption is not needed then")
	f.BoolVar(&o.clear, "include-secrets-unencrypted", false, "write the secrets in clear, after asking; whoever reads the file can sign in")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask (with --include-secrets-unencrypted)")
	_ = cmd.MarkFlagFilename("to")
	_ = cmd.MarkFlagFilename("recipients-file")
	return cmd
}

// bundlePassphrase are the ways to give the passphrase of a bundle.
type bundlePassphrase struct {
	file  string
	stdin bool
}

func (p *bundlePassphrase) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.file, "passphrase-file", "", "file with the passphrase of the bundle (or variable "+envExport+")")
	cmd.Flags().BoolVar(&p.stdin, "passphrase-stdin", false, "read the passphrase of the bundle from standard input")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "passphrase-stdin")
	_ = cmd.MarkFlagFilename("passphrase-file")
}

func (p *bundlePassphrase) given() bool { return p.file != "" || p.stdin }

// read returns the passphrase that a flag or the variable gives, empty where none does.
func (p *bundlePassphrase) read(ctx context.Context, a *app) (connections.Secret, error) {
	var data []byte
	var err error
	switch {
	case p.file != "":
		data, err = a.ReadFile(p.file)
	case p.stdin:
		data, err = io.ReadAll(io.LimitReader(a.secretInput(ctx), fileLimit))
	default:
		return connections.NewSecret(a.Getenv(envExport)), nil
	}
	secret := wizard.SecretText(data)
	if err == nil && secret.IsZero() {
		err = refuse("the passphrase is empty")
	}
	return secret, err
}

type exportOptions struct {
	*app
	all, embed, without, clear, yes bool
	to                              string
	passphrase                      bundlePassphrase
	recipients, recipientFiles      []string
}

// exportedJSON is the answer of export.
type exportedJSON struct {
	Exported  []exportedItemJSON `json:"exported"`
	Failed    []exportFailedJSON `json:"failed,omitempty"`
	Clouds    []string           `json:"clouds"`
	File      string             `json:"file"`
	Encrypted bool               `json:"encrypted"`
}

type exportedItemJSON struct {
	Name       string   `json:"name"`
	Secret     string   `json:"secret"` // certificate, client-secret, password; "" where none travels along
	References []string `json:"references"`
}

type exportFailedJSON struct {
	Name  string         `json:"name"`
	Error *advice.Advice `json:"error"`
}

func (o *exportOptions) keys() bool { return len(o.recipients)+len(o.recipientFiles) > 0 }

// check refuses flags that contradict each other, before anything is read.
func (o *exportOptions) check() error {
	switch {
	case o.keys() && o.passphrase.given():
		return errors.New("a bundle is encrypted with a passphrase or to recipients, not both")
	case o.clear && (o.keys() || o.passphrase.given()):
		return errors.New("--include-secrets-unencrypted contradicts the flags that encrypt; leave one of them out")
	case o.clear && o.without:
		return errors.New("--include-secrets-unencrypted contradicts --without-secrets")
	case o.embed && o.without:
		return errors.New("--embed-references contradicts --without-secrets")
	case o.to == "" && o.OutTerminal:
		return errors.New("give --to FILE; a bundle is not written to a terminal")
	case o.to == "" && o.output != "table":
		return errors.New("standard output is the bundle itself; with --output give --to FILE")
	}
	if o.to != "" {
		if _, err := os.Lstat(o.to); err == nil {
			return fmt.Errorf("--to: %s exists already; nothing was written", o.to)
		}
	}
	return nil
}

func (o *exportOptions) run(ctx context.Context, names []string) error {
	list, err := o.chosen(ctx, names)
	if err != nil {
		return err
	}
	to, err := o.encryption(ctx)
	if err != nil {
		return err
	}
	if o.clear {
		if err := o.confirmClear(ctx, len(list)); err != nil {
			return err
		}
	}
	place, err := o.place()
	if err != nil {
		return err
	}
	b, failed, err := place.Pack(ctx, list, move.PackOptions{WithoutSecrets: o.without, EmbedFiles: o.embed, MadeBy: "c2conn " + o.Version.Number, Now: o.Clock.Now()})
	if err != nil {
		return err
	}
	for _, f := range failed {
		o.errorf("✗ %s is not exported: %s\n", f.Connection.Name, renderAdvice(o.adviceOf(f.Err), "  "))
	}
	if len(b.Items) == 0 {
		return &verdict{class: advice.ClassOther}
	}
	plain, err := bundle.Marshal(b)
	if err != nil {
		return err
	}
	data := plain.Reveal()
	if len(to) > 0 {
		if data, err = bundle.Seal(plain, to...); err != nil {
			return err
		}
	}
	return o.write(b, failed, data, len(to) > 0)
}

// chosen are the connections to export, each once.
func (o *exportOptions) chosen(ctx context.Context, names []string) ([]connections.Connection, error) {
	var list []connections.Connection
	for _, name := range names {
		c, err := o.connection(ctx, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, func(x connections.Connection) bool { return x.ID == c.ID }) {
			list = append(list, c)
		}
	}
	if !o.all {
		return list, nil
	}
	store, err := o.store()
	if err != nil {
		return nil, err
	}
	entries, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Err != nil { // "all" with one missing would be found out too late
			return nil, fmt.Errorf("nothing was exported: %w", e.Err)
		}
		list = append(list, e.Connection)
	}
	if len(list) == 0 {
		return nil, refuse("there is no connection to export; create one: c2conn new exchange")
	}
	return list, nil
}

// encryption are the recipients of the bundle; none where it stays readable.
func (o *exportOptions) encryption(ctx context.Context) ([]age.Recipient, error) {
	var to []age.Recipient
	for _, r := range o.recipients {
		one, err := bundle.ParseRecipient(r)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--recipient: %w", err), command: "c2conn export"}
		}
		to = append(to, one)
	}
	for _, path := range o.recipientFiles {
		data, err := o.ReadFile(path)
		if err != nil {
			return nil, err
		}
		some, err := bundle.ParseRecipients(data)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--recipients-file %s: %w", path, err), command: "c2conn export"}
		}
		to = append(to, some...)
	}
	if len(to) > 0 || o.clear || o.without && !o.passphrase.given() {
		return to, nil
	}
	secret, err := o.passphrase.read(ctx, o.app)
	if err != nil {
		return nil, err
	}
	if secret.IsZero() {
		if !o.canAsk() {
			return nil, &usageError{err: errors.New("say how the secrets are encrypted: --passphrase-file | --passphrase-stdin (or " + envExport + "), --recipient | --recipients-file; or leave them out: --without-secrets"), command: "c2conn export"}
		}
		o.errorf("Choose a passphrase for the bundle; it is asked for when the bundle is imported.\n")
		if secret, err = o.newPassphrase(ctx); err != nil {
			return nil, err
		}
		if secret.IsZero() {
			return nil, refuse("no passphrase was typed; nothing was exported")
		}
	}
	one, err := bundle.PassphraseRecipient(secret, o.ScryptLogN)
	return []age.Recipient{one}, err
}

func (o *exportOptions) confirmClear(ctx context.Context, n int) error {
	if o.yes {
		return nil
	}
	if !o.canAsk() {
		return &usageError{err: errors.New("secrets in clear are written after a question only, and nobody can be asked here; encrypt them (--passphrase-file, --recipient), or give --yes"), command: "c2conn export"}
	}
	ok, err := o.ask(ctx, fmt.Sprintf("Write the secrets of %s in clear? Whoever reads the file can sign in as the applications.", plural(n, "connection", "connections")))
	if err == nil && !ok {
		err = refuse("nothing was exported, as you said")
	}
	return err
}

func (o *exportOptions) write(b bundle.Bundle, failed []move.Failure, data []byte, encrypted bool) error {
	doc := exportedJSON{Exported: []exportedItemJSON{}, Clouds: []string{}, File: o.to, Encrypted: encrypted}
	var names []string
	rows := [][]string{{"NAME", "TRAVELS ALONG", "STAYS A REFERENCE"}}
	for _, i := range b.Items {
		one := exportedItemJSON{Name: i.Connection.Name, Secret: i.Credential(), References: []string{}}
		for _, r := range i.Outside() {
			one.References = append(one.References, refLabel(r))
		}
		doc.Exported, names = append(doc.Exported, one), append(names, one.Name)
		rows = append(rows, []string{one.Name, orDash(one.Secret), orDash(strings.Join(one.References, ", "))})
	}
	for _, f := range failed {
		doc.Failed = append(doc.Failed, exportFailedJSON{Name: f.Connection.Name, Error: o.dated(o.adviceOf(f.Err))})
	}
	for _, c := range b.Clouds {
		doc.Clouds = append(doc.Clouds, c.Name)
	}
	if o.to == "" {
		if _, err := o.Out.Write(data); err != nil {
			return fmt.Errorf("writing the bundle: %w", connections.Full("standard output", err))
		}
		o.errorf("Exported %s.\n", plural(len(names), "connection", "connections"))
	} else {
		if err := writeNew(o.to, data, 0o600); err != nil {
			return err
		}
		err := o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
			text := columns(rows)
			if len(doc.Clouds) > 0 {
				text += "With the definition of " + plural(len(doc.Clouds), "cloud", "clouds") + ": " + strings.Join(doc.Clouds, ", ") + ".\n"
			}
			how := "encrypted"
			if !encrypted {
				how = "not encrypted"
			}
			return text + fmt.Sprintf("\nWrote %s (%s). On the other computer: c2conn import FILE\n", o.to, how)
		}})
		if err != nil {
			return err
		}
	}
	if !encrypted && b.HasSecrets() {
		o.errorf("! The bundle holds secrets in clear. Delete it as soon as it was imported.\n")
	}
	if len(failed) > 0 {
		return &verdict{class: advice.ClassOther}
	}
	return nil
}

// place are the stores of this user, for moving.
func (a *app) place() (move.Place, error) {
	store, err := a.store()
	if err != nil {
		return move.Place{}, err
	}
	personal, err := a.personalStore()
	if err != nil {
		return move.Place{}, err
	}
	clouds, err := a.cloudSet()
	return move.Place{Store: store, Personal: personal, Clouds: clouds}, err
}

// refLabel names a reference; of a command only its first word, as its arguments may
// be nobody's business.
func refLabel(r connections.Ref) string {
	if r.Scheme() != connections.SchemeExec {
		return clean(string(r))
	}
	word, _, more := strings.Cut(r.Value(), " ")
	if more {
		word += " …"
	}
	return clean(connections.SchemeExec + ":" + word)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
