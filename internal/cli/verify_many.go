package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/report"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/internal/verify"
)

// sideBySide says how much is done at a time.
type sideBySide struct {
	connections int           // checked at a time
	perTenant   int           // requests to one tenant at a time
	timeout     time.Duration // for all together
	each        time.Duration // added to it for each connection
}

// eachTimeout is how much longer a run may take for each connection.
const eachTimeout = 5 * time.Second

func (a *app) verifyAll(ctx context.Context, side sideBySide, out *reporting) error {
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
	return a.verifyMany(ctx, list, problems, side, out)
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

// verifyMany checks connections side by side and says what came of each as it ends.
func (a *app) verifyMany(ctx context.Context, list []connections.Connection, problems []problemJSON, side sideBySide, out *reporting) error {
	results, err := a.verifySideBySide(ctx, list, side, out)
	if errors.Is(ctx.Err(), context.Canceled) {
		return &stoppedError{err: ctx.Err(), state: "The results printed above are saved."}
	}
	if err != nil {
		return err
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

// verifySideBySide checks connections and keeps each result as it ends. The order of
// the results is that of the list.
func (a *app) verifySideBySide(ctx context.Context, list []connections.Connection, side sideBySide, out *reporting) ([]verified, error) {
	// What they share is opened before they start, and used by all.
	if _, err := a.personalStore(); err != nil {
		return nil, err
	}
	if _, err := a.cloudSet(); err != nil {
		return nil, err
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, side.timeout+time.Duration(len(list))*side.each)
	defer cancel()
	var (
		results = make([]verified, len(list))
		shared  = newSharing(a, side.perTenant)
		turns   = newTurns(list, side.perTenant)
		show    = a.newTally(len(list))
		keeper  = a.newKeeper(ctx, store, func(i int, v verified) {
			results[i] = out.expiry(v, nil)
			show.ended(results[i])
		})
		saved = sync.OnceValues(func() ([]connections.Entry, error) { return store.List(ctx) })
		wg    sync.WaitGroup
	)
	for range min(side.connections, len(list)) {
		wg.Go(func() {
			for i, ok := turns.next(); ok; i, ok = turns.next() {
				c := list[i]
				options := verify.Options{Saved: func(context.Context) ([]connections.Entry, error) { return saved() }}
				v, note := a.examine(shared.slots(c).For(ctx), c, options, shared, func(e task.Event) { show.waiting(c, e) })
				turns.done(i)
				if errors.Is(ctx.Err(), context.Canceled) && note == nil {
					turns.stop()
					continue // it was not checked
				}
				keeper.keep(i, v, note)
			}
		})
	}
	wg.Wait()
	keeper.close()
	show.close()
	return results, nil
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
