//go:build !unix

package connections

import "os/exec"

// Windows ends the command alone; WaitDelay lets go of what it leaves running.
func endWithChildren(*exec.Cmd) {}
