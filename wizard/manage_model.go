package wizard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/task"
)

// manage is the model of the dashboard. Only Update changes it; what takes time runs
// in commands, which know nothing of it.
type manage struct {
	ctx    context.Context
	cancel context.CancelFunc
	o      ManageOptions
	env    Env // of the flows
	th     theme
	send   func(tea.Msg)
	now    func() time.Time
	tick   func() tea.Cmd
	work   workers

	w, h     int
	loaded   bool
	loading  bool
	again    bool         // something has changed since the load under way began
	rows     []*manageRow // all
	shown    []*manageRow // filtered and sorted
	widths   [columnCount]int
	pending  []connections.Change
	began    bool   // the leftovers of an earlier run have been told
	at       int    // the selected row, in shown
	top      int    // the first row on the screen
	wanted   string // id to select after the next load
	filter   string
	typing   bool // the filter is being typed
	sort     manageSort
	details  bool
	message  string
	trouble  string // an error, until the next key
	child    *screen
	ask      *question
	pager    *pager
	secret   *passphrase
	rename   *renaming
	jobs     map[string]*job          // verifications and rotations, by id
	queue    []connections.Connection // to be verified
	running  int
	found    map[string][]task.Result // by id: what the last verification here found
	busy     string                   // saving, discarding: keys wait
	frame    int
	ticking  bool
	click    time.Time
	clickRow int

	saved int
	apps  []connections.Change
	done  bool // the user left in the proper way
	err   error
}

type (
	manageTickMsg struct{}
	manageLoaded  struct {
		rows    []*manageRow
		pending []connections.Change
		err     error
	}
	// jobMsg is an event of a job or its end.
	jobMsg struct {
		id    string
		of    *job
		text  string
		end   bool
		found Verified
		said  string
		err   error
	}
	// stagedMsg is the end of a change, a save or a discard.
	stagedMsg struct {
		said  string
		id    string // to select
		saved int
		apps  []connections.Change
		leave bool
		err   error
	}
	// sessionMsg is a flow that is ready to be opened.
	sessionMsg struct {
		session *Session
		err     error
	}
)

// Init loads the connections.
func (m *manage) Init() tea.Cmd { return m.start(m.load()) }

// start runs cmds and keeps the spinner going while it is needed.
func (m *manage) start(cmds ...tea.Cmd) tea.Cmd {
	if (len(m.jobs) > 0 || m.busy != "") && !m.ticking && m.child == nil {
		m.ticking = true
		cmds = append(cmds, m.tick())
	}
	return tea.Batch(cmds...)
}

// background makes a command of work that RunManage waits for at the end.
func (m *manage) background(work func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		if !m.work.begin() {
			return nil
		}
		defer m.work.running.Done()
		return work()
	}
}

// load reads the connections as they would be. One load at a time: what changes
// during it is loaded after it.
func (m *manage) load() tea.Cmd {
	if m.loading {
		m.again = true
		return nil
	}
	m.loading, m.again = true, false
	stage, ctx, clouds := m.o.Stage, m.ctx, m.env.Clouds
	return m.background(func() tea.Msg {
		entries, err := stage.List(ctx)
		if err != nil {
			return manageLoaded{err: err}
		}
		conflicts, err := stage.Conflicts(ctx)
		pending := stage.Pending()
		return manageLoaded{rows: makeRows(entries, pending, conflicts, clouds), pending: pending, err: err}
	})
}

func (m *manage) took(msg manageLoaded) tea.Cmd {
	m.loading = false
	if msg.err != nil {
		m.trouble = m.explain(msg.err)
	} else {
		m.rows, m.pending, m.loaded = msg.rows, msg.pending, true
		if !m.began {
			m.began = true
			m.tellLeftovers()
		}
		m.arrange()
	}
	if m.again {
		return m.load()
	}
	return nil
}

// tellLeftovers says what an earlier run has staged and not saved.
func (m *manage) tellLeftovers() {
	if len(m.pending) == 0 {
		return
	}
	last := m.pending[0].At
	for _, c := range m.pending {
		if c.At.After(last) {
			last = c.At
		}
	}
	verb := "were"
	if len(m.pending) == 1 {
		verb = "was"
	}
	m.message = fmt.Sprintf("%d %s from %s %s not saved.", len(m.pending), plural(len(m.pending), "change"), agoWords(m.now(), last), verb)
}

// arrange filters and sorts the rows anew and keeps the selection on its connection.
func (m *manage) arrange() {
	key := m.wanted
	if key == "" && m.at < len(m.shown) {
		key = rowKey(m.shown[m.at])
	}
	m.wanted = ""
	now := m.now()
	m.shown = filtered(m.rows, m.filter, now)
	m.sort.rows(m.shown, now)
	if i := slices.IndexFunc(m.shown, func(r *manageRow) bool { return rowKey(r) == key }); i >= 0 {
		m.at = i
	}
	m.measure()
	m.move(0)
}

func rowKey(r *manageRow) string {
	if r.c.ID == "" {
		return r.c.Name
	}
	return r.c.ID
}

func (m *manage) selected() *manageRow {
	if m.at < len(m.shown) {
		return m.shown[m.at]
	}
	return nil
}

// move moves the selection and keeps it in sight.
func (m *manage) move(by int) {
	m.at = max(min(m.at+by, len(m.shown)-1), 0)
	room := m.listRoom()
	m.top = max(min(m.top, m.at), m.at-room+1, 0)
	m.top = max(min(m.top, len(m.shown)-room), 0)
}

// Update takes in one message.
func (m *manage) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		m.move(0)
		if m.child != nil {
			cmd = m.toChild(msg)
		}
	case manageTickMsg:
		m.frame++
		m.ticking = false
	case leaveMsg:
		cmd = m.leave(msg.err)
	case manageLoaded:
		cmd = m.took(msg)
	case jobMsg:
		cmd = m.heard(msg)
	case stagedMsg:
		cmd = m.staged(msg)
	case sessionMsg:
		m.busy = ""
		if msg.err != nil {
			m.trouble = m.explain(msg.err)
			break
		}
		cmd = m.open(msg.session)
	case askPassphraseMsg:
		if m.child != nil {
			cmd = m.toChild(msg)
			break
		}
		m.secret = newPassphrase(msg, m.th)
	case passphraseGoneMsg:
		if m.secret != nil && m.secret.ask.reply == msg.reply {
			m.secret = nil
		}
		if m.child != nil {
			cmd = m.toChild(msg)
		}
	case tea.KeyPressMsg:
		cmd = m.keyed(msg)
	default:
		switch {
		case m.child != nil:
			cmd = m.toChild(msg)
		default:
			cmd = m.other(msg)
		}
	}
	return m, m.start(cmd)
}

// other takes the mouse and what is pasted.
func (m *manage) other(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		switch {
		case m.secret != nil:
			m.secret.input.Update(msg)
		case m.rename != nil:
			m.rename.input.Update(msg)
		case m.typing:
			m.setFilter(m.filter + strings.Join(strings.Fields(visible(msg.Content)), " "))
		}
	case tea.MouseWheelMsg:
		by := map[tea.MouseButton]int{tea.MouseWheelUp: -1, tea.MouseWheelDown: 1}[msg.Button]
		switch {
		case m.pager != nil:
			m.pager.top += 3 * by
			m.pager.fit(m.pager.length, m.pager.height)
		case m.front():
		default:
			m.move(3 * by)
		}
	case tea.MouseClickMsg:
		if msg.Button == tea.MouseLeft && !m.front() {
			return m.clicked(msg.X, msg.Y)
		}
	}
	return nil
}

// front reports whether something stands in front of the list.
func (m *manage) front() bool {
	return m.pager != nil || m.ask != nil || m.rename != nil || m.secret != nil || m.busy != ""
}

// leave ends the program; whatever runs is cancelled, what is staged stays on disk.
func (m *manage) leave(err error) tea.Cmd {
	if m.err == nil && !m.done {
		m.err = err
	}
	if m.secret != nil {
		m.secret.answer("", false)
		m.secret = nil
	}
	if m.child != nil {
		_ = m.child.leave(err)
		m.child = nil
	}
	m.cancel()
	return tea.Quit
}

// close leaves in the proper way.
func (m *manage) close() tea.Cmd {
	m.done = true
	m.cancel()
	return tea.Quit
}

// change makes a change of the stage in the background.
func (m *manage) change(doing string, do func(ctx context.Context, stage *connections.Stage) stagedMsg) tea.Cmd {
	m.busy = doing
	stage, ctx := m.o.Stage, context.WithoutCancel(m.ctx)
	return m.background(func() tea.Msg { return do(ctx, stage) })
}

func (m *manage) staged(msg stagedMsg) tea.Cmd {
	m.busy = ""
	m.saved += msg.saved
	m.apps = append(m.apps, msg.apps...)
	if msg.id != "" {
		m.wanted = msg.id
	}
	if msg.err != nil {
		m.trouble = m.explain(msg.err)
		return m.load()
	}
	if msg.leave {
		return m.close()
	}
	m.message = msg.said
	return m.load()
}
