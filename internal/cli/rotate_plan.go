package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/certs"
	"github.com/c2conn/c2conn/registration"
	"github.com/c2conn/c2conn/wizard"
)

// rotationPlanJSON is the answer of rotate --dry-run.
type rotationPlanJSON struct {
	Rotations []plannedRotationJSON `json:"rotations"`
}

// plannedRotationJSON is what would be done for one credential.
type plannedRotationJSON struct {
	Connection string `json:"connection"`
	// Also are the saved connections with the same credential: they are switched, too.
	Also       []string               `json:"also"`
	ClientID   string                 `json:"client_id"`
	Current    connections.Credential `json:"current"`
	Action     string                 `json:"action"` // rotate, resume, finish or wait
	By         string                 `json:"by"`     // application, application-or-administrator or administrator
	NotAfter   time.Time              `json:"not_after,omitzero"`
	GraceHours float64                `json:"grace_hours"`
	Due        time.Time              `json:"due,omitzero"` // of an old credential that waits for its removal
	Steps      []string               `json:"steps"`
}

// printPlan shows what would be done. Nobody is asked and nothing is sent.
func (o *rotateOptions) printPlan(ctx context.Context, list []*rotation, wish wizard.RotateOptions) error {
	env, err := o.env()
	if err != nil {
		return err
	}
	earlier, err := env.Rotations(ctx)
	if err != nil {
		return err
	}
	doc := rotationPlanJSON{Rotations: []plannedRotationJSON{}}
	var names []string
	var text strings.Builder
	for _, r := range list {
		p := o.planned(r, earlier, wish)
		doc.Rotations = append(doc.Rotations, p)
		names = append(names, p.Connection)
		fmt.Fprintf(&text, "%s (%s)\n", p.Connection, r.describe(o.Clock.Now()))
		for i, s := range p.Steps {
			fmt.Fprintf(&text, "  %d. %s\n", i+1, wrap(s, 90, "     "))
		}
	}
	if len(list) == 0 {
		text.WriteString("No credential is to be rotated.\n")
	}
	return o.print(printable{value: doc, name: strings.Join(names, "\n"), table: text.String})
}

func (o *rotateOptions) planned(r *rotation, earlier []registration.Rotation, wish wizard.RotateOptions) plannedRotationJSON {
	c, now := r.conn, o.Clock.Now()
	p := plannedRotationJSON{Connection: c.Name, Also: append([]string{}, r.also...), ClientID: c.Registration.ClientID, Current: c.Credential, Action: "rotate",
		GraceHours: wish.Grace.Hours(), Steps: []string{}}
	what := "certificate"
	switch {
	case c.Credential.Type == connections.TypeClientSecret:
		p.By, what = "administrator", "client secret"
		p.NotAfter = now.AddDate(0, 24, 0)
	case o.signInGiven(o.signIn):
		p.By = "administrator"
	case c.Registration.ApplicationID != "" && c.Credential.KeyID != "":
		p.By = "application"
	default:
		p.By = "application-or-administrator"
	}
	if what == "certificate" || wish.Valid != (certs.Validity{}) {
		p.NotAfter = wish.Valid.From(now)
	}
	if wish.Own != nil {
		p.NotAfter = wish.Own.Certificate.NotAfter
	}
	p.NotAfter = p.NotAfter.UTC().Truncate(time.Second)
	for _, e := range earlier {
		switch {
		case e.Err != nil || !e.Uses(c):
		case e.State == registration.RotationBegun:
			p.Action = "resume"
		case now.Before(e.Due):
			p.Action, p.Due, p.Steps = "wait", e.Due, append(p.Steps, "Nothing: the old credential of the last rotation waits until "+e.Due.UTC().Format("2006-01-02 15:04")+" UTC. To remove it now: c2conn rotate "+c.Name+" --finish --now")
			return p
		case e.AtOnce:
			p.Action, p.Due, p.Steps = "finish", e.Due, append(p.Steps, "Remove the old credential of the last rotation, which broke off before that. Nothing else: the credential is new.")
			return p
		default:
			p.Due, p.Steps = e.Due, append(p.Steps, "Remove the old credential of the last rotation, which is due.")
		}
	}
	first := "Make a " + what + " until " + p.NotAfter.Format(time.DateOnly) + ", or as long as a policy of the tenant allows, and store it."
	if p.Action == "resume" {
		first = "Go on with the rotation that broke off: its stored " + what + " is used again."
	} else if wish.Own != nil {
		first = "Store your certificate " + string(wish.Own.Thumbprint()) + "."
	}
	who := map[string]string{
		"administrator": "as the administrator who signs in", "application": "as the application itself, with the proof of its certificate",
		"application-or-administrator": "as the application itself where it may read its registration, else as the administrator who signs in",
	}[p.By]
	p.Steps = append(p.Steps, first, "Add it to the application "+c.Registration.ClientID+" beside the others, "+who+".", "Wait until it signs in, and check the connection with it.",
		"Switch "+strings.Join(append([]string{c.Name}, r.also...), ", ")+" to it.")
	if wish.Grace > 0 {
		p.Steps = append(p.Steps, "Leave the old one for "+o.grace.String()+"; then c2conn rotate --finish removes it.")
	} else {
		p.Steps = append(p.Steps, "Remove the old one at once.")
	}
	return p
}
