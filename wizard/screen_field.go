package wizard

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/huh/v2"

	"github.com/c2conn/c2conn/connections"
)

// field is one question on the screen. huh edits and draws the value; what stands
// around it, and where the focus goes, is ours: huh's groups send a pasted text
// twice, and let nobody back out of a field with a wrong value.
type field struct {
	def   Field
	input *huh.Input          // Text, Path and Secret
	text  string              // bound to input
	kept  string              // what the session holds; the text is set when it differs
	pick  *huh.Select[string] // Choice
	hover string              // bound to pick: where the cursor is
	taken string              // the option that is chosen, "" for none
	left  bool                // the user has been through; a missing answer is an error now

	list     []Option // what may be picked into a text: certificates, paths
	listed   string   // the text for which list was made
	asked    string   // the text for which a list is being made
	onList   int      // index of the cursor in list, -1: in the text
	complete bool     // tab was pressed before the list was there
}

func newField(def Field, v Value, env *Env, th theme) *field {
	f := &field{def: def, onList: -1}
	keys := huh.NewDefaultKeyMap()
	keys.Select.Filter.SetEnabled(false)
	if def.Input == Choice {
		f.taken, f.hover = v.Text, v.Text
		f.pick = huh.NewSelect[string]()
		f.pick.WithTheme(th.fields)
		f.pick.WithKeyMap(keys)
		f.options(env, nil)
		f.pick.Value(&f.hover)
		return f
	}
	f.input = huh.NewInput().Prompt("").Placeholder(example(def))
	if def.Input == Secret {
		f.input.EchoMode(huh.EchoModePassword)
	}
	f.input.WithTheme(th.fields)
	f.input.WithKeyMap(keys)
	f.set(value(v))
	return f
}

// value is what stands in the field for an answer.
func value(v Value) string {
	if !v.Secret.IsZero() {
		return string(v.Secret.Reveal())
	}
	return v.Text
}

func example(def Field) string {
	switch {
	case def.Example != "":
		return "e.g. " + def.Example
	case def.Optional:
		return "none"
	}
	return "empty"
}

// set puts a value that the session holds into the field.
func (f *field) set(text string) {
	if f.def.Input != Secret {
		text = visible(text)
	}
	f.kept = text
	f.put(text)
}

// put replaces the text, with the cursor at its end.
func (f *field) put(text string) {
	f.text = text
	f.input.Value(&f.text)
	f.input.Update(tea.KeyPressMsg{Code: tea.KeyEnd})
}

// options gives huh the choices as lines drawn by label; huh cannot do without
// one, and draws only its own mark otherwise.
func (f *field) options(env *Env, label func(Option) string) []Option {
	all := f.def.Options(env)
	drawn := make([]huh.Option[string], len(all))
	for i, o := range all {
		drawn[i].Value = o.Value
		if label != nil {
			drawn[i].Key = label(o)
		}
	}
	f.pick.Options(drawn...)
	return all
}

// move takes the cursor of a choice one option up or down, past those that cannot
// be taken, and chooses what it comes to.
func (f *field) move(env *Env, k tea.KeyPressMsg) {
	all := f.def.Options(env)
	if len(all) == 0 {
		return
	}
	for range all {
		f.pick.Update(k)
		if f.take(all) {
			return
		}
	}
}

// take chooses the option under the cursor, if it can be taken.
func (f *field) take(all []Option) bool {
	i := optionAt(all, f.hover)
	if i < 0 || all[i].Unavailable != "" {
		return false
	}
	f.taken = f.hover
	return true
}

// takeFirst chooses where nothing has been chosen yet: the option under the cursor,
// or the next one that can be taken.
func (f *field) takeFirst(env *Env) {
	if f.taken == "" && !f.take(f.def.Options(env)) {
		f.move(env, tea.KeyPressMsg{Code: tea.KeyDown})
	}
}

// offers are the entries of the list that go with the text as it stands.
func (f *field) offers() []Option {
	if f.def.Input == Path {
		if f.listed != f.text {
			return nil
		}
		return f.list
	}
	typed := strings.ToLower(strings.TrimSpace(f.text))
	var fit []Option
	for _, o := range f.list {
		if o.Unavailable == "" && strings.EqualFold(o.Value, typed) {
			return nil
		}
		if o.Unavailable != "" || strings.Contains(strings.ToLower(o.Value+" "+o.Title), typed) {
			fit = append(fit, o)
		}
	}
	return fit
}

// optionAt is the place of a value among options, -1 when it is none of them.
func optionAt(options []Option, value string) int {
	return slices.IndexFunc(options, func(o Option) bool { return o.Value == value })
}

// syncFields makes the fields on the screen those that are asked as the answers
// stand. Those that stay keep what was typed into them, and the focus its field.
func (m *screen) syncFields() {
	st, _, _ := m.current()
	var focused string
	if m.focus < len(m.fields) {
		focused = m.fields[m.focus].def.Key
	}
	old := m.fields
	m.fields = nil
	for _, def := range m.s.Asked(st) {
		i := slices.IndexFunc(old, func(f *field) bool { return f.def.Key == def.Key })
		if i >= 0 {
			f := old[i]
			if v, given := m.s.Answers[def.Key]; (!given || v.Origin == FromDefault) && f.input != nil && def.Default != nil && f.text == f.kept {
				f.set(value(m.s.Value(def.Key))) // what is proposed may follow from what was just answered
			}
			m.fields = append(m.fields, f)
			continue
		}
		m.fields = append(m.fields, newField(def, m.s.Value(def.Key), m.s.Env, m.th))
	}
	if len(m.fields) != len(old) {
		m.density = 0
	}
	m.focusOn(focused)
}

// focusOn moves the focus to the field with that key, or to the first one.
func (m *screen) focusOn(key string) {
	m.blur()
	m.focus = max(slices.IndexFunc(m.fields, func(f *field) bool { return f.def.Key == key }), 0)
	m.refocus()
}

func (m *screen) blur() {
	for _, f := range m.fields {
		f.onList, f.complete = -1, false
		if f.input != nil {
			f.input.Blur()
		} else {
			f.pick.Blur()
		}
	}
}

// refocus tells huh which field has the focus. Its commands only make a cursor
// blink that is not shown, see cursorIn.
func (m *screen) refocus() {
	f := m.focused()
	switch {
	case f == nil:
	case f.input != nil:
		f.input.Focus()
		f.input.Update(tea.KeyPressMsg{Code: tea.KeyEnd})
	default:
		f.pick.Focus()
	}
}

// commitFocused hands the focused field's value to the session, if it has changed
// or was wrong, and starts the look-ups that follow from that.
func (m *screen) commitFocused() tea.Cmd {
	f := m.focused()
	if f == nil {
		return nil
	}
	f.left = true
	return m.commit(f)
}

func (m *screen) commit(f *field) tea.Cmd {
	key := f.def.Key
	v := m.s.Value(key)
	changed := false
	switch {
	case f.pick != nil:
		if f.taken == "" || f.taken == v.Text && v.Err == nil {
			return nil
		}
		_ = m.s.Set(key, f.taken, FromUser, "") // errors stay with the answer
		changed = true
	case f.text != f.kept:
		changed = true
		m.stopLookup(key)
		if f.def.Input == Secret {
			_ = m.s.SetSecret(key, connections.NewSecret(f.text), FromUser, "")
		} else {
			_ = m.s.Set(key, f.text, FromUser, "")
		}
		f.set(value(m.s.Value(key)))
	case v.Err != nil:
		// Going over a wrong answer again is how a look-up is repeated.
		again(m.s, key)
	}
	var cmds []tea.Cmd
	if changed {
		m.syncFields()
		for _, other := range m.s.Flow.dependents(key) {
			m.stopLookup(other)
			again(m.s, other)
			cmds = append(cmds, m.lookUp(other))
		}
	}
	return tea.Batch(append(cmds, m.lookUp(key))...)
}

// wrong is what stands beneath a field as its error, nil for nothing. What was
// never answered is no error before the user has been there.
func (m *screen) wrong(f *field) error {
	if m.looking[f.def.Key] != nil || f.text != f.kept && f.input != nil {
		return nil // being found out, or mended
	}
	st, _, _ := m.current()
	for _, p := range m.s.Problems(st) {
		if owner := m.owner(p); owner == f.def.Key && (f.left || !p.Missing && owner == p.Key) {
			return p.Err
		}
	}
	return nil
}

// owner is the field to mend for a problem: what is wrong with a certificate file
// may be the password, which is asked for beneath it.
func (m *screen) owner(p Problem) string {
	if p.Key != keyCertFile && p.Key != keyReference || certificateKey(p.Err) != keyCertPassword {
		return p.Key
	}
	return keyCertPassword
}

// paste puts a pasted text into the focused field, once, without the line break
// that comes along when a line is copied.
func (m *screen) paste(p tea.PasteMsg) tea.Cmd {
	p.Content = strings.Trim(p.Content, "\r\n")
	if f := m.focused(); f != nil && f.def.Input != Secret {
		p.Content = visible(p.Content)
	}
	if m.secret != nil {
		m.secret.input.Update(p)
		return nil
	}
	f := m.focused()
	if f == nil || !m.typing() {
		return nil
	}
	f.input.Update(p)
	return m.edited(f)
}
