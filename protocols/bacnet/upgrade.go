package bacnet

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
)

// Upgrade returns a configuration in the present format: one of the older format,
// whose application is called general and whose objects are texts such as
// analogOutput:1, and one whose devices are in an EDE file. The paths of files
// start from dir. What is in the present format, or no object at all, is returned
// as it is.
func Upgrade(raw json.RawMessage, dir string) (json.RawMessage, error) {
	var file map[string]any
	if json.Unmarshal(raw, &file) != nil || file == nil {
		return raw, nil
	}
	general, old := file["general"].(map[string]any)
	_, hasPath := file["edeFilePath"]
	_, hasTable := file["edeConfig"]
	if !old && !hasPath && !hasTable {
		return raw, nil
	}
	if old {
		upgradeGeneral(file, general)
	}
	if hasPath || hasTable {
		if err := upgradeEDE(file, dir); err != nil {
			return nil, err
		}
	}
	return json.Marshal(file)
}

func upgradeGeneral(file, general map[string]any) {
	delete(file, "general")
	if address, ok := general["address"].(string); ok {
		delete(general, "address")
		host, port, found := strings.Cut(address, ":")
		host, mask, masked := strings.Cut(host, "/")
		setMissing(general, "host", host)
		if n, err := strconv.Atoi(port); found && err == nil {
			setMissing(general, "port", n)
		}
		if masked {
			setMissing(general, "mask", mask)
		}
	}
	file["application"] = general
	devices, _ := file["devices"].([]any)
	for _, x := range devices {
		if d, ok := x.(map[string]any); ok {
			upgradeDevice(d)
		}
	}
}

func setMissing(m map[string]any, key string, value any) {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
}

func upgradeDevice(d map[string]any) {
	info, _ := d["deviceInfo"].(map[string]any)
	if info == nil {
		info = make(map[string]any)
	}
	for old, key := range map[string]string{"deviceName": "deviceNameExpression", "deviceType": "deviceProfileExpression"} {
		if value, ok := d[old]; ok {
			delete(d, old)
			setMissing(info, key, value)
			setMissing(info, key+"Source", "expression")
		}
	}
	if len(info) > 0 {
		d["deviceInfo"] = info
	}
	if rpc, ok := d["rpc"]; ok {
		delete(d, "rpc")
		setMissing(d, "serverSideRpc", rpc)
	}
	for _, section := range []string{"attributes", "timeseries", "attributeUpdates", "serverSideRpc"} {
		list, _ := d[section].([]any)
		for _, x := range list {
			if item, ok := x.(map[string]any); ok {
				upgradeItem(item)
			}
		}
	}
}

// upgradeItem divides an objectId such as analogOutput:1.
func upgradeItem(item map[string]any) {
	id, _ := item["objectId"].(string)
	objectType, instance, ok := strings.Cut(id, ":")
	if _, has := item["objectType"]; ok && !has {
		maps.Copy(item, map[string]any{"objectType": objectType, "objectId": instance})
	}
}
