package monitor

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"
)

// longestProfile is how long a profile of the processor may take.
const longestProfile = time.Minute

// handleProfiles adds what `go tool pprof` and `go tool trace` ask for. It does
// the work of the package net/http/pprof, which would also show the profiles on
// http.DefaultServeMux of every program that imports it.
func handleProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", func(w http.ResponseWriter, _ *http.Request) {
		for _, p := range pprof.Profiles() {
			_, _ = fmt.Fprintln(w, p.Name(), p.Count())
		}
		_, _ = fmt.Fprint(w, "profile\ntrace\n")
	})
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			http.NotFound(w, r)
			return
		}
		debug, _ := strconv.Atoi(r.FormValue("debug"))
		download(w, debug == 0)
		_ = p.WriteTo(w, debug) // the client may be gone
	})
	mux.HandleFunc("GET /debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		record(w, r, 30*time.Second, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
	})
	mux.HandleFunc("GET /debug/pprof/trace", func(w http.ResponseWriter, r *http.Request) {
		record(w, r, time.Second, func() error { return trace.Start(w) }, trace.Stop)
	})
}

func download(w http.ResponseWriter, binary bool) {
	if binary {
		w.Header().Set("Content-Type", "application/octet-stream")
	} else {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// record has something recorded for the seconds that r asks for.
func record(w http.ResponseWriter, r *http.Request, d time.Duration, start func() error, stop func()) {
	if text := strings.TrimSpace(r.FormValue("seconds")); text != "" {
		s, err := strconv.ParseFloat(text, 64)
		if err != nil || s <= 0 || s > longestProfile.Seconds() {
			http.Error(w, fmt.Sprintf("seconds: %q is not between 0 and %v", text, longestProfile.Seconds()), http.StatusBadRequest)
			return
		}
		d = time.Duration(s * float64(time.Second))
	}
	download(w, true)
	if err := start(); err != nil { // another one is under way
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}
