package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/advice"
	"github.com/c2conn/c2conn/internal/task"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// plannedJSON is what rotate --dry-run says of one credential.
type plannedJSON struct {
	Connections []string           `json:"connections"`
	ClientID    string             `json:"client_id"`
	Tenant      connections.Tenant `json:"tenant"`
	Cloud       string             `json:"cloud"`
	Type        string             `json:"credential_type"`
	NotAfter    *time.Time         `json:"not_after"` // of the old one; null where it is not known
	Grace       int64              `json:"grace_seconds"`
	GoesOn      bool               `json:"goes_on"` // with a rotation that broke off
}

// rotatePlanJSON is the answer of rotate --dry-run.
type rotatePlanJSON struct {
	Plan     []plannedJSON `json:"plan"`
	Steps    []stepJSON    `json:"steps"`
	Problems []problemJSON `json:"problems,omitempty"`
}

type stepJSON struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// rotationsJSON is the answer of rotate for several connections.
type rotationsJSON struct {
	Rotations []any         `json:"rotations"`
	Finished  *endedJSON    `json:"finished,omitempty"` // with --all: old credentials of earlier rotations that were due
	Problems  []problemJSON `json:"problems,omitempty"`
}

// rotationJSON is a rotation that was carried out.
type rotationJSON struct {
	Run      string     `json:"run"`
	State    string     `json:"state"`
	OwnProof bool       `json:"own_proof"`
	Account  string     `json:"account,omitempty"` // of the administrator
	Due      *time.Time `json:"due"`               // when the old credential is to be removed; null where it is
}

// rotatedJSON is what has become of one credential.
type rotatedJSON struct {
	Rotation    *rotationJSON            `json:"rotation"` // null where nothing was begun
	Connection  connections.Connection   `json:"connection"`
	Connections []connections.Connection `json:"connections"` // all that were switched
	Verified    bool                     `json:"verified"`
	Steps       []checkJSON              `json:"steps"`
	Checks      []checkJSON              `json:"checks"`
	Notes       []string                 `json:"notes,omitempty"`
	Error       *advice.Advice           `json:"error,omitempty"`
}

func (o *rotateOptions) rotatedJSON(i *rotateItem) rotatedJSON {
	doc := rotatedJSON{Connection: i.conn, Connections: []connections.Connection{}, Steps: []checkJSON{}, Checks: []checkJSON{}}
	if i.err != nil {
		doc.Error = o.dated(o.adviceOf(i.err))
	}
	if r := i.rotated; r != nil {
		doc.Steps, doc.Checks, doc.Notes = o.checksJSON(r.Results), o.checksJSON(r.Report.Results), r.Notes
		doc.Verified = doc.Connection.Verification.State == connections.StateVerified
		doc.Rotation = &rotationJSON{Run: r.Run, State: r.State, OwnProof: r.Itself, Account: r.Account}
		if !r.Due.IsZero() {
			doc.Rotation.Due = &r.Due
		}
		doc.Connections = append(doc.Connections, i.switched...)
	}
	return doc
}

// printPlan prints what would be done.
func (o *rotateOptions) printPlan(items []*rotateItem, problems []problemJSON) error {
	doc := rotatePlanJSON{Plan: []plannedJSON{}, Problems: problems}
	var names []string
	for _, i := range items {
		c := i.conn
		p := plannedJSON{Connections: i.names(), ClientID: c.Registration.ClientID, Tenant: c.Tenant, Cloud: c.Cloud, Type: c.Credential.Type,
			Grace: int64(time.Duration(o.grace).Seconds()), GoesOn: i.begun != nil}
		if !c.Credential.NotAfter.IsZero() {
			p.NotAfter = &c.Credential.NotAfter
		}
		doc.Plan = append(doc.Plan, p)
		names = append(names, i.names()...)
	}
	for _, t := range registration.RotationSteps() {
		doc.Steps = append(doc.Steps, stepJSON{t.ID, t.Title})
	}
	return o.print(printable{value: doc, name: strings.Join(names, "\n"), table: func() string {
		if len(items) == 0 {
			return o.nothingText()
		}
		return o.planText(items)
	}})
}

func (o *rotateOptions) nothingText() string {
	if o.onlyEnding {
		return fmt.Sprintf("No credential is known to end within %s.\n", &o.within)
	}
	return "No connection has a credential to renew.\n"
}

// planText says what happens to each credential, and when the old one goes.
func (o *rotateOptions) planText(items []*rotateItem) string {
	var b strings.Builder
	for _, i := range items {
		c := i.conn
		fmt.Fprintf(&b, "%s: %s in %s\n", strings.Join(i.names(), ", "), clean(firstOf(c.Registration.AppName, c.Registration.ClientID)), clean(firstOf(c.Tenant.Domain, c.Tenant.ID)))
		fmt.Fprintf(&b, "    Old credential  %s\n", credentialText(c.Credential, o.Clock.Now()))
		fmt.Fprintf(&b, "    New credential  %s\n", o.newText(c))
		if i.begun != nil {
			b.WriteString("    Goes on with a rotation that broke off\n")
		}
		fmt.Fprintf(&b, "    Removed         %s\n", o.removalText(c.Name))
	}
	b.WriteString("Each connection is switched only after its application has signed in with the new credential.\n")
	return b.String()
}

func firstOf(parts ...string) string { return append(compact(parts...), "–")[0] }

func (o *rotateOptions) newText(c connections.Connection) string {
	life := "for " + clean(o.days) + " days"
	secret := c.Credential.Type == connections.TypeClientSecret
	switch {
	case o.certFile != "":
		return "the certificate of " + clean(o.certFile)
	case o.days == wizard.Longest && secret:
		life = "for two years, or what the tenant allows"
	case o.days == wizard.Longest:
		life = "for five years, or what the tenant allows"
	}
	if secret {
		return "a client secret " + life + ", which takes an administrator"
	}
	return "a certificate " + life
}

func (o *rotateOptions) removalText(name string) string {
	if o.grace == 0 {
		return "the old one, in the same run"
	}
	return fmt.Sprintf("the old one, %s after the switch: %s", &o.grace, rotateCommand(name, "--finish"))
}

// rotatedText says in a line what has become of one credential.
func (o *rotateOptions) rotatedText(i *rotateItem) string {
	c := i.verified().conn
	text := fmt.Sprintf("%s  renewed, now %s. ", strings.Join(i.names(), ", "), credentialText(c.Credential, o.Clock.Now()))
	if due := i.rotated.Due; !due.IsZero() {
		return text + fmt.Sprintf("The old one is valid until it is removed, from %s on: %s", moment(due), rotateCommand(c.Name, "--finish"))
	}
	return text + "The old one is removed."
}

func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// rotatedLine is what is told of a credential among many, as its work ends.
func (o *rotateOptions) rotatedLine(ctx context.Context, i *rotateItem) string {
	if i.err != nil {
		return fmt.Sprintf("  ✗ %s: %s\n      %s", i.conn.Name, renderAdvice(o.adviceOf(i.err), "      "), o.leaves(ctx, i.conn))
	}
	line := fmt.Sprintf("  %s %s", sign(i.rotated.Report.State), strings.Join(i.names(), ", "))
	for _, r := range append(append([]task.Result{}, i.rotated.Results...), i.rotated.Report.Results...) {
		if r.Status == task.Fail {
			line += fmt.Sprintf("\n      ✗ %s: %s", r.Title, clean(r.Finding))
		}
	}
	return line
}

// rotatedTable is the summary of many.
func (o *rotateOptions) rotatedTable(items []*rotateItem) string {
	if len(items) == 0 {
		return o.nothingText()
	}
	rows := [][]string{{"CONNECTIONS", "RENEWED", "STATE", "EXPIRES", "OLD ONE REMOVED"}}
	for _, i := range items {
		c, done, removed := i.verified().conn, "✓ yes", "✓ at once"
		switch {
		case i.renewed() && i.err != nil:
			removed = "✗ not yet"
		case i.err != nil:
			done, removed = "✗ no", "–"
		case !i.rotated.Due.IsZero():
			removed = "from " + moment(i.rotated.Due)
		}
		rows = append(rows, []string{strings.Join(i.names(), ", "), done, stateText(c.Verification, o.Clock.Now()), endText(c.Credential, o.Clock.Now()), removed})
	}
	return columns(rows)
}

// waitingText says in what state a rotation is, and which command goes on.
func (a *app) waitingText(r registration.Rotation) string {
	name := "NAME"
	if len(r.Connections) > 0 {
		name = r.Connections[0]
	}
	who := strings.Join(r.Connections, ", ")
	switch {
	case r.Err != nil:
		return fmt.Sprintf("%s: %s", r.Path, clean(r.Err.Error()))
	case r.State == registration.RotationBegun:
		return fmt.Sprintf("%s: the rotation of its credential broke off; the old one is in force. To go on: %s. To take it back: %s", who, rotateCommand(name), rotateCommand(name, "--abandon"))
	case r.Due.After(a.Clock.Now()):
		return fmt.Sprintf("%s: the new credential is in force; the old one can be removed from %s on: %s", who, moment(r.Due), rotateCommand(name, "--finish"))
	}
	return fmt.Sprintf("%s: the new credential is in force; the old one is due to be removed: %s", who, rotateCommand(name, "--finish"))
}

// oldCredential is the line of "show" about a credential that waits for its removal;
// empty where there is none. What cannot be read is no reason to show nothing.
func (a *app) oldCredential(ctx context.Context, c connections.Connection) string {
	list, err := a.rotations(ctx)
	if err != nil {
		return ""
	}
	for _, r := range list {
		switch {
		case r.Err != nil || !r.Uses(c):
		case r.State == registration.RotationWaiting:
			return fmt.Sprintf("removed from %s: %s", moment(r.Due), rotateCommand(c.Name, "--finish"))
		default:
			return "in force; its rotation broke off, to go on: " + rotateCommand(c.Name)
		}
	}
	return ""
}

// typed is a name as a shell takes it.
func typed(name string) string {
	if strings.Contains(name, " ") {
		return strconv.Quote(name) // a name has no character that needs more
	}
	return name
}
