// Package logging has the slog handlers of a gateway that runs for years where
// nobody looks: levels that change at run time, one for each connector; repeated
// records as one line with a count; rotating files; and records as telemetry of
// the gateway's own device, as the platform's dashboards show them.
//
// All of it together is a Log:
//
//	l := logging.New(logging.Config{})
//	defer l.Close()
//	slog.SetDefault(l.Logger())
//	l.Levels.Set(logging.Connector("meters"), slog.LevelDebug)
//
// Each handler works by itself, too.
//
// # Sources
//
// A record is from a [Source]: the connector that its attribute "connector"
// names, else the part of the gateway that its attribute "part" names, else the
// service. The attributes count at the top level only, not in a group. The
// gateway package gives every connector a logger with the attribute; [Log.For]
// makes one for a part.
//
// # Cost
//
// A record below every level costs no allocation and no lock. Nothing here has a
// ticker: a handler to which nothing is logged does nothing.
package logging
