// Command list prints the meter profiles, or the points of those that are named.
//
//	go run ./protocols/modbus/meter/list
//	go run ./protocols/modbus/meter/list acrel-adw300
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/gridlinks/iot-gateway/protocols/modbus/meter"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // a command ends with its status
	}
}

func run(w io.Writer, names []string) error {
	if len(names) == 0 {
		return printProfiles(w)
	}
	for _, name := range names {
		if err := printPoints(w, name); err != nil {
			return err
		}
	}
	return nil
}

func printProfiles(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROFILE\tMETER\tPOINTS\tCONFIDENCE\t")
	for _, name := range meter.Names() {
		p, err := meter.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", p.ID, p.Model, len(p.Points), p.Confidence, p.Why)
	}
	return t.Flush()
}

func printPoints(w io.Writer, name string) error {
	p, err := meter.Load(name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %s, confidence %s %s, function %d\n", p.ID, p.Model, p.Confidence, p.Why, p.Function)
	for _, s := range p.Sources {
		fmt.Fprintf(w, "source: %s %s\n", s.What, s.URL)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ADDRESS\tKEY\tTYPE\tSCALE\tUNIT\tRATIO\tGROUP\tCONFIDENCE\t")
	for _, x := range p.Points {
		scale := x.Scale
		if scale == 0 {
			scale = 1
		}
		remark := strings.TrimPrefix(x.Inferred+"; "+x.Note, "; ")
		fmt.Fprintf(t, "%d\t%s\t%s%s\t%v\t%s\t%s\t%s\t%s\t%s\n", x.Address, x.Key, x.Type, times(x), scale, x.Unit, x.Ratio, x.Group,
			x.Confidence, strings.TrimSuffix(remark, "; "))
	}
	return t.Flush()
}

// times returns how many values, or registers, x has, if there is more than one.
func times(x meter.Point) string {
	switch {
	case x.Count > 1:
		return fmt.Sprintf("[%d]", x.Count)
	case x.Registers > 0:
		return fmt.Sprintf("[%d]", x.Registers)
	default:
		return ""
	}
}
