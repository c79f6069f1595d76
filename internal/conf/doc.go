// Package conf reads the JSON configuration files of connectors. It is lenient as
// those who wrote them by hand expect: a number may be written as text, null is the
// same as nothing, an empty object stands for an empty list. It is strict where it
// matters: every value that cannot be used is reported with the path to its key,
// and every key that means nothing is named.
//
// A file is read from its root:
//
//	r := conf.NewReader(env.Logger)
//	o := r.Root(doc)
//	cfg.Broker = o.Required("host")
//	cfg.Timeout = o.Duration("timeout", time.Millisecond, 5*time.Second)
//	for _, m := range o.Objects("mapping") {
//		cfg.Mappings = append(cfg.Mappings, mapping(m))
//	}
//	o.Finish()
//	return cfg, r.Done()
//
// Nothing stops at the first problem: what cannot be read has its default, and Done
// returns all problems together.
package conf
