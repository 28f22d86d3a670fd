package wizard

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// suggestedMsg is the list of what may be picked into a text field.
type suggestedMsg struct {
	key, text string
	list      []Option
}

// certificateFiles are the endings of files that may hold a certificate with key.
var certificateFiles = []string{".pfx", ".p12", ".pem", ".crt", ".cer", ".key"}

// suggest asks for suggestions for the focused field, in the background.
func (m *screen) suggest() tea.Cmd {
	f := m.focused()
	if f == nil || f.def.Suggest == nil || f.list != nil {
		return nil
	}
	key, offer, env, a := f.def.Key, f.def.Suggest, m.s.Env, m.s.Answers.Clone()
	ctx := m.ctx
	return m.background(func() tea.Msg { return suggestedMsg{key: key, list: offer(ctx, env, a)} })
}

func (m *screen) suggested(msg suggestedMsg) tea.Cmd {
	i := slices.IndexFunc(m.fields, func(f *field) bool { return f.def.Key == msg.key })
	if i < 0 {
		return nil
	}
	f := m.fields[i]
	if f.def.Input == Path {
		f.asked = ""
		if f.text != msg.text {
			return m.listPaths(f) // typed on meanwhile
		}
	}
	f.list, f.listed, f.onList = msg.list, msg.text, -1
	if f.complete && f == m.focused() {
		return m.completePath(f)
	}
	return nil
}

// listPaths lists what the typed path may become, in the background: a folder may
// be on a slow share.
func (m *screen) listPaths(f *field) tea.Cmd {
	f.list, f.listed = nil, ""
	if f.text == "" || f.asked != "" {
		return nil
	}
	f.asked = f.text
	key, text, env, readDir := f.def.Key, f.text, m.s.Env, m.readDir
	return m.background(func() tea.Msg {
		return suggestedMsg{key: key, text: text, list: paths(text, expandHome(env, text), readDir)}
	})
}

// paths offers the entries of the folder that typed points into: folders, and
// files that may hold a certificate. real is typed with ~ replaced.
func paths(typed, real string, readDir func(string) ([]fs.DirEntry, error)) []Option {
	folder, begin := filepath.Split(real)
	shown := typed[:len(typed)-len(begin)]
	if folder == "" {
		folder = "."
	}
	entries, err := readDir(folder)
	if err != nil {
		return nil // an unreadable folder is reported when the file is looked up
	}
	var list []Option
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, begin) || strings.HasPrefix(name, ".") && begin == "" {
			continue
		}
		switch {
		case e.IsDir():
			list = append(list, Option{Value: shown + name + string(filepath.Separator), Title: name + string(filepath.Separator)})
		case slices.Contains(certificateFiles, strings.ToLower(filepath.Ext(name))):
			list = append(list, Option{Value: shown + name, Title: name})
		}
	}
	return list
}

// completePath is tab in a path: as much as all candidates have in common, then
// one candidate after the other; the next field once there is nothing to choose.
func (m *screen) completePath(f *field) tea.Cmd {
	if f.listed != f.text {
		cmd := m.listPaths(f)
		f.complete = true // when the list is there
		return cmd
	}
	f.complete = false
	if len(f.list) == 0 || optionAt(f.list, f.text) >= 0 {
		return m.step1(+1)
	}
	common := f.list[0].Value
	for _, o := range f.list[1:] {
		for !strings.HasPrefix(o.Value, common) {
			common = common[:len(common)-1]
		}
	}
	common = strings.ToValidUTF8(common, "")
	if len(common) <= len(f.text) {
		f.onList = (f.onList + 1) % len(f.list)
		return nil
	}
	f.put(common)
	return m.edited(f)
}
