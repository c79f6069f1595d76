package logging

import "log/slog"

// The attributes that say where a record is from.
const (
	ConnectorKey = "connector"
	PartKey      = "part"
)

// The parts of a gateway, by the names that the Python gateway gives its
// loggers. PartConnector is all connectors together: its level is the level of
// those that have none of their own.
const (
	PartService    = "service"
	PartConnection = "tb_connection" // the client of the platform
	PartStorage    = "storage"
	PartExtension  = "extension"
	PartConnector  = "connector"
)

// A Source is who writes a record: a connector, or a part of the gateway.
type Source struct {
	Name      string
	Connector bool
}

// Connector returns the source that is the connector of that name.
func Connector(name string) Source { return Source{Name: name, Connector: true} }

// Part returns the source that is a part of the gateway.
func Part(name string) Source { return Source{Name: name} }

// scope is what a handler knows of the source of the records to come.
type scope struct {
	source  Source // zero: not known
	grouped bool   // attributes that follow are in a group
}

// with returns the scope after slog.Handler.WithAttrs.
func (s scope) with(attrs []slog.Attr) scope {
	if !s.grouped {
		for _, a := range attrs {
			s.note(a)
		}
	}
	return s
}

// within returns the scope after slog.Handler.WithGroup.
func (s scope) within(group string) scope {
	s.grouped = s.grouped || group != ""
	return s
}

// of returns the source of r.
func (s scope) of(r *slog.Record) Source {
	if !s.grouped && !s.source.Connector {
		r.Attrs(func(a slog.Attr) bool {
			s.note(a)
			return true
		})
	}
	if s.source == (Source{}) {
		return Part(PartService)
	}
	return s.source
}

// note takes a into account, if it says something about the source. A
// connector is more than a part.
func (s *scope) note(a slog.Attr) {
	if !isSource(a) {
		return
	}
	if a.Key == ConnectorKey {
		s.source = Connector(a.Value.String())
	} else if !s.source.Connector {
		s.source = Part(a.Value.String())
	}
}

func isSource(a slog.Attr) bool {
	return (a.Key == ConnectorKey || a.Key == PartKey) && a.Value.Kind() == slog.KindString
}
