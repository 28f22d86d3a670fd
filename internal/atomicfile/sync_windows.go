package atomicfile

// SyncFolder does nothing: Windows has no way to flush a folder, NTFS keeps its
// own journal of names.
func SyncFolder(string) error { return nil }
