package mqtt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
)

var indexPattern = regexp.MustCompile(`\[[0-9]+\]`)

// A loader reads a configuration file.
type loader struct {
	env     connector.Env
	options typeOptions
	warned  map[string]bool
	shared  map[string]UplinkConverter // custom converters that mappings share

	compatible bool // convert as the reference gateway does
}

// load reads the configuration of a connector. The error names every problem.
func load(raw json.RawMessage, env connector.Env, options typeOptions) (Config, error) {
	l := &loader{env: env, options: options, warned: make(map[string]bool), shared: make(map[string]UplinkConverter)}
	p := newProblems()
	o := l.object(upgradeItems(raw), p)
	o.ignore("name", "id", "type", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy")
	o.unused("useGRPC", "useGRPCForce")
	l.compatibility(o)
	var cfg Config
	l.broker(o.object("broker"), &cfg)
	l.mappings(o, &cfg)
	l.requests(o, &cfg)
	if inner := o.raw("requestsMapping"); inner != nil {
		requests := o.load.object(inner, o.at("requestsMapping"))
		l.requests(requests, &cfg)
		requests.finish()
	}
	o.finish()
	if err := p.err(); err != nil {
		return Config{}, fmt.Errorf("mqtt: %w", err)
	}
	cfg.compile(p) // what only the whole shows; its paths are those of the file
	if err := p.err(); err != nil {
		return Config{}, fmt.Errorf("mqtt: %w", err)
	}
	return cfg, nil
}

// broker reads the section "broker".
func (l *loader) broker(o *object, cfg *Config) {
	host := o.required("host")
	port := o.number("port", 1883, 1, 65535)
	cfg.ClientID = o.text("clientId")
	cfg.KeepAlive = time.Duration(o.number("keepAlive", 60, 0, 65535)) * time.Second
	cfg.Inflight = int(o.number("inflight", 0, 1, 65535))
	cfg.Version = o.version()
	clean := o.flag("cleanSession", true) && o.flag("cleanStart", true)
	cfg.SessionExpiry = time.Duration(o.number("sessionExpiryInterval", 0, 0, 1<<32-1)) * time.Second
	cfg.KeepSession = !clean || cfg.SessionExpiry > 0
	if cfg.KeepSession && cfg.ClientID == "" {
		cfg.ClientID = stableID(l.env.Name)
	}
	o.ignore("name", "cleanStart")
	// These size the reference gateway's pools of threads and their queues.
	o.unused("maxMessageNumberPerWorker", "maxNumberOfWorkers", "maxMessageQueue", "maxProcessingMessageQueue")
	cfg.Proxy = o.text("proxy")
	secure := l.security(o, cfg)
	cfg.Broker = l.url(o, host, port, secure)
	o.finish()
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
func (o *object) version() byte {
	switch o.number("version", 5, 0, 1<<31) {
	case 3:
		o.warn("version", "MQTT 3.1 is configured; MQTT 3.1.1 is spoken")
		return 4
	case 4:
		return 4
	default:
		return 5
	}
}

// compatibility reads whether the conversions of the reference gateway are wanted.
func (l *loader) compatibility(o *object) {
	switch kind := strings.ToLower(o.text("compatibility")); kind {
	case "":
	case "thingsboard":
		l.compatible = true
	default:
		o.oneOf("compatibility", kind, "thingsboard")
	}
}

func (l *loader) url(o *object, host string, port int64, secure bool) string {
	scheme, path := "tcp", o.text("path")
	switch transport := strings.ToLower(o.text("transport")); transport {
	case "", "tcp":
		if path != "" {
			o.add("path", fmt.Errorf("is for the transport websocket only"))
		}
		if secure {
			scheme = "tls"
		}
	case "websocket", "websockets", "ws":
		scheme = "ws"
		if secure {
			scheme = "wss"
		}
		path = "/" + strings.TrimPrefix(path, "/")
	default:
		o.oneOf("transport", transport, "tcp, websocket")
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.FormatInt(port, 10)) + path
}
