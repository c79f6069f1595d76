package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/gridlinks/iot-gateway/tbclient/conformance/table"
)

// A report prints results, for people or for machines.
type report struct {
	out    *bufio.Writer
	json   *json.Encoder // nil: for people
	pass   int
	differ int
	notRun int
	err    error
}

func newReport(w io.Writer, asJSON bool) *report {
	r := &report{out: bufio.NewWriter(w)}
	if asJSON {
		r.json = json.NewEncoder(r.out)
	}
	return r
}

// begin says what is about to happen.
func (r *report) begin(t table.Target, versions string, plays []play) {
	if r.json != nil {
		return
	}
	r.printf("%d rows over MQTT %s against %s.\n", len(plays), versions, t.Broker)
	r.printf("Creates devices named %s-VERSION-ROW and %s-VERSION-ROWe, and does not delete them.\n\n", t.Prefix, t.Prefix)
	r.flush()
}

// add prints one result.
func (r *report) add(res table.Result) {
	switch res.Verdict {
	case table.Pass:
		r.pass++
	case table.Differs:
		r.differ++
	case table.NotRun:
		r.notRun++
	}
	if r.json != nil {
		r.fail(r.json.Encode(res))
		r.flush()
		return
	}
	r.printf("%-7s  MQTT %-5s  %s\n", res.Verdict, res.MQTT, res.Row)
	if res.Verdict == table.Differs {
		r.printf("         from  %s\n", res.Source)
		r.printf("         want  %s\n", events(res.Want))
		r.printf("         got   %s\n", events(res.Got))
	}
	if res.Why != "" {
		r.printf("         %s\n", res.Why)
	}
	r.flush()
}

// end prints the summary, and returns why the report could not be written.
func (r *report) end() error {
	if r.json != nil {
		r.fail(r.json.Encode(map[string]int{"pass": r.pass, "differs": r.differ, "notRun": r.notRun}))
	} else {
		r.printf("\n%d pass, %d differ, %d not run.\n", r.pass, r.differ, r.notRun)
	}
	r.flush()
	return r.err
}

// events joins events in a line of bounded length.
func events(list []string) string {
	const longest = 200
	if len(list) == 0 {
		return "nothing"
	}
	out := make([]string, len(list))
	for i, e := range list {
		if len(e) > longest {
			e = e[:longest] + "..."
		}
		out[i] = e
	}
	return strings.Join(out, " | ")
}

func (r *report) printf(format string, args ...any) {
	_, err := fmt.Fprintf(r.out, format, args...)
	r.fail(err)
}

func (r *report) flush() { r.fail(r.out.Flush()) }

// fail keeps the first error.
func (r *report) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
