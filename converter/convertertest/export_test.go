package convertertest

import (
	"io"
	"testing"
)

// RunWith runs suites in a test that may be a fake one.
func RunWith(tb testing.TB, sub func(string, func(testing.TB)) bool, override string, out io.Writer, suites ...Suite) {
	tb.Helper()
	run(fakeTester{tb, sub}, override, out, suites)
}

type fakeTester struct {
	testing.TB
	start func(string, func(testing.TB)) bool
}

func (f fakeTester) sub(name string, test func(testing.TB)) bool { return f.start(name, test) }
