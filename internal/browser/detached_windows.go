package browser

import "syscall"

// createNewProcessGroup keeps our Ctrl-C away from the program.
//
// Source: learn.microsoft.com/windows/win32/procthread/process-creation-flags.
const createNewProcessGroup = 0x200

// detached lets the program run without a console window, out of the way of our
// Ctrl-C.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{HideWindow: true, CreationFlags: createNewProcessGroup}
}
