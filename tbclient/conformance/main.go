package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/internal/tlsconf"
	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
)

// The exit codes.
const (
	exitSame    = 0
	exitDiffers = 1
	exitFailed  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // a command tells its result by its exit code
}

// run is the command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitSame
	}
	if err != nil {
		fmt.Fprintln(stderr, "conformance:", err)
		return exitFailed
	}
	if err := o.target.Reach(ctx); err != nil {
		fmt.Fprintf(stderr, "conformance: %s: %v\n", o.target.Broker, err)
		return exitFailed
	}
	r := newReport(stdout, o.json)
	r.begin(o.target, o.versions, o.plays)
	for _, p := range o.plays {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "conformance: interrupted")
			return exitFailed
		}
		r.add(table.Run(ctx, o.target, p.row, p.version, p.number))
	}
	if err := r.end(); err != nil {
		fmt.Fprintln(stderr, "conformance:", err)
		return exitFailed
	}
	if r.differ > 0 {
		return exitDiffers
	}
	return exitSame
}

// options are what the arguments say.
type options struct {
	target   table.Target
	versions string
	plays    []play
	json     bool
}

// A play is a row over one version of MQTT.
type play struct {
	row     table.Row
	number  int
	version byte
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var files tlsconf.Files
	var rows string
	f := flag.NewFlagSet("conformance", flag.ContinueOnError)
	f.SetOutput(stderr)
	t := &o.target
	f.StringVar(&t.Broker, "broker", "", "tcp://host:port or tls://host:port of the server")
	f.StringVar(&t.Token, "token", "", "access token of a gateway")
	f.StringVar(&t.DeviceToken, "device-token", "", "access token of a device that is no gateway, for the rows that need it")
	f.StringVar(&t.ProvisionKey, "provision-key", "", "provisioning key of a device profile that creates devices, for the rows that need it")
	f.StringVar(&t.ProvisionSecret, "provision-secret", "", "provisioning secret of that device profile")
	f.StringVar(&t.Prefix, "prefix", "conformance-"+strings.ToLower(rand.Text()[:8]), "start of the names of the devices that are created")
	f.StringVar(&o.versions, "mqtt", "both", "version of MQTT: 4 (3.1.1), 5 or both")
	f.StringVar(&rows, "run", "", "regular expression: only the rows whose names match")
	f.DurationVar(&t.Timeout, "timeout", 10*time.Second, "wait for each packet")
	f.DurationVar(&t.Quiet, "quiet", time.Second, "how long nothing more may come after a row")
	f.BoolVar(&o.json, "json", false, "print one JSON object for each row")
	f.StringVar(&files.CA, "ca", "", "PEM file of the authorities to trust instead of the system's")
	f.StringVar(&files.Cert, "cert", "", "PEM file of the client certificate")
	f.StringVar(&files.Key, "key", "", "PEM file of its key")
	f.BoolVar(&files.SkipVerify, "insecure", false, "do not verify the server: open to interception")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if t.Broker == "" || f.NArg() > 0 {
		return o, errors.New("-broker is needed, and nothing but flags; -h explains them")
	}
	var err error
	if t.TLS, err = files.Config(); err != nil {
		return o, err
	}
	o.plays, err = plays(rows, o.versions)
	return o, err
}

// plays returns what is to be played.
func plays(rows, mqtt string) ([]play, error) {
	filter, err := regexp.Compile(rows)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var versions []byte
	switch mqtt {
	case "4", "3.1.1":
		versions = []byte{4}
	case "5":
		versions = []byte{5}
	case "both":
		versions = []byte{4, 5}
	default:
		return nil, fmt.Errorf("-mqtt %q is not 4, 5 or both", mqtt)
	}
	var out []play
	for number, r := range table.Rows() {
		for _, version := range versions {
			if filter.MatchString(r.Name) {
				out = append(out, play{r, number, version})
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("-run %q matches no row", rows)
	}
	return out, nil
}
