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
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// rotatedJSON is the answer of rotate NAME: the connection with its new credential, the
// checks made with it, and what was done.
type rotatedJSON struct {
	answerJSON
	Rotation *rotationJSON  `json:"rotation"`
	Error    *advice.Advice `json:"error,omitempty"` // of one among several
}

// rotationJSON says how far a rotation is.
type rotationJSON struct {
	Run      string    `json:"run"`
	State    string    `json:"state"` // done, waiting for the old one's removal, or begun
	Switched []string  `json:"switched"`
	OwnProof bool      `json:"own_proof"`
	Account  string    `json:"account,omitempty"`
	Due      time.Time `json:"due,omitzero"`
}

type rotateManyJSON struct {
	Connections []rotatedJSON `json:"connections"`
	Problems    []problemJSON `json:"problems,omitempty"`
}

func (o *rotateOptions) rotatedJSON(c connections.Connection, out *wizard.Rotated) rotatedJSON {
	doc := rotatedJSON{answerJSON: answerJSON{Connection: c, Saved: true, Checks: []checkJSON{}}}
	if out != nil {
		doc.Connection, doc.Verified, doc.Notes = out.Connection, out.Connection.Verification.State == connections.StateVerified, out.Notes
		doc.Checks, doc.Steps = o.checksJSON(out.Report.Results), o.checksJSON(out.Results)
		doc.Rotation = &rotationJSON{Run: out.Run, State: out.State, Switched: out.Switched, OwnProof: out.Itself, Account: out.Account, Due: out.Due}
	}
	return doc
}

// rotate rotates one credential.
func (o *rotateOptions) rotate(ctx context.Context, r *rotation, wish wizard.RotateOptions, listen func(task.Event)) error {
	env, err := o.env()
	if err != nil {
		return err
	}
	return o.as(ctx, r.conn, func(admin *registration.Admin) error {
		wish.Admin = admin
		out, err := env.Rotate(ctx, r.conn, wish, listen)
		if out != nil {
			r.out = out
		}
		return err
	})
}

func (o *rotateOptions) one(ctx context.Context, r *rotation, wish wizard.RotateOptions) error {
	err := o.rotate(ctx, r, wish, o.progressLines())
	if err != nil {
		return o.broken(ctx, r, err)
	}
	o.sayRotated(r)
	return o.print(printable{value: o.rotatedJSON(r.conn, r.out), name: r.out.Connection.Name, table: func() string { return o.rotatedLine(r) + "\n" }})
}

// broken says what a rotation that failed leaves behind.
func (o *rotateOptions) broken(ctx context.Context, r *rotation, err error) error {
	if ctx.Err() != nil || isCancelled(err) {
		state := "Nothing was changed."
		switch {
		case r.out != nil && r.out.State == registration.RotationWaiting:
			state = "The connection uses the new credential; the old one is still in the application: c2conn rotate " + r.conn.Name + " --finish"
		case r.out != nil:
			state = "The connection is as before. The same command goes on; c2conn rotate " + r.conn.Name + " --abandon takes back what was begun."
		}
		return &stoppedError{err: err, state: state}
	}
	if r.out != nil && r.out.State == registration.RotationBegun {
		o.errorf("\nThe connection is as before. The same command goes on; c2conn rotate %s --abandon takes back what was begun.\n", r.conn.Name)
	}
	return &adviceError{err: &beforeChecks{err}, facts: o.facts(r.conn)}
}

func (o *rotateOptions) rotatedLine(r *rotation) string {
	c := r.out.Connection.Credential
	text := fmt.Sprintf("%s  new client secret", r.out.Connection.Name)
	if c.Type == connections.TypeCertificate {
		text = fmt.Sprintf("%s  new certificate %s", r.out.Connection.Name, c.Thumbprint)
	}
	if !c.NotAfter.IsZero() {
		text += ", until " + c.NotAfter.UTC().Format(time.DateOnly)
	}
	if r.out.State == registration.RotationWaiting {
		return text + "; the old one goes after " + r.out.Due.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	return text + "; the old one is removed"
}

// sayRotated says what somebody should know besides.
func (o *rotateOptions) sayRotated(r *rotation) {
	if len(r.out.Switched) > 1 {
		o.errorf("\nSwitched together, as they used the same credential: %s\n", strings.Join(r.out.Switched, ", "))
	}
	for _, n := range r.out.Notes {
		o.errorf("\n%s\n", wrap(clean(n), 96, ""))
	}
	if r.out.State == registration.RotationWaiting {
		o.errorf("\nThe old credential still works, for programs that have a copy. When it is due: c2conn rotate --finish\n")
	}
}

// rotatedAtOnce is how many credentials are rotated at the same time; in one tenant one
// write is under way at a time all the same.
const rotatedAtOnce = 4

func (o *rotateOptions) many(ctx context.Context, list []*rotation, problems []problemJSON, wish wizard.RotateOptions) error {
	// What they share is opened before they start, and used by all.
	if _, err := o.env(); err != nil {
		return err
	}
	slots := make(chan struct{}, rotatedAtOnce)
	var wg sync.WaitGroup
	for _, group := range byApplication(list) {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, r := range group {
				o.oneOfMany(ctx, r, wish)
			}
		})
	}
	wg.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		return &stoppedError{err: ctx.Err(), state: "What is printed above with ✓ is done. The same command goes on with the others; each connection works."}
	}
	doc := rotateManyJSON{Connections: []rotatedJSON{}, Problems: problems}
	var names []string
	var class advice.Class
	for _, r := range list {
		one := o.rotatedJSON(r.conn, r.out)
		if r.err != nil {
			one.Error = o.dated(o.adviceOf(&adviceError{err: r.err, facts: o.facts(r.conn)}))
			class = joined(class, advice.ClassOf(r.err))
		} else {
			names = append(names, r.conn.Name)
		}
		doc.Connections = append(doc.Connections, one)
	}
	for _, p := range problems {
		o.errorf("✗ %s\n", p.Error)
		class = joined(class, advice.ClassOther)
	}
	err := o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		if len(list) == 0 {
			return "No credential is to be rotated.\n"
		}
		return fmt.Sprintf("%d of %s rotated.\n", len(names), plural(len(list), "credential", "credentials"))
	}})
	if err == nil && class != advice.ClassNone {
		err = &verdict{class: class}
	}
	return err
}

// joined is the exit code for several failures: the one class that all share, else "an
// error".
func joined(a, b advice.Class) advice.Class {
	if a == advice.ClassNone || a == b {
		return b
	}
	return advice.ClassOther
}

// oneOfMany rotates one credential among others, a line as it ends.
func (o *rotateOptions) oneOfMany(ctx context.Context, r *rotation, wish wizard.RotateOptions) {
	r.err = o.rotate(ctx, r, wish, func(e task.Event) {
		if e.Kind == task.Progress && !e.Until.IsZero() {
			o.errorf("  … %s, %s: %s\n", r.conn.Name, e.Title, clean(e.Text))
		}
	})
	if r.err != nil {
		o.errorf("  ✗ %s: %s\n", r.conn.Name, renderAdvice(o.adviceOf(&adviceError{err: r.err, facts: o.facts(r.conn)}), "      "))
		return
	}
	o.errorf("  ✓ %s\n", o.rotatedLine(r))
}

// byApplication gathers the credentials of each application: they are rotated one after
// the other.
func byApplication(list []*rotation) (groups [][]*rotation) {
	for _, r := range list {
		i := slices.IndexFunc(groups, func(g []*rotation) bool { return sameApplication(g[0].conn, r.conn) })
		if i < 0 {
			groups, i = append(groups, nil), len(groups)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}
