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
	"github.com/c2conn/c2conn/internal/move"
)

func newImport(a *app) *cobra.Command {
	o := &importOptions{app: a}
	cmd := &cobra.Command{
		Use: "import FILE | -", Short: "Read connections from a file that export wrote", GroupID: groupUse,
		Long: `Reads a bundle that c2conn export wrote and saves its connections: the secrets first,
encrypted in this computer's store, then the profiles. It shows what would come and
asks before it goes on. What is in the way (a connection of the same name or id, a
second migration target of a mailbox) is asked about, or decided for all by
--on-conflict: fail (the default where nobody can be asked), skip, replace (the previous
version is kept) or rename.

Where a cloud is defined otherwise here, its connections are not imported: every
connection of that cloud would sign in elsewhere. --replace-clouds takes the bundle's
definition.

A bundle is opened with its passphrase, or with the private key (--identity, an age
identity or an SSH key) of one of its recipients. Encryption does not tell who made it:
import only what comes from somebody you trust. References to files, variables and
commands of this computer are shown, and where nobody can be asked taken over with
--allow-references only. Imported connections count as unverified.`,
		Example: `  c2conn import contoso.bundle
  c2conn import all.bundle --dry-run --passphrase-file pass
  c2conn import all.bundle --identity ~/.ssh/id_ed25519 --on-conflict skip
  c2conn import - --passphrase-file pass < all.bundle`,
		Args: oneArgument("a file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args[0]); err != nil {
				return &usageError{err: err, command: cmd.CommandPath()}
			}
			return o.run(cmd.Context(), args[0])
		},
	}
	f := cmd.Flags()
	o.passphrase.add(cmd)
	f.StringArrayVar(&o.identities, "identity", nil, "file with the private key of a recipient: an age identity or an SSH key (repeatable)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would come, and change nothing")
	f.StringVar(&o.onConflict, "on-conflict", "", "what to do with what is in the way: fail, skip, replace or rename")
	f.BoolVar(&o.replaceClouds, "replace-clouds", false, "let the bundle's definition of a cloud take the place of another one here; all connections of that cloud then sign in there")
	f.BoolVar(&o.references, "allow-references", false, "take over references to files, variables and commands of this computer without asking")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask whether to go on")
	_ = cmd.RegisterFlagCompletionFunc("on-conflict", cobra.FixedCompletions([]string{"fail", "skip", "replace", "rename"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("identity")
	return cmd
}

type importOptions struct {
	*app
	passphrase              bundlePassphrase
	identities              []string
	dryRun, references, yes bool
	onConflict              string
	replaceClouds           bool
}

// importedJSON is the answer of import; with --dry-run what would be done.
type importedJSON struct {
	Connections []importedItemJSON `json:"connections"`
	Clouds      []string           `json:"clouds"` // definitions that are added or replaced
	MadeAt      string             `json:"made_at"`
	MadeBy      string             `json:"made_by"`
	DryRun      bool               `json:"dry_run"`
}

type importedItemJSON struct {
	Name       string   `json:"name"`
	Was        string   `json:"was,omitempty"` // its name in the bundle, where it got another
	Kind       string   `json:"kind"`
	Account    string   `json:"account"`
	Action     string   `json:"action"` // add, skip, replace, rename; "" where a conflict is not decided
	Secret     string   `json:"secret"`
	References []string `json:"references"`
	Conflicts  []string `json:"conflicts,omitempty"`
	Lacks      string   `json:"lacks,omitempty"` // what it still needs on this computer
}

func (o *importOptions) check(file string) error {
	switch {
	case o.onConflict != "" && !slices.Contains([]string{"fail", "skip", "replace", "rename"}, o.onConflict):
		return fmt.Errorf("--on-conflict %q is not one of fail, skip, replace, rename", o.onConflict)
	case o.passphrase.stdin && file == "-":
		return errors.New("standard input cannot hold both the bundle and its passphrase; use --passphrase-file")
	case o.passphrase.given() && len(o.identities) > 0:
		return errors.New("a bundle is opened with a passphrase or with --identity, not both")
	}
	return nil
}

func (o *importOptions) run(ctx context.Context, file string) error {
	b, err := o.open(ctx, file)
	if err != nil {
		return err
	}
	place, err := o.place()
	if err != nil {
		return err
	}
	plan, err := place.Plan(ctx, b, move.PlanOptions{ReplaceClouds: o.replaceClouds})
	if err != nil {
		return err
	}
	o.preview(b, plan)
	// Standard input that was the bundle cannot answer questions.
	asking := o.canAsk() && file != "-"
	if err := o.decide(ctx, plan, asking && !o.dryRun); err != nil {
		return err
	}
	if o.dryRun {
		return o.printPlan(b, plan)
	}
	if err := o.confirm(ctx, plan, asking); err != nil {
		return err
	}
	if b.HasSecrets() && slices.ContainsFunc(plan.Steps, func(s move.Step) bool { return s.Action != move.Skip }) {
		if err := place.Store.SecretsReady(ctx); err != nil {
			return err
		}
	}
	done, err := place.Unpack(ctx, plan)
	if err != nil {
		saved := slices.DeleteFunc(slices.Clone(done), func(d move.Done) bool { return d.Action == move.Skip })
		state := "Nothing was imported."
		if len(saved) > 0 {
			state = fmt.Sprintf("%d of %d connections are imported and whole; run the command again with --on-conflict skip to go on.", len(saved), len(plan.Steps))
		}
		if ctx.Err() != nil {
			return &stoppedError{err: err, state: state}
		}
		o.errorf("%s\n", state)
		return err
	}
	return o.printDone(ctx, place, b, plan, done)
}

// open reads and decrypts the bundle.
func (o *importOptions) open(ctx context.Context, file string) (bundle.Bundle, error) {
	data, err := o.readBundle(file)
	if err != nil {
		return bundle.Bundle{}, err
	}
	plain, err := o.unseal(ctx, file, data)
	if err != nil {
		return bundle.Bundle{}, o.explain(file, err)
	}
	b, err := bundle.Parse(plain)
	if err != nil {
		return b, o.explain(file, err)
	}
	return b, nil
}

func (o *importOptions) readBundle(file string) (data []byte, err error) {
	if file == "-" {
		if o.InTerminal {
			return nil, &usageError{err: errors.New("nothing comes through standard input; give the bundle's file"), command: "c2conn import"}
		}
		return io.ReadAll(io.LimitReader(o.In, bundle.MaxSize+1))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, bundle.MaxSize+1))
}

func (o *importOptions) unseal(ctx context.Context, file string, data []byte) (connections.Secret, error) {
	var with []age.Identity
	for _, path := range o.identities {
		text, err := o.ReadFile(path)
		if err != nil {
			return connections.Secret{}, err
		}
		var ask func() (connections.Secret, error)
		if o.canAsk() && file != "-" {
			ask = func() (connections.Secret, error) { return o.readPassword(ctx, "Passphrase of "+path+": ") }
		}
		some, err := bundle.ParseIdentities(text, ask)
		if err != nil {
			return connections.Secret{}, &usageError{err: fmt.Errorf("--identity %s: %w", path, err), command: "c2conn import"}
		}
		with = append(with, some...)
	}
	if len(with) == 0 && bundle.Sealed(data) {
		secret, err := o.passphrase.read(ctx, o.app)
		if err != nil {
			return connections.Secret{}, err
		}
		if !secret.IsZero() {
			one, err := bundle.PassphraseIdentity(secret)
			if err != nil {
				return connections.Secret{}, err
			}
			with = append(with, one)
		}
	}
	plain, err := bundle.Unseal(data, with...)
	for try := 0; errors.Is(err, bundle.ErrPassphraseNeeded) || errors.Is(err, bundle.ErrWrongPassphrase) && try > 0; try++ {
		if !o.canAsk() || file == "-" || len(with) > 0 && try == 0 || try == passphraseTries {
			break
		}
		secret, failed := o.readPassword(ctx, "Passphrase of the bundle: ")
		if failed != nil {
			return plain, failed
		}
		one, failed := bundle.PassphraseIdentity(secret)
		if failed != nil {
			return plain, err
		}
		if plain, err = bundle.Unseal(data, one); errors.Is(err, bundle.ErrWrongPassphrase) {
			o.errorf("That passphrase does not open it.\n")
		}
	}
	return plain, err
}

const passphraseTries = 3

// explain adds to an error of the bundle what to give.
func (o *importOptions) explain(file string, err error) error {
	switch {
	case errors.Is(err, bundle.ErrPassphraseNeeded):
		err = fmt.Errorf("%w; give it with --passphrase-file FILE, --passphrase-stdin or %s", err, envExport)
	case errors.Is(err, bundle.ErrIdentityNeeded):
		err = fmt.Errorf("%w; give the private key of one with --identity FILE", err)
	case errors.Is(err, bundle.ErrWrongPassphrase), errors.Is(err, bundle.ErrWrongIdentity):
	case errors.Is(err, bundle.ErrNotABundle), errors.Is(err, bundle.ErrTooLarge):
		return refuse("%s: %s", file, err.Error())
	default:
		var damaged *bundle.DamagedError
		var newer *bundle.NewerSchemaError
		if errors.As(err, &damaged) || errors.As(err, &newer) {
			return refuse("%s: %s", file, err.Error())
		}
		return err
	}
	return &usageError{err: fmt.Errorf("%s: %w", file, err), command: "c2conn import"}
}

// decide settles all conflicts, by the flag or by asking.
func (o *importOptions) decide(ctx context.Context, plan *move.Plan, asking bool) error {
	var open conflictsError
	choice := move.Action(o.onConflict)
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if len(s.Conflicts) == 0 {
			continue
		}
		add := func(text string) {
			open.list = append(open.list, text)
			open.clouds = open.clouds || s.CloudInTheWay()
			open.others = open.others || !s.CloudInTheWay() || len(s.Conflicts) > 1 && (choice == "" || choice == "fail")
		}
		switch {
		case choice == "fail", choice == "" && !asking:
			add(fmt.Sprintf("%s: %s", s.Name, strings.Join(s.Conflicts, "; ")))
		case choice != "":
			if err := plan.Decide(i, choice); err != nil {
				add(fmt.Sprintf("%s: %s", s.Name, err))
			}
		default:
			if err := o.askConflict(ctx, plan, i); err != nil {
				return err
			}
		}
	}
	if len(open.list) == 0 || o.dryRun && choice == "" {
		return nil
	}
	return &usageError{err: &open, command: "c2conn import"}
}

// conflictsError lists what is in the way of an import.
type conflictsError struct {
	list           []string
	clouds, others bool // of what kind they are
}

func (e *conflictsError) Error() string {
	text := plural(len(e.list), "connection has something", "connections have something") + " in the way, and nothing was imported"
	if e.clouds {
		text += ". Another definition of a cloud is taken with --replace-clouds only, for every connection of that cloud then signs in there; --on-conflict skip leaves its connections out"
	}
	text += ": " + strings.Join(e.list, " · ")
	if e.others {
		text += ". Decide with --on-conflict skip, replace or rename"
	}
	return text
}

func (o *importOptions) askConflict(ctx context.Context, plan *move.Plan, i int) error {
	s := &plan.Steps[i]
	letters := map[string]move.Action{"s": move.Skip, "r": move.Replace, "n": move.Rename}
	var offers []string
	for _, c := range []struct {
		action move.Action
		text   string
	}{{move.Skip, "[s]kip it"}, {move.Replace, "[r]eplace what is here"}, {move.Rename, "save under a [n]ew name"}} {
		if slices.Contains(s.Choices, c.action) {
			offers = append(offers, c.text)
		}
	}
	for {
		if s.CloudInTheWay() {
			o.errorf("Only --replace-clouds takes the bundle's definition of a cloud.\n")
		}
		o.errorf("%s: %s.\n  %s, or [q]uit? ", s.Name, clean(strings.Join(s.Conflicts, "; ")), strings.Join(offers, ", "))
		line, err := o.readLine(ctx)
		if err != nil {
			return err
		}
		word := strings.ToLower(strings.TrimSpace(line))
		if word == "q" || word == "quit" {
			return refuse("nothing was imported, as you said")
		}
		action, known := letters[word]
		if !known {
			action = move.Action(word)
		}
		if plan.Decide(i, action) == nil {
			return nil
		}
	}
}

// confirm asks whether to go on; references to this computer's files and commands are
// never taken over unasked.
func (o *importOptions) confirm(ctx context.Context, plan *move.Plan, asking bool) error {
	var refs []string
	n := 0
	for _, s := range plan.Steps {
		if s.Action == move.Skip {
			continue
		}
		n++
		for _, r := range s.Item.Outside() {
			refs = append(refs, s.Name+" "+clean(string(r)))
		}
	}
	if n == 0 {
		return nil
	}
	if len(refs) > 0 && !o.references {
		if !asking {
			return &usageError{err: fmt.Errorf("the bundle refers to files, variables or commands of this computer, which are read or run whenever the connection is used: %s. If you trust who made it, give --allow-references", strings.Join(refs, " · ")), command: "c2conn import"}
		}
		o.errorf("These are read or run on this computer whenever the connection is used:\n  %s\n", strings.Join(refs, "\n  "))
		return o.goOn(ctx, "Import them? Only if you trust who made the bundle.")
	}
	if o.yes || !asking {
		return nil
	}
	return o.goOn(ctx, "Import "+plural(n, "connection", "connections")+"?")
}

func (o *importOptions) goOn(ctx context.Context, question string) error {
	ok, err := o.ask(ctx, question)
	if err == nil && !ok {
		err = refuse("nothing was imported, as you said")
	}
	return err
}
