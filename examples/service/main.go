// Command service is the gateway as a service of the system: it reads the files of
// the Python gateway, follows their changes, and those that the platform makes;
// tells systemd how it fares; shows metrics; and publishes what it has before it
// ends. See docs/service.md.
//
// It ends with 0 when it was told to, 1 when it could not go on, which a restart
// may help, 2 when the command line or the configuration is wrong, which it does
// not, and 3 when it was told a second time to end and did so at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gridlinks/iot-gateway/gateway/logging"
	"github.com/gridlinks/iot-gateway/gateway/tbconfig"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "development"

// The exit codes.
const (
	exitOK = iota
	exitFailed
	exitWrong
	exitAtOnce
)

// options is the command line.
type options struct {
	config   string
	logLevel string
	logFile  string
	logJSON  bool
	http     string
	devices  bool
	profiles bool
}

func main() {
	var o options
	flag.StringVar(&o.config, "config", defaultConfig(), "configuration `file`, or its folder")
	flag.StringVar(&o.logLevel, "log-level", "", "`level` of all that is logged: TRACE, DEBUG, INFO, WARNING, ERROR or NONE (default: as logs.json says)")
	flag.StringVar(&o.logFile, "log-file", "", "rotating `file` to log to, and nowhere else (default: the standard error, and the file of logs.json)")
	flag.BoolVar(&o.logJSON, "log-json", false, "log one JSON object a line")
	flag.StringVar(&o.http, "http", "", "`address` of metrics and health, such as 127.0.0.1:9090 (default: none)")
	flag.BoolVar(&o.devices, "http-devices", false, "metrics of each device, too")
	flag.BoolVar(&o.profiles, "http-profiles", false, "profiles under /debug/pprof/, too")
	check := flag.Bool("check", false, "report what is wrong with the configuration, and end")
	tell := flag.Bool("version", false, "print the version, and end")
	health := flag.String("health", "", "ask a gateway that runs with -http at this `URL`, such as http://127.0.0.1:9090/livez, and end")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fmt.Fprintf(os.Stderr, "%q is no flag; see -help\n", flag.Arg(0))
		os.Exit(exitWrong)
	case *tell:
		fmt.Println(version)
	case *check:
		os.Exit(report(tbconfig.Check(o.config, protocols()...)))
	case *health != "":
		os.Exit(ask(*health))
	default:
		os.Exit(start(o))
	}
}

// defaultConfig is the folder of the Python gateway, and in a container what its
// variable says.
func defaultConfig() string {
	if dir := os.Getenv("TB_GW_CONFIG_DIR"); dir != "" {
		return dir
	}
	return filepath.FromSlash("/etc/thingsboard-gateway/config/tb_gateway.json")
}

// report prints problems and returns the exit code.
func report(problems []tbconfig.Problem) (code int) {
	for _, p := range problems {
		fmt.Println(p)
		if !p.Harmless {
			code = exitWrong
		}
	}
	if code == exitOK {
		fmt.Println("the configuration is good")
	}
	return code
}

// ask asks another gateway how it fares: an image without a shell has nothing else
// for that.
func ask(url string) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	if resp.StatusCode != http.StatusOK {
		return exitFailed
	}
	return exitOK
}

// start logs as o says, and runs the gateway.
func start(o options) (code int) {
	log, end, err := openLog(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	defer end()
	err = run(o, log)
	if err == nil {
		return exitOK
	}
	log.Logger().Error("the gateway ends", "error", err)
	if wrong := new(wrongError); errors.As(err, &wrong) {
		return exitWrong
	}
	return exitFailed
}

// openLog returns the logging, and what ends it.
func openLog(o options) (log *logging.Log, end func(), err error) {
	cfg := logging.Config{JSON: o.logJSON}
	var file *logging.File
	if o.logFile != "" {
		if file, err = logging.OpenFile(logging.FileConfig{Path: o.logFile}); err != nil {
			return nil, nil, err
		}
		cfg.Output = file
	}
	log = logging.New(cfg)
	end = func() {
		_ = log.Close() // nobody is left to be told
		if file != nil {
			_ = file.Close()
		}
	}
	if o.logLevel == "" {
		return log, end, nil
	}
	level, err := logging.ParseLevel(o.logLevel)
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("-log-level: %w", err)
	}
	log.Levels.Fix(level)
	return log, end, nil
}

// A wrongError is an error of the configuration: a restart does not help.
type wrongError struct{ err error }

func (e *wrongError) Error() string { return e.err.Error() }
func (e *wrongError) Unwrap() error { return e.err }
