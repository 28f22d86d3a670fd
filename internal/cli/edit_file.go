package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/verify"
)

// editFile lets the user edit the profile's own text, checks what came of it, and
// saves it. The file of the store is untouched until then.
func (o *editOptions) editFile(ctx context.Context) error {
	store, err := o.store()
	if err != nil {
		return err
	}
	name := o.name
	c, err := o.connection(ctx, name)
	var damaged *connections.DamagedError
	if err == nil {
		name = c.Name
	} else if !errors.As(err, &damaged) {
		return err
	}
	was, err := store.Text(ctx, name)
	if err != nil {
		return err
	}
	if damaged != nil {
		o.errorf("The profile is damaged, %s. Mend it and save it.\n", problemIn(damaged))
	}
	for text := was; ; {
		if text, err = o.inEditor(ctx, name, text); err != nil {
			return err
		}
		if bytes.Equal(text, was) {
			if damaged != nil {
				return refuse("nothing was changed; the profile is still damaged, %s", problemIn(damaged))
			}
			o.errorf("Nothing was changed.\n")
			return o.print(printable{value: o.savedAnswer(c), name: c.Name, table: func() string { return "" }})
		}
		edited, err := store.CheckText(ctx, name, was, text)
		if err != nil {
			if err := o.again(ctx, err); err != nil {
				return err
			}
			continue
		}
		saved, err := o.saveText(ctx, store, name, was, text, edited)
		if errors.Is(err, errEditAgain) {
			continue
		}
		if err != nil {
			return err
		}
		if damaged == nil {
			if err := store.Release(context.WithoutCancel(ctx), c); err != nil {
				o.errorf("The connection is saved, but a secret that only its old version used could not be removed: %v\n", err)
			}
		}
		return o.said(saved)
	}
}

var errEditAgain = errors.New("edit again")

// again decides what becomes of a text that is wrong: where somebody can be asked it is
// not lost.
func (o *editOptions) again(ctx context.Context, err error) error {
	what := err.Error()
	var wrong *connections.DamagedError
	if errors.As(err, &wrong) {
		what = problemIn(wrong)
	}
	if !o.canAsk() {
		return &usageError{err: fmt.Errorf("the edited profile cannot be saved, %s; nothing was saved", what), command: editCommand}
	}
	o.errorf("The edited profile cannot be saved, %s.\n", clean(what))
	give, err := o.ask(ctx, "Give up and lose what you typed? (No opens the editor again.)")
	if err != nil {
		return err
	}
	if give {
		return refuse("nothing was saved, as you said")
	}
	return nil
}

// problemIn says what is wrong and where, without the path: the user has the text at hand.
func problemIn(d *connections.DamagedError) string {
	if d.Line > 0 {
		return fmt.Sprintf("line %d: %v", d.Line, d.Err)
	}
	return d.Err.Error()
}

// savedText is what came of an edited text.
type savedText struct {
	conn   connections.Connection
	report *verify.Report // nil with --no-verify
}

// saveText verifies the connection that the text describes, and saves it.
func (o *editOptions) saveText(ctx context.Context, store *connections.Store, name string, was, text []byte, edited connections.Connection) (savedText, error) {
	var done savedText
	change := func(c *connections.Connection) {
		c.Verification = connections.Verification{State: connections.StateUnverified}
	}
	if !o.noVerify {
		report, err := o.examine(ctx, edited)
		if err != nil {
			return done, err
		}
		done.report = &report
		o.adviceLines(report.Results)
		change = func(c *connections.Connection) {
			c.Verification = report.Verification(o.Clock.Now())
			c.AccountID = cmp.Or(report.Found.AccountID, c.AccountID)
			c.Tenant = report.Found.Tenant.Or(c.Tenant)
			if c.Location == connections.OnPremises {
				c.Endpoints, c.Pins = report.Found.Endpoints(c.Endpoints), report.Found.Pins(c.Pins)
			}
		}
		if report.State != connections.StateVerified && !o.saveUnverified {
			if !o.canAsk() {
				o.errorf("\nNothing was saved, because a required check failed. Mend it and edit again, or save it as it is with --save-unverified.\n")
				return done, &verdict{class: report.Class}
			}
			save, err := o.ask(ctx, "Not every required check has passed. Save it as not verified?")
			if err != nil {
				return done, err
			}
			if !save {
				return done, cmp.Or(o.again(ctx, errors.New("its checks failed")), errEditAgain)
			}
		}
	}
	saved, err := store.PutText(context.WithoutCancel(ctx), name, was, text, change)
	done.conn = saved
	return done, err
}

// examine runs the checks of a connection that is not saved.
func (o *editOptions) examine(ctx context.Context, c connections.Connection) (verify.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	store, err := o.store()
	if err != nil {
		return verify.Report{}, err
	}
	target, err := o.target(ctx, c)
	if err != nil {
		return verify.Report{}, fmt.Errorf("the edited profile cannot be verified, and was not saved (--no-verify saves it all the same): %w", err)
	}
	var client *http.Client
	if target.Server == nil {
		if client, err = o.httpClient(target.Cloud); err != nil {
			return verify.Report{}, err
		}
	}
	report := verify.Run(ctx, verify.Options{HTTP: client, Clock: o.Clock, Parallel: o.parallel, Saved: store.List}, target, o.progressLines())
	if errors.Is(ctx.Err(), context.Canceled) {
		return report, ctx.Err()
	}
	return report, nil
}

// said prints what was saved; the exit code is that of the checks.
func (o *editOptions) said(s savedText) error {
	answer := o.savedAnswer(s.conn)
	if s.report != nil {
		answer.Checks = o.checksJSON(s.report.Results)
	}
	if err := o.print(printable{value: answer, name: s.conn.Name, table: func() string { return connectionTable(s.conn, o.Clock.Now()) }}); err != nil {
		return err
	}
	switch {
	case s.report == nil:
		o.errorf("\nSaved without a verification: %s. To verify it: c2conn verify %s\n", s.conn.Name, advice.ShellWord(s.conn.Name))
	case s.report.State != connections.StateVerified:
		o.errorf("\nSaved as not verified: %s. When it is mended: c2conn verify %s\n", s.conn.Name, advice.ShellWord(s.conn.Name))
		return &verdict{class: s.report.Class}
	}
	return nil
}

// savedAnswer is the answer of a command that shows a saved connection.
func (a *app) savedAnswer(c connections.Connection) answerJSON {
	return answerJSON{Connection: c, Verified: c.Verification.State == connections.StateVerified, Saved: true, Checks: savedChecks(c), Command: a.newCommand(c)}
}

const editFolder = ".edit-" // a folder of the state directory while an editor is open

// inEditor shows text in the user's editor and returns what it was made to. The copy
// lies in a folder of its own that nobody else can open, and is gone afterwards, also
// after Ctrl-C.
func (o *editOptions) inEditor(ctx context.Context, name string, text []byte) (edited []byte, err error) {
	argv, err := o.editorCommand()
	if err != nil {
		return nil, err
	}
	home, err := o.stateDir()
	if err != nil {
		return nil, err
	}
	left, _ := filepath.Glob(filepath.Join(home, editFolder+"*"))
	for _, path := range left {
		o.errorf("What was typed in an earlier edit that was killed is still in %s. If nobody edits at this moment, delete that folder.\n", path)
	}
	dir, err := os.MkdirTemp(home, editFolder)
	if err != nil {
		return nil, fmt.Errorf("making a private copy for the editor: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, filepath.Base(o.pathOf(name)))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("making a private copy for the editor: %w", connections.Full(path, err))
	}
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], path)...) //nolint:gosec // the user's own editor, and no shell
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Second
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.In, o.Out, o.Err
	if !o.OutTerminal {
		cmd.Stdout = o.Err // the answer goes to standard output
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, refuse("the editor %s failed (%v); nothing was saved. Set VISUAL or EDITOR to one that works", argv[0], err)
	}
	edited, err = o.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what the editor wrote: %w", err)
	}
	return edited, nil
}

func (o *editOptions) pathOf(name string) string {
	store, err := o.store()
	if err != nil {
		return "connection.yaml"
	}
	return store.Path(name)
}

// editorCommand is the user's editor with its arguments.
func (o *editOptions) editorCommand() ([]string, error) {
	fallback := "vi"
	if runtime.GOOS == "windows" {
		fallback = "notepad"
	}
	chosen := cmp.Or(o.Getenv("VISUAL"), o.Getenv("EDITOR"))
	if chosen == "" {
		if !o.canAsk() { // vi would wait, or fill a log with its screen
			return nil, &usageError{err: errors.New("there is no terminal to open an editor in; set VISUAL or EDITOR to a command that edits without one, or use --set"), command: editCommand}
		}
		chosen = fallback
	}
	argv, err := connections.SplitCommand(chosen)
	if err != nil || len(argv) == 0 {
		return nil, refuse("VISUAL or EDITOR holds no command that can be run: %v", err)
	}
	return argv, nil
}
