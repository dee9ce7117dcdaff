package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	_ "net/http/pprof" // for -profile
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/log"
	"github.com/osrg/gobgp/v3/pkg/server"
	"golang.org/x/sys/unix"
)

// gobgpChild is the first argument of this program as a bare GoBGP.
const gobgpChild = "gobgp-child"

// gobgp is the library with its defaults and nobody who watches.
type gobgp struct{}

func (gobgp) name() string { return "gobgp" }

// gobgpProcess is the child.
type gobgpProcess struct {
	st  *stand
	cmd *exec.Cmd
	dir string
}

func (gobgp) start(ctx context.Context, st *stand, dir string) (process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &gobgpProcess{st: st, dir: dir}
	args := []string{gobgpChild, fmt.Sprint(st.routes)}
	if st.settings.profile != "" {
		args = append(args, webAddr)
	}
	p.cmd = st.gateway.Command(ctx, exe, args...)
	f, err := os.Create(p.log())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, poll(ctx, 20*time.Second, "gobgp listens", func() (bool, error) {
		text, err := os.ReadFile(p.log())
		return saysListens.Match(text), err
	})
}

func (p *gobgpProcess) log() string { return filepath.Join(p.dir, "gobgp.log") }

func (p *gobgpProcess) pid() int { return p.cmd.Process.Pid }

// What the child says.
var (
	saysListens = regexp.MustCompile(`(?m)^(\S+) listens$`)
	saysPeerUp  = regexp.MustCompile(`(?m)^(\S+) up$`)
	saysEnd     = regexp.MustCompile(`(?m)^(\S+) end-of-rib$`)
	saysCount   = regexp.MustCompile(`(?m)^\S+ has (\d+)$`)
)

func (p *gobgpProcess) times() (up, done time.Time, err error) {
	text, err := os.ReadFile(p.log())
	if err != nil {
		return up, done, err
	}
	if up, err = said(text, saysPeerUp); err != nil {
		return up, done, err
	}
	done, err = said(text, saysEnd)
	return up, done, err
}

// check waits for the child to count.
func (p *gobgpProcess) check(ctx context.Context, routes int) error {
	return poll(ctx, 20*time.Second, "gobgp counts its routes", func() (bool, error) {
		text, err := os.ReadFile(p.log())
		m := saysCount.FindSubmatch(text)
		if err != nil || m == nil {
			return false, err
		}
		if string(m[1]) != fmt.Sprint(routes) {
			return false, fmt.Errorf("gobgp has %s routes in its table, expected %d", m[1], routes)
		}
		return true, nil
	})
}

func (p *gobgpProcess) profile(ctx context.Context, d time.Duration) error {
	return p.st.profileTo(ctx, d, p.dir)
}

func (p *gobgpProcess) stop() error {
	if err := p.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.cmd.Wait()
}

// listener is a logger that is silent, but for noting when the session came up and
// when the End-of-RIB was handled: GoBGP handles messages one after the other, so all
// routes are in its table then.
type listener struct {
	up, end atomic.Bool
	ended   chan struct{}
}

func stamp(what string) { fmt.Println(time.Now().Format(time.RFC3339Nano), what) }

func (l *listener) Info(msg string, _ log.Fields) {
	if msg == "Peer Up" && l.up.CompareAndSwap(false, true) {
		stamp("up")
	}
}

func (l *listener) Debug(msg string, _ log.Fields) {
	if msg == "EOR received" && l.end.CompareAndSwap(false, true) {
		stamp("end-of-rib")
		close(l.ended)
	}
}

func (*listener) Panic(msg string, _ log.Fields) { panic("gobgp: " + msg) }
func (*listener) Fatal(msg string, _ log.Fields) { panic("gobgp: " + msg) }
func (*listener) Error(msg string, f log.Fields) { fmt.Fprintln(os.Stderr, "error:", msg, f) }
func (*listener) Warn(string, log.Fields)        {}
func (*listener) SetLevel(log.LogLevel)          {}
func (*listener) GetLevel() log.LogLevel         { return log.InfoLevel }

// serveGoBGP is the child: it ends at SIGTERM.
func serveGoBGP(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if len(args) > 1 {
		go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(args[1], nil)) }()
	}
	l := &listener{ended: make(chan struct{})}
	s := server.NewBgpServer(server.LoggerOption(l))
	go s.Serve()
	err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: gatewayASN, RouterId: service.String(), ListenPort: 179, ListenAddresses: []string{"0.0.0.0"},
	}})
	if err != nil {
		return err
	}
	err = s.AddPeer(ctx, &api.AddPeerRequest{Peer: &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: router.Addr().String(), PeerAsn: routerASN},
		Transport: &api.Transport{PassiveMode: true},
	}})
	if err != nil {
		return err
	}
	stamp("listens")
	select {
	case <-l.ended:
	case <-ctx.Done():
		return nil
	}
	t, err := s.GetTable(ctx, &api.GetTableRequest{
		TableType: api.TableType_GLOBAL, Family: &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST},
	})
	if err != nil {
		return err
	}
	stamp(fmt.Sprint("has ", t.GetNumDestination()))
	<-ctx.Done()
	return nil
}
