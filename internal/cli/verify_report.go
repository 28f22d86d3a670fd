package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/atomicfile"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// reporting is what a verification leaves besides its result: files, and the verdict on
// what ends soon.
type reporting struct {
	*app
	given  []string // of --report, as FORM=FILE
	files  []reportFile
	within period
	limit  bool // --expires-within was given
}

// reportFile is a report that somebody wants in a file.
type reportFile struct{ form, path string }

// fileForms are the forms that --report writes.
func fileForms() []string { return append(report.Forms(), "json", "yaml") }

func (o *reporting) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.given, "report", nil, "write a report to a file, `FORM=FILE`: "+strings.Join(fileForms(), ", ")+"; may be given again")
	addExpiresWithin(cmd, &o.within, "a credential that ends within this time, for example 30d, is a failed check")
	_ = cmd.RegisterFlagCompletionFunc("report", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var list []string
		for _, f := range fileForms() {
			list = append(list, f+"=")
		}
		return list, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	})
}

// read understands the flags, before anything is verified: a report that cannot be
// written should be known sooner than ten minutes later.
func (o *reporting) read(cmd *cobra.Command, fix bool) error {
	o.limit = cmd.Flags().Changed(expiresWithin)
	if fix && (o.limit || len(o.given) > 0 || slices.Contains(report.Forms(), o.output)) {
		return errors.New("--fix makes no report: give --report, --expires-within and the forms of a report to a verify of its own")
	}
	for _, g := range o.given {
		form, path, ok := strings.Cut(g, "=")
		if !ok || path == "" || !slices.Contains(fileForms(), form) {
			return fmt.Errorf("--report %q is not FORM=FILE with one of %s", clean(g), strings.Join(fileForms(), ", "))
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target // the link stays one
		}
		switch info, err := os.Stat(path); {
		case err == nil && !info.Mode().IsRegular():
			return fmt.Errorf("--report %s: there is something that is no file; to print a report, use --output %s", clean(path), form)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("--report: %w", err)
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return fmt.Errorf("--report %s: its folder is not there", clean(path))
		}
		if slices.ContainsFunc(o.files, func(f reportFile) bool { return f.path == path }) {
			return fmt.Errorf("--report names %s twice", clean(path))
		}
		o.files = append(o.files, reportFile{form, path})
	}
	return nil
}

// write writes every report that can be written. A file is replaced in one step, so
// that a collector finds the old one or the new one. Only that of Prometheus may be
// read by everybody, because the node exporter is another user.
func (o *reporting) write(p printable) error {
	var failed []error
	for _, f := range o.files {
		text, err := p.in(f.form)
		if err == nil {
			mode := fs.FileMode(0o600)
			if f.form == report.Prometheus {
				mode = 0o644
			}
			err = connections.Full(f.path, atomicfile.Publish(filepath.Dir(f.path), filepath.Base(f.path), text, mode))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("writing the %s report: %w", f.form, err))
		}
	}
	return errors.Join(failed...)
}

// expiry adds the check that --expires-within asks for. The connection is verified all
// the same, and the profile keeps nothing of it.
func (o *reporting) expiry(v verified, listen func(task.Event)) verified {
	if !o.limit || v.err != nil {
		return v
	}
	in := cloud.Cloud{}
	if clouds, err := o.cloudSet(); err == nil {
		if found, err := clouds.Find(v.conn.Cloud); err == nil {
			in = found
		}
	}
	r := verify.Expiry(v.conn, in, o.Clock.Now(), time.Duration(o.within))
	v.report.Results = append(slices.Clip(v.report.Results), r)
	v.ending = r.Status == task.Fail
	if listen != nil {
		listen(task.Event{Kind: task.Finished, ID: r.ID, Title: r.Title, At: o.Clock.Now(), Result: &r})
	}
	return v
}

// printableOne is the outcome of one verification.
func (a *app) printableOne(v verified) printable {
	p := printable{value: a.answer(v), name: v.conn.Name, table: func() string {
		return fmt.Sprintf("%s  %s\n", v.conn.Name, stateText(v.conn.Verification, a.Clock.Now()))
	}, report: func() report.Report { return a.reportOf([]verified{v}, nil) }}
	if v.err != nil {
		p.value = failedJSON{Connection: v.conn, Checks: []checkJSON{}, Error: a.dated(a.adviceOf(v.err))}
	}
	return p
}

// reportOf is what was found, as internal/report takes it.
func (a *app) reportOf(results []verified, problems []problemJSON) report.Report {
	r := report.Report{At: a.Clock.Now(), Version: a.Version.Number}
	for _, v := range results {
		if v.gone {
			continue
		}
		c := report.Connection{Profile: v.conn, State: v.report.State, Checks: v.report.Results}
		if v.err != nil {
			c.State, c.Checks, c.Error = "", nil, a.adviceOf(v.err)
		}
		r.Connections = append(r.Connections, c)
	}
	for _, p := range problems {
		r.Problems = append(r.Problems, report.Problem{Path: p.Path, Error: p.Error})
	}
	return r
}

// profiles are the connections that were verified and are still there.
func profiles(results []verified) []*connections.Connection {
	var list []*connections.Connection
	for i := range results {
		if !results[i].gone {
			list = append(list, &results[i].conn)
		}
	}
	return list
}
