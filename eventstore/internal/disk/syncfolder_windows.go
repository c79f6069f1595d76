package disk

// SyncFolder does nothing: NTFS logs changes of names by itself, and a folder
// cannot be flushed.
func SyncFolder(string) error { return nil }
