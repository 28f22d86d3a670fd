package handout

import (
	"io/fs"
	"os"
	"os/signal"
	"syscall"
)

// Who may enter a folder is governed by the lists of the profile directory.
func owned(fs.FileInfo) (mine, known bool) { return false, false }

// The flags of CreateProcess that take a process out of our console and its Ctrl-C.
//
// Source: learn.microsoft.com/windows/win32/procthread/process-creation-flags.
const (
	detachedProcess       = 0x8
	createNewProcessGroup = 0x200
)

func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{HideWindow: true, CreationFlags: detachedProcess | createNewProcessGroup}
}

// letGo has no handle to close: Go hands down only those that are named.
func letGo() { signal.Ignore(os.Interrupt) }

// passedOn is caught so that we outlive the command; the console tells the command itself.
func passedOn() []os.Signal { return []os.Signal{os.Interrupt} }

func heard(os.Signal) bool { return true }

func codeOf(state *os.ProcessState) int { return state.ExitCode() }
