//go:build linux || darwin

package doctor

import "golang.org/x/sys/unix"

// Room is how many bytes this user may still write in a folder's file system.
func Room(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Bsize), nil //nolint:gosec,unconvert // its type differs between systems
}
