package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/browser"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/doctor"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/transport"
	"github.com/c2conn/c2conn/internal/verify"
	"github.com/c2conn/c2conn/internal/winauth"
)

func newDoctor(a *app) *cobra.Command {
	var offline, clean, yes bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Examine this computer and every saved connection", GroupID: groupUse,
		Long: `Looks at the store and the key to its secrets, the clock, the proxy, the hosts of every
cloud in use (name, certificate, answer), servers on the premises (certificate), at what
interrupted commands left, and at each connection: whether its credential is to be had and matches, when it ends, when
it was verified. Nobody signs in and nothing is changed, unless --clean removes saved
secrets that nothing refers to. The exit code is 5 when something fails; warnings alone
are 0.`,
		Example: "  c2conn doctor\n  c2conn doctor --offline --output json\n  c2conn doctor --clean --yes",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), offline, clean, yes)
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "leave the network out")
	cmd.Flags().BoolVar(&clean, "clean", false, "remove saved secrets that nothing refers to, after asking")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "with --clean: do not ask")
	return cmd
}

// doctorJSON is the answer of doctor.
type doctorJSON struct {
	Checks      []checkJSON            `json:"checks"`
	Connections []doctorConnectionJSON `json:"connections"`
	Removed     int                    `json:"removed,omitempty"` // secrets, by --clean
}

type doctorConnectionJSON struct {
	Name   string      `json:"name"`
	Checks []checkJSON `json:"checks"`
}

func (a *app) doctor(ctx context.Context, offline, remove, yes bool) error {
	if remove && !yes && !a.canAsk() {
		return &usageError{err: errors.New("--clean asks before it removes, and nobody can be asked here; give --yes"), command: "c2conn doctor"}
	}
	place, err := a.place()
	if err != nil {
		return err
	}
	o := doctor.Options{
		Store: place.Store, Personal: place.Personal, Clouds: place.Clouds, HTTP: a.httpClient, Clock: a.Clock,
		Proxy:   func(u string) (string, error) { return transport.ProxyFor(a.Getenv, u) },
		Default: cmp.Or(a.Getenv("C2CONN_CLOUD"), cloud.Global), Offline: offline, More: a.doctorMore(), Look: a.look,
	}
	report, err := doctor.Run(ctx, o, func(e task.Event) {
		if e.Kind == task.Progress {
			a.errorf("  … %s: %s\n", clean(e.Title), clean(e.Text))
		}
	})
	if err != nil {
		return err
	}
	all := append(append([]task.Result{}, report.Machine...), report.Network...)
	doc := doctorJSON{Checks: a.checksJSON(all), Connections: []doctorConnectionJSON{}}
	var names []string
	for _, c := range report.Connections {
		doc.Connections = append(doc.Connections, doctorConnectionJSON{Name: c.Name, Checks: a.checksJSON(c.Checks)})
		names = append(names, c.Name)
		for _, one := range c.Checks {
			one.Title = c.Name + ", " + one.Title
			all = append(all, one)
		}
	}
	a.adviceLines(all)
	if remove && len(report.Orphans) > 0 {
		if doc.Removed, err = a.removeOrphans(ctx, place.Store, report.Orphans, yes); err != nil {
			return err
		}
	}
	err = a.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string { return doctorTable(report) }})
	if err == nil && report.Failed() {
		err = &verdict{class: advice.ClassCheck}
	}
	return err
}

func doctorTable(r doctor.Report) string {
	var rows [][]string
	group := func(title string, results []task.Result) {
		if len(results) == 0 {
			return
		}
		rows = append(rows, []string{title})
		for _, one := range results {
			rows = append(rows, []string{"  " + sign(string(one.Status)) + " " + clean(one.Title), string(one.Status), clean(one.Finding)})
		}
	}
	group("Machine", r.Machine)
	group("Network", r.Network)
	for _, c := range r.Connections {
		group(c.Name, c.Checks)
	}
	return columns(rows)
}

func (a *app) removeOrphans(ctx context.Context, store *connections.Store, refs []connections.Ref, yes bool) (int, error) {
	if err := a.confirm(ctx, yes, fmt.Sprintf("Remove %s that nothing refers to?", plural(len(refs), "saved secret", "saved secrets"))); err != nil {
		return 0, err
	}
	for n, r := range refs {
		if err := store.DeleteSecret(ctx, r); err != nil && !isNotFound(err) {
			return n, err
		}
	}
	a.errorf("Removed %s.\n", plural(len(refs), "secret", "secrets"))
	return len(refs), nil
}

// doctorMore are the checks of what only the command line knows: the terminal, the
// browser, and what interrupted registrations left.
func (a *app) doctorMore() []task.Task {
	return []task.Task{
		{ID: "version", Title: "c2conn", Run: func(context.Context) task.Result {
			return task.Result{Status: task.Pass, Finding: a.Version.Number + ", " + a.Version.Platform}
		}},
		{ID: "terminal", Title: "Terminal", Run: func(context.Context) task.Result { return a.terminalCheck() }},
		{ID: "browser", Title: "Web browser", Run: func(context.Context) task.Result {
			if browser.Likely(a.Getenv, runtime.GOOS) {
				return task.Result{Status: task.Pass, Finding: "can be opened here"}
			}
			return task.Result{Status: task.Pass, Finding: "none here; sign in with a device code"}
		}},
		{ID: "registrations", Title: "Unfinished registrations", Run: a.registrationsCheck},
		{ID: "rotations", Title: "Unfinished rotations", Run: a.rotationsCheck},
		{ID: "staged", Title: "Unsaved changes", Run: a.stagedCheck},
		{ID: "handed-out", Title: "Leftovers of exec", Run: a.handedOutCheck},
		{ID: "room", Title: "Room on disk", Run: func(context.Context) task.Result { return a.roomCheck() }},
	}
}

// stagedCheck tells of changes that the dashboard keeps and nobody has saved.
func (a *app) stagedCheck(ctx context.Context) task.Result {
	store, err := a.store()
	if err != nil {
		return task.Result{Status: task.Fail, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	}
	list, err := store.Staged(ctx)
	switch {
	case err != nil:
		return task.Result{Status: task.Warn, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	case len(list) > 0:
		return task.Result{Status: task.Warn, Finding: plural(len(list), "is staged", "are staged"), Advice: &advice.Advice{
			What: "Changes made in the dashboard are not in force.", Why: "They were not saved with OK; they are kept until somebody decides.",
			Next: []string{"Look at them, and save or discard:", "$ c2conn manage"}, Codes: []string{}}}
	}
	return task.Result{Status: task.Pass, Finding: "none"}
}

// handedOutCheck removes what exec had handed out to processes that are gone, as a
// power cut leaves it: a private key in clear must not wait for the next exec.
func (a *app) handedOutCheck(ctx context.Context) task.Result {
	place, err := a.handoutPlace()
	if err != nil {
		return task.Result{Status: task.Fail, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	}
	removed, err := place.Sweep(ctx)
	switch {
	case err != nil:
		return task.Result{Status: task.Warn, Finding: "cannot be removed", Err: err, Advice: a.adviceOf(err)}
	case removed > 0:
		return task.Result{Status: task.Pass, Finding: plural(removed, "folder removed", "folders removed") + ", its command is gone"}
	}
	return task.Result{Status: task.Pass, Finding: "none"}
}

// littleRoom is when a disk is worth a word: a connection and its key take some
// kilobytes, but journals and their copies must never fail.
const littleRoom = 100 << 20

func (a *app) roomCheck() task.Result {
	dir, err := a.stateDir()
	if err != nil {
		return task.Result{Status: task.Fail, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	}
	free, err := doctor.Room(existing(dir))
	if err != nil {
		return task.Result{Status: task.Warn, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	}
	finding := fmt.Sprintf("%d MiB free", free>>20)
	if free < littleRoom {
		return task.Result{Status: task.Warn, Finding: finding, Advice: &advice.Advice{
			What: "The disk of the state directory is nearly full.", Why: "What cannot be journaled is not done, so registrations and rotations stop.",
			Next: []string{"Make room on the disk that holds " + clean(dir) + "."}, Codes: []string{}}}
	}
	return task.Result{Status: task.Pass, Finding: finding}
}

// existing is the nearest folder above a path that is there already.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}

func (a *app) terminalCheck() task.Result {
	finding := "none: nothing is asked"
	if a.InTerminal && a.ErrTerminal {
		finding = cmp.Or(a.Getenv("TERM"), "a terminal")
	}
	locale := cmp.Or(a.Getenv("LC_ALL"), a.Getenv("LC_CTYPE"), a.Getenv("LANG"))
	if utf8 := strings.ReplaceAll(strings.ToUpper(locale), "-", ""); a.ErrTerminal && runtime.GOOS == "linux" && !strings.Contains(utf8, "UTF8") {
		return task.Result{Status: task.Warn, Finding: finding + ", not UTF-8", Advice: &advice.Advice{
			What: "The terminal may not show all signs.", Why: "The locale is not a UTF-8 one.", Next: []string{"Set LANG, for example: LANG=C.UTF-8"}, Codes: []string{}}}
	}
	return task.Result{Status: task.Pass, Finding: clean(finding)}
}

func (a *app) registrationsCheck(ctx context.Context) task.Result {
	r, err := a.registrar(cloud.Cloud{})
	if err != nil {
		return task.Result{Status: task.Fail, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	}
	defer r.Close()
	found, err := r.Unfinished(ctx)
	switch {
	case err != nil:
		return task.Result{Status: task.Warn, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	case len(found) > 0:
		return task.Result{Status: task.Warn, Finding: plural(len(found), "is unfinished", "are unfinished"), Advice: &advice.Advice{
			What: "A registration was interrupted.", Why: "Its application may be in the tenant, with a credential that nobody uses.", Next: []string{"See what there is, then go on or remove it:", "$ c2conn app cleanup --list"}, Codes: []string{}}}
	}
	return task.Result{Status: task.Pass, Finding: "none"}
}

// rotationsCheck tells of rotations that broke off, and of old credentials that are due
// to be removed. Those that wait for their time are well.
func (a *app) rotationsCheck(ctx context.Context) task.Result {
	list, err := a.rotations(ctx)
	if err != nil {
		return task.Result{Status: task.Warn, Finding: "cannot be told", Err: err, Advice: a.adviceOf(err)}
	}
	var next []string
	for _, r := range list {
		if r.Err != nil || !switched(r) || !r.Due.After(a.Clock.Now()) {
			next = append(next, a.waitingText(r))
		}
	}
	switch {
	case len(next) > 0:
		return task.Result{Status: task.Warn, Finding: plural(len(next), "is unfinished", "are unfinished"), Advice: &advice.Advice{
			What: "A credential was renewed, and not all is done.", Why: "An application has more credentials than it needs; whoever has one of them can sign in.", Next: next, Codes: []string{}}}
	case len(list) > 0:
		return task.Result{Status: task.Pass, Finding: plural(len(list), "old credential waits", "old credentials wait") + " for its time"}
	}
	return task.Result{Status: task.Pass, Finding: "none"}
}

// look fetches the certificate at an address of an on-premises connection. It signs in
// nowhere.
func (a *app) look(ctx context.Context, c connections.Connection, address string) (winauth.Certificate, error) {
	u, err := url.Parse(address)
	if err != nil {
		return winauth.Certificate{}, err
	}
	server, err := verify.NewServer(c, verify.ServerOptions{Getenv: a.Getenv, ReadFile: a.ReadFile, Clock: a.Clock, Rand: a.Rand})
	if err != nil {
		return winauth.Certificate{}, err
	}
	return server.Trust.Look(ctx, server.Reach.Dial, u.Host)
}
