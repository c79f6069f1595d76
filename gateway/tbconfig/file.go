package tbconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// File is the part of tb_gateway.json that this package understands.
type File struct {
	ThingsBoard ThingsBoard `json:"thingsboard"`
	Storage     Storage     `json:"storage"`
	Connectors  []Entry     `json:"connectors"`
	GRPC        GRPC        `json:"grpc"`

	// HandleRenaming is where the original looks for the setting, in spite of
	// its documentation.
	HandleRenaming *bool `json:"handleDeviceRenaming"`
}

// GRPC is the section about connectors in other processes, which do not exist here.
type GRPC struct {
	Enabled bool `json:"enabled"`
}

// ThingsBoard is the section about the platform.
type ThingsBoard struct {
	Host           string          `json:"host"`
	Port           int             `json:"port"`       // zero: 1883
	QoS            *int            `json:"qos"`        // always 1
	KeepAlive      int             `json:"keep_alive"` // seconds; zero: 120
	ProxyHost      string          `json:"proxy_host"` // of an HTTP proxy
	ProxyPort      int             `json:"proxy_port"` // zero: 3128
	Security       Security        `json:"security"`
	Provisioning   *Provisioning   `json:"provisioning"`
	ReportStrategy json.RawMessage `json:"reportStrategy"` // see the documentation of report strategies

	RemoteConfiguration bool       `json:"remoteConfiguration"` // see Service
	RemoteShell         bool       `json:"remoteShell"`         // see Config.RemoteShell
	Statistics          Statistics `json:"statistics"`
	Filtering           Filtering  `json:"deviceFiltering"`
	CheckSeconds        *int       `json:"checkConnectorsConfigurationInSeconds"` // absent: 60; zero: only what the system tells of changed files

	HandleRenaming *bool    `json:"handleDeviceRenaming"`                 // follow renamed devices; default: true
	Sync           *bool    `json:"syncDevicesSharedAttributesOnConnect"` // default: true
	Latency        bool     `json:"latencyDebugMode"`
	Activity       Activity `json:"checkingDeviceActivity"`

	// Rate limits of the gateway's own device and of those behind it, such as
	// "10:1,300:60". Without them, and with a name that begins with DEFAULT_,
	// those of the ThingsBoard cloud apply to hosts of the cloud, and none to
	// others.
	RateLimits               *string `json:"rateLimits"` // messages of telemetry
	DataPointRateLimits      *string `json:"dpRateLimits"`
	MessagesRateLimits       *string `json:"messagesRateLimits"`
	DeviceRateLimits         *string `json:"deviceRateLimits"` // messages of telemetry
	DeviceDPRateLimits       *string `json:"deviceDpRateLimits"`
	DeviceMessagesRateLimits *string `json:"deviceMessagesRateLimits"`

	// Additions: the version of MQTT, 4 for 3.1.1 or 5; the tbclient.Config's
	// Confirm and Protobuf; and the folder of what the client keeps, which is
	// "state" in that of the stored data by default.
	MQTTVersion    int     `json:"mqttVersion"`
	ConfirmSeconds float64 `json:"confirmSeconds"`
	Protobuf       bool    `json:"protobuf"`
	StateFolder    string  `json:"stateFolder"`
}

// Statistics says which statistics of the gateway the platform gets.
type Statistics struct {
	Enable        *bool  `json:"enable"`                         // absent: true
	EnableCustom  *bool  `json:"enableCustom"`                   // absent: true
	Period        int    `json:"statsSendPeriodInSeconds"`       // zero: 60; at least 10
	CustomPeriod  int    `json:"customStatsSendPeriodInSeconds"` // zero: 3600
	Configuration string `json:"configuration"`                  // the file of custom commands
}

// Filtering says which devices a connector may have.
type Filtering struct {
	Enable bool   `json:"enable"`
	File   string `json:"filterFile"` // of objects deny and allow; zero: list.json
}

// Activity is about devices that have no data any more.
type Activity struct {
	Check   bool `json:"checkDeviceInactivity"`
	Timeout int  `json:"inactivityTimeoutSeconds"` // zero: 50
}

// Security says how the gateway and the platform know each other. File names
// are relative to the folder of tb_gateway.json.
type Security struct {
	Type        string `json:"type"`
	AccessToken string `json:"accessToken"`
	Username    string `json:"username"`
	Password    string `json:"password"`
	ClientID    string `json:"clientId"`
	TLS         bool   `json:"tls"`
	CACert      string `json:"caCert"`
	Cert        string `json:"cert"`
	PrivateKey  string `json:"privateKey"`
	Insecure    bool   `json:"insecure"`            // do not verify the platform's certificate
	CheckPeriod int    `json:"checkCertPeriod"`     // seconds between looks at the expiry of certificates; zero: 86400
	DaysLeft    int    `json:"certificateDaysLeft"` // when warnings begin; zero: 3
}

// Provisioning says how to get credentials from the platform if there is no
// section security.
type Provisioning struct {
	Type        string `json:"type"` // ACCESS_TOKEN (default), MQTT_BASIC or X509_CERTIFICATE
	DeviceName  string `json:"deviceName"`
	Key         string `json:"provisionDeviceKey"`
	Secret      string `json:"provisionDeviceSecret"`
	AccessToken string `json:"access_token"`
	ClientID    string `json:"client_id"`
	Username    string `json:"username"`
	Password    string `json:"password"`
	CACert      string `json:"caCert"`
}

// Storage is the section about the event store.
type Storage struct {
	Type       string `json:"type"`                 // memory, file or sqlite
	Folder     string `json:"data_folder_path"`     // of the type file
	DataPath   string `json:"data_file_path"`       // of the type sqlite
	MaxRecords int    `json:"max_records_count"`    // of the type memory
	MaxAgeDays int    `json:"messages_ttl_in_days"` // of the type sqlite; zero: no limit

	// MaxBytes and Overflow are additions: the size that the stored records
	// may have, and what happens when it is reached: block (the default),
	// drop_oldest or reject.
	MaxBytes int64  `json:"max_bytes"`
	Overflow string `json:"overflow"`

	// SizeLimit (MB) and MaxDatabases together bound the size for the type
	// sqlite, if max_bytes does not.
	SizeLimit    int `json:"size_limit"`
	MaxDatabases int `json:"max_db_amount"`

	// Additions as well. For files: what a record waits for until it counts as
	// stored, which is always (the default), interval or none; the time between
	// two writes to the medium at the latter two, in milliseconds; and the
	// compression, which is s2 or none (the default). For memory: the file that
	// keeps the records when the gateway stops.
	Durability   string `json:"durability"`
	SyncInterval int    `json:"sync_interval_ms"`
	Compression  string `json:"compression"`
	Snapshot     string `json:"snapshot_file"`
}

// Entry is a connector in tb_gateway.json.
type Entry struct {
	Type          string          `json:"type"`
	Class         string          `json:"class"` // names the type if Type is not linked
	Name          string          `json:"name"`
	Configuration string          `json:"configuration"` // the name of a file
	Inline        json.RawMessage `json:"configurationJson"`
	Key           json.RawMessage `json:"key"` // kept for the original
}

// decode decodes the content of the JSON file at path. Errors name the file, and
// the line and column or the key.
func decode(path string, raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s%w", path, place(raw, err))
	}
	return nil
}

// place adds to a JSON error where in raw it is.
func place(raw []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line, col := lineCol(raw, syntax.Offset)
		return fmt.Errorf(":%d:%d: %w", line, col, err)
	case errors.As(err, &kind):
		line, col := lineCol(raw, kind.Offset)
		return fmt.Errorf(":%d:%d: %s: a %s where %s belongs", line, col, kind.Field, kind.Value, kindName(kind))
	default:
		return fmt.Errorf(": %w", err)
	}
}

func kindName(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "int", "int64":
		return "an integer"
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "slice":
		return "a list"
	default:
		return "an object"
	}
}

// lineCol returns the line and column, from 1, of the byte before offset.
func lineCol(raw []byte, offset int64) (line, col int) {
	head := raw[:max(0, min(int(offset), len(raw)))]
	return bytes.Count(head, []byte("\n")) + 1, len(head) - bytes.LastIndexByte(head, '\n') - 1
}
