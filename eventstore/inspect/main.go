package main

import (
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gridlinks/iot-gateway/eventstore/compress"
	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // the status is a result
}

// The exit statuses.
const (
	statusFine = iota
	statusDamaged
	statusFailed
)

// options are what the command line asks for.
type options struct {
	verify, export, all, repair bool
	keys                        keys
}

// run is the program.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("inspect", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.verify, "verify", false, "check every checksum")
	flags.BoolVar(&o.export, "export", false, "print what is pending as JSON lines")
	flags.BoolVar(&o.all, "all", false, "with -export: print what has been delivered as well")
	flags.BoolVar(&o.repair, "repair", false, "write damaged segments anew")
	flags.Var(&o.keys, "key", "`ID=FILE` with the key of an encrypted store, in 64 hexadecimal digits")
	if err := flags.Parse(args); err != nil {
		return statusFailed
	}
	if flags.NArg() != 1 {
		_, _ = fmt.Fprintln(stderr, "inspect: which folder? usage: inspect [flags] DIR")
		return statusFailed
	}
	status, err := o.do(flags.Arg(0), stdout, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "inspect:", err)
		return statusFailed
	}
	return status
}

func (o *options) do(dir string, stdout, stderr io.Writer) (status int, err error) {
	cfg := filestore.Config{Dir: dir, OldKeys: o.keys, OldCodecs: []filestore.Codec{compress.S2{}}}
	if o.repair {
		return statusFine, repair(cfg, stdout, stderr)
	}
	v, err := filestore.Look(cfg)
	if err != nil {
		return statusFailed, err
	}
	i := inspection{view: v, out: newPrinter(stdout), progress: newProgress(stderr, v)}
	switch {
	case o.verify:
		status = i.verify()
	case o.export:
		status = i.export(o.all)
	default:
		status = i.list()
	}
	i.progress.end()
	return status, i.out.flush()
}

// keys is the flag -key.
type keys []filestore.Key

// String implements flag.Value. It shows no secret.
func (k *keys) String() string {
	if k == nil {
		return ""
	}
	var ids []string
	for _, key := range *k {
		ids = append(ids, key.ID)
	}
	return strings.Join(ids, " ")
}

// Set implements flag.Value.
func (k *keys) Set(arg string) error {
	id, file, ok := strings.Cut(arg, "=")
	if !ok {
		return fmt.Errorf("%q is not ID=FILE", arg)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s: not hexadecimal digits", file)
	}
	*k = append(*k, filestore.Key{ID: id, Secret: secret})
	return nil
}
