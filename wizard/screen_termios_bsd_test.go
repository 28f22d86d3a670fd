//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package wizard

import "golang.org/x/sys/unix"

const getTermios = unix.TIOCGETA
