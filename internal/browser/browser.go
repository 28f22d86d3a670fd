// Package browser opens a page in the person's web browser. It hides which
// program does that on which system, and keeps that program away from the
// terminal: what it prints goes nowhere, and it cannot draw over a screen.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// patience is how long a program may take to say that it failed. One that is
// still running then is the browser itself, or hangs; both are left alone.
const patience = 3 * time.Second

// ErrNone means that no program is known here that opens pages.
var ErrNone = errors.New("no program to open a web browser was found")

// ErrAddress means that an address is not one of a web page. Nothing was run.
var ErrAddress = errors.New("not the address of a web page")

// Options are what Open needs from outside. Everything may be left out.
type Options struct {
	Getenv   func(string) string               // BROWSER, WSL_DISTRO_NAME; nil means an empty environment
	GOOS     string                            // empty means this system's
	LookPath func(name string) (string, error) // nil means that of os/exec
	// Run runs a program to its end, away from the terminal; nil does so.
	Run func(path string, args ...string) error
}

// Likely tells whether a browser that Open could open is in front of the person:
// not over SSH, and not on a Unix system without a display.
func Likely(getenv func(string) string, goos string) bool {
	switch {
	case getenv("SSH_TTY") != "" || getenv("SSH_CONNECTION") != "":
		return false
	case goos == "windows" || goos == "darwin":
		return true
	}
	return getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "" || getenv("WSL_DISTRO_NAME") != ""
}

// Open opens address, which must be http or https, with the programs of $BROWSER
// or else the system's. It returns once a program has taken it, after a few
// seconds at most, and at once when ctx ends. The program goes on by itself.
//
// Errors: ErrAddress, ErrNone, ctx's, or why the last program failed.
func Open(ctx context.Context, o Options, address string) error {
	if !webPage(address) {
		return ErrAddress
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.GOOS == "" {
		o.GOOS = runtime.GOOS
	}
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	if o.Run == nil {
		o.Run = run
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	last := ErrNone
	for _, c := range o.commands() {
		path, args, ok := o.resolve(c, address)
		if !ok {
			continue
		}
		done := make(chan error, 1)
		go func() { done <- o.Run(path, args...) }()
		select {
		case err := <-done:
			if err == nil {
				return nil
			}
			last = fmt.Errorf("%s did not open the web browser: %w", name(path), err)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errPatience) {
				return nil
			}
			return ctx.Err()
		}
	}
	return last
}

var errPatience = errors.New("the program is still running")

// webPage tells whether an address is one that a browser may be handed: http or
// https, and nothing in it that a shell or a command line takes for its own.
func webPage(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return false
	}
	return !strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`<>\\^{|}", r) })
}

// commands lists command lines to try, in order; the address replaces %s or comes
// last.
//
// $BROWSER: a list of commands, as xdg-open(1) and others read it.
func (o Options) commands() []string {
	separator := ":"
	if o.GOOS == "windows" {
		separator = ";"
	}
	list := strings.Split(o.Getenv("BROWSER"), separator)
	switch o.GOOS {
	case "windows":
		list = append(list, "rundll32.exe url.dll,FileProtocolHandler")
	case "darwin":
		list = append(list, "open")
	default:
		if o.Getenv("WSL_DISTRO_NAME") != "" {
			list = append(list, "wslview")
		}
		list = append(list, "xdg-open", "x-www-browser")
	}
	return slices.DeleteFunc(list, func(c string) bool { return strings.TrimSpace(c) == "" })
}

// resolve finds the program of a command line and puts the address in.
func (o Options) resolve(command, address string) (path string, args []string, ok bool) {
	// A path may hold spaces; only what is no program as a whole is split.
	words := []string{strings.TrimSpace(command)}
	path, err := o.LookPath(words[0])
	if err != nil {
		words = strings.Fields(command)
		if path, err = o.LookPath(words[0]); err != nil {
			return "", nil, false
		}
	}
	placed := false
	for _, w := range words[1:] {
		placed = placed || strings.Contains(w, "%s")
		args = append(args, strings.ReplaceAll(w, "%s", address))
	}
	if !placed {
		args = append(args, address)
	}
	return path, args, true
}

// name is how people name the program of a path.
func name(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

// run starts a program with no terminal to read from or draw on.
func run(path string, args ...string) error {
	// Not bound to a context: the browser outlives c2conn.
	cmd := exec.Command(path, args...) //nolint:noctx // see above
	cmd.SysProcAttr = detached()
	return cmd.Run()
}
