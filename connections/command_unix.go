//go:build unix

package connections

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// endWithChildren gives the command a process group of its own, so that what it
// started ends with it when its time is up.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
