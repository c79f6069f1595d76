package disk

// syncFolder does nothing: NTFS logs changes of names by itself, and a folder
// cannot be flushed.
func syncFolder(string) error { return nil }
