//go:build unix

package privatefile

import (
	"io/fs"
	"syscall"
)

// A pipe must not block the open, a link must not lead elsewhere.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
