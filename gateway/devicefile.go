package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

// How often the file of devices is written at most, and how much of the time at
// most that takes: one part in saveShare.
const (
	saveEvery = 2 * time.Second
	saveShare = 20
	saveRetry = 30 * time.Second
)

// WithDeviceFile keeps the devices, with the connectors and types, in a file in
// the format of the reference gateway's connected_devices.json:
//
//	{"boiler": {"connectorId": "", "connectorName": "plant", "deviceType": "heater", "disconnected": false, "renaming": null}}
//
// After a restart they are announced as soon as their connector is ready, and
// commands reach them before they have data. The file is written as a whole, two
// seconds after a change. One that cannot be read is set aside, with ".broken"
// added to its name.
func WithDeviceFile(path string) Option { return func(o *options) { o.deviceFile = path } }

// kept is a device in the file.
type kept struct {
	ConnectorID   string  `json:"connectorId"`
	ConnectorName string  `json:"connectorName"`
	DeviceType    string  `json:"deviceType"`
	Disconnected  bool    `json:"disconnected"`
	Renaming      *string `json:"renaming"`
}

// UnmarshalJSON reads also the older form ["connector", "type", "new name"], whose
// new name may be missing.
func (k *kept) UnmarshalJSON(raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '[' {
		var list []*string
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		if len(list) < 2 || len(list) > 3 || list[0] == nil || list[1] == nil {
			return fmt.Errorf("a list of %d where connector, type and perhaps a new name are expected", len(list))
		}
		*k = kept{ConnectorName: *list[0], DeviceType: *list[1]}
		if len(list) == 3 {
			k.Renaming = list[2]
		}
		return nil
	}
	type plain kept
	return json.Unmarshal(raw, (*plain)(k))
}

// A deviceFile writes the devices to a file, some time after they have changed.
type deviceFile struct {
	path    string
	devices *devices
	renamer func() Renamer
	log     *slog.Logger

	dirty   chan struct{} // holds a token if something has changed
	written []byte
	failing bool
}

// change has the file written, later. It does not block.
func (f *deviceFile) change() {
	select {
	case f.dirty <- struct{}{}:
	default:
	}
}

// load makes the devices of the file known.
func (f *deviceFile) load() {
	raw, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var entries map[string]json.RawMessage
	if err == nil {
		if err = json.Unmarshal(raw, &entries); err != nil {
			err = errors.Join(err, os.Rename(f.path, f.path+".broken"))
		}
	}
	if err != nil {
		f.log.Error("file of devices cannot be read, they are not known until they have data", "file", f.path, "error", err)
		return
	}
	renamer := f.renamer()
	for name, raw := range entries {
		var k kept
		err := json.Unmarshal(raw, &k)
		if err == nil && name == "" {
			err = errors.New("a device without a name")
		}
		if err == nil && k.Renaming != nil && *k.Renaming != "" && renamer != nil && renamer.PlatformName(name) == name {
			err = renamer.RenameDevice(name, *k.Renaming)
		}
		if err != nil {
			f.log.Warn("device in the file of devices makes no sense", "file", f.path, "device", name, "error", err)
		}
		if name != "" && k.ConnectorName != "" {
			f.devices.keep(name, k)
		}
	}
}

// keep makes a device known from an earlier run.
func (ds *devices) keep(name string, k kept) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if len(ds.byName) >= maxDevices {
		return
	}
	if ds.byName == nil {
		ds.byName = make(map[string]*device)
	}
	d := &device{name: name, keptConnector: k.ConnectorName, keptID: k.ConnectorID}
	if k.DeviceType != "" {
		d.profile.Store(&k.DeviceType)
	}
	if k.Disconnected {
		d.state.Store(int32(away))
	}
	d.kept.Store(true)
	ds.byName[name] = d
}

// adopt makes r the owner of the devices that its name is kept for.
func (ds *devices) adopt(r *running) {
	for _, d := range ds.all() {
		if d.keptConnector == r.name && d.owner.Load() == nil && r.mayHave(d.name) {
			d.owner.CompareAndSwap(nil, r)
		}
	}
}

// run writes the file after changes, until ctx is done, and then for the last
// time.
func (f *deviceFile) run(ctx context.Context) {
	pause := saveEvery
	for {
		select {
		case <-f.dirty:
		case <-ctx.Done():
			select {
			case <-f.dirty:
				f.save()
			default:
			}
			return
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		begin := time.Now()
		f.save()
		pause = max(saveEvery, saveShare*time.Since(begin))
		if f.failing && ctx.Err() == nil {
			pause = max(pause, saveRetry)
			f.change()
		}
	}
}

// save writes the file if its content has changed.
func (f *deviceFile) save() {
	select {
	case <-f.dirty: // it is written with the rest
	default:
	}
	raw, err := f.encode()
	if err == nil && bytes.Equal(raw, f.written) {
		return
	}
	if err == nil {
		err = atomicfile.Write(f.path, raw)
	}
	switch {
	case err == nil:
		f.written = raw
		if f.failing {
			f.log.Info("file of devices is written again", "file", f.path)
		}
	case !f.failing:
		f.log.Warn("file of devices cannot be written, trying on", "file", f.path, "error", err)
	}
	f.failing = err != nil
}

func (f *deviceFile) encode() ([]byte, error) {
	renamer := f.renamer()
	entries := make(map[string]kept)
	for _, d := range f.devices.all() {
		k := kept{
			ConnectorID: d.keptID, ConnectorName: d.info().Connector, DeviceType: d.profileName(), Disconnected: d.presence() == away,
		}
		if renamer != nil {
			if as := renamer.PlatformName(d.name); as != d.name {
				k.Renaming = &as
			}
		}
		entries[d.name] = k
	}
	raw, err := json.Marshal(entries)
	return append(raw, '\n'), err
}
