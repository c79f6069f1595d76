package mqtt

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Upgrade returns a configuration in the present format if raw is in one of the
// older ones: those in which the device is named by deviceNameJsonExpression and
// the like, extensionConfig is called extension-config, or the lists of requests
// stand beside the mappings. Each entry is judged by itself, so that a file may be
// of both kinds. What is in the present format, or no object at all, is returned
// as it is.
func Upgrade(raw json.RawMessage) json.RawMessage {
	var file map[string]json.RawMessage
	if json.Unmarshal(raw, &file) != nil || file == nil {
		return raw
	}
	u := &upgrade{}
	u.entries(file)
	u.gather(file)
	return u.result(file, raw)
}

// upgradeItems is Upgrade without the lists of requests changing their place, so
// that what is wrong in them is found where it is.
func upgradeItems(raw json.RawMessage) json.RawMessage {
	var file map[string]json.RawMessage
	if json.Unmarshal(raw, &file) != nil || file == nil {
		return raw
	}
	u := &upgrade{}
	u.entries(file)
	return u.result(file, raw)
}

// requestLists are the lists that requestsMapping gathers.
func requestLists() []string {
	return []string{"connectRequests", "disconnectRequests", "attributeRequests", "attributeUpdates", "serverSideRpc"}
}

// An upgrade rewrites a configuration. Values that do not have the shape that
// they should have are left to the loader, which names them.
type upgrade struct{ changed bool }

// result returns the file as it has become.
func (u *upgrade) result(file map[string]json.RawMessage, raw json.RawMessage) json.RawMessage {
	if !u.changed {
		return raw
	}
	upgraded, err := json.Marshal(file)
	if err != nil {
		return raw
	}
	return upgraded
}

// entries upgrades the mappings and requests of a file.
func (u *upgrade) entries(file map[string]json.RawMessage) {
	for _, key := range []string{"mapping", "dataMapping"} {
		u.items(file, key, func(m map[string]json.RawMessage) { u.within(m, "converter", u.converter) })
	}
	u.within(file, "requestsMapping", u.requests)
	u.requests(file)
}

// within applies f to the object at key.
func (u *upgrade) within(o map[string]json.RawMessage, key string, f func(map[string]json.RawMessage)) {
	var inner map[string]json.RawMessage
	if json.Unmarshal(o[key], &inner) != nil || inner == nil {
		return
	}
	before := u.changed
	u.changed = false
	if f(inner); u.changed {
		u.put(o, key, inner)
	}
	u.changed = u.changed || before
}

func (u *upgrade) put(o map[string]json.RawMessage, key string, value any) {
	if doc, err := json.Marshal(value); err == nil {
		o[key], u.changed = doc, true
	}
}

// items applies f to the objects of the list at key.
func (u *upgrade) items(o map[string]json.RawMessage, key string, f func(map[string]json.RawMessage)) {
	var list []json.RawMessage
	if json.Unmarshal(o[key], &list) != nil {
		return
	}
	before := u.changed
	u.changed = false
	for i := range list {
		item := map[string]json.RawMessage{"": list[i]}
		u.within(item, "", f)
		list[i] = item[""]
	}
	if u.changed {
		u.put(o, key, list)
	}
	u.changed = u.changed || before
}

func (u *upgrade) converter(o map[string]json.RawMessage) {
	u.device(o)
	if config, old := o["extension-config"]; old {
		if _, has := o["extensionConfig"]; !has {
			o["extensionConfig"] = config
		}
		delete(o, "extension-config")
		u.changed = true
	}
}

// device makes a deviceInfo of the keys that it has taken the place of.
func (u *upgrade) device(o map[string]json.RawMessage) {
	if _, has := o["deviceInfo"]; has {
		return
	}
	info := make(map[string]json.RawMessage)
	for old, now := range map[string]string{"deviceName": "deviceName", "deviceType": "deviceProfile"} {
		u.expression(o, info, old, now)
	}
	if len(info) > 0 {
		u.put(o, "deviceInfo", info)
	}
}

// expression moves an expression whose key tells its source to a key and another
// for the source.
func (u *upgrade) expression(from, to map[string]json.RawMessage, old, now string) {
	for _, form := range []struct{ infix, source string }{{"", ""}, {"Topic", `"topic"`}, {"Json", `"message"`}} {
		text, has := from[old+form.infix+"Expression"]
		if !has || form.infix == "" && old == "attributeName" {
			continue
		}
		delete(from, old+form.infix+"Expression")
		to[now+"Expression"] = text
		if form.source != "" {
			to[now+"ExpressionSource"] = json.RawMessage(form.source)
		}
		u.changed = true
	}
}

// requests upgrades the lists of requests of o.
func (u *upgrade) requests(o map[string]json.RawMessage) {
	for _, key := range requestLists() {
		u.items(o, key, func(r map[string]json.RawMessage) {
			if strings.HasSuffix(key, "Requests") {
				u.device(r)
			}
			if key == "attributeRequests" {
				u.expression(r, r, "attributeName", "attributeName")
			}
		})
	}
}

// gather moves the lists of requests that stand beside the mappings into
// requestsMapping.
func (u *upgrade) gather(file map[string]json.RawMessage) {
	inner := make(map[string]json.RawMessage)
	if raw := file["requestsMapping"]; len(raw) > 0 && json.Unmarshal(raw, &inner) != nil {
		return
	}
	moved := false
	for _, key := range requestLists() {
		var outer, list []json.RawMessage
		if _, has := file[key]; !has || json.Unmarshal(file[key], &outer) != nil {
			continue
		}
		if raw := bytes.TrimSpace(inner[key]); len(raw) > 0 && json.Unmarshal(raw, &list) != nil {
			continue
		}
		if inner == nil {
			inner = make(map[string]json.RawMessage)
		}
		u.put(inner, key, append(list, outer...))
		delete(file, key)
		moved = true
	}
	if moved {
		u.put(file, "requestsMapping", inner)
	}
}
