package wizard

import (
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// formKey handles a key on a step with fields.
func (m *screen) formKey(k tea.KeyPressMsg) tea.Cmd {
	f := m.focused()
	if f == nil {
		return nil
	}
	switch name := k.String(); name {
	case "esc":
		if f.onList >= 0 {
			f.onList = -1
			return nil
		}
		return m.back()
	case "enter":
		if f.onList >= 0 {
			f.put(f.offers()[f.onList].Value)
			if strings.HasSuffix(f.text, string(filepath.Separator)) && f.def.Input == Path {
				f.onList = -1
				return m.edited(f) // a folder: go on inside it
			}
		}
		return m.enterKey(f)
	case "tab":
		if f.def.Input == Path && f.text != "" && f.text != f.kept {
			return m.completePath(f)
		}
		return m.step1(+1)
	case "shift+tab":
		if m.focus == 0 {
			if _, i, _ := m.current(); i == 0 {
				return nil
			}
			return m.back()
		}
		return m.step1(-1)
	case "pgdown", "pgup":
		by := 1
		if name == "pgup" {
			by = -1
		}
		return m.step1(by)
	case "ctrl+o":
		return m.importCertificate()
	}
	if f.pick != nil {
		return m.choiceKey(f, k)
	}
	return m.textKey(f, k)
}

// enterKey accepts the focused field: to the next one, or from the last one to
// the next step. An answer that is wrong as it stands keeps the focus.
func (m *screen) enterKey(f *field) tea.Cmd {
	if f.pick != nil {
		f.takeFirst(m.s.Env)
	}
	cmd := m.commitFocused()
	if m.wrong(f) != nil {
		return cmd
	}
	if m.focus == len(m.fields)-1 {
		return tea.Batch(cmd, m.next())
	}
	return tea.Batch(cmd, m.step1(+1))
}

// step1 moves the focus by one field; the ends hold it.
func (m *screen) step1(by int) tea.Cmd {
	cmd := m.commitFocused()
	to := m.focus + by
	if to < 0 || to >= len(m.fields) {
		return cmd
	}
	m.focusOn(m.fields[to].def.Key)
	return tea.Batch(cmd, m.suggest())
}

func (m *screen) choiceKey(f *field, k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "up", "k":
		f.move(m.s.Env, tea.KeyPressMsg{Code: tea.KeyUp})
	case "down", "j":
		f.move(m.s.Env, tea.KeyPressMsg{Code: tea.KeyDown})
	case "space":
		f.takeFirst(m.s.Env)
	default:
		return nil
	}
	return m.commit(f)
}

func (m *screen) textKey(f *field, k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "down":
		if offers := f.offers(); f.onList+1 < len(offers) && offers[f.onList+1].Unavailable == "" {
			f.onList++
		}
		return nil
	case "up":
		if f.onList >= 0 {
			f.onList--
		}
		return nil
	case "ctrl+v":
		// The field reads the clipboard in a command; its answer goes to this field
		// and to no other, once.
		_, cmd := f.input.Update(k)
		key := f.def.Key
		return m.background(func() tea.Msg { return pastedMsg{key, unbatch(cmd)} })
	}
	f.onList = -1
	f.input.Update(k)
	return m.edited(f)
}

// unbatch runs the command of a huh field and returns the first message of it.
func unbatch(cmd tea.Cmd) tea.Msg {
	if cmd == nil {
		return nil
	}
	msg := cmd()
	if batch, ok := msg.(tea.BatchMsg); ok {
		for _, c := range batch {
			if inner := unbatch(c); inner != nil {
				return inner
			}
		}
		return nil
	}
	return msg
}

// edited follows a change of a field's text.
func (m *screen) edited(f *field) tea.Cmd {
	f.complete = false
	if f.def.Input == Path {
		return m.listPaths(f)
	}
	return nil
}

// importCertificate jumps to the path of a certificate file.
func (m *screen) importCertificate() tea.Cmd {
	if !m.canImport() {
		return nil
	}
	cmd := m.commitFocused()
	_ = m.s.Set(keyCredential, byFile, FromUser, "") // an option of the flow itself
	for _, f := range m.fields {
		if f.def.Key == keyCredential {
			f.taken, f.hover = byFile, byFile
		}
	}
	m.syncFields()
	m.focusOn(keyCertFile)
	return tea.Batch(cmd, m.suggest())
}

// canImport reports whether this step takes a certificate file.
func (m *screen) canImport() bool {
	st, _, _ := m.current()
	return slices.ContainsFunc(st.Fields, func(f Field) bool { return f.Key == keyCertFile })
}
