package bacnet

import (
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gridlinks/iot-gateway/protocols/bacnet/wire"
)

// maxEDE bounds an EDE file.
const maxEDE = 32 << 20

// upgradeEDE puts the devices of an EDE file into a configuration, beside those that
// it has.
func upgradeEDE(file map[string]any, dir string) error {
	key := "edeFilePath"
	path, ok := file[key].(string)
	var table []byte
	var err error
	if ok {
		table, err = readFile(path, dir)
	} else {
		key = "edeConfig"
		text, _ := file[key].(string)
		table, err = base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	devices, err := parseEDE(table)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	delete(file, "edeFilePath")
	delete(file, "edeConfig")
	list, _ := file["devices"].([]any)
	if list == nil {
		list = []any{}
	}
	file["devices"] = append(list, devices...)
	return nil
}

func readFile(path, dir string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEDE+1))
	if len(b) > maxEDE {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxEDE)
	}
	return b, err
}

// The columns of an EDE table that are read.
const (
	edeDevice   = "device obj.-instance"
	edeName     = "object-name"
	edeType     = "object-type"
	edeInstance = "object-instance"
)

// parseEDE returns the devices of an EDE table (Engineering Data Exchange, version 2
// of the BACnet Interest Group Europe) as a configuration file has them: each device
// object with the present values of its objects. The columns are divided by ; or , or
// tabs. A table may leave out device objects: the name is then device and its number.
func parseEDE(table []byte) ([]any, error) {
	rows, err := edeRows(table)
	if err != nil {
		return nil, err
	}
	type plant struct {
		name  string
		items []any
	}
	plants := make(map[string]*plant)
	var order []string
	for _, row := range rows {
		number := row[edeDevice]
		if number == "" {
			continue
		}
		if plants[number] == nil {
			plants[number] = &plant{name: "device " + number}
			order = append(order, number)
		}
		t, err := wire.ParseObjectType(row[edeType])
		if err != nil {
			return nil, fmt.Errorf("object %q: %w", row[edeName], err)
		}
		switch {
		case t == wire.DeviceObject:
			plants[number].name = row[edeName]
		case hasValue(t):
			plants[number].items = append(plants[number].items, map[string]any{
				"key": row[edeName], "objectType": wire.Camel(t.String()), "objectId": row[edeInstance], "propertyId": "presentValue",
			})
		}
	}
	devices := []any{}
	for _, number := range order {
		p := plants[number]
		if len(p.items) == 0 {
			continue // there is nothing to read
		}
		devices = append(devices, map[string]any{
			"deviceInfo": map[string]any{
				"deviceNameExpression": p.name, "deviceNameExpressionSource": "constant",
				"deviceProfileExpression": "default", "deviceProfileExpressionSource": "constant",
			},
			"deviceId": number, "host": "*", "port": "*", "mask": "*", "pollPeriod": DefaultPoll.Milliseconds(),
			"timeseries": p.items,
		})
	}
	return devices, nil
}

// edeRows returns the rows of a table by the names of their columns.
func edeRows(table []byte) ([]map[string]string, error) {
	text := strings.TrimPrefix(string(table), "\ufeff")
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.LazyQuotes, r.Comma = -1, true, delimiter(text)
	var columns []string
	var rows []map[string]string
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		first := strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(record[0]), "#"))
		switch {
		case strings.EqualFold(first, "keyname"):
			columns = header(record)
		case columns == nil || strings.HasPrefix(strings.TrimSpace(record[0]), "#"):
		default:
			row := make(map[string]string, len(columns))
			for i, s := range record {
				if i < len(columns) {
					row[columns[i]] = strings.TrimSpace(s)
				}
			}
			rows = append(rows, row)
		}
	}
	for _, name := range []string{edeDevice, edeName, edeType, edeInstance} {
		if !slices.Contains(columns, name) {
			return nil, fmt.Errorf("the table has no column %q", name)
		}
	}
	return rows, check(rows)
}

func header(record []string) []string {
	columns := make([]string, len(record))
	for i, s := range record {
		columns[i] = strings.ToLower(strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(s), "#")))
	}
	return columns
}

// delimiter returns what divides the columns of the line that names them.
func delimiter(text string) rune {
	for line := range strings.Lines(text) {
		if !strings.Contains(strings.ToLower(line), edeDevice) {
			continue
		}
		best := ';'
		for _, c := range ",\t" {
			if strings.Count(line, string(c)) > strings.Count(line, string(best)) {
				best = c
			}
		}
		return best
	}
	return ';'
}

// check refuses rows whose numbers are none.
func check(rows []map[string]string) error {
	for i, row := range rows {
		for _, name := range []string{edeDevice, edeInstance} {
			if _, err := strconv.ParseUint(row[name], 10, 22); err != nil && row[edeDevice] != "" {
				return fmt.Errorf("row %d: %s: %q is not a number", i+1, name, row[name])
			}
		}
	}
	return nil
}
