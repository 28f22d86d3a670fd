package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/wizard"
)

// carryOut does what was planned: the tenants side by side, in each one connection after
// the other, so that nothing is written to a tenant twice at a time.
func (o *applyOptions) carryOut(ctx context.Context, p *applyPlan) {
	shared := newSharing(o.app, o.perTenant)
	for _, i := range p.items {
		if i.session != nil { // a wrong password is found out once, not once for each entry
			i.session.Env.Accounts = shared.servers
		}
	}
	slots := make(chan struct{}, o.tenants)
	var wg sync.WaitGroup
	for _, t := range p.tenants {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, i := range t.items {
				if i.action == actUnchanged || ctx.Err() != nil {
					continue
				}
				i.begun = true
				o.one(shared.slots(i.wanted).For(ctx), p, t, i)
				if ctx.Err() == nil || i.outcome.err == nil {
					i.ended = true
				}
				o.errorf("%s\n", o.itemLine(i))
			}
		})
	}
	wg.Wait()
	for _, i := range p.items {
		if i.action == actPrune && ctx.Err() == nil {
			i.begun = true
			i.outcome.err = o.deleteOne(ctx, *i.saved, true) // the plan was agreed to
			i.ended = true
			o.errorf("%s\n", o.itemLine(i))
		}
	}
}

// one carries out one entry; the outcome is in the item.
func (o *applyOptions) one(ctx context.Context, p *applyPlan, t *applyTenant, i *applyItem) {
	fail := func(err error) {
		i.outcome.err = err
		var with *adviceError
		if !errors.As(err, &with) {
			i.outcome.err = &adviceError{err: err, facts: i.session.Facts()}
		}
	}
	switch {
	case i.action == actChange && (i.entry.Auto || len(i.changes) == 1 && i.changes[0] == "fleet"):
		o.inPlace(ctx, p, i)
		return
	case i.registers && t.err != nil:
		fail(t.err)
		return
	case i.registers:
		if err := o.prepare(ctx, p, t, i); err != nil {
			fail(err)
			return
		}
	}
	out, err := i.session.Configure(ctx, nil)
	if err != nil {
		var half *wizard.HalfwayError
		if errors.As(err, &half) && ctx.Err() == nil {
			o.sayBegun(i, half.Run)
		}
		fail(&beforeChecks{err})
		return
	}
	i.out = out
	i.outcome.report = out.Report
	i.outcome.conn = out.Connection
	if !i.registers && !out.Verified && !o.saveUnverified {
		i.notSaved = true
		return
	}
	saved, err := i.session.Save(context.WithoutCancel(ctx), out)
	if err != nil {
		if out.Run != "" {
			o.sayBegun(i, out.Run)
		}
		fail(err)
		return
	}
	i.outcome.conn = saved
}

// sayBegun names what a registration has left in the tenant without a connection.
func (o *applyOptions) sayBegun(i *applyItem, run string) {
	o.errorf("  ! %s: what was begun in the tenant stays; the same command goes on with it, c2conn app cleanup %s removes it.\n", i.name, run)
}

// prepare makes a session ready to register: what an earlier run has begun for this
// connection is gone on with.
func (o *applyOptions) prepare(ctx context.Context, p *applyPlan, t *applyTenant, i *applyItem) error {
	for _, u := range p.begun {
		if u.Kind == i.kind && strings.EqualFold(u.Connection, i.name) && u.Cloud == t.cloud.Name && strings.EqualFold(u.Tenant.ID, t.id) {
			o.errorf("  … %s: going on with what an earlier run has begun\n", i.name)
			i.session.Resume(u)
		}
	}
	return i.session.SignInAs(ctx, t.admin)
}

// inPlace changes what the profile alone knows, and verifies it.
func (o *applyOptions) inPlace(ctx context.Context, p *applyPlan, i *applyItem) {
	asks := len(i.changes) > 1 || i.changes[0] != "fleet"
	saved, err := p.env.Store.Update(ctx, i.saved.ID, func(c *connections.Connection) error {
		c.Fleet = p.fleet
		if i.wanted.Account != "" {
			c.Account = i.wanted.Account
		}
		if i.wanted.Endpoints.SharePoint != "" {
			c.Endpoints.SharePoint, c.Endpoints.Admin = i.wanted.Endpoints.SharePoint, i.wanted.Endpoints.Admin
		}
		if asks {
			c.Verification = connections.Verification{}
		}
		return nil
	})
	if i.outcome.conn = saved; err != nil {
		i.outcome = verified{conn: *i.saved, err: &adviceError{err: err, facts: i.session.Facts()}}
		return
	}
	if asks {
		ctx, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		i.outcome = o.check(ctx, saved, nil)
	}
}

// itemLine says what has become of an entry.
func (o *applyOptions) itemLine(i *applyItem) string {
	done := map[string]string{actCreate: "created", actChange: "changed", actPrune: "deleted"}[i.action]
	switch {
	case i.outcome.err != nil:
		return fmt.Sprintf("  ✗ %s: %s", i.name, renderAdvice(o.adviceOf(i.outcome.err), "      "))
	case i.action == actPrune || len(i.outcome.report.Results) == 0:
		return fmt.Sprintf("  ✓ %s: %s", i.name, done)
	case i.notSaved:
		return o.oneLine(i.outcome) + "\n      Not saved, because a required check failed."
	case i.out != nil && i.out.Waiting:
		return fmt.Sprintf("  ! %s: %s, waiting for admin consent: %s", i.name, done, o.consentLink(i.outcome.conn))
	}
	return o.oneLine(i.outcome)
}

type applyJSON struct {
	Fleet       string          `json:"fleet"`
	DryRun      bool            `json:"dry_run"`
	Connections []applyItemJSON `json:"connections"`
	Left        []string        `json:"not_in_file,omitempty"`
	Summary     map[string]int  `json:"summary"`
}

type applyItemJSON struct {
	Name       string           `json:"name"`
	Kind       connections.Kind `json:"kind"`
	Tenant     string           `json:"tenant"`
	Action     string           `json:"action"`
	Changes    []string         `json:"changes,omitempty"`
	Done       bool             `json:"done"`
	Verified   bool             `json:"verified"`
	State      string           `json:"state,omitempty"`
	ClientID   string           `json:"client_id,omitempty"`
	Checks     []checkJSON      `json:"checks,omitempty"`
	Steps      []checkJSON      `json:"steps,omitempty"`
	ConsentURL string           `json:"consent_url,omitempty"`
	Error      *advice.Advice   `json:"error,omitempty"`
}

// report prints the plan, or what came of it; the exit code is that of the failures.
func (o *applyOptions) report(p *applyPlan) error {
	doc := applyJSON{Fleet: p.fleet, DryRun: o.dryRun, Connections: []applyItemJSON{}, Left: p.left, Summary: map[string]int{}}
	var names []string
	var results []verified
	for _, i := range p.items {
		c := i.outcome.conn
		x := applyItemJSON{Name: i.name, Kind: i.kind, Tenant: i.tenant, Action: i.action, Changes: i.changes, Done: i.ended && i.outcome.err == nil && !i.notSaved,
			State: c.Verification.State, Verified: c.Verification.State == connections.StateVerified, ClientID: c.Registration.ClientID, Checks: o.checksJSON(i.outcome.report.Results)}
		if i.out != nil {
			x.Steps = o.checksJSON(i.out.Steps)
			if i.out.Waiting {
				x.ConsentURL = o.consentLink(c)
			}
		}
		if i.outcome.err != nil {
			x.Error, x.Checks = o.dated(o.adviceOf(i.outcome.err)), nil
		}
		doc.Connections = append(doc.Connections, x)
		doc.Summary[i.action]++
		if x.Done {
			names = append(names, i.name)
		}
		if i.begun && (i.outcome.err != nil || len(i.outcome.report.Results) > 0) {
			results = append(results, i.outcome)
			if i.outcome.class() != advice.ClassNone {
				doc.Summary["failed"]++
			}
		}
	}
	err := o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string { return p.table(o.dryRun) }})
	if err != nil {
		return err
	}
	if len(p.left) > 0 {
		o.errorf("Of the fleet %s but not in the file: %s. --prune deletes them.\n", p.fleet, orNone(p.left))
	}
	if class := together(results, false); class != advice.ClassNone {
		return &verdict{class: class}
	}
	return nil
}

// table is the plan, or the outcome, for people.
func (p *applyPlan) table(planned bool) string {
	var b strings.Builder
	counts := fmt.Sprintf("%d to create, %d to change, %d to delete, %d unchanged", p.count(actCreate), p.count(actChange), p.count(actPrune), p.count(actUnchanged))
	if p.changes() == 0 {
		return fmt.Sprintf("Fleet %s: nothing to do, %s as the file says.\n", p.fleet, plural(len(p.items), "connection is", "connections are"))
	}
	rows := [][]string{{"NAME", "KIND", "TENANT", "ACTION", "STATE"}}
	for _, i := range p.items {
		if i.action == actUnchanged {
			continue
		}
		state := ""
		switch {
		case planned && i.registers:
			state = "registers an application"
		case planned && i.action == actPrune:
			state = "its application stays"
		case planned:
			state = strings.Join(i.changes, ", ")
		case i.outcome.err != nil, i.notSaved:
			state = "✗ failed"
		case !i.ended:
			state = "– not done"
		case i.action == actPrune:
			state = "✓ deleted"
		default:
			state = sign(i.outcome.conn.Verification.State) + " " + i.outcome.conn.Verification.State
		}
		rows = append(rows, []string{i.name, string(i.kind), clean(i.tenant), i.action, state})
	}
	b.WriteString(columns(rows))
	if planned {
		return b.String() + "\nFleet " + p.fleet + ": " + counts + ".\n"
	}
	failed := 0
	for _, i := range p.items {
		if i.action != actUnchanged && (i.outcome.err != nil || i.notSaved || !i.ended) {
			failed++
		}
	}
	return b.String() + fmt.Sprintf("\nFleet %s: %d done, %d failed, %d unchanged.\n", p.fleet, p.changes()-failed, failed, p.count(actUnchanged))
}
