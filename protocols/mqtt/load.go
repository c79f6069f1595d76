package mqtt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/conf"
)

// A loader reads a configuration file.
type loader struct {
	env     connector.Env
	options typeOptions
	shared  map[string]UplinkConverter // custom converters that mappings share

	compatible bool // convert as the reference gateway does
}

// load reads the configuration of a connector by r. The error names every problem.
func load(r *conf.Reader, raw json.RawMessage, env connector.Env, options typeOptions) (Config, error) {
	l := &loader{env: env, options: options, shared: make(map[string]UplinkConverter)}
	o := r.Root(upgradeItems(raw))
	o.Ignore("name", "id", "type", "class", "logLevel", "enableRemoteLogging", "configVersion")
	o.Unused("useGRPC", "useGRPCForce")
	l.compatible = o.OneOf("compatibility", "", "thingsboard") != ""
	var cfg Config
	l.broker(o.Object("broker"), &cfg)
	l.mappings(o, &cfg)
	l.requests(o, &cfg)
	inner := o.Object("requestsMapping")
	l.requests(inner, &cfg)
	inner.Finish()
	o.Finish()
	err := r.Done()
	if err == nil {
		cfg.compile(problems{r: r}) // what only the whole shows; its paths are those of the file
		err = r.Err()
	}
	if err != nil {
		return Config{}, fmt.Errorf("mqtt: %w", err)
	}
	return cfg, nil
}

// broker reads the section "broker".
func (l *loader) broker(o *conf.Object, cfg *Config) {
	host := o.Required("host")
	port := o.Int("port", 1883, 1, 65535)
	cfg.ClientID = o.Text("clientId", "")
	cfg.KeepAlive = time.Duration(o.Int("keepAlive", 60, 0, 65535)) * time.Second
	cfg.Inflight = int(o.Int("inflight", defaultInflight, 1, 65535))
	cfg.Version = version(o)
	session, start := o.Flag("cleanSession", true), o.Flag("cleanStart", true)
	cfg.SessionExpiry = time.Duration(o.Int("sessionExpiryInterval", 0, 0, 1<<32-1)) * time.Second
	cfg.KeepSession = !session || !start || cfg.SessionExpiry > 0
	if cfg.KeepSession && cfg.ClientID == "" {
		cfg.ClientID = stableID(l.env.Name)
	}
	o.Ignore("name")
	// These size the reference gateway's pools of threads and their queues.
	o.Unused("maxMessageNumberPerWorker", "maxNumberOfWorkers", "maxMessageQueue", "maxProcessingMessageQueue")
	cfg.Proxy = o.Text("proxy", "")
	secure := l.security(o, cfg)
	cfg.Broker = address(o, host, port, secure)
	o.Finish()
}

// stableID returns a client identifier that is the same each time for a
// connector of this machine, within the 23 characters that every broker accepts.
func stableID(name string) string {
	machine, _ := os.Hostname() // without one, the name alone has to do
	sum := sha256.Sum256([]byte(machine + "\x00" + name))
	return "gw" + hex.EncodeToString(sum[:])[:20]
}

// version reads the version of the protocol, which is 5 unless it is said to be an
// older one.
func version(o *conf.Object) byte {
	switch o.Int("version", 5, 0, 1<<31) {
	case 3:
		o.Warn("version", "MQTT 3.1 is configured; MQTT 3.1.1 is spoken")
		return 4
	case 4:
		return 4
	default:
		return 5
	}
}

// address returns the broker's URL.
func address(o *conf.Object, host string, port int64, secure bool) string {
	scheme, path := "tcp", o.Text("path", "")
	switch o.OneOf("transport", "tcp", "tcp", "websocket", "websockets", "ws") {
	case "tcp":
		if path != "" {
			o.Fail("path", errors.New("is for the transport websocket only"))
		}
		if secure {
			scheme = "tls"
		}
	default:
		scheme = "ws"
		if secure {
			scheme = "wss"
		}
		path = "/" + strings.TrimPrefix(path, "/")
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.FormatInt(port, 10)) + path
}

// qos reads a quality of service. The third level is no better than the second for
// a gateway that may repeat what it sends.
func qos(o *conf.Object, key string, def int64) byte {
	n := o.Int(key, def, 0, 2)
	if n == 2 {
		o.Warn(key, "QoS 2 is used as QoS 1")
	}
	return byte(min(n, 1))
}
