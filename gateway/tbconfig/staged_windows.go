package tbconfig

// syncFolder makes renames in dir durable, for which Windows has no call.
func syncFolder(string) error { return nil }
