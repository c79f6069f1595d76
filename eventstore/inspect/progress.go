package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gridlinks/iot-gateway/eventstore/filestore"
)

// A progress tells how far long work is, once a second and not at all if it is
// short.
type progress struct {
	w           io.Writer
	total, done int64
	begun, told time.Time
}

func newProgress(w io.Writer, v *filestore.View) *progress {
	p := &progress{w: w, begun: time.Now(), told: time.Now()}
	for _, s := range v.Segments {
		p.total += s.Size
	}
	return p
}

// add notes that n more bytes are done.
func (p *progress) add(n int64) { p.set(p.done+n, p.total) }

func (p *progress) set(done, total int64) {
	p.done, p.total = done, total
	if time.Since(p.told) < time.Second || total <= 0 {
		return
	}
	p.told = time.Now()
	_, _ = fmt.Fprintf(p.w, "\r%3d %% of %s", min(100, 100*done/total), amount(total))
}

// end ends the line that tells the progress.
func (p *progress) end() {
	if p.told.Sub(p.begun) >= time.Second {
		_, _ = fmt.Fprintln(p.w)
	}
}
