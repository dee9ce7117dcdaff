package config

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/encap"
)

// Config is a checked configuration. It is not changed after it has been read.
type Config struct {
	Gateway    Gateway
	Segments   []Segment
	Announce   Announce
	Neighbors  []bgpd.Neighbor
	Ports      []Port
	Tunnel     Tunnel
	Forwarding Forwarding
	Workers    Workers
	Bindings   Bindings
	Admin      Admin
	Metrics    Metrics
	Log        Log
	Stop       Stop

	// Warnings are what is possible but probably not meant.
	Warnings []Problem
}

// Gateway is who the gateway is in BGP.
type Gateway struct {
	ASN              uint32
	RouterID         netip.Addr
	ServiceAddresses []netip.Addr // what virtual routers use as next hop; at most one per family
	Listen           []netip.AddrPort
}

// Segment is a prefix of EIPs: how it is announced, and how its packets are forwarded.
type Segment struct {
	rib.Segment
	ClampMSS bool // the MSS of TCP SYNs is lowered to what fits the tunnel
}

// Announce is how and when segments are announced.
type Announce struct {
	NextHop     bgpd.NextHop
	Settle      time.Duration // quiet time after a change before the announcement follows
	InitialWait time.Duration // longest wait for the sources' initial dumps
	Damping     time.Duration // how long what had the segments withdrawn must be good again
	WhenEmpty   bool          // announce also while no binding is known
}

// Port is an interface that the data plane takes frames from and sends them to.
type Port struct {
	Name     string
	Mode     afxdp.Mode
	ZeroCopy afxdp.ZeroCopy
	Queues   int
	VLAN     encap.VLAN // tags of what is sent
	Frames   int        // buffers per queue
	BusyPoll int        // packets per call of the driver; 0 is by interrupts

	AcceptVLANs []dataplane.VLAN // tags that frames may come in with; nil is any
}

// Checksum6 is what stands in the UDP checksum over IPv6.
type Checksum6 string

// UDP checksums over IPv6.
const (
	Checksum6Compute Checksum6 = "compute"
	Checksum6Zero    Checksum6 = "zero" // RFC 6935; the virtual router has to accept it
)

// PathMTU is what is done with what routers report of tunnel packets that are too big for them.
type PathMTU string

// Ways to deal with such reports.
const (
	PathMTUDiscover PathMTU = "discover" // RFC 1191, RFC 8201
	PathMTUOff      PathMTU = "off"      // only MTUs of routes and interfaces count
)

// Tunnel is what all outer headers have in common.
type Tunnel struct {
	Source4, Source6 netip.Addr // zero: the source address of the route to the VTEP
	UDP6Checksum     Checksum6
	TTL              uint8
	PathMTU          PathMTU
	DSCP             dataplane.DSCPPolicy
	PCP              PCP
}

// Workers are the threads that forward: one per queue of the ports.
type Workers struct {
	CPUs []int // worker i is pinned to CPUs[i]; empty: not pinned
	Idle dataplane.IdleMode
}

// Bindings is the file of static bindings.
type Bindings struct{ File string }

// Admin is the socket that the eipgw commands talk to.
type Admin struct{ Socket string }

// Metrics is the HTTP listener for Prometheus, readiness, and profiles.
type Metrics struct {
	Listen netip.AddrPort // zero: none
	PProf  bool
}

// Format is the form of log lines.
type Format string

// Log formats.
const (
	FormatText Format = "text"
	FormatJSON Format = "json"
)

// Log is where the threshold lies and what lines look like.
type Log struct {
	Level  slog.Level
	Format Format
}

// Stop is how the gateway ends.
type Stop struct {
	Linger time.Duration // forwarding goes on this long after the withdrawal
}

// Limits and defaults that several places name.
const (
	DefaultSocket = "/run/eipgw/eipgw.sock"
	maxFileSize   = 8 << 20
)

// defaults is a configuration in which nothing is set.
func defaults() *Config {
	return &Config{
		Gateway: Gateway{Listen: []netip.AddrPort{
			netip.MustParseAddrPort("0.0.0.0:179"), netip.MustParseAddrPort("[::]:179"),
		}},
		Announce:   Announce{NextHop: bgpd.NextHopSession, Settle: 2 * time.Second, InitialWait: time.Minute, Damping: 5 * time.Second},
		Tunnel:     Tunnel{UDP6Checksum: Checksum6Compute, TTL: 64, PathMTU: PathMTUDiscover, PCP: PCPNone},
		Forwarding: defaultForwarding(),
		Workers:    Workers{Idle: dataplane.Adaptive},
		Admin:      Admin{Socket: DefaultSocket},
		Metrics:    Metrics{PProf: false},
		Log:        Log{Level: slog.LevelInfo, Format: FormatText},
		Stop:       Stop{Linger: 2 * time.Second},
	}
}

func defaultNeighbor() bgpd.Neighbor {
	return bgpd.Neighbor{Port: 179, HoldTime: 9 * time.Second, ConnectRetry: 2 * time.Second}
}

// Defaults of virtual routers.
const defaultMaxPrefixes = 100_000

func defaultPort() Port {
	return Port{Mode: afxdp.ModeAuto, ZeroCopy: afxdp.ZeroCopyAuto, Queues: 1, Frames: afxdp.DefaultFrames}
}

// Speaker is the part that BGP is made of.
func (c *Config) Speaker() bgpd.Config {
	return bgpd.Config{
		ASN: c.Gateway.ASN, RouterID: c.Gateway.RouterID, Listen: c.Gateway.Listen,
		ServiceAddresses: c.Gateway.ServiceAddresses, NextHop: c.Announce.NextHop, Neighbors: c.Neighbors,
	}
}

// Load reads and checks the file at path.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	return parseNamed(path, f)
}

// Parse reads and checks a configuration. It does no other I/O. The error is an
// *Error unless r itself fails.
func Parse(r io.Reader) (*Config, error) { return parseNamed("", r) }

func parseNamed(file string, in io.Reader) (*Config, error) {
	var data bytes.Buffer
	n, err := io.Copy(&data, io.LimitReader(in, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	r := newReader(file)
	if n > maxFileSize {
		r.bad("", 0, "larger than %d MiB: not a configuration", maxFileSize>>20)
	}
	c := defaults()
	if root, ok := r.open(data.Bytes()); ok {
		c.read(root)
		c.validate(r)
	}
	sortProblems(r.problems)
	sortProblems(r.warnings)
	if len(r.problems) > 0 {
		return nil, &Error{Problems: r.problems}
	}
	c.Warnings = r.warnings
	return c, nil
}
