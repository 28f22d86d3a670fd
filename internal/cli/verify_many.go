package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// sideBySide is how many connections are verified at the same time.
const sideBySide = 8

func (a *app) verifyAll(ctx context.Context, out *reporting) error {
	store, err := a.store()
	if err != nil {
		return err
	}
	entries, err := store.List(ctx)
	if err != nil {
		return err
	}
	var list []connections.Connection
	var problems []problemJSON
	for _, e := range entries {
		if e.Err != nil {
			problems = append(problems, problemJSON{e.Path, clean(e.Err.Error())})
			continue
		}
		list = append(list, e.Connection)
	}
	return a.verifyMany(ctx, list, problems, out)
}

type verifyManyJSON struct {
	Connections []any         `json:"connections"`
	Problems    []problemJSON `json:"problems,omitempty"`
}

type failedJSON struct {
	Connection connections.Connection `json:"connection"`
	Verified   bool                   `json:"verified"`
	Checks     []checkJSON            `json:"checks"`
	Error      *advice.Advice         `json:"error"`
}

// verifyMany checks connections side by side; a line each as they end.
func (a *app) verifyMany(ctx context.Context, list []connections.Connection, problems []problemJSON, out *reporting) error {
	results := make([]verified, len(list))
	slots := make(chan struct{}, sideBySide)
	var wg sync.WaitGroup
	// What they share is opened before they start, and used by all.
	if _, err := a.personalStore(); err != nil {
		return err
	}
	if _, err := a.cloudSet(); err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	saved := sync.OnceValues(func() ([]connections.Entry, error) { return store.List(ctx) })
	for i, c := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			v := a.checkFor(ctx, c, verify.Options{Saved: func(context.Context) ([]connections.Entry, error) { return saved() }}, func(e task.Event) {
				if e.Kind == task.Progress {
					a.errorf("  … %s, %s: %s\n", c.Name, e.Title, clean(e.Text))
				}
			})
			v = out.expiry(v, nil)
			results[i] = v
			a.errorf("%s\n", a.oneLine(v))
		})
	}
	wg.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		return &stoppedError{err: ctx.Err(), state: "The results printed above are saved."}
	}
	p := a.printableMany(results, problems)
	written := out.write(p)
	if err := a.print(p); err != nil {
		return err
	}
	if a.output == "table" {
		a.sayEnding(profiles(results), connections.ExpirySoon)
	}
	for _, p := range problems {
		a.errorf("✗ %s\n", p.Error)
	}
	if written != nil {
		return written
	}
	if class := together(results, len(problems) > 0); class != advice.ClassNone {
		return &verdict{class: class}
	}
	return nil
}

func (a *app) oneLine(v verified) string {
	if v.gone {
		return fmt.Sprintf("  – %s was deleted meanwhile", v.conn.Name)
	}
	if v.err != nil {
		adv := a.adviceOf(v.err)
		return fmt.Sprintf("  ✗ %s: %s", v.conn.Name, renderAdvice(adv, "      "))
	}
	line := fmt.Sprintf("  %s %s", sign(v.report.State), v.conn.Name)
	for _, r := range v.report.Results {
		if r.Status == task.Fail {
			line += fmt.Sprintf("\n      ✗ %s: %s", r.Title, clean(r.Finding))
			if r.Advice != nil && len(r.Advice.Next) > 0 {
				line += "\n        Next  " + r.Advice.Next[0]
				if strings.HasSuffix(r.Advice.Next[0], ":") && len(r.Advice.Next) > 1 {
					line += " " + strings.TrimPrefix(r.Advice.Next[1], "$ ")
				}
			}
		}
	}
	return line
}

func (a *app) adviceOf(err error) *advice.Advice {
	facts := advice.Facts{Now: a.Clock.Now()}
	var with *adviceError
	if errors.As(err, &with) {
		facts = with.facts
		facts.Now = a.Clock.Now()
	}
	if adv := advice.For(err, facts); adv != nil {
		return adv
	}
	return &advice.Advice{What: clean(err.Error()), Codes: []string{}}
}

func (a *app) printableMany(results []verified, problems []problemJSON) printable {
	doc := verifyManyJSON{Connections: []any{}, Problems: problems}
	var names []string
	var list []*connections.Connection
	for _, v := range results {
		if v.gone {
			continue
		}
		list = append(list, &v.conn)
		if v.err != nil {
			doc.Connections = append(doc.Connections, failedJSON{Connection: v.conn, Checks: []checkJSON{}, Error: a.dated(a.adviceOf(v.err))})
			continue
		}
		doc.Connections = append(doc.Connections, a.answer(v))
		if v.report.State == connections.StateVerified {
			names = append(names, v.conn.Name)
		}
	}
	return printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		if len(list) == 0 {
			return "No connections to verify.\n"
		}
		return listTable(list, a.Clock.Now())
	}, report: func() report.Report { return a.reportOf(results, problems) }}
}

// together is the exit code for several connections: the one class that all
// failures share, else "a required check failed".
func together(results []verified, damaged bool) advice.Class {
	var classes []advice.Class
	if damaged {
		classes = append(classes, advice.ClassOther)
	}
	for _, v := range results {
		if c := v.class(); c != advice.ClassNone && !slices.Contains(classes, c) {
			classes = append(classes, c)
		}
	}
	switch len(classes) {
	case 0:
		return advice.ClassNone
	case 1:
		return classes[0]
	}
	return advice.ClassCheck
}
