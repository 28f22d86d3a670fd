// Package clipboard stands in for github.com/atotto/clipboard, which the text
// fields of bubbles import. The original searches the PATH for four programs when
// a program starts; this one does so when something is copied or pasted, so that
// commands without a screen pay nothing. See the replace directive in go.mod.
package clipboard

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// limit is how long the clipboard's program may take.
const limit = 3 * time.Second

// Unsupported exists for the original's callers; support is found at first use.
var Unsupported = false

// ErrNone says that this machine has no program to reach the clipboard with.
var ErrNone = errors.New("no clipboard program found (wl-copy, xclip or xsel)")

type program struct{ copy, paste []string }

func programs() []program {
	switch runtime.GOOS {
	case "darwin":
		return []program{{[]string{"pbcopy"}, []string{"pbpaste"}}}
	case "windows":
		return []program{{[]string{"clip.exe"}, []string{"powershell.exe", "-NoProfile", "-Command", "Get-Clipboard -Raw"}}}
	}
	return []program{
		{[]string{"wl-copy"}, []string{"wl-paste", "--no-newline"}},
		{[]string{"xclip", "-in", "-selection", "clipboard"}, []string{"xclip", "-out", "-selection", "clipboard"}},
		{[]string{"xsel", "--input", "--clipboard"}, []string{"xsel", "--output", "--clipboard"}},
		{[]string{"termux-clipboard-set"}, []string{"termux-clipboard-get"}},
	}
}

func run(pick func(program) []string, copying bool, input string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, p := range programs() {
		args := pick(p)
		path, err := exec.LookPath(args[0])
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, path, args[1:]...)
		if copying {
			cmd.Stdin = strings.NewReader(input)
			// A clipboard program goes on in the background to serve the text; it
			// must not keep our pipes open.
			if err := cmd.Run(); err != nil {
				return "", fmt.Errorf("%s: %w", args[0], err)
			}
			return "", nil
		}
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("%s: %w", args[0], err)
		}
		return string(out), nil
	}
	return "", ErrNone
}

// ReadAll returns the text of the clipboard.
func ReadAll() (string, error) { return run(func(p program) []string { return p.paste }, false, "") }

// WriteAll puts text on the clipboard.
func WriteAll(text string) error {
	_, err := run(func(p program) []string { return p.copy }, true, text)
	return err
}
