package opcua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"github.com/gridlinks/iot-gateway/telemetry"
)

// A structure is the encoded body of a structure that the library does not know.
// Registering it for the identifier of an encoding makes the library keep the body
// rather than drop it.
type structure struct{ body []byte }

// Decode implements [ua.BinaryDecoder].
func (s *structure) Decode(b []byte) (int, error) {
	s.body = slices.Clone(b)
	return len(b), nil
}

// Encode implements the counterpart of Decode.
func (s *structure) Encode() ([]byte, error) { return s.body, nil }

// A structType is the definition of a structure.
type structType struct {
	kind   ua.StructureType
	fields []structField
}

type structField struct {
	name     string
	builtin  ua.TypeID   // if inner is nil
	inner    *structType // nil: builtin
	array    bool
	optional bool
}

// A typeTable knows the structures of a server, by the identifiers of their
// encodings. It may be used concurrently.
type typeTable struct {
	link *link

	mu    sync.Mutex
	known map[string]*structType // nil: it could not be learned
}

func newTypeTable(l *link) *typeTable {
	return &typeTable{link: l, known: make(map[string]*structType)}
}

func (t *typeTable) lookup(encoding string) (s *structType, asked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, asked = t.known[encoding]
	return s, asked
}

// learn asks the server for the definition of an encoding. It reports whether
// there is something new to be decoded.
func (t *typeTable) learn(ctx context.Context, encoding *ua.NodeID) bool {
	key := encoding.String()
	if _, asked := t.lookup(key); asked {
		return false
	}
	s, err := t.define(ctx, encoding)
	if err == nil {
		err = keepBodies(encoding)
	}
	if err != nil {
		s = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known[key] = s
	return s != nil
}

// keepBodies makes the library keep the bodies of an encoding. The register is one
// for the whole process, in which whoever comes first counts.
func keepBodies(encoding *ua.NodeID) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	ua.RegisterExtensionObject(encoding, new(structure))
	return nil
}

// define finds the data type of an encoding, and reads its definition.
func (t *typeTable) define(ctx context.Context, encoding *ua.NodeID) (*structType, error) {
	types, err := t.references(ctx, encoding, id.HasEncoding, ua.BrowseDirectionInverse)
	if err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return nil, errors.New("the encoding belongs to no type")
	}
	return t.structType(ctx, types[0], 0)
}

func (t *typeTable) references(ctx context.Context, n *ua.NodeID, kind uint32, direction ua.BrowseDirection) ([]*ua.NodeID, error) {
	res, err := send[*ua.BrowseResponse](ctx, t.link, &ua.BrowseRequest{
		View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
		NodesToBrowse: []*ua.BrowseDescription{{
			NodeID: n, BrowseDirection: direction, IncludeSubtypes: true,
			ReferenceTypeID: ua.NewNumericNodeID(0, kind), ResultMask: uint32(ua.BrowseResultMaskAll),
		}},
	})
	if err != nil {
		return nil, err
	}
	var list []*ua.NodeID
	for _, r := range res.Results {
		for _, ref := range r.References {
			list = append(list, ua.NewNodeIDFromExpandedNodeID(ref.NodeID))
		}
	}
	return list, nil
}

func (t *typeTable) structType(ctx context.Context, dataType *ua.NodeID, depth int) (*structType, error) {
	if depth > maxDepth {
		return nil, errors.New("the type is nested too deeply")
	}
	values, err := t.link.readAll(ctx, ua.AttributeIDDataTypeDefinition, []*ua.NodeID{dataType})
	if err != nil {
		return nil, err
	}
	def := definition(values[0])
	if def == nil {
		return nil, fmt.Errorf("type %s has no definition", dataType)
	}
	s := &structType{kind: def.StructureType}
	for _, f := range def.Fields {
		field := structField{name: f.Name, array: f.ValueRank >= 1, optional: f.IsOptional}
		if f.ValueRank > 1 {
			return nil, fmt.Errorf("type %s: field %s has several dimensions", dataType, f.Name)
		}
		if field.builtin, err = t.builtin(ctx, f.DataType); err != nil {
			return nil, err
		}
		if field.builtin == ua.TypeIDExtensionObject && !isStructure(f.DataType) {
			if field.inner, err = t.structType(ctx, f.DataType, depth+1); err != nil {
				return nil, err
			}
		}
		s.fields = append(s.fields, field)
	}
	return s, nil
}

func definition(v *ua.DataValue) *ua.StructureDefinition {
	if v.Value == nil || bad(v.Status) {
		return nil
	}
	x, ok := v.Value.Value().(*ua.ExtensionObject)
	if !ok || x == nil {
		return nil
	}
	def, _ := x.Value.(*ua.StructureDefinition)
	return def
}

// isStructure reports whether n is the abstract type of all structures, whose
// values say themselves what they are.
func isStructure(n *ua.NodeID) bool { return n.Namespace() == 0 && n.IntID() == id.Structure }

// builtin returns the built-in type that values of a data type are encoded as.
func (t *typeTable) builtin(ctx context.Context, dataType *ua.NodeID) (ua.TypeID, error) {
	for range maxDepth {
		if dataType == nil {
			break
		}
		if n := dataType.IntID(); dataType.Namespace() == 0 && dataType.Type() <= ua.NodeIDTypeNumeric {
			switch {
			case n >= 1 && n <= 25 && n != id.Structure:
				return ua.TypeID(n), nil
			case n == id.Structure:
				return ua.TypeIDExtensionObject, nil
			case n == id.Enumeration:
				return ua.TypeIDInt32, nil
			case n == id.Number, n == id.Integer, n == id.UInteger, n == 0:
				return ua.TypeIDVariant, nil
			}
		}
		super, err := t.references(ctx, dataType, id.HasSubtype, ua.BrowseDirectionInverse)
		if err != nil {
			return 0, err
		}
		if len(super) == 0 {
			break
		}
		dataType = super[0]
	}
	return 0, fmt.Errorf("data type %v is not known", dataType)
}

// append writes the body of a structure as JSON. It is false if the encoding is
// not known, or the body does not fit it.
func (t *typeTable) append(dst []byte, encoding string, body []byte, j *jsonWriter) ([]byte, bool) {
	s, _ := t.lookup(encoding)
	if s == nil {
		return dst, false
	}
	buf := ua.NewBuffer(body)
	out, ok := s.append(dst, buf, j)
	return out, ok && buf.Error() == nil
}

func (s *structType) append(dst []byte, buf *ua.Buffer, j *jsonWriter) (_ []byte, ok bool) {
	if j.depth++; j.depth > maxDepth {
		return dst, false
	}
	defer func() { j.depth-- }()
	var mask uint32
	if s.kind != ua.StructureTypeStructure {
		mask = buf.ReadUint32() // of optional fields, or the number of the one of a union
	}
	dst = append(dst, '{')
	bit := 0
	for i, f := range s.fields {
		if s.kind == ua.StructureTypeUnion && mask != uint32(i+1) {
			continue
		}
		if s.kind == ua.StructureTypeStructureWithOptionalFields && f.optional {
			bit++
			if mask>>(bit-1)&1 == 0 {
				continue
			}
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(telemetry.AppendString(dst, strings.ToValidUTF8(f.name, "\uFFFD")), ':')
		if dst, ok = f.append(dst, buf, j); !ok || buf.Error() != nil {
			return dst, false
		}
	}
	return append(dst, '}'), true
}

func (f structField) append(dst []byte, buf *ua.Buffer, j *jsonWriter) (_ []byte, ok bool) {
	if !f.array {
		return f.one(dst, buf, j)
	}
	n := buf.ReadInt32()
	if n < 0 {
		return append(dst, "null"...), true
	}
	dst = append(dst, '[')
	for i := range n {
		if buf.Len() == 0 {
			return dst, false // an element takes one byte at least
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, ok = f.one(dst, buf, j); !ok || buf.Error() != nil {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func (f structField) one(dst []byte, buf *ua.Buffer, j *jsonWriter) ([]byte, bool) {
	if f.inner != nil {
		return f.inner.append(dst, buf, j)
	}
	x, ok := readBuiltin(buf, f.builtin)
	if !ok || buf.Error() != nil {
		return dst, false
	}
	return j.append(dst, x)
}

// readBuiltin reads a value of a built-in type (Part 6, 5.2.2).
func readBuiltin(buf *ua.Buffer, t ua.TypeID) (any, bool) {
	read := func(v any) (any, bool) { buf.ReadStruct(v); return v, true }
	switch t {
	case ua.TypeIDBoolean:
		return buf.ReadBool(), true
	case ua.TypeIDSByte:
		return buf.ReadInt8(), true
	case ua.TypeIDByte:
		return buf.ReadByte(), true
	case ua.TypeIDInt16:
		return buf.ReadInt16(), true
	case ua.TypeIDUint16:
		return buf.ReadUint16(), true
	case ua.TypeIDInt32:
		return buf.ReadInt32(), true
	case ua.TypeIDUint32:
		return buf.ReadUint32(), true
	case ua.TypeIDInt64:
		return buf.ReadInt64(), true
	case ua.TypeIDUint64:
		return buf.ReadUint64(), true
	case ua.TypeIDFloat:
		return buf.ReadFloat32(), true
	case ua.TypeIDDouble:
		return buf.ReadFloat64(), true
	case ua.TypeIDString, ua.TypeIDXMLElement:
		return buf.ReadString(), true
	case ua.TypeIDDateTime:
		return buf.ReadTime(), true
	case ua.TypeIDGUID:
		return read(new(ua.GUID))
	case ua.TypeIDByteString:
		return buf.ReadBytes(), true
	case ua.TypeIDNodeID:
		return read(new(ua.NodeID))
	case ua.TypeIDExpandedNodeID:
		return read(new(ua.ExpandedNodeID))
	case ua.TypeIDStatusCode:
		return ua.StatusCode(buf.ReadUint32()), true
	case ua.TypeIDQualifiedName:
		return read(new(ua.QualifiedName))
	case ua.TypeIDLocalizedText:
		return read(new(ua.LocalizedText))
	case ua.TypeIDExtensionObject:
		return read(new(ua.ExtensionObject))
	case ua.TypeIDVariant:
		return read(new(ua.Variant))
	default:
		return nil, false
	}
}
