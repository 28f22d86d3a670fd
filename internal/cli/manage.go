package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/wizard"
)

const (
	manageCommand   = "c2conn manage"
	manageTimeout   = 3 * time.Minute // longest time for all checks of a connection together
	managePerTenant = 8               // requests to one tenant that are under way at a time
)

func newManage(a *app) *cobra.Command {
	var save, discard bool
	cmd := &cobra.Command{
		Use: "manage", Short: "Show and change all connections on one screen", GroupID: groupConnect,
		Long: `Shows the saved connections on the whole terminal: their state, what needs you and
when credentials end. New, Edit, Rename, Verify, Rotate and Delete start from there; ? names the
keys. c2conn alone does the same in a terminal.

What is changed is staged: kept on disk at once, marked, and in force when OK saves it.
Cancel asks before it throws anything away. After a crash or Ctrl-C it is still staged.
In scripts --save saves what is left so, and --discard throws it away.

What is registered in the tenant, a rotation, and what a verification finds take effect
at once.`,
		Example: "  c2conn manage\n  c2conn manage --save\n  c2conn manage --discard",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch ctx := cmd.Context(); {
			case save:
				return a.saveStaged(ctx)
			case discard:
				return a.discardStaged(ctx)
			default:
				return a.manage(ctx)
			}
		},
	}
	cmd.Flags().BoolVar(&save, "save", false, "save what is staged, without a screen")
	cmd.Flags().BoolVar(&discard, "discard", false, "throw away what is staged, without a screen or a question")
	cmd.MarkFlagsMutuallyExclusive("save", "discard")
	return cmd
}

// manage opens the dashboard.
func (a *app) manage(ctx context.Context) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	if !a.canAsk() {
		staged, err := store.Staged(ctx)
		if err != nil {
			return unstageable(err)
		}
		a.sayStaged(staged)
		return &usageError{err: errors.New("the dashboard needs a terminal; without one there are list, show, edit, rename, delete and verify, and manage --save or --discard for what is staged"), command: manageCommand}
	}
	env, err := a.wizardEnv()
	if err != nil {
		return err
	}
	env.Timeout = manageTimeout
	stage, err := a.stage(ctx, store)
	if err != nil {
		return err
	}
	defer stage.Close()
	ctx = progress.With(ctx, nil) // nothing is printed across a screen
	o := wizard.ManageOptions{
		Env: env, Stage: stage, Verify: a.verifyStaged(store, stage, env.Accounts), Rotate: a.rotateManaged(env),
		Explain: func(err error) string { return a.inShort(err) },
		ScreenOptions: wizard.ScreenOptions{In: a.In, Out: a.Err, Getenv: a.Getenv, Copy: a.copier(), Now: a.Clock.Now,
			Passphrase: a.setPassphraseOnScreen},
	}
	var done wizard.Managed
	if a.accessible || a.Getenv("TERM") == "dumb" {
		done, err = wizard.RunManagePlain(ctx, o, wizard.PlainOptions{
			In: a.In, Out: a.Err, Copy: a.copier(),
			ReadPassword: func(prompt string) (connections.Secret, error) { return a.readPassword(ctx, prompt) },
		})
	} else {
		done, err = wizard.RunManage(ctx, o)
	}
	if done.Saved > 0 {
		a.errorf("%s saved.\n", plural(done.Saved, "change", "changes"))
	}
	a.sayApps(done.Apps)
	if isCancelled(err) {
		return &stoppedError{err: err, state: stagedWords(len(done.Left))}
	}
	if len(done.Left) > 0 {
		a.errorf("%s\n", stagedWords(len(done.Left)))
	}
	return err
}

func stagedWords(n int) string {
	if n == 0 {
		return "Nothing is left unsaved."
	}
	return plural(n, "change is", "changes are") + " staged, not saved. To go on: c2conn manage. To throw away: c2conn manage --discard"
}

// stage opens what is staged.
func (a *app) stage(ctx context.Context, store *connections.Store) (*connections.Stage, error) {
	stage, err := store.Stage(ctx)
	return stage, unstageable(err)
}

// unstageable adds what cannot be opened to an error that says the rest.
func unstageable(err error) error {
	var busy *connections.StageBusyError
	var damaged *connections.DamagedError
	switch {
	case errors.As(err, &busy):
		return refuse("%v", err)
	case errors.As(err, &damaged):
		return refuse("a change that is staged cannot be read, so none of them can be saved: %v", err)
	}
	return err
}

// verifyStaged verifies as the dashboard wants it: what is found about a saved
// connection is saved at once, about a changed one it is staged with the change.
func (a *app) verifyStaged(store *connections.Store, stage *connections.Stage, accounts *verify.Accounts) func(context.Context, connections.Connection, func(task.Event)) (wizard.Verified, error) {
	shared := newSharing(a, managePerTenant)
	shared.servers, shared.edited = accounts, true
	var (
		mu      sync.Mutex
		running int
	)
	enter := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		if running += n; n > 0 && running == 1 { // those side by side share what they find out
			accounts.Forget()
		}
	}
	return func(ctx context.Context, c connections.Connection, listen func(task.Event)) (wizard.Verified, error) {
		enter(1)
		defer enter(-1)
		ctx, cancel := context.WithTimeout(ctx, manageTimeout)
		defer cancel()
		v, note := a.examine(shared.slots(c).For(ctx), c, verify.Options{Saved: stage.List}, shared, listen)
		if note != nil {
			profiles, name := wizard.Profiles(store), c.Name
			for _, change := range stage.Pending() {
				if change.ID == c.ID {
					profiles, name = stage, c.ID
				}
			}
			saved, err := profiles.Update(context.WithoutCancel(ctx), name, note)
			v = a.noted(v, saved, err)
		}
		return wizard.Verified{State: v.report.State, Results: v.report.Results}, v.err
	}
}

// rotateManaged rotates as the dashboard wants it: by the application's own proof, as
// c2conn rotate does first. Where an administrator is needed the error names the command.
func (a *app) rotateManaged(env *wizard.Env) func(context.Context, connections.Connection, func(task.Event)) (string, error) {
	return func(ctx context.Context, c connections.Connection, listen func(task.Event)) (string, error) {
		done, err := env.Rotate(ctx, c, wizard.RotateOptions{Grace: time.Duration(defaultGrace)}, listen)
		if err != nil {
			return "", err
		}
		said := c.Name + " uses a new credential"
		if len(done.Switched) > 1 {
			said = strings.Join(done.Switched, ", ") + " use a new credential"
		}
		if !done.Due.IsZero() {
			said += "; the old one is to be removed from " + done.Due.Local().Format("2006-01-02 15:04") + ": c2conn rotate --finish " + advice.ShellWord(c.Name)
		}
		return said + ".", nil
	}
}

// inShort is what happened and the first thing to do about it.
func (a *app) inShort(err error) string {
	var conflict *connections.ConflictError
	if errors.As(err, &conflict) {
		return conflict.Error()
	}
	adv := a.adviceOf(err)
	if adv.Why == advice.Unknown {
		return clean(err.Error())
	}
	text := adv.What
	if len(adv.Next) > 0 {
		text += " " + strings.TrimPrefix(adv.Next[0], "$ ")
	}
	return text
}

type stagedJSON struct {
	Saved     int          `json:"saved"`
	Discarded int          `json:"discarded"`
	Staged    []changeJSON `json:"staged"`           // still
	Errors    []string     `json:"errors,omitempty"` // why
}

type changeJSON struct {
	Name   string   `json:"name"`
	Was    string   `json:"was,omitempty"` // the saved name, where it is renamed
	Change string   `json:"change"`        // new, changed, renamed or deleted
	Fields []string `json:"fields,omitempty"`
}

func stagedChanges(list []connections.Change) []changeJSON {
	result := []changeJSON{}
	for _, c := range list {
		result = append(result, changeJSON{Name: c.Name, Was: c.Was, Change: wizard.ChangeWords(c), Fields: c.Fields})
	}
	return result
}

// saveStaged saves what a crash, or leaving, has left staged.
func (a *app) saveStaged(ctx context.Context) error {
	doc := stagedJSON{}
	var failed error
	err := a.withStaged(ctx, func(stage *connections.Stage) error {
		doc.Saved, failed = stage.Commit(ctx)
		doc.Staged = stagedChanges(stage.Pending())
		return nil
	})
	if err != nil {
		return err
	}
	if isCancelled(failed) {
		return &stoppedError{err: failed, state: stagedWords(len(doc.Staged))}
	}
	for _, e := range flat(failed) {
		doc.Errors = append(doc.Errors, a.inShort(e))
		a.errorf("✗ %s\n", wrap(a.inShort(e), 96, "  "))
	}
	err = a.printStaged(doc, plural(doc.Saved, "change", "changes")+" saved.")
	if err == nil && failed != nil {
		return &verdict{class: advice.ClassOther}
	}
	return err
}

// flat takes joined errors apart.
func flat(err error) []error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return several.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (a *app) discardStaged(ctx context.Context) error {
	doc := stagedJSON{}
	err := a.withStaged(ctx, func(stage *connections.Stage) error {
		before := stage.Pending()
		err := stage.Discard(ctx)
		left := stage.Pending()
		doc.Discarded, doc.Staged = len(before)-len(left), stagedChanges(left)
		a.sayApps(wizard.AppsOf(before))
		return err
	})
	if err != nil {
		return err
	}
	return a.printStaged(doc, plural(doc.Discarded, "change", "changes")+" thrown away.")
}

// withStaged opens what is staged, if anything is.
func (a *app) withStaged(ctx context.Context, do func(*connections.Stage) error) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	if list, err := store.Staged(ctx); err != nil || len(list) == 0 {
		return unstageable(err)
	}
	stage, err := a.stage(ctx, store)
	if err != nil {
		return err
	}
	defer stage.Close()
	return do(stage)
}

func (a *app) printStaged(doc stagedJSON, text string) error {
	if doc.Staged == nil {
		doc.Staged = []changeJSON{}
	}
	var names []string
	for _, c := range doc.Staged {
		names = append(names, c.Name)
	}
	return a.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string { return text + "\n" }})
}

func (a *app) sayStaged(list []connections.Change) {
	if len(list) == 0 {
		return
	}
	a.errorf("%s not saved yet:\n", plural(len(list), "change is", "changes are"))
	for _, c := range list {
		line := fmt.Sprintf("  * %s: %s", c.Name, wizard.ChangeWords(c))
		if len(c.Fields) > 0 {
			line += " (" + strings.Join(c.Fields, ", ") + ")"
		}
		a.errorf("%s, %s\n", line, ago(a.Clock.Now(), c.At))
	}
}

// sayApps names the applications that outlive discarded changes.
func (a *app) sayApps(list []connections.Change) {
	for _, c := range list {
		r := c.Next.Registration
		a.errorf("The application %s that was registered for %s stays in Entra ID. To delete it: c2conn app delete %s\n",
			strings.TrimSpace(clean(r.AppName)+" "+r.ClientID), clean(c.Name), r.ClientID)
	}
}
