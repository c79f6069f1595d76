package conftest

import (
	"encoding/json"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/gridlinks/iot-gateway/internal/conf"
)

// Struct returns the schema of files that are read into a T by encoding/json: no key is
// required, others are ignored, and null is nothing.
func Struct[T any]() (*jsonschema.Schema, error) {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{
		TypeSchemas: map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[json.RawMessage](): {}},
	})
	if err != nil {
		return nil, err
	}
	loosen(s)
	s.Type, s.Types = "object", nil
	return s, nil
}

func loosen(s *jsonschema.Schema) {
	s.Required, s.AdditionalProperties, s.PropertyOrder = nil, nil, nil
	if s.Type != "" {
		s.Types, s.Type = []string{s.Type, "null"}, ""
	}
	for _, c := range children(s) {
		loosen(*c.at)
	}
}

// Object returns the schema of the object that read reads.
func Object(read func(o *conf.Object), spelling ...string) *jsonschema.Schema {
	r := conf.NewReader(nil)
	read(r.Root(json.RawMessage(`{}`)))
	s := build(r.Keys(), spelling)
	s.Type, s.Types = "", []string{"object", "null"}
	return s
}
