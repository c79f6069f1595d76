package opcua

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/conf"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// load turns an opcua.json into a Config. The error names everything that is wrong
// with it. Relative paths start from dir.
func load(r *conf.Reader, doc json.RawMessage, dir string) (Config, error) {
	f := &file{r: r, cfg: Config{WrapResults: true}}
	f.cfg.Security.Dir = dir
	f.root(r.Root(doc))
	return f.cfg, r.Done()
}

type file struct {
	r      *conf.Reader
	cfg    Config
	report *telemetry.ReportPolicy // of the connector
}

func (f *file) root(o *conf.Object) {
	defer o.Finish()
	o.Ignore("name", "id", "type", "logLevel", "enableRemoteLogging", "configVersion", "class", "configuration")
	o.Unused("useGRPC", "useGRPCForce")
	f.cfg.Compatible = o.OneOf("compatibility", "", "thingsboard") != ""
	f.report = conf.ReportPolicy(o, nil)
	server := o.Object("server")
	defer server.Finish()
	f.server(server)
	f.security(server)
	mappings := o.Objects("mapping")
	if len(mappings) == 0 {
		mappings = server.Objects("mapping") // the old form
	} else {
		server.Unused("mapping")
	}
	if len(mappings) == 0 {
		o.Warn("mapping", "there is no mapping, nothing is read")
	}
	for _, m := range mappings {
		f.mapping(m)
	}
}

func (f *file) server(s *conf.Object) {
	const ms = time.Millisecond
	c := &f.cfg
	c.URL = s.Required("url")
	c.ApplicationURI = s.Text("uri", "")
	c.Timeout = positive(s, "timeoutInMillis", ms, DefaultTimeout)
	c.Scan = positive(s, "scanPeriodInMillis", ms, DefaultScan)
	c.PollPeriod = positive(s, "pollPeriodInMillis", ms, DefaultPoll)
	c.Poll = !s.Flag("enableSubscriptions", !s.Flag("disableSubscriptions", false))
	c.Publish = max(positive(s, "subCheckPeriodInMillis", ms, DefaultPublish), DefaultPublish)
	c.Silence = s.Duration("subKeepAlivePeriodInSeconds", time.Second, 0)
	c.MaxBatch = int(s.Int("subDataMaxBatchSize", DefaultMaxBatch, 1, 100000))
	c.ItemsPerRequest = int(s.Int("subscriptionProcessBatchSize", DefaultItemsPerRequest, 1, 100000))
	c.SessionTimeout = positive(s, "sessionTimeoutInMillis", ms, DefaultSessionTimeout)
	c.Reconnect = positive(s, "reconnectBackoffInitialDelay", time.Second, DefaultReconnect)
	c.ReconnectMax = positive(s, "reconnectBackoffMaxDelay", time.Second, max(DefaultReconnectMax, c.Reconnect))
	c.ShowMap = s.Flag("showMap", false)
	// Batches wait for nothing, attempts to reconnect never end, and their delays double.
	s.Unused("subDataMinBatchCreationTimeMs", "reconnectRetriesCount", "reconnectBackoffFactor")
	s.Ignore("name", "type", "disableSubscriptions")
}

// positive reads a time that must not be zero.
func positive(o *conf.Object, key string, unit, def time.Duration) time.Duration {
	d := o.Duration(key, unit, def)
	if d <= 0 {
		o.Failf(key, "is not a positive number")
		return def
	}
	return d
}

// security reads how messages are protected, and who logs in. In the reference
// gateway a policy counts only together with a certificate; here it counts always,
// unless the file asks for compatibility.
func (f *file) security(s *conf.Object) {
	id := s.Object("identity")
	defer id.Finish()
	sec := &f.cfg.Security
	sec.Policy = s.Text("security", "")
	sec.Mode = s.Text("mode", id.Text("mode", ""))
	sec.PKI = s.Text("pki", "")
	sec.SkipVerify = s.Flag("acceptAnyCertificate", false)
	sec.Cert = id.Text("pathToClientCert", id.Text("cert", ""))
	sec.Key = id.Text("pathToPrivateKey", id.Text("privateKey", ""))
	sec.ServerCert = id.Text("pathToCACert", id.Text("caCert", ""))
	kind := id.OneOf("type", "", "anonymous", "username", "cert.pem", "certificates", "certificate")
	f.cfg.Identity.User = id.Text("username", "")
	f.cfg.Identity.Password = id.Text("password", "")
	if kind == "username" && f.cfg.Identity.User == "" {
		id.Failf("username", "is missing")
	}
	certificate := strings.HasPrefix(kind, "cert") || kind == "" && sec.Cert != ""
	f.cfg.Identity.CertificateOrAnonymous = certificate && kind != "certificate"
	f.cfg.Identity.Certificate = kind == "certificate"
	if certificate && sec.Policy == "" {
		sec.Policy = "Basic256Sha256"
	}
	if certificate && f.cfg.Identity.CertificateOrAnonymous && strings.EqualFold(sec.Mode, "none") {
		sec.Policy, f.cfg.Identity.CertificateOrAnonymous = "", false
	}
	if f.cfg.Compatible && !certificate && !sec.plain() {
		s.Warn("security", "as in the reference gateway the policy has no effect without a certificate: messages are not protected")
		sec.Policy, sec.Mode = "", ""
	}
	if f.cfg.Identity.User != "" && sec.plain() {
		id.Warn("username", "messages are not protected; the password is encrypted only if the server offers to")
	}
	if sec.SkipVerify && !sec.plain() {
		s.Warn("acceptAnyCertificate", "any server is trusted: connections are open to interception")
	}
}
