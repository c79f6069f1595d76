package mqtt

import (
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/gridlinks/iot-gateway/converter/expr"
)

// messageTime returns the time that the message as a whole has, or zero.
func (c *jsonConverter) messageTime(root *fastjson.Value) int64 {
	if c.useReceivedTime || root.Type() != fastjson.TypeObject {
		return 0
	}
	o := root.GetObject()
	v := o.Get("ts")
	if v == nil {
		v = o.Get("timestamp")
	}
	if v == nil || v.Type() == fastjson.TypeNull {
		return 0
	}
	ts, ok := milliseconds(v)
	if !ok {
		c.times.Add(1)
	}
	return ts
}

func (c *jsonConverter) pointTime(pt *jsonPoint, root *fastjson.Value, received int64) int64 {
	if pt.time == nil || c.useReceivedTime {
		return received
	}
	v := pt.time.First(root)
	if v == nil && pt.deep != "" {
		v = findDeep(root, pt.deep)
	}
	if v == nil || v.Type() == fastjson.TypeNull {
		return received
	}
	ts, ok := pt.format.Value(v)
	if !ok {
		c.times.Add(1)
		return received
	}
	return ts
}

// milliseconds reads a "ts": Unix milliseconds as they are, or a text that can
// be read as a time.
func milliseconds(v *fastjson.Value) (int64, bool) {
	if v == nil {
		return 0, false
	}
	switch v.Type() {
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
		f, err := v.Float64()
		return int64(f), err == nil && f > -1e18 && f < 1e18
	case fastjson.TypeString:
		text := string(v.GetStringBytes())
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, true
		}
		return expr.TimeFormat{}.Parse(text)
	default:
		return 0, false
	}
}

// findDeep returns the first value of the given key in nested objects, depth
// first, that is not null.
func findDeep(v *fastjson.Value, key string) (found *fastjson.Value) {
	if v.Type() != fastjson.TypeObject {
		return nil
	}
	o := v.GetObject()
	if found = o.Get(key); found != nil && found.Type() != fastjson.TypeNull {
		return found
	}
	found = nil
	o.Visit(func(_ []byte, c *fastjson.Value) {
		if found == nil {
			found = findDeep(c, key)
		}
	})
	return found
}
