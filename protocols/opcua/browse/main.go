// Command browse prints the nodes of an OPC UA server, with the values of its
// variables:
//
//	go run ./protocols/opcua/browse opc.tcp://192.0.2.10:4840
//
// What it prints in brackets is the node's identifier, which a configuration can
// name it by. With -paths it prints the paths instead.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/gridlinks/iot-gateway/protocols/opcua"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintln(os.Stderr, "browse:", err)
		}
		os.Exit(1) //nolint:forbidigo // the status is a result
	}
}

// run carries out the command.
func run(ctx context.Context, args []string, out, problems io.Writer) error {
	var cfg opcua.Config
	var opts opcua.BrowseOptions
	flags := flag.NewFlagSet("browse", flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(problems, "usage: browse [flags] opc.tcp://host:port")
		flags.PrintDefaults()
	}
	flags.StringVar(&opts.Start, "start", "", `node identifier or path to start from (default Root\.Objects)`)
	flags.IntVar(&opts.MaxDepth, "depth", 0, "levels to print (default 100)")
	flags.BoolVar(&opts.NoValues, "novalues", false, "do not read values")
	paths := flags.Bool("paths", false, "print paths rather than a tree")
	flags.StringVar(&cfg.Identity.User, "user", "", "user name; the password is that of the environment variable OPCUA_PASSWORD")
	flags.StringVar(&cfg.Security.Policy, "policy", "", "security policy, such as Basic256Sha256")
	flags.StringVar(&cfg.Security.Mode, "mode", "", "Sign or SignAndEncrypt")
	flags.StringVar(&cfg.Security.PKI, "pki", "", "folder of certificates (default "+opcua.DefaultPKI+")")
	flags.StringVar(&cfg.Security.ServerCert, "trust", "", "file of the server's certificate")
	flags.DurationVar(&cfg.Timeout, "timeout", 10*time.Second, "how long a request waits for its answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errors.New("the server's URL is missing")
	}
	cfg.URL, cfg.Identity.Password = flags.Arg(0), os.Getenv("OPCUA_PASSWORD")
	w := bufio.NewWriter(out)
	err := opcua.Browse(ctx, cfg, opts, func(n opcua.Node) error {
		_, err := fmt.Fprintln(w, line(n, *paths))
		return err
	})
	return errors.Join(err, w.Flush())
}

// line returns the line of a node.
func line(n opcua.Node, path bool) string {
	var b strings.Builder
	if path {
		b.WriteString(n.Path)
	} else {
		b.WriteString(strings.Repeat("  ", n.Depth) + n.Name + " [" + n.ID + "]")
	}
	if n.Class != "Object" && n.Class != "Variable" {
		b.WriteString(" " + n.Class)
	}
	switch {
	case n.Again:
		b.WriteString(" (see above)")
	case n.Value.Valid():
		b.WriteString(" = " + n.Value.String())
	}
	if n.Status != "" && n.Status != "Good" {
		b.WriteString(" (" + n.Status + ")")
	}
	return b.String()
}
