package meter

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// HandleRPC implements connector.RPCHandler. A meter has these methods beside those of
// modbus.Connector, as far as its profile has what they need:
//
//   - clock, without parameters, reads the meter's clock; with "now" or a local time
//     such as "2026-01-31T23:59:30" it sets it. The result is the clock's time.
//   - history with {"month": 1} returns the registers of a month that is over, from 1
//     for the last one.
//   - extremes with {"month": 0} returns the highest and lowest values of a month and
//     when they were, from 0 for this one.
func (c *Connector) HandleRPC(ctx context.Context, r connector.RPCRequest) (telemetry.Value, error) {
	inner, ok := connector.As[connector.RPCHandler](c.inner)
	if !ok {
		return telemetry.Value{}, errors.New("meter: the connector has no remote procedures")
	}
	u := c.units[r.Device]
	var call func(*link, json.RawMessage) (telemetry.Value, error)
	switch {
	case u == nil:
	case r.Method == "clock" && u.clock() != nil:
		call = u.callClock
	case r.Method == "history" && u.profile.History != nil:
		call = u.callHistory
	case r.Method == "extremes" && u.profile.Extremes != nil:
		call = u.callExtremes
	}
	if call == nil {
		return inner.HandleRPC(ctx, r)
	}
	l := &link{ctx: ctx, inner: inner, request: r, function: u.profile.Function}
	v, err := call(l, r.Params)
	if err != nil {
		return telemetry.Value{}, fmt.Errorf("meter: %s %s: %w", r.Device, r.Method, err)
	}
	return l.result(v), nil
}

// clock returns the point that is u's clock, or nil.
func (u *unit) clock() *Point {
	if p := u.profile.point("clock"); p != nil && p.Format != "" {
		return p
	}
	return nil
}

func (u *unit) callClock(l *link, params json.RawMessage) (telemetry.Value, error) {
	p := u.clock()
	text, err := textParam(params)
	if err != nil {
		return telemetry.Value{}, err
	}
	if text == "" {
		raw, err := l.read(p.Address, p.Registers)
		if err != nil {
			return telemetry.Value{}, err
		}
		return p.decodeBytes(raw, telemetry.String(hex.EncodeToString(raw))), nil
	}
	t := time.Now()
	if text != "now" {
		if t, err = time.Parse(clockFormat, text); err != nil {
			return telemetry.Value{}, fmt.Errorf(`%q is neither "now" nor a time like %q`, text, clockFormat)
		}
		if t.Year() < 2000 || t.Year() > 2099 {
			return telemetry.Value{}, fmt.Errorf("the year of %q is not in 2000 to 2099", text)
		}
	}
	if err := l.write(p.Address, encodeTime(p.Format, t)); err != nil {
		return telemetry.Value{}, err
	}
	return telemetry.String(t.Format(clockFormat)), nil
}

func (u *unit) callHistory(l *link, params json.RawMessage) (telemetry.Value, error) {
	h := u.profile.History
	month, err := monthParam(params, 1, h.Count)
	if err != nil {
		return telemetry.Value{}, err
	}
	factors, err := u.ratios(l)
	if err != nil {
		return telemetry.Value{}, err
	}
	raw, err := l.read(h.First+uint16(month-1)*h.Stride, end(h.Points))
	if err != nil {
		return telemetry.Value{}, err
	}
	doc := append([]byte(`{"month":`), strconv.Itoa(month)...)
	if s, ok := decodeTime(h.Time, raw); ok {
		doc = telemetry.AppendString(append(doc, `,"time":`...), s)
	}
	for i := range h.Points {
		p := &h.Points[i]
		factor, ok := factors[p.Ratio]
		if !ok {
			return telemetry.Value{}, u.unknown(p)
		}
		if v, ok := p.number(raw[2*p.Address:], factor); ok {
			doc = telemetry.AppendString(append(doc, ','), p.Key)
			doc = v.AppendJSON(append(doc, ':'))
		}
	}
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, '}'))), nil
}

func (u *unit) callExtremes(l *link, params json.RawMessage) (telemetry.Value, error) {
	x := u.profile.Extremes
	month, err := monthParam(params, 0, x.Count-1)
	if err != nil {
		return telemetry.Value{}, err
	}
	factors, err := u.ratios(l)
	if err != nil {
		return telemetry.Value{}, err
	}
	first := x.First + uint16(month)*x.Stride
	doc := append([]byte(`{"month":`), strconv.Itoa(month)...)
	for _, part := range [...]struct {
		name   string
		offset uint16
	}{{"max", 0}, {"min", x.MinOffset}} {
		raw, err := l.read(first+part.offset, end(x.Max)+2)
		if err != nil {
			return telemetry.Value{}, err
		}
		doc = append(append(append(doc, `,"`...), part.name...), `":{`...)
		if doc, err = u.appendRecords(doc, x.Max, raw, factors); err != nil {
			return telemetry.Value{}, err
		}
		doc = append(doc, '}')
	}
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, '}'))), nil
}

// appendRecords appends the values of points in raw, each with the time after it.
func (u *unit) appendRecords(doc []byte, points []Point, raw []byte, factors map[string]float64) ([]byte, error) {
	comma := false
	for i := range points {
		p := &points[i]
		factor, ok := factors[p.Ratio]
		if !ok {
			return doc, u.unknown(p)
		}
		v, ok := p.number(raw[2*p.Address:], factor)
		if !ok {
			continue
		}
		if comma {
			doc = append(doc, ',')
		}
		comma = true
		doc = telemetry.AppendString(doc, p.Key)
		doc = v.AppendJSON(append(doc, `:{"value":`...))
		if s, ok := decodeTime("mhdM", raw[2*(int(p.Address)+p.words()):]); ok {
			doc = telemetry.AppendString(append(doc, `,"time":`...), s)
		}
		doc = append(doc, '}')
	}
	return doc, nil
}

// end returns the number of registers up to the end of points.
func end(points []Point) (n int) {
	for i := range points {
		n = max(n, int(points[i].Address)+points[i].words())
	}
	return n
}

// ratios returns what values are multiplied by, from the meter if it says.
func (u *unit) ratios(l *link) (map[string]float64, error) {
	if !u.meter {
		return u.factors, nil
	}
	m := map[string]float64{"": 1}
	for _, name := range [...]string{"pt", "ct"} {
		p := u.profile.point(name + "_ratio")
		if p == nil {
			return nil, fmt.Errorf("the meter has no %s_ratio", name)
		}
		raw, err := l.read(p.Address, p.words())
		if err != nil {
			return nil, err
		}
		v, ok := p.number(raw, 1)
		if !ok {
			return nil, fmt.Errorf("the meter's %s_ratio is not available", name)
		}
		m[name] = v.Float()
	}
	m["pt*ct"] = m["pt"] * m["ct"]
	return m, nil
}

func (u *unit) unknown(p *Point) error {
	return fmt.Errorf("%s: the ratio is not known, because no group with a value of that ratio (%s) is read", p.Key, p.Ratio)
}

// monthParam reads {"month": n}, or n.
func monthParam(params json.RawMessage, low, high int) (int, error) {
	var o struct {
		Month *int `json:"month"`
	}
	n := low
	params = bytes.TrimSpace(params)
	switch {
	case len(params) == 0 || string(params) == "null":
		return n, nil
	case params[0] == '{':
		if err := json.Unmarshal(params, &o); err != nil {
			return 0, fmt.Errorf(`parameters are not {"month": %d}: %s`, low, params)
		}
		if o.Month != nil {
			n = *o.Month
		}
	default:
		if err := json.Unmarshal(params, &n); err != nil {
			return 0, fmt.Errorf(`parameters are not {"month": %d}: %s`, low, params)
		}
	}
	if n < low || n > high {
		return 0, fmt.Errorf("month: %d is not in %d to %d", n, low, high)
	}
	return n, nil
}

// textParam reads "text" or {"value": "text"}; without either it is empty.
func textParam(params json.RawMessage) (string, error) {
	params = bytes.TrimSpace(params)
	var o struct {
		Value string `json:"value"`
	}
	var err error
	switch {
	case len(params) == 0 || string(params) == "null":
	case params[0] == '{':
		err = json.Unmarshal(params, &o)
	default:
		err = json.Unmarshal(params, &o.Value)
	}
	if err != nil {
		return "", fmt.Errorf("parameters are not a text: %s", params)
	}
	return o.Value, nil
}

// A link reads and writes the registers of a meter by the method get and set of its
// connector.
type link struct {
	ctx      context.Context //nolint:containedctx // a link lives as long as the call that has it
	inner    connector.RPCHandler
	request  connector.RPCRequest
	function uint8
	wrapped  bool // results are {"result":{"value":...}}
}

const (
	wrapBegin = `{"result":{"value":`
	wrapEnd   = `}}`
)

func (l *link) read(addr uint16, count int) ([]byte, error) {
	v, err := l.call("get", fmt.Sprintf(`{"type":"bytes","functionCode":%d,"address":%d,"objectsCount":%d}`, l.function, addr, count))
	if err != nil {
		return nil, err
	}
	text := v.String()
	if v.Kind() == telemetry.KindJSON {
		_, _, doc := v.Parts()
		inner, ok := strings.CutPrefix(doc, wrapBegin)
		if l.wrapped = ok; ok {
			text = strings.Trim(strings.TrimSuffix(inner, wrapEnd), `"`)
		}
	}
	raw, err := hex.DecodeString(text)
	if err == nil && len(raw) != 2*count {
		err = fmt.Errorf("%d bytes instead of %d", len(raw), 2*count)
	}
	return raw, err
}

func (l *link) write(addr uint16, raw []byte) error {
	v, err := l.call("set", fmt.Sprintf(`{"type":"bytes","functionCode":%d,"address":%d,"objectsCount":%d,"value":%q}`,
		writeMultiple, addr, len(raw)/2, hex.EncodeToString(raw)))
	if err == nil && v.Kind() == telemetry.KindJSON {
		_, _, doc := v.Parts()
		l.wrapped = strings.HasPrefix(doc, wrapBegin)
	}
	return err
}

func (l *link) call(method, params string) (telemetry.Value, error) {
	r := l.request
	r.Method, r.Params = method, json.RawMessage(params)
	return l.inner.HandleRPC(l.ctx, r)
}

// result gives v the form that the connector's results have.
func (l *link) result(v telemetry.Value) telemetry.Value {
	if !l.wrapped {
		return v
	}
	doc := v.AppendJSON([]byte(wrapBegin))
	return telemetry.Restore(telemetry.KindJSON, 0, string(append(doc, wrapEnd...)))
}
