package handout

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
)

// Command is a program to be run with a credential.
type Command struct {
	Args     []string // the program and its arguments
	Env      []string
	In       io.Reader // streams that are files are handed down as they are
	Out, Err io.Writer

	// Started is called when signals are passed on, just before the program starts.
	Started func()
}

// Run runs the command to its end, passes signals on to it and returns its exit code:
// 128 and the number of the signal where one ended it. The error says why it could
// not be started; the code is then that of shells, 127 where there is no such program
// and 126 otherwise.
func (c Command) Run() (code int, err error) {
	path, err := exec.LookPath(c.Args[0])
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return 127, err
		}
		return 126, err
	}
	child := exec.Command(path) //nolint:noctx // a signal is passed on, never a kill
	child.Args, child.Env = c.Args, c.Env
	child.Stdin, child.Stdout, child.Stderr = c.In, c.Out, c.Err
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, passedOn()...)
	defer signal.Stop(caught)
	if c.Started != nil {
		c.Started()
	}
	if err := child.Start(); err != nil {
		return 126, err
	}
	done := make(chan error, 1)
	go func() { done <- child.Wait() }()
	for {
		select {
		case s := <-caught:
			if !heard(s) {
				_ = child.Process.Signal(s) // it may have ended just now
			}
		case err := <-done:
			var ended *exec.ExitError
			if err != nil && !errors.As(err, &ended) {
				return 126, err // a stream that is no file broke
			}
			return codeOf(child.ProcessState), nil
		}
	}
}

// Environ is an environment for a command: environ without c2conn's own secrets and
// without what Azure's libraries would prefer to vars, and then vars.
func Environ(environ []string, vars []Variable) []string {
	kept := make([]string, 0, len(environ)+len(vars))
	set := map[string]bool{}
	for _, v := range vars {
		set[envName(v.Name)] = true
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		name = envName(name)
		if set[name] || ownSecret(name) || slices.Contains(competing(), name) {
			continue
		}
		kept = append(kept, entry)
	}
	for _, v := range vars {
		kept = append(kept, v.Name+"="+v.Value)
	}
	return kept
}

// envName is a variable's name as the system compares it.
func envName(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

// ownSecret tells whether a variable holds, or leads to, what opens all connections:
// a command that gets one of them need not know the others.
func ownSecret(name string) bool {
	if !strings.HasPrefix(name, "C2CONN_") {
		return false
	}
	for _, part := range []string{"PASS", "SECRET", "TOKEN", "IDENTITY"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
