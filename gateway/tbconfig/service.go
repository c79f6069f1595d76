package tbconfig

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridlinks/iot-gateway/connector"
	"github.com/gridlinks/iot-gateway/eventstore"
	"github.com/gridlinks/iot-gateway/gateway"
	"github.com/gridlinks/iot-gateway/gateway/logging"
	"github.com/gridlinks/iot-gateway/gateway/statistics"
	"github.com/gridlinks/iot-gateway/tbclient"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// Config configures a Service. Its zero value works, and has no connectors.
type Config struct {
	// Types are the connector types that the files can name.
	Types []connector.Type

	// Version of the program, which the platform is told. Zero: it is not told.
	Version string

	// RemoteShell carries out calls of the methods getTermInfo, sendCommand,
	// getCommandStatus and terminateCommand of the gateway's own device while
	// thingsboard.remoteShell is true. Nil: there is no remote shell, whatever
	// the files say.
	RemoteShell RemoteShell

	// Runner runs the custom commands of statistics that a file in the folder
	// names. Nil: they are not run. Commands from the platform never are.
	Runner statistics.Runner

	// PlatformTrial is how long a changed connection to the platform may take
	// until the one before is used again. Zero: 30 seconds.
	PlatformTrial time.Duration

	// ConnectorTrial is how long a changed connector may take to become ready,
	// where the one before was, until that runs again. Zero: 30 seconds.
	ConnectorTrial time.Duration

	// Debounce is how long the files must be left alone before a change of them
	// counts. Zero: 500 milliseconds.
	Debounce time.Duration

	// Getenv looks up variables of the environment. Nil: os.Getenv.
	Getenv func(string) string

	// Log is the logging of the program, whose levels, and whose sending of records
	// to the platform, follow the files. Nil: there is Logger alone.
	Log *logging.Log

	// LogFiles makes Log write to the rotating file that logs.json names for the
	// logger service, beside the standard error.
	LogFiles bool

	// Logger is used if Log is nil. Nil: slog.Default().
	Logger *slog.Logger
}

// A RemoteShell carries out a call of the platform for a terminal. What it returns
// is the answer.
type RemoteShell func(ctx context.Context, method string, params json.RawMessage) (telemetry.Value, error)

// A Service keeps a gateway as a folder of configuration files says, and the
// folder as the platform says if thingsboard.remoteConfiguration is true. It is
// made by Open, and for one gateway.
type Service struct {
	cfg  Config
	dir  string
	path string // of tb_gateway.json
	set  connector.Set
	log  *slog.Logger

	reload chan struct{} // holds a token when somebody asks for a reload
	inbox  *inbox
	echo   *announcer

	mu          sync.Mutex // held for a change as a whole, and guards the rest
	manager     manager    // nil until Run
	doc         document   // tb_gateway.json
	file        File       // what is in effect of it, with the environment
	client      *tbclient.Client
	running     context.Context                                         // of Run
	unwatch     func()                                                  // nil while remote configuration is off
	placed      map[string]*placed                                      // the connectors, by name
	sums        map[string]sum                                          // of files by path, as they were looked at last
	handled     map[string]string                                       // values of shared attributes
	accepted    map[string]accepted                                     // values of the platform that are in effect
	rejected    map[string]string                                       // parts of the files that were tried in vain
	problems    map[string]string                                       // what is not in effect, by attribute or file
	create      func(path string, data []byte) (temp string, err error) // nil: writeTemp
	logs        logSettings
	logFile     *logging.File                   // nil: there is none
	remoteLevel slog.Level                      // of what the parts of the gateway send
	collector   *statistics.Collector           // nil until Run
	filter      *gateway.DeviceFilter           // in effect; nil: none
	latency     bool                            // latencyDebugMode when the gateway started
	told        map[string]bool                 // files whose commands are not run, which is logged
	current     atomic.Pointer[tbclient.Client] // client, for those who must not wait
	shell       atomic.Bool
}

// manager is the gateway that is configured.
type manager interface {
	Add(name string, c connector.Connector, opts ...gateway.ConnectorOption) error
	Remove(name string) error
	Replace(ctx context.Context, name string, c connector.Connector, within time.Duration, opts ...gateway.ConnectorOption) error
	SetStore(ctx context.Context, s eventstore.EventStore) (eventstore.EventStore, error)
	SetPlatform(ctx context.Context, p gateway.Platform, within time.Duration) error
	SetReportPolicy(p telemetry.ReportPolicy) error
	SetDeviceFilter(f gateway.DeviceFilter) error
	SetIdleTimeout(d time.Duration)
	Stats() gateway.Stats
}

var _ manager = (*gateway.Gateway)(nil)

// A sum identifies the content of a file.
type sum [sha256.Size]byte

// Open reads tb_gateway.json at path, which may also be its folder, and the files
// that it names. Errors name the file, the key and the value. What is wrong with a
// connector, or with its file, is no error of Open: that connector is in the
// gateway, failed for good, and its error is logged.
func Open(path string, cfg Config) (*Service, error) {
	cfg.setDefaults()
	set, err := connector.NewSet(cfg.Types...)
	if err != nil {
		return nil, err
	}
	path = mainFile(path)
	s := &Service{
		cfg: cfg, dir: filepath.Dir(path), path: path, set: set, log: cfg.Logger,
		reload: make(chan struct{}, 1), inbox: newInbox(cfg.Logger), echo: newAnnouncer(cfg.Logger),
		remoteLevel: logging.LevelNone,
		placed:      make(map[string]*placed), sums: make(map[string]sum), handled: make(map[string]string), told: make(map[string]bool), accepted: make(map[string]accepted), rejected: make(map[string]string), problems: make(map[string]string),
	}
	raw, err := readText(path)
	if err == nil {
		s.sums[path] = sha256.Sum256(raw)
		s.doc, err = parseDocument(path, raw)
	}
	if err == nil {
		s.file, err = s.doc.file(path, cfg.Getenv)
	}
	if err != nil {
		return nil, fmt.Errorf("tbconfig: %w", err)
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("tbconfig: %s: %w", path, err)
	}
	warnIgnored(s.file.ignored(cfg.RemoteShell != nil), s.log)
	s.readLogs()
	return s, nil
}

func (cfg *Config) setDefaults() {
	if cfg.PlatformTrial <= 0 {
		cfg.PlatformTrial = 30 * time.Second
	}
	if cfg.ConnectorTrial <= 0 {
		cfg.ConnectorTrial = 30 * time.Second
	}
	if cfg.Debounce <= 0 {
		cfg.Debounce = 500 * time.Millisecond
	}
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	if cfg.Log != nil {
		cfg.Logger = cfg.Log.Logger()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
}

// mainFile returns the path of tb_gateway.json, given that of it or of its folder.
func mainFile(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, FileName)
	}
	return path
}

// validate checks the sections without a file of their own.
func (s *Service) validate() error {
	if _, err := s.file.client(s.dir, s.log); err != nil {
		return err
	}
	if _, err := s.file.policy(s.log); err != nil {
		return err
	}
	if _, err := s.file.ThingsBoard.Filtering.filter(s.dir); err != nil {
		return err
	}
	_, err := s.file.Storage.opener(slog.New(slog.DiscardHandler))
	return err
}

// Logger returns the logger of the gateway and all that belongs to it.
func (s *Service) Logger() *slog.Logger { return s.log }

// Options returns the options of the gateway that the files describe. Options
// that follow in a call of gateway.New override them. It opens the event store,
// which a gateway made with the options closes.
func (s *Service) Options() ([]gateway.Option, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return nil, errors.New("tbconfig: a Service is for one gateway")
	}
	opts, err := s.sectionOptions()
	if err != nil {
		return nil, fmt.Errorf("tbconfig: %s: %w", s.path, err)
	}
	for _, p := range s.place(s.file.Connectors) {
		opts = append(opts, gateway.WithConnector(p.name, p.made, p.opts...))
		s.placed[p.name] = p
		s.report(inFile(p.name), p.err, p.raw)
	}
	opts = append(opts, s.callOptions()...)
	s.setLevels()
	s.shell.Store(s.file.ThingsBoard.RemoteShell)
	s.setRemote(s.file.ThingsBoard.RemoteConfiguration)
	return opts, nil
}

// sectionOptions returns the options of the sections but the connectors.
func (s *Service) sectionOptions() ([]gateway.Option, error) {
	tb := &s.file.ThingsBoard
	cfg, err := s.file.client(s.dir, s.part(logging.PartConnection))
	if err != nil {
		return nil, err
	}
	policy, err := s.file.policy(s.log)
	if err != nil {
		return nil, err
	}
	filter, err := tb.Filtering.filter(s.dir)
	if err != nil {
		return nil, err
	}
	st, err := s.file.Storage.open(s.part(logging.PartStorage))
	if err != nil {
		return nil, err
	}
	if err := s.file.Storage.recoverBetween(context.Background(), st, s.log); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	s.filter, s.latency = filter, tb.Latency
	s.setClient(tbclient.Dial(cfg))
	opts := []gateway.Option{
		gateway.WithLogger(s.log), gateway.WithPlatform(s.client), gateway.WithReportPolicy(policy), gateway.WithOwnedStore(st),
		gateway.WithDeviceFile(filepath.Join(s.dir, devicesFile)),
	}
	if tb.Latency {
		opts = append(opts, gateway.WithOrigin())
	}
	if filter != nil {
		opts = append(opts, gateway.WithDeviceFilter(*filter))
	}
	if idle := tb.Activity.timeout(); idle > 0 {
		opts = append(opts, gateway.WithIdleTimeout(idle))
	}
	return opts, nil
}

// devicesFile keeps the devices, in the folder of tb_gateway.json.
const devicesFile = "connected_devices.json"

// part returns the logger of a part of the gateway.
func (s *Service) part(name string) *slog.Logger {
	if s.cfg.Log != nil {
		return s.cfg.Log.For(name)
	}
	return s.log
}

func (s *Service) setClient(c *tbclient.Client) {
	s.client = c
	s.current.Store(c)
}

// Client returns the client of the platform that is in use, which is another one
// after a change of the connection; nil before Options.
func (s *Service) Client() *tbclient.Client { return s.current.Load() }

// Run keeps g, which was made with Options, as the files and the platform say,
// until ctx is done. It returns nil then, and is to be called while g runs. What
// is wrong with a change is logged, and told to the platform as the attribute
// configuration_errors; what was in effect before stays so.
func (s *Service) Run(ctx context.Context, g *gateway.Gateway) error {
	s.mu.Lock()
	if s.manager != nil || s.client == nil {
		s.mu.Unlock()
		return errors.New("tbconfig: Run is to be called once, after Options")
	}
	s.manager = g
	ctx, cancel := context.WithCancel(ctx)
	s.running = ctx
	s.collector = s.newCollector(g.Stats)
	s.mu.Unlock()

	var wg sync.WaitGroup
	defer s.closeLog()
	defer wg.Wait()
	defer cancel()
	defer s.stopRemote()
	changed := make(chan struct{}, 1)
	wg.Go(func() { s.watchFiles(ctx, changed) })
	wg.Go(func() { s.echo.run(ctx) })
	wg.Go(func() { _ = s.collector.Run(ctx, ownData{s}) }) // it ends with ctx
	if s.cfg.Log != nil {
		wg.Go(func() { _ = s.cfg.Log.Remote.Run(ctx, ownData{s}) }) // and this
	}
	s.backupAll()
	s.announceAll()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			s.readFiles(ctx)
		case <-s.reload:
			s.readFiles(ctx)
		case <-s.inbox.wake:
			s.takeAttributes(ctx)
		}
	}
}

// Reload makes Run look at the files now. It does not wait for that.
func (s *Service) Reload() {
	select {
	case s.reload <- struct{}{}:
	default:
	}
}

// Serve makes the gateway, and runs it and s until ctx is done. Options follow
// those of the files.
func (s *Service) Serve(ctx context.Context, opts ...gateway.Option) error {
	own, err := s.Options()
	if err != nil {
		return err
	}
	g, err := gateway.New(append(own, opts...)...)
	if err != nil {
		return err
	}
	managing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { _ = s.Run(managing, g) }) // it is called once, and after Options
	return g.Run(ctx)
}

// inFile names a connector as the files describe it, for report. What the platform
// says of it is another matter, of its own name.
func inFile(connector string) string { return FileName + ": " + connector }

// report notes what is not in effect, or, if err is nil, that all of it is. It is
// logged when it changes. secrets are documents whose secrets are not to be told.
func (s *Service) report(what string, err error, secrets ...json.RawMessage) {
	before := s.problems[what]
	if err == nil {
		if before != "" {
			delete(s.problems, what)
			s.log.Info("configuration is in effect again", "source", what)
			s.announceProblems()
		}
		return
	}
	text := scrub(err.Error(), append(secrets, s.doc["thingsboard"])...)
	if text == before {
		return
	}
	s.problems[what] = text
	s.log.Error("configuration is not in effect", "source", what, "error", text)
	s.announceProblems()
}
