package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gridlinks/iot-gateway/converter"
	"github.com/gridlinks/iot-gateway/telemetry"
)

// The defaults of [Config] and [Path].
const (
	DefaultPort         = 21
	DefaultImplicitPort = 990
	DefaultTimeout      = 10 * time.Second
	DefaultPeriod       = time.Minute
	DefaultMaxBytes     = 5 << 20
	DefaultDelimiter    = ","
	DefaultProfile      = "Device"
)

// Security says when an FTP connection is encrypted.
type Security uint8

// The ways to encrypt. Data connections are encrypted whenever the commands are.
const (
	Plain    Security = iota
	Explicit          // after AUTH TLS, on the usual port
	Implicit          // from the first byte, on port 990
)

// Config configures a connector. The zero value is an anonymous user of the FTP server
// of the own host.
type Config struct {
	Host           string   // localhost if empty
	Port           int      // DefaultPort or DefaultImplicitPort if zero
	User, Password string   // anonymous if User is empty
	Security       Security // whether connections are encrypted

	// TLS returns the configuration of encrypted connections; nil: servers are
	// verified against the system's roots. TLS 1.2 is the highest version of them
	// unless AllowTLS13 is set: some servers lose the end of uploads with 1.3.
	TLS         func() (*tls.Config, error)
	AllowTLS13  bool
	DisableEPSV bool // ask for a port by PASV only

	// Timeout is how long a server may be silent. DefaultTimeout if zero.
	Timeout time.Duration

	// Dial connects, instead of FTP with all of the above but Timeout; Server
	// then names the server in the state.
	Dial   Dialer
	Server string

	Paths   []Path
	Updates []Update
	RPCs    []RPC

	// State is the file that holds what was delivered. If it is empty that is
	// forgotten when the connector ends.
	State string

	// Compatible converts as the Python gateway where that differs: all values are
	// text as Python shows it, only the first placeholder of a table's value is
	// filled in, and one of JSON that finds nothing stays as it is.
	Compatible bool
}

// A Dialer connects to a server.
type Dialer func(ctx context.Context) (Session, error)

// A Session is a connection to a server with files. It is used by one goroutine at a
// time. An error that is no *Refusal means that it cannot be used any more.
type Session interface {
	// List returns what is in a folder, of which "" is the one that the session
	// starts in. A folder that does not exist may count as an empty one.
	List(ctx context.Context, folder string) ([]Entry, error)

	// Stat returns what List has said of an entry, with its exact time and, of a
	// link, the size of its file.
	Stat(ctx context.Context, path string, e Entry) (Entry, error)

	// Read returns the bytes of a file from an offset on, and an error if there are
	// more than limit.
	Read(ctx context.Context, path string, offset, limit int64) ([]byte, error)

	// Write replaces a file, or appends to it. A file that does not exist is made.
	Write(ctx context.Context, path string, data []byte, appends bool) error

	Rename(ctx context.Context, from, to string) error
	Delete(ctx context.Context, path string) error
	Close() error
}

// An Entry is a file or a folder.
type Entry struct {
	Name   string
	Folder bool
	Link   bool // to a file or a folder; Size is not the file's
	Size   int64
	Time   time.Time
}

// A Refusal is an error of a request that the server has answered. The session goes
// on.
type Refusal struct {
	Code int // of FTP's reply, or of SFTP's status
	Text string
}

// Error returns the code and the text.
func (r *Refusal) Error() string { return strconv.Itoa(r.Code) + " " + r.Text }

// After says what becomes of a file that was delivered without a fault.
type After uint8

// What becomes of files.
const (
	Keep After = iota
	Delete
	Move // to Path.MoveTo
)

// A Path is files, and what they say.
type Path struct {
	// Pattern is the path of the files, whose extension has to be csv, txt or json.
	// In each folder's name, and in the file's, * stands for any characters and ?
	// for one.
	Pattern string

	Period   time.Duration // of looking for changes; DefaultPeriod if zero
	MaxBytes int64         // that are read of a file at a time; DefaultMaxBytes if zero
	Settle   time.Duration // how long a file must not have changed

	// Partial delivers only what was added to a table or sliced file since it was
	// read last. A file that has become shorter, or that says something else than it
	// did, is read from its start.
	Partial bool

	Sliced    bool   // lines of txt are cut into slices, not into columns
	Delimiter string // of columns; DefaultDelimiter if empty
	Unsorted  bool   // files in the order of the server rather than the newest first

	After  After
	MoveTo string // folder

	Device  string // name: a text with ${column}, ${path} or [from:to]
	Profile string // the same; DefaultProfile if empty

	Timeseries []Datapoint
	Attributes []Datapoint
	Converter  UplinkConverter // instead of all but Pattern, Period and what becomes of files

	Report *telemetry.ReportPolicy // nil: that of the connector
}

// A Datapoint is a key and where its value comes from.
type Datapoint struct {
	// Key is the key on the platform. In a table or a sliced file the time series
	// "ts", or "timestamp", is the time of the row instead.
	Key string

	// Value is a text with ${column} of a table, [from:to] of the characters of a
	// sliced line's first column, or ${path} of an object.
	Value string

	Type string // see [expr.TypeOf]; empty: text, or what JSON has

	// TimeField is the reading's time, in the form of Value. A time without a zone
	// is the gateway's own.
	TimeField string
	DayFirst  bool // 03.04.2024 is the third of April
	YearFirst bool // 10.11.12 is in 2010

	Report *telemetry.ReportPolicy // nil: that of the path
}

// An Update writes shared attributes to a file.
type Update struct {
	Path   string
	Device string // regular expression of the names of devices; all if empty

	// Value is a text with ${attributeKey} and ${attributeValue}. For a json file it
	// is a document, in which ' may stand for ".
	Value  string
	Append bool // as a new line; not of json files
}

// An RPC is a method that reads or writes a file.
type RPC struct {
	Device string // regular expression of the names of devices; all if empty
	Method string // regular expression of the whole method

	// Value is a text with ${params}, ${params.name} or ${method}: the path of a file
	// to read, or path;text to write.
	Value string

	// Write writes. If it is not set, a method whose name begins with "write" does.
	Write bool
}

// A File is what was read of a file.
type File struct {
	Path    string
	Time    time.Time // as the server says
	Content []byte
}

// UplinkConverter converts files. An error that comes with no reading means that the
// file stays where it is.
type UplinkConverter = converter.UplinkConverter[File]

// ConverterFunc adapts a function to UplinkConverter.
type ConverterFunc = converter.UplinkFunc[File]

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "localhost"
	}
	if c.Port == 0 {
		c.Port = DefaultPort
		if c.Security == Implicit {
			c.Port = DefaultImplicitPort
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Dial == nil {
		c.Server = net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
		c.Dial = c.dial
	}
	return c
}

func (p Path) withDefaults() Path {
	if p.Period <= 0 {
		p.Period = DefaultPeriod
	}
	if p.MaxBytes <= 0 {
		p.MaxBytes = DefaultMaxBytes
	}
	if p.Delimiter == "" {
		p.Delimiter = DefaultDelimiter
	}
	if p.Profile == "" {
		p.Profile = DefaultProfile
	}
	return p
}

// compile returns the paths, updates and calls of c, or all that is wrong with them.
func (c Config) compile() (*compiled, error) {
	var errs []error
	all := &compiled{}
	for i, p := range c.Paths {
		compiledPath, err := compilePath(p.withDefaults(), c.Compatible)
		if err != nil {
			errs = append(errs, fmt.Errorf("paths[%d].%w", i, err))
		}
		all.paths = append(all.paths, compiledPath)
	}
	number(all.paths)
	for i, u := range c.Updates {
		compiledUpdate, err := compileUpdate(u)
		if err != nil {
			errs = append(errs, fmt.Errorf("requestsMapping.attributeUpdates[%d].%w", i, err))
		}
		all.updates = append(all.updates, compiledUpdate)
	}
	for i, r := range c.RPCs {
		compiledCall, err := compileCall(r)
		if err != nil {
			errs = append(errs, fmt.Errorf("requestsMapping.serverSideRpc[%d].%w", i, err))
		}
		all.calls = append(all.calls, compiledCall)
	}
	return all, errors.Join(errs...)
}

// compiled is a compiled Config.
type compiled struct {
	paths   []*files
	updates []update
	calls   []call
}
