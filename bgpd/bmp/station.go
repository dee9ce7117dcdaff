package bmp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Sink takes what GoBGP tells, one call at a time, on the station's goroutine. A call
// may not wait for GoBGP.
type Sink interface {
	// Begin is told when GoBGP has connected. After the first time it has begun anew,
	// and says again what it holds: sessions, then routes in UPDATEs of its own making.
	Begin()

	Up(Session)
	Down(peer netip.Addr)
	Update(Update)

	// Lost is told when a connection has broken. What GoBGP said since may be lost; it
	// connects again when it has something new to say.
	Lost(err error)
}

// Station listens until it is closed.
type Station struct {
	log    *slog.Logger
	sink   Sink
	listen *net.TCPListener
	conns  chan *net.TCPConn // accepted, for the reader
	quit   chan struct{}     // closed by Close
	wg     sync.WaitGroup

	begun, ended           chan struct{} // closed by signal
	signalBegun, signalEnd func()

	mu      sync.Mutex
	current *net.TCPConn // which is read, or to be read next
	closed  bool
}

// Pauses: after an error of the listener, and between complaints about strangers.
const (
	acceptPause  = 100 * time.Millisecond
	strangerTime = time.Second
)

// bufferLen holds any message, and many of the usual length.
const bufferLen = 4 * maxMessage

// Listen opens a station on loopback, of IPv4 if there is one, else of IPv6.
func Listen(log *slog.Logger, sink Sink) (*Station, error) {
	l, err := listenLoopback()
	if err != nil {
		return nil, err
	}
	s := &Station{
		log: log, sink: sink, listen: l,
		conns: make(chan *net.TCPConn), quit: make(chan struct{}),
		begun: make(chan struct{}), ended: make(chan struct{}),
	}
	s.signalBegun = sync.OnceFunc(func() { close(s.begun) })
	s.signalEnd = sync.OnceFunc(func() { close(s.ended) })
	s.wg.Go(s.accept)
	s.wg.Go(s.serve)
	return s, nil
}

func listenLoopback() (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	var errs []error
	for _, a := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := lc.Listen(context.Background(), "tcp", a)
		if err == nil {
			if err = reach(l.(*net.TCPListener)); err == nil {
				return l.(*net.TCPListener), nil
			}
			l.Close()
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("no usable address of loopback, the device lo must be up: %w", errors.Join(errs...))
}

// reachWait is how long a connection over loopback may take.
const reachWait = 5 * time.Second

// reach connects to l once: the kernel lets one listen although the device is down.
func reach(l *net.TCPListener) error {
	c, err := net.DialTimeout("tcp", l.Addr().String(), reachWait)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := l.SetDeadline(time.Now().Add(reachWait)); err != nil {
		return err
	}
	for {
		peer, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		hangUp(peer)
		if addrPort(peer.RemoteAddr()) == addrPort(c.LocalAddr()) {
			return l.SetDeadline(time.Time{})
		}
	}
}

// Addr is where GoBGP is to connect to.
func (s *Station) Addr() netip.AddrPort { return addrPort(s.listen.Addr()) }

// Begun is closed once GoBGP has connected for the first time: from then on it misses nothing.
func (s *Station) Begun() <-chan struct{} { return s.begun }

// Ended is closed once GoBGP has said that it is done, or the station is closed.
func (s *Station) Ended() <-chan struct{} { return s.ended }

// Close ends the station and waits for its goroutines. The sink hears nothing more.
func (s *Station) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if first {
		close(s.quit)
		s.listen.Close()
		if s.current != nil {
			s.current.Close()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.signalEnd()
}

// accept hands connections of this process to the reader, and hangs up on all others.
func (s *Station) accept() {
	var told time.Time
	for {
		c, err := s.listen.AcceptTCP()
		if err != nil {
			if s.pause(err) {
				continue
			}
			return
		}
		ours, err := own(c)
		if !ours {
			if now := time.Now(); now.Sub(told) > strangerTime {
				told = now
				s.log.Warn("bgpd: a stranger at the station for the BGP library", "from", c.RemoteAddr(), "error", err)
			}
			hangUp(c)
			continue
		}
		if !s.replace(c) {
			hangUp(c)
			return
		}
		select {
		case s.conns <- c:
		case <-s.quit:
			return
		}
	}
}

// pause waits after an error of the listener, and says whether to go on.
func (s *Station) pause(err error) bool {
	select {
	case <-s.quit:
		return false
	default:
	}
	s.log.Error("bgpd: station for the BGP library: accept", "error", err)
	select {
	case <-s.quit:
		return false
	case <-time.After(acceptPause):
		return true
	}
}

// replace makes c the connection, and ends the one before, which GoBGP has given up. It
// says false if the station is closed.
func (s *Station) replace(c *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.current != nil {
		hangUp(s.current)
	}
	s.current = c
	return true
}

// hangUp resets a connection: so GoBGP's next message fails, instead of being lost.
func hangUp(c *net.TCPConn) {
	_ = c.SetLinger(0)
	c.Close()
}

// serve reads one connection after another.
func (s *Station) serve() {
	r := bufio.NewReaderSize(nil, bufferLen)
	for {
		select {
		case <-s.quit:
			return
		case c := <-s.conns:
			r.Reset(c)
			err := s.read(r)
			hangUp(c)
			select {
			case <-s.quit:
				return
			case <-s.ended:
			default:
				s.sink.Lost(err)
			}
		}
	}
}

// read takes messages until there are no more, and says why.
func (s *Station) read(r *bufio.Reader) error {
	begun := false
	for {
		head, err := r.Peek(commonLen)
		if err != nil {
			return err
		}
		n, err := length(head)
		if err != nil {
			return err
		}
		m, err := r.Peek(n)
		if err != nil {
			return err
		}
		if typ := m[5]; !begun && typ != typeInitiation {
			return fmt.Errorf("a message of type %d, expected the initiation", typ)
		}
		begun = true
		if m[5] == typeTermination {
			s.signalEnd()
			return io.EOF
		}
		if err := s.take(m); err != nil { // it may be a neighbor's doing: nobody else is to suffer
			s.log.Error("bgpd: a message of the BGP library cannot be read", "error", err)
		}
		if _, err := r.Discard(n); err != nil {
			return err
		}
	}
}

// take hands one message on.
func (s *Station) take(m []byte) error {
	switch m[5] {
	case typeRouteMonitoring:
		u, err := parseUpdate(m)
		if err != nil {
			return err
		}
		s.sink.Update(u)
	case typePeerUp:
		up, err := parseUp(m)
		if err != nil {
			return err
		}
		s.sink.Up(up)
	case typePeerDown:
		peer, err := peerOf(m)
		if err != nil {
			return err
		}
		s.sink.Down(peer)
	case typeInitiation:
		s.sink.Begin()
		s.signalBegun()
	}
	return nil
}
