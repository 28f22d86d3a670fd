package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/progress"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/wizard"
)

func newNew(a *app) *cobra.Command {
	var kinds []*cobra.Command
	for _, k := range kindTexts() {
		kinds = append(kinds, newFlow(a, k))
	}
	return parent("new", "Create, verify and save a connection", groupConnect, "  c2conn new exchange\n  c2conn new sharepoint\n  c2conn new migration-source", kinds...)
}

// newFlow makes the command of a flow; its flags come from the flow's fields.
func newFlow(a *app, k kindText) *cobra.Command {
	flow := k.flow()
	o := &newOptions{app: a, flow: flow}
	cmd := &cobra.Command{
		Use: strings.TrimPrefix(flow.Verb, "new "), Aliases: k.aliases, Short: k.short, Long: k.long, Example: k.example,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.flag = givenFlags(cmd)
			return o.stopped(o.run(cmd.Context()))
		},
	}
	for _, f := range flow.Fields() {
		addFlags(cmd, f)
	}
	cmd.Flags().BoolVar(&o.saveUnverified, "save-unverified", false, "save the connection even when checks fail; it is marked until a verification passes")
	cmd.Flags().IntVar(&o.parallel, "parallel", 0, "how many checks run side by side; 0 for all that can")
	cmd.Flags().DurationVar(&o.timeout, "timeout", cmp.Or(k.timeout, 2*time.Minute), "longest time for all checks together")
	o.addRegistrationFlags(cmd)
	_ = cmd.RegisterFlagCompletionFunc("cloud", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.cloudNames(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func addFlags(cmd *cobra.Command, f wizard.Field) {
	flags := cmd.Flags()
	help := lowerFirst(strings.TrimSuffix(f.Title, "?"))
	if f.Input == wizard.Choice && f.FlagName() == "" {
		for _, o := range f.Options(nil) {
			if o.Flag != "" {
				help := cmp.Or(o.FlagHelp, lowerFirst(o.Title))
				if o.Unavailable != "" {
					help += " (" + o.Unavailable + ")"
				}
				flags.Bool(o.Flag, false, help)
			}
		}
		return
	}
	name := f.FlagName()
	switch f.Input {
	case wizard.Secret:
		flags.String(name+"-file", "", "file with the "+help+" (or variable "+f.EnvName()+")")
		flags.Bool(name+"-stdin", false, "read the "+help+" from standard input")
		return
	case wizard.Path:
		_ = flags.String(name, "", help)
		_ = cmd.MarkFlagFilename(name)
		return
	}
	complete := cobra.CompletionFunc(cobra.NoFileCompletions)
	if f.Input == wizard.Choice && name != "cloud" {
		var values []string
		for _, o := range f.Options(nil) {
			values = append(values, o.Value)
		}
		help += ": " + strings.Join(values, ", ")
		complete = cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	if f.FlagHelp != "" {
		help = f.FlagHelp
	}
	flags.String(name, "", help)
	if name != "cloud" {
		_ = cmd.RegisterFlagCompletionFunc(name, complete)
	}
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' || strings.HasPrefix(s, "Microsoft") || strings.HasPrefix(s, "Exchange") || strings.HasPrefix(s, "SharePoint") {
		return s // an abbreviation or a name
	}
	return strings.ToLower(s[:1]) + s[1:]
}

type newOptions struct {
	*app
	flow           *wizard.Flow
	flag           func(string) (string, bool)
	saveUnverified bool
	parallel       int
	timeout        time.Duration
	registrationOptions
}

// stopped adds to the error of a cancelled run what it leaves behind.
func (o *newOptions) stopped(err error) error {
	var half *wizard.HalfwayError
	switch {
	case isCancelled(err) && errors.As(err, &half):
		return &stoppedError{err: err, state: o.leftBehind(half)}
	case isCancelled(err):
		return &stoppedError{err: err, state: "Nothing was saved."}
	}
	return err
}

func (o *newOptions) run(ctx context.Context) error {
	env, err := o.wizardEnv()
	if err != nil {
		return err
	}
	env.Parallel, env.Timeout, env.Consistency = o.parallel, o.timeout, o.consistency
	s := wizard.NewSession(o.flow, env)
	if o.timeout <= 0 || o.parallel < 0 {
		return &usageError{err: errors.New("--timeout must be more than 0, --parallel 0 or more"), command: "c2conn " + o.flow.Verb}
	}
	if err := o.checkRegistrationFlags("c2conn " + o.flow.Verb); err != nil {
		return err
	}
	problems := s.Fill(wizard.Source{Flag: o.flag, Getenv: o.Getenv, ReadFile: o.ReadFile, Stdin: o.secretInput(ctx)})
	if len(problems) > 0 {
		return o.problems(s, append(problems, s.Ready()...))
	}
	if o.dryRun {
		return o.showPlan(ctx, s)
	}
	if o.canAsk() && !o.complete(s) {
		return o.interactive(ctx, s)
	}
	if s.Automatic() && s.Answers.Has("registration") {
		return o.automatic(ctx, s)
	}
	return o.scripted(ctx, s)
}

// problems are the wrong answers, with what is known to make the advice concrete.
func (o *newOptions) problems(s *wizard.Session, list []wizard.Problem) error {
	for _, p := range list {
		if wizard.NotTheAnswer(p.Err) {
			return &adviceError{err: p.Err, facts: s.Facts()}
		}
	}
	return &adviceError{err: &wizard.ProblemsError{Problems: list}, facts: s.Facts()}
}

// complete reports whether everything was answered on the command line. The name
// has a default on the screen, but a script must say what it calls its result.
func (o *newOptions) complete(s *wizard.Session) bool {
	// Registering is never what happens by itself.
	return len(s.Ready()) == 0 && s.Answers.Has("name") && (!s.Automatic() || s.Answers.Has("registration"))
}

// scripted verifies and saves without a question.
func (o *newOptions) scripted(ctx context.Context, s *wizard.Session) error {
	undecided := s.Automatic()
	if undecided { // nobody chose it: the wizard proposes it, but a script must say so
		_ = s.Set("registration", "manual", wizard.FromDefault, "")
	}
	if len(s.Ready()) == 0 { // what is wrong already is told before anything is asked of the network
		if err := s.LookupAll(ctx); err != nil {
			return &adviceError{err: err, facts: s.Facts()}
		}
	}
	problems := s.Ready()
	if !s.Answers.Has("name") && !slices.ContainsFunc(problems, func(p wizard.Problem) bool { return p.Key == "name" }) {
		problems = append(problems, wizard.Problem{Key: "name", Title: "Name of the connection", Flags: []string{"--name"}, Missing: true, Err: wizard.ErrMissing})
	}
	if len(problems) > 0 {
		if undecided {
			problems = append([]wizard.Problem{{Key: "registration", Title: "Manual registration, as follows, or automatic", Flags: []string{"--manual", "--auto"}, Missing: true, Err: wizard.ErrMissing}}, problems...)
		}
		return o.problems(s, problems)
	}
	out, err := s.Configure(ctx, o.progressLines())
	if err != nil {
		return err
	}
	o.adviceLines(out.Report.Results)
	saved := false
	if out.Verified || o.saveUnverified {
		conn, err := s.Save(context.WithoutCancel(ctx), out)
		if err != nil {
			return err
		}
		out.Connection, saved = conn, true
	}
	return o.finish(s, out, saved)
}

// interactive opens the screen, or the plain dialogue where that is wanted.
func (o *newOptions) interactive(ctx context.Context, s *wizard.Session) error {
	ctx = progress.With(ctx, nil) // nothing is printed across a screen
	var out *wizard.Outcome
	var err error
	if o.accessible || o.Getenv("TERM") == "dumb" {
		out, err = wizard.RunPlain(ctx, s, wizard.PlainOptions{
			In: o.In, Out: o.Err, Copy: o.copier(),
			ReadPassword: func(prompt string) (connections.Secret, error) { return o.readPassword(ctx, prompt) },
		})
	} else {
		out, err = wizard.RunScreen(ctx, s, wizard.ScreenOptions{In: o.In, Out: o.Err, Getenv: o.Getenv, Copy: o.copier(), Now: o.Clock.Now,
			Passphrase: o.setPassphraseOnScreen})
	}
	if err != nil {
		return err
	}
	return o.finish(s, out, true)
}

// finish prints the result; the exit code is that of the checks, saved or not.
func (o *newOptions) finish(s *wizard.Session, out *wizard.Outcome, saved bool) error {
	for _, note := range out.Notes {
		o.errorf("%s\n", wrap(note, 96, ""))
	}
	command := s.Command()
	if saved && !out.Verified && out.Run == "" {
		command += " --save-unverified"
	}
	answer := answerJSON{Connection: out.Connection, Verified: out.Verified, Saved: saved, Checks: o.checksJSON(out.Report.Results), Command: command, Notes: out.Notes}
	if len(out.Steps) > 0 {
		answer.Steps = o.checksJSON(out.Steps)
	}
	if out.Waiting {
		answer.ConsentURL = o.consentLink(out.Connection)
	}
	err := o.print(printable{value: answer, name: nameIf(saved, out.Connection.Name), table: func() string {
		if !saved {
			return ""
		}
		return connectionTable(out.Connection, o.Clock.Now()) + "\nThe same again, without questions:\n  " + command + "\n"
	}})
	if err != nil {
		return err
	}
	if out.Waiting && saved {
		o.waitingForConsent(out.Connection, out.Missing)
		return &verdict{class: advice.ClassConsent}
	}
	if !out.Verified {
		if saved {
			state := "Saved as not verified"
			if out.Run != "" {
				state = "Registered and saved, not verified"
			}
			o.errorf("\n%s: %s. When it is mended: c2conn verify %s\n", state, out.Connection.Name, advice.ShellWord(out.Connection.Name))
		} else {
			o.errorf("\nNothing was saved, because a required check failed. Mend it and run the command again, or save it as it is with --save-unverified.\n")
		}
		return &verdict{class: advice.Class(out.Report.Class)}
	}
	return nil
}

func nameIf(ok bool, name string) string {
	if ok {
		return name
	}
	return ""
}

// progressLines prints every task as it ends, a line each, and long waits.
func (a *app) progressLines() func(task.Event) {
	return task.Calm(a.Clock.Now, 2*time.Second, func(e task.Event) {
		switch e.Kind {
		case task.Progress:
			text := e.Text
			if !e.Until.IsZero() {
				text += fmt.Sprintf(" (until %s)", e.Until.Local().Format(time.TimeOnly))
			}
			a.errorf("  … %s: %s\n", e.Title, clean(text))
		case task.Finished:
			a.errorf("  %s %-24s %-4s  %s\n", sign(string(e.Result.Status)), e.Title, e.Result.Status, clean(e.Result.Finding))
			for _, d := range e.Result.Details {
				a.errorf("      %s\n", wrap(clean(d), 92, "        "))
			}
		}
	})
}

// adviceLines prints what to do about the checks that did not pass, after all
// have ended. What follows from a missing permission is said once, by the check
// that names it.
func (a *app) adviceLines(results []task.Result) {
	permissions := slices.ContainsFunc(results, func(r task.Result) bool { return r.ID == "permissions" && r.Status == task.Fail })
	var told []string
	for _, r := range results {
		if r.Advice == nil || r.Status != task.Fail && r.Status != task.Warn {
			continue
		}
		what := renderAdvice(r.Advice, "      ")
		follows := permissions && r.ID != "permissions" && (advice.ClassOf(r.Err) == advice.ClassConsent ||
			slices.Contains(r.Advice.Codes, "Authorization_RequestDenied") || slices.Contains(r.Advice.Codes, "ErrorAccessDenied") || slices.Contains(r.Advice.Codes, "accessDenied"))
		switch same := r.Advice.What + strings.Join(r.Advice.Next, "\n"); {
		case follows:
			what = r.Advice.What + "\n      It follows from the missing permission, see Permissions."
		case slices.Contains(told, same):
			what = r.Advice.What + "\n      As above."
		default:
			told = append(told, same)
		}
		a.errorf("\n  %s %s: %s\n", sign(string(r.Status)), r.Title, what)
	}
}

func (a *app) cloudNames() []string {
	set, err := a.cloudSet()
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range set.List() {
		names = append(names, c.Name)
	}
	return names
}

func isNotFound(err error) bool { return errors.Is(err, connections.ErrNotFound) }
