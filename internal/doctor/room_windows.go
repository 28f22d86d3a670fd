package doctor

import "golang.org/x/sys/windows"

// Room is how many bytes this user may still write in a folder's file system.
func Room(dir string) (uint64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(path, &free, nil, nil)
	return free, err
}
