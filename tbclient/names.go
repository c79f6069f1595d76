package tbclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"

	"github.com/gridlinks/iot-gateway/internal/atomicfile"
)

// names know what the platform calls the devices that were renamed there.
type names struct {
	path string // of the file; empty: they are not kept

	mu       sync.RWMutex
	renamed  map[string]string // the gateway's name: the platform's
	original map[string]string // the platform's name: the gateway's
}

// maxRenamed bounds the renamed devices that are known.
const maxRenamed = 100_000

// load reads the file, if there is one.
func (n *names) load() error {
	n.renamed, n.original = make(map[string]string), make(map[string]string)
	if n.path == "" {
		return nil
	}
	raw, err := os.ReadFile(n.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tbclient: renamed devices: %w", err)
	}
	var renamed map[string]string
	if err := json.Unmarshal(raw, &renamed); err != nil {
		return fmt.Errorf("tbclient: renamed devices: %s: %w", n.path, err)
	}
	for name, platform := range renamed {
		if name != "" && platform != "" {
			n.renamed[name], n.original[platform] = platform, name
		}
	}
	return nil
}

// platform returns what the platform calls a device.
func (n *names) platform(name string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if to, ok := n.renamed[name]; ok {
		return to
	}
	return name
}

// own returns what the gateway calls a device.
func (n *names) own(platform string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if name, ok := n.original[platform]; ok {
		return name
	}
	return platform
}

// rename notes that the platform calls the device from now on to, and returns
// the gateway's name of it.
func (n *names) rename(from, to string) (name string, err error) {
	if from == "" || to == "" {
		return "", errors.New("tbclient: a device is renamed from or to an empty name")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name = from
	if own, ok := n.original[from]; ok {
		name = own
	}
	if len(n.renamed) >= maxRenamed && n.renamed[name] == "" {
		return "", fmt.Errorf("tbclient: more than %d devices are renamed", maxRenamed)
	}
	delete(n.original, n.renamed[name])
	delete(n.renamed, name)
	if to != name {
		n.renamed[name], n.original[to] = to, name
	}
	return name, n.save()
}

// forget drops the new name of a device that the platform has deleted, and
// returns the gateway's name of it.
func (n *names) forget(platform string) (name string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.original[platform]
	if !ok {
		return platform, nil
	}
	delete(n.original, platform)
	delete(n.renamed, name)
	return name, n.save()
}

// save writes the file. n.mu is held.
func (n *names) save() error {
	if n.path == "" {
		return nil
	}
	raw, err := json.MarshalIndent(maps.Clone(n.renamed), "", "  ")
	if err != nil {
		return fmt.Errorf("tbclient: renamed devices: %w", err)
	}
	if err := atomicfile.Write(n.path, append(raw, '\n')); err != nil {
		return fmt.Errorf("tbclient: renamed devices: %w", err)
	}
	return nil
}
