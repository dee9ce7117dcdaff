package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

const (
	defaultPage = 1000
	maxPage     = 10_000
	maxRequest  = 8 << 20 // bytes of a request's body

	// stopWait is how long requests under way may take while the daemon stops.
	stopWait = time.Second
)

// Server answers the API on a unix socket.
type Server struct {
	l       *socket
	handler http.Handler
	log     *slog.Logger
}

// ServerConfig is what a Server is made of; Log may be nil.
type ServerConfig struct {
	Socket  string
	Gateway Gateway
	Log     *slog.Logger
}

// Listen opens the socket. Nobody is answered before Run.
func Listen(c ServerConfig) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l, err := listenUnix(c.Socket)
	if err != nil {
		return nil, err
	}
	return &Server{l: l, handler: NewHandler(c.Gateway, c.Log), log: c.Log}, nil
}

// Run answers until ctx ends, lets requests under way finish for a moment, and
// removes the socket.
func (s *Server) Run(ctx context.Context) error { return serve(ctx, s.l, s.handler, s.log) }

// Close is for a server that is never run.
func (s *Server) Close() error { return s.l.Close() }

// serve runs an HTTP server on l until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), stopWait)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	l.Close()
	return fmt.Errorf("admin: serve %s: %w", l.Addr(), err)
}

// NewHandler answers the API.
func NewHandler(g Gateway, log *slog.Logger) http.Handler {
	a := api{g, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", show(func() any { return g.Status() }))
	mux.HandleFunc("GET /v1/segments", show(func() any { return g.Segments() }))
	mux.HandleFunc("GET /v1/neighbors", show(func() any { return g.Neighbors() }))
	mux.HandleFunc("GET /v1/ports", show(func() any { return g.Ports() }))
	mux.HandleFunc("GET /v1/counters", show(func() any { return g.Counters() }))
	mux.HandleFunc("GET /v1/sources", show(func() any { return g.Sources() }))
	mux.HandleFunc("GET /v1/refusals", show(func() any { return g.Refusals() }))
	mux.HandleFunc("GET /v1/underlay", show(func() any { return g.Underlay() }))
	mux.HandleFunc("GET /v1/bindings", answer(a.bindings))
	mux.HandleFunc("GET /v1/why", answer(a.why))
	mux.HandleFunc("POST /v1/segments", answer(a.segments))
	mux.HandleFunc("PUT /v1/bindings", answer(a.bind))
	mux.HandleFunc("POST /v1/bindings", answer(a.bindMany))
	mux.HandleFunc("DELETE /v1/bindings", answer(a.unbind))
	mux.HandleFunc("POST /v1/reload", answer(a.reload))
	mux.HandleFunc("/", answer(func(r *http.Request) (any, error) {
		return nil, fmt.Errorf("%s %s: %w: the API has no such path", r.Method, r.URL.Path, ErrNotFound)
	}))
	return mux
}

type api struct {
	g   Gateway
	log *slog.Logger
}

func show(get func() any) http.HandlerFunc {
	return answer(func(*http.Request) (any, error) { return get(), nil })
}

// answer writes what f returns as JSON, or the error with the status that fits.
func answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		status := http.StatusOK
		if err != nil {
			v, status = Error{Error: err.Error()}, statusOf(err)
		}
		body, err := json.Marshal(v)
		if err != nil {
			status, body = http.StatusInternalServerError, []byte(`{"error": "the answer cannot be written as JSON"}`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		// A client that has gone away is its own affair.
		_, _ = w.Write(append(body, '\n'))
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrConflict):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// invalid is a request that is wrong in itself.
func invalid(format string, args ...any) error {
	return &Problem{Kind: ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

// Problem is an error whose text stands for itself and whose kind is one of ErrInvalid,
// ErrNotFound and ErrConflict.
type Problem struct {
	Kind error
	Text string
}

// Error is the text.
func (p *Problem) Error() string { return p.Text }

// Unwrap is the kind.
func (p *Problem) Unwrap() error { return p.Kind }

func (a api) bindings(r *http.Request) (any, error) {
	q, err := bindingQuery(r)
	if err != nil {
		return nil, err
	}
	return a.g.Bindings(q), nil
}

func bindingQuery(r *http.Request) (q BindingQuery, err error) {
	v := r.URL.Query()
	q.Limit = defaultPage
	if s := v.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > maxPage {
			return q, invalid("limit: %q: expected 1 to %d", s, maxPage)
		}
	}
	if s := v.Get("from"); s != "" {
		if q.From, err = ParsePrefix(s); err != nil {
			return q, invalid("from: %v", err)
		}
	}
	if s := v.Get("under"); s != "" {
		if q.Under, err = ParsePrefix(s); err != nil {
			return q, invalid("under: %v", err)
		}
	}
	return q, nil
}

func (a api) why(r *http.Request) (any, error) {
	v := r.URL.Query()
	addr, err := ParseAddr(v.Get("address"))
	if err != nil {
		return nil, invalid("address: %v", err)
	}
	if v.Get("from") == "" {
		return a.g.Why(addr, nil), nil
	}
	var f Flow
	if f.From, err = ParseAddr(v.Get("from")); err != nil {
		return nil, invalid("from: %v", err)
	}
	if f.From.Is4() != addr.Is4() {
		return nil, invalid("from: %s: expected an address of the family of %s", f.From, addr)
	}
	for key, set := range map[string]func(uint64){
		"from_port": func(n uint64) { f.FromPort = uint16(n) },
		"to_port":   func(n uint64) { f.ToPort = uint16(n) },
		"protocol":  func(n uint64) { f.Protocol = uint8(n) },
	} {
		bits := 16
		if key == "protocol" {
			bits = 8
		}
		if s := v.Get(key); s != "" {
			n, err := strconv.ParseUint(s, 10, bits)
			if err != nil {
				return nil, invalid("%s: %q: expected 0 to %d", key, s, 1<<bits-1)
			}
			set(n)
		}
	}
	return a.g.Why(addr, &f), nil
}

func (a api) segments(r *http.Request) (any, error) {
	var c SegmentChange
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	plan, err := a.g.ChangeSegments(r.Context(), c)
	if err == nil && !c.DryRun {
		a.log.Info("segments changed", "by", "admin", "add", len(c.Add), "withdraw", c.Withdraw, "steps", len(plan.Steps))
	}
	return plan, err
}

func (a api) bind(r *http.Request) (any, error) {
	var b Bind
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	bound, err := a.g.Bind(r.Context(), b)
	if err == nil {
		a.log.Info("bound", "by", "admin", "prefix", b.Prefix, "tunnels", len(b.Tunnels))
	}
	return bound, err
}

func (a api) bindMany(r *http.Request) (any, error) {
	var b BindMany
	if err := decodeBindMany(r, &b); err != nil {
		return nil, err
	}
	if len(b.Prefixes) == 0 || len(b.Prefixes) > maxPage {
		return nil, invalid("prefixes: %d: expected 1 to %d", len(b.Prefixes), maxPage)
	}
	bound, err := a.g.BindMany(r.Context(), b)
	if err == nil {
		a.log.Info("bound", "by", "admin", "prefixes", bound.Bound, "tunnels", len(b.Tunnels))
	}
	return bound, err
}

func (a api) unbind(r *http.Request) (any, error) {
	prefix, err := ParsePrefix(r.URL.Query().Get("prefix"))
	if err != nil {
		return nil, invalid("prefix: %v", err)
	}
	bound, err := a.g.Unbind(r.Context(), prefix)
	if err == nil {
		a.log.Info("unbound", "by", "admin", "prefix", prefix)
	}
	return bound, err
}

func (a api) reload(r *http.Request) (any, error) { return a.g.Reload(r.Context()) }

// decode reads a request's body, strictly.
func decode(r *http.Request, v any) error {
	return decodeFrom(io.LimitReader(r.Body, maxRequest), v)
}

// decodeFrom reads one value, strictly.
func decodeFrom(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return notExpected(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("the request has something behind its end")
	}
	return nil
}

func notExpected(err error) error {
	return invalid("the request is not what is expected here: %v", err)
}

// ParsePrefix reads a prefix without host bits; a bare address is its /32 or /128.
func ParsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && !a.Is4In6() && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q: expected a prefix such as 203.0.113.7/32 or 2001:db8::/64", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits set outside its mask: expected %s", s, p.Masked())
	}
	return p, nil
}

// ParseAddr reads an address, without zone; IPv4-mapped IPv6 is taken as IPv4.
func ParseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q: expected an IP address such as 203.0.113.7 or 2001:db8::7", s)
	}
	return a.Unmap(), nil
}
