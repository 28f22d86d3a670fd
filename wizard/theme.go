package wizard

import (
	"strings"

	"charm.land/huh/v2"
	"charm.land/lipgloss/v2"

	"github.com/c2conn/c2conn/internal/task"
)

// theme is the look of the screen: the sixteen colours of the terminal, which the
// user has chosen to be readable, one of them as accent. Nothing is said by colour
// alone, so that the same screen reads without any.
type theme struct {
	accent, bold, faint, good, warn, bad lipgloss.Style
	fields                               huh.Theme
}

// newTheme picks an accent for the background where that is known (nil: unknown);
// the terminal is never asked, as some never answer.
func newTheme(dark *bool) theme {
	accent := lipgloss.Cyan
	if dark != nil && !*dark {
		accent = lipgloss.Blue
	}
	plain := lipgloss.NewStyle()
	t := theme{
		accent: plain.Foreground(accent).Bold(true),
		bold:   plain.Bold(true),
		faint:  plain.Faint(true),
		good:   plain.Foreground(lipgloss.Green),
		warn:   plain.Foreground(lipgloss.Yellow).Bold(true),
		bad:    plain.Foreground(lipgloss.Red).Bold(true),
	}
	bare := huh.FieldStyles{SelectSelector: plain}
	bare.TextInput.Placeholder = t.faint
	t.fields = huh.ThemeFunc(func(bool) *huh.Styles { return &huh.Styles{Focused: bare, Blurred: bare} })
	return t
}

// taskLook is the sign, the word and the colour of a task's state.
type taskLook struct {
	sign, word string
	style      lipgloss.Style
}

func (t theme) status(s task.Status) taskLook {
	switch s {
	case task.Pass:
		return taskLook{"✓", "ok", t.good}
	case task.Warn:
		return taskLook{"!", "warning", t.warn}
	case task.Fail:
		return taskLook{"✗", "failed", t.bad}
	}
	return taskLook{"–", "skipped", t.faint}
}

// spinner is shown while something is really under way, and only then.
var spinnerFrames = strings.Split("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "")
