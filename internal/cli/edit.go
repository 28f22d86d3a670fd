package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

func newEdit(a *app) *cobra.Command {
	o := &editOptions{newOptions: newOptions{app: a}}
	cmd := &cobra.Command{
		Use: "edit NAME", Short: "Change a saved connection", GroupID: groupConnect,
		Long: `Opens the flow of the connection with every answer filled in. The saved connection
stays in force until the changed one has passed its checks and takes its place.

Nothing is registered anew by itself: a connection that was registered automatically
opens with manual registration and its details filled in. Choose automatic registration
to put another application in its place.

In scripts --set changes single answers, for example mailbox, client-id, tenant-id, name,
credential or registration; a key that does not exist is answered by all that do. A
secret is never a value: give a file, standard input or a reference. Variables of the
environment change nothing here, but for those of the administrator's sign-in.

--editor opens the profile itself in $VISUAL or $EDITOR, also one that is damaged. What
is wrong with it is said with its line, and what was typed is not lost.`,
		Example: `  c2conn edit contoso-exchange
  c2conn edit contoso-exchange --set mailbox=backup@contoso.com --set name=contoso
  c2conn edit contoso-exchange --client-secret-file secret.txt
  c2conn edit contoso-exchange --cert-thumbprint AB12CD34AB12CD34AB12CD34AB12CD34AB12CD34 --dry-run
  c2conn edit contoso-exchange --set registration=auto --set if-exists=use --yes --access-token-stdin < token
  c2conn edit exch01 --password-file new.pass
  c2conn edit exch01 --set certificate-sha256=HEX
  c2conn edit contoso-exchange --editor`,
		Args:              oneArgument("the name of a connection"),
		ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.flag = givenFlags(cmd)
			o.name = args[0]
			return o.stopped(o.run(cmd.Context()))
		},
	}
	for _, f := range wizard.EditFlags() {
		addFlags(cmd, f)
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.set, "set", nil, "change an answer: key=value; can be given several times")
	flags.BoolVar(&o.editor, "editor", false, "edit the profile's YAML in $VISUAL or $EDITOR")
	flags.BoolVar(&o.noVerify, "no-verify", false, "with --editor: save without checking the connection; it is marked as not verified")
	flags.BoolVar(&o.saveUnverified, "save-unverified", false, "save the changed connection even when checks fail; it is marked until a verification passes")
	flags.IntVar(&o.parallel, "parallel", 0, "how many checks run side by side; 0 for all that can")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Minute, "longest time for all checks together")
	o.addRegistrationFlags(cmd)
	flags.Lookup("dry-run").Usage = "show what would be changed, old and new, and change nothing"
	_ = cmd.RegisterFlagCompletionFunc("set", cobra.NoFileCompletions)
	return cmd
}

type editOptions struct {
	newOptions
	name             string
	set              []string
	editor, noVerify bool
}

const editCommand = "c2conn edit"

func (o *editOptions) run(ctx context.Context) error {
	bad := func(text string) error { return &usageError{err: errors.New(text), command: editCommand} }
	given := len(o.set) > 0
	for _, f := range wizard.EditFlags() {
		for _, name := range []string{f.FlagName(), f.FlagName() + "-file", f.FlagName() + "-stdin"} {
			_, ok := o.flag(name)
			given = given || ok
		}
	}
	switch {
	case o.timeout <= 0 || o.parallel < 0:
		return bad("--timeout must be more than 0, --parallel 0 or more")
	case o.noVerify && !o.editor:
		return bad("--no-verify goes with --editor; what --set changes is checked, and saved all the same with --save-unverified")
	case o.editor && (given || o.dryRun):
		return bad("--editor changes the file; it goes neither with --set and the like nor with --dry-run")
	case o.editor:
		return o.editFile(ctx)
	}
	if err := o.checkRegistrationFlags(editCommand); err != nil {
		return err
	}
	c, err := o.connection(ctx, o.name)
	if err != nil {
		return o.mendable(err)
	}
	env, err := o.wizardEnv()
	if err != nil {
		return err
	}
	env.Parallel, env.Timeout, env.Consistency = o.parallel, o.timeout, o.consistency
	s, err := wizard.Edit(env, c)
	if err != nil {
		return refuse("%v", err)
	}
	o.flow = s.Flow
	var set [][2]string
	for _, pair := range o.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return bad(fmt.Sprintf("--set %s: write key=value", clean(pair)))
		}
		set = append(set, [2]string{key, value})
	}
	problems := s.FillChanges(set, wizard.Source{Flag: o.flag, Getenv: o.Getenv, ReadFile: o.ReadFile, Stdin: o.secretInput(ctx)})
	switch {
	case len(problems) > 0:
		return o.problems(s, append(problems, s.Ready()...))
	case o.dryRun:
		return o.showChanges(ctx, s)
	case o.canAsk() && (!given || len(s.Ready()) > 0):
		return o.interactive(ctx, s)
	case !given:
		return bad("say what to change, for example --set mailbox=backup@contoso.com; nobody can be asked here")
	case len(s.Ready()) == 0 && len(s.Changes()) == 0:
		o.errorf("Nothing was changed: that is how connection %s is saved already.\n", c.Name)
		return o.print(printable{value: o.savedAnswer(c), name: c.Name, table: func() string { return "" }})
	case s.Automatic():
		return o.automatic(ctx, s)
	}
	return o.scripted(ctx, s)
}

// mendable adds to the error of a damaged profile how to mend it.
func (o *editOptions) mendable(err error) error {
	var damaged *connections.DamagedError
	if errors.As(err, &damaged) {
		return refuse("%v; to mend it: c2conn edit %s --editor", err, advice.ShellWord(o.name))
	}
	return err
}

// changesJSON is the answer of edit --dry-run.
type changesJSON struct {
	Connection string             `json:"connection"`
	Changes    []wizard.Change    `json:"changes"`
	Plan       *registration.Plan `json:"plan,omitempty"` // with automatic registration
}

// showChanges prints what would be changed, old and new; nothing is asked of the tenant
// unless an administrator signs in for the plan.
func (o *editOptions) showChanges(ctx context.Context, s *wizard.Session) error {
	wrong := s.Ready()
	if len(wrong) > 0 && !s.Automatic() {
		return o.problems(s, wrong)
	}
	name := s.Flow.Verb
	if c, err := o.connection(ctx, o.name); err == nil {
		name = c.Name
	}
	doc := changesJSON{Connection: name, Changes: append([]wizard.Change{}, s.Changes()...)}
	if s.Automatic() {
		if s.Answers.Has("login") {
			if err := o.signInFor(ctx, s); err != nil {
				return err
			}
		}
		plan, err := s.Plan()
		if err != nil {
			return &adviceError{err: err, facts: s.Facts()}
		}
		doc.Plan = &plan
	}
	return o.print(printable{value: doc, name: name, table: func() string {
		if len(doc.Changes) == 0 {
			return "Nothing would be changed.\n"
		}
		rows := [][]string{{"ANSWER", "OLD", "NEW"}}
		for _, c := range doc.Changes {
			rows = append(rows, []string{c.Key, cmp.Or(clean(c.Old), "-"), cmp.Or(clean(c.New), "-")})
		}
		text := columns(rows)
		if doc.Plan != nil {
			text += "\n" + doc.Plan.Text(96)
		}
		return text
	}})
}
