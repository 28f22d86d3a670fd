//go:build unix

package browser

import "syscall"

// detached puts the program in a session of its own: without our terminal, and
// out of the way of our Ctrl-C.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
