package mqtt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/internal/tlsconf"
)

var indexPattern = regexp.MustCompile(`\[[0-9]+\]`)

// A loader reads a configuration file.
type loader struct {
	env     connector.Env
	options typeOptions
	warned  map[string]bool
}

// load reads the configuration of a connector. The error names every problem.
func load(raw json.RawMessage, env connector.Env, options typeOptions) (Config, error) {
	l := &loader{env: env, options: options, warned: make(map[string]bool)}
	p := newProblems()
	o := l.object(raw, p)
	o.ignore("name", "id", "type", "class", "logLevel", "enableRemoteLogging", "configVersion", "reportStrategy",
		"sendDataOnlyOnChange", "useGRPC")
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
	if o.number("version", 4, 0, 1<<31) == 5 {
		o.warn("version", "MQTT 5 is configured; MQTT 3.1.1 is spoken")
	}
	clean := o.flag("cleanSession", true) && o.flag("cleanStart", true)
	cfg.KeepSession = !clean || o.number("sessionExpiryInterval", 0, 0, 1<<32) > 0
	if cfg.KeepSession && cfg.ClientID == "" {
		cfg.ClientID = stableID(l.env.Name)
	}
	// These size the reference gateway's thread pools.
	o.ignore("name", "cleanStart", "sessionExpiryInterval", "maxMessageNumberPerWorker", "maxNumberOfWorkers",
		"maxMessageQueue", "maxProcessingMessageQueue")
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

// security reads how to log in, and reports whether TLS is used.
func (l *loader) security(broker *object, cfg *Config) bool {
	o := broker.object("security")
	defer o.finish()
	kind := strings.ToLower(o.text("type"))
	if known := []string{"", "anonymous", "basic", "certificates", "tls"}; !slices.Contains(known, kind) {
		o.add("type", fmt.Errorf("%q is not one of anonymous, basic, certificates", kind))
	}
	cfg.Username, cfg.Password = o.text("username"), o.text("password")
	files := tlsconf.Files{
		Dir:        l.env.Dir,
		CA:         either(o, "pathToCACert", "caCert"),
		Cert:       either(o, "pathToClientCert", "cert"),
		Key:        either(o, "pathToPrivateKey", "privateKey"),
		ServerName: o.text("serverName"),
		SkipVerify: o.flag("insecure", false),
	}
	if kind != "certificates" && kind != "tls" && files.CA == "" && files.Cert == "" {
		return false
	}
	if files.SkipVerify {
		o.warn("insecure", "the broker's certificate is not verified")
	}
	conf, err := files.Config()
	o.add("", err)
	cfg.TLS = conf
	return true
}

func either(o *object, key, old string) string {
	text := o.text(key)
	if other := o.text(old); text == "" {
		return other
	}
	return text
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
		o.add("transport", fmt.Errorf("%q is not one of tcp, websocket", transport))
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.FormatInt(port, 10)) + path
}
