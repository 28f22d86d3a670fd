package wizard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// managePlain is the dashboard for screen readers and plain terminals: a numbered
// list, and a question a line.
type managePlain struct {
	ctx  context.Context
	o    ManageOptions
	env  Env
	p    PlainOptions
	in   *bufio.Reader
	done Managed
}

// RunManagePlain is RunManage line by line, over the same operations.
func RunManagePlain(ctx context.Context, o ManageOptions, p PlainOptions) (Managed, error) {
	m := &managePlain{ctx: ctx, o: o, env: *o.Env, p: p, in: bufio.NewReader(p.In)}
	m.env.Profiles = o.Stage
	m.p.In = m.in // a flow goes on reading where the list has stopped
	err := m.dialogue()
	m.done.Left = o.Stage.Pending()
	return m.done, err
}

func (m *managePlain) say(format string, args ...any) {
	_, _ = fmt.Fprintf(m.p.Out, format+"\n", args...) // a terminal that is gone ends the input too
}

// line asks for a line; Ctrl-C and the end of the input leave.
func (m *managePlain) line(prompt string) (string, error) {
	_, _ = io.WriteString(m.p.Out, prompt)
	text, err := await(m.ctx, 0, func() (string, error) { return m.in.ReadString('\n') })
	switch {
	case m.ctx.Err() != nil:
		return "", ErrCancelled
	case errors.Is(err, io.EOF) && strings.TrimSpace(text) == "":
		return "", ErrInputEnded
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("the answer could not be read: %w", err)
	}
	return strings.TrimSpace(text), nil
}

func (m *managePlain) dialogue() error {
	m.say("c2conn: saved connections. Changes are kept at once and take effect when you save.")
	if n := len(m.o.Stage.Pending()); n > 0 {
		m.say("%d %s of an earlier time not saved yet.", n, plural(n, "change"))
	}
	for {
		rows, err := m.rows()
		if err != nil {
			return err
		}
		m.list(rows)
		answer, err := m.line("Number of a connection, n new, v verify all, s save and leave, c cancel, or help: ")
		if err != nil {
			return err
		}
		left, err := m.obey(strings.ToLower(answer), rows)
		if errors.Is(err, ErrCancelled) && m.ctx.Err() == nil && !errors.Is(err, ErrInputEnded) {
			err = nil // a flow that was left; the list goes on
		}
		if left || errors.Is(err, ErrCancelled) {
			return err
		}
		if err != nil {
			m.say("It did not work: %s", sentence(m.explain(err)))
		}
	}
}

func (m *managePlain) explain(err error) string {
	if m.o.Explain != nil {
		return m.o.Explain(err)
	}
	return err.Error()
}

func (m *managePlain) rows() ([]*manageRow, error) {
	entries, err := m.o.Stage.List(m.ctx)
	if err != nil {
		return nil, err
	}
	conflicts, err := m.o.Stage.Conflicts(m.ctx)
	if err != nil {
		return nil, err
	}
	rows := makeRows(entries, m.o.Stage.Pending(), conflicts, m.env.Clouds)
	manageSort{by: "name"}.rows(rows, m.env.Clock.Now())
	return rows, nil
}

func (m *managePlain) list(rows []*manageRow) {
	if len(rows) == 0 {
		m.say("There are no connections yet.")
	}
	now := m.env.Clock.Now()
	for i, r := range rows {
		text := fmt.Sprintf("%d. %s: ", i+1, r.cells[colName])
		if r.err != nil {
			m.say("%s%s", text, sentence(damagedWords(r.c.Name, r.err)))
			continue
		}
		text += r.cells[colKind] + ", " + r.cells[colWhere] + ", " + r.look(now).word
		if t := r.c.Credential.NotAfter; !t.IsZero() {
			text += ", until " + t.UTC().Format("2006-01-02")
		}
		if r.change != nil {
			text += "; " + ChangeWords(*r.change) + ", not saved"
		}
		m.say("%s.", text)
	}
}

// obey does what was answered to the list, and reports whether the user leaves.
func (m *managePlain) obey(answer string, rows []*manageRow) (left bool, err error) {
	switch answer {
	case "":
		return false, nil
	case "help", "?":
		for _, k := range [][2]string{
			{"a number", "shows a connection and asks what to do with it"}, {"n", "makes a new connection"},
			{"v", "verifies all; the results are saved at once"}, {"s", "saves what is changed and leaves"},
			{"c", "leaves; where something is not saved it asks"},
		} {
			m.say("%s %s.", k[0], k[1])
		}
		return false, nil
	case "n", "new":
		return false, m.create()
	case "v":
		for _, r := range rows {
			if err := m.verify(r); err != nil {
				return false, err
			}
		}
		return false, nil
	case "s", "o", "ok":
		return m.save()
	case "c", "q", "cancel":
		return m.cancel()
	}
	n, err := strconv.Atoi(answer)
	if err != nil || n < 1 || n > len(rows) {
		m.say("%q is no answer here. Type help to hear what there is.", clean(answer))
		return false, nil
	}
	return false, m.actOn(rows[n-1])
}

func (m *managePlain) create() error {
	answer, err := m.line("What for? e Exchange, s SharePoint, m migration source, t migration target; Enter for none: ")
	if err != nil {
		return err
	}
	kind, ok := map[string]connections.Kind{"e": connections.Exchange, "s": connections.SharePoint, "m": connections.MigrationSource, "t": connections.MigrationTarget}[strings.ToLower(answer)]
	if !ok {
		return nil
	}
	return m.flow(m.env.create(kind))
}

func (m *managePlain) flow(s *Session) error {
	out, err := RunPlain(m.ctx, s, m.p)
	if err != nil {
		return err
	}
	for _, note := range out.Notes {
		m.say("%s", spoken(note))
	}
	m.say("%s is kept; it takes effect when you save.", out.Connection.Name)
	return nil
}

func (m *managePlain) actOn(r *manageRow) error {
	view := &manage{th: newTheme(nil), now: m.env.Clock.Now}
	for _, line := range view.detailLines(r, 1000, m.env.Clock.Now())[1:] {
		m.say("%s.", strings.TrimSuffix(strings.Join(strings.Fields(strings.ReplaceAll(ansi.Strip(line), " · ", ", ")), " "), "."))
	}
	if r.err != nil {
		return nil
	}
	prompt, deleted := "e edit, m rename, v verify, d delete", r.change != nil && r.change.Deleted
	rotates := m.o.Rotate != nil && r.change == nil && r.c.Location != connections.OnPremises
	if rotates {
		prompt += ", r rotate"
	}
	if deleted {
		prompt = "u undo"
	} else if r.change != nil {
		prompt += ", u undo"
	}
	if r.conflict != nil {
		prompt += ", y keep your version"
	}
	answer, err := m.line("What now? " + prompt + "; Enter for the list: ")
	if err != nil {
		return err
	}
	stage, id := m.o.Stage, r.c.ID
	switch answer = strings.ToLower(answer); {
	case answer == "u" && r.change != nil:
		apps := AppsOf([]connections.Change{*r.change})
		if err := stage.Revert(m.ctx, id); err != nil {
			return err
		}
		m.done.Apps = append(m.done.Apps, apps...)
		m.say("Undone.")
	case answer == "y" && r.conflict != nil:
		return stage.Keep(m.ctx, id)
	case deleted:
	case answer == "e":
		s, err := Edit(&m.env, r.c)
		if err != nil {
			return err
		}
		return m.flow(s)
	case answer == "m":
		name, err := m.line("New name, Enter to leave it: ")
		if err != nil || name == "" {
			return err
		}
		_, err = stage.Rename(m.ctx, id, name)
		return err
	case answer == "v":
		return m.verify(r)
	case answer == "d":
		stays := ""
		if r.c.Registration.ClientID != "" {
			stays = " Its application stays in Entra ID."
		}
		yes, err := m.line("Delete " + clean(r.c.Name) + " when you save?" + stays + " yes or no [no]: ")
		if err != nil || yes != "yes" && yes != "y" {
			return err
		}
		return stage.Delete(m.ctx, id)
	case answer == "r" && rotates:
		yes, err := m.line("Replace the credential at once, in the tenant and here? yes or no [no]: ")
		if err != nil || yes != "yes" && yes != "y" {
			return err
		}
		said, err := m.o.Rotate(m.ctx, r.c, m.tell)
		if err == nil {
			m.say("%s", sentence(said))
		}
		return err
	}
	return nil
}

// tell says the end of a task.
func (m *managePlain) tell(e task.Event) {
	if e.Kind == task.Finished {
		m.say("%s: %s. %s", e.Result.Title, (theme{}).status(e.Result.Status).word, sentence(clean(e.Result.Finding)))
	}
}

func (m *managePlain) verify(r *manageRow) error {
	if r.err != nil || r.change != nil && r.change.Deleted {
		return nil
	}
	m.say("Verifying %s.", clean(r.c.Name))
	found, err := m.o.Verify(m.ctx, r.c, m.tell)
	if err != nil {
		if m.ctx.Err() != nil {
			return ErrCancelled
		}
		m.say("%s could not be verified: %s", clean(r.c.Name), sentence(m.explain(err)))
		return nil
	}
	r.c.Verification.State = found.State
	m.say("%s: %s.", clean(r.c.Name), strings.TrimSuffix(r.look(m.env.Clock.Now()).word, " "))
	return nil
}

func (m *managePlain) save() (left bool, err error) {
	n, err := m.o.Stage.Commit(context.WithoutCancel(m.ctx))
	m.done.Saved += n
	m.say("%d %s saved.", n, plural(n, "change"))
	return err == nil, err
}

func (m *managePlain) cancel() (left bool, err error) {
	pending := m.o.Stage.Pending()
	if len(pending) == 0 {
		return true, nil
	}
	answer, err := m.line(fmt.Sprintf("%d %s not saved. s save, d discard, l leave for later; Enter to stay: ", len(pending), plural(len(pending), "change")))
	if err != nil {
		return false, err
	}
	switch strings.ToLower(answer) {
	case "s":
		return m.save()
	case "d":
		if err := m.o.Stage.Discard(context.WithoutCancel(m.ctx)); err != nil {
			return false, err
		}
		m.done.Apps = append(m.done.Apps, AppsOf(pending)...)
		return true, nil
	case "l":
		return true, nil
	}
	return false, nil
}
