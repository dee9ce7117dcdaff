package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// WebConfig is what a Web is made of; Log may be nil.
type WebConfig struct {
	Listen  netip.AddrPort
	PProf   bool // on a loopback address only
	Gateway Gateway
	Log     *slog.Logger

	// Profiling is called when a CPU profile has begun, and when it has ended; may be nil.
	Profiling func()
}

// What profiles of waiting take: about one sample for so long a wait, and one of so many
// waits for a lock.
const (
	blockProfileRate     = 100 * time.Microsecond
	mutexProfileFraction = 100
)

// Web is the HTTP listener for those who watch the gateway: nothing can be changed
// through it.
type Web struct {
	l       net.Listener
	handler http.Handler
	log     *slog.Logger
}

// ListenWeb opens the listener. Nobody is answered before Run.
func ListenWeb(c WebConfig) (*Web, error) {
	if c.PProf && !c.Listen.Addr().IsLoopback() {
		return nil, fmt.Errorf("admin: profiles on %s: expected a loopback address, such as 127.0.0.1:9179", c.Listen)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", c.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("admin: metrics: %w", err)
	}
	if c.PProf {
		// Without these the profiles of waiting are empty.
		runtime.SetBlockProfileRate(int(blockProfileRate.Nanoseconds()))
		runtime.SetMutexProfileFraction(mutexProfileFraction)
	}
	return &Web{l: l, handler: NewWebHandler(c), log: c.Log}, nil
}

// Addr is where the listener is.
func (w *Web) Addr() net.Addr { return w.l.Addr() }

// Run answers until ctx ends.
func (w *Web) Run(ctx context.Context) error { return serve(ctx, w.l, w.handler, w.log) }

// Close is for a listener that is never run.
func (w *Web) Close() error { return w.l.Close() }

// NewWebHandler answers /metrics, /healthz, /readyz and, if asked for, profiles.
func NewWebHandler(c WebConfig) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(c.Gateway), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { healthz(w, c.Gateway.Status()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { readyz(w, c.Gateway.Status()) })
	if c.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		changed := c.Profiling
		if changed == nil {
			changed = func() {}
		}
		mux.HandleFunc("GET /debug/pprof/profile", cpuProfile(changed))
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// healthz is 200 while every worker polls: a gateway that does not should be
// restarted. Whether it has neighbors is no question of its health.
func healthz(w http.ResponseWriter, s Status) {
	var sick []string
	for _, k := range s.Workers {
		if k.Stalled {
			sick = append(sick, fmt.Sprintf("%s has not polled since %s", k.Name, k.LastPoll.Format("15:04:05.000")))
		}
	}
	verdict(w, sick)
}

// readyz is 200 when the gateway does its job: it may announce, and announces.
func readyz(w http.ResponseWriter, s Status) {
	if s.Ready {
		verdict(w, nil)
		return
	}
	verdict(w, append([]string{}, s.Reasons...))
}

func verdict(w http.ResponseWriter, problems []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if problems == nil {
		fmt.Fprintln(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintln(w, strings.Join(problems, "\n"))
}
