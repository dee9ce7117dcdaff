package peers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// VRouterConfig is a virtual router with a kernel behind it.
type VRouterConfig struct {
	Speaker  SpeakerConfig `json:"speaker"`
	VNI      uint32        `json:"vni"`       // frames with any other are dropped and counted
	MAC      [6]byte       `json:"mac"`       // of the TAP interface: inner destination that is taken
	EchoPort uint16        `json:"echo_port"` // TCP echo service on every EIP; 0 has none
	NoTunnel bool          `json:"no_tunnel"` // speak BGP only: something else takes the tunnel's frames
}

// VRouterStats counts what came out of the tunnel.
type VRouterStats struct {
	Frames   uint64 `json:"frames"`    // Geneve frames of the right VNI, handed to the kernel
	Bytes    uint64 `json:"bytes"`     // of their inner frames
	WrongVNI uint64 `json:"wrong_vni"` // Geneve frames for another VNI
	WrongMAC uint64 `json:"wrong_mac"` // inner destination is not this router's
	Bad      uint64 `json:"bad"`       // not Geneve with an Ethernet frame inside, or an unknown critical option
}

// VRouter is a virtual router: BGP in front, Geneve to a TAP interface behind.
// The kernel of its namespace holds the EIPs, answers for them, and replies by its
// own routes.
type VRouter struct {
	*Speaker
	cfg    VRouterConfig
	udp    *net.UDPConn
	tap    *os.File
	echo   net.Listener
	wg     sync.WaitGroup
	frames atomic.Uint64
	bytes  atomic.Uint64
	vni    atomic.Uint64
	mac    atomic.Uint64
	bad    atomic.Uint64
}

const (
	tapName    = "tap0"
	genevePort = 6081
)

// StartVRouter starts a virtual router in the calling process's network namespace.
func StartVRouter(ctx context.Context, c VRouterConfig) (*VRouter, error) {
	v := &VRouter{cfg: c}
	if !c.NoTunnel {
		if err := v.openTunnel(); err != nil {
			v.close()
			return nil, err
		}
	}
	if c.EchoPort != 0 {
		var err error
		if v.echo, err = net.Listen("tcp", fmt.Sprintf(":%d", c.EchoPort)); err != nil {
			v.close()
			return nil, fmt.Errorf("peers: echo service: %w", err)
		}
		v.wg.Go(v.serveEcho)
	}
	sp, err := StartSpeaker(ctx, c.Speaker)
	if err != nil {
		v.close()
		return nil, err
	}
	v.Speaker = sp
	return v, nil
}

// Stop ends the sessions and the tunnel.
func (v *VRouter) Stop(ctx context.Context) error {
	err := v.Speaker.Stop(ctx)
	v.close()
	return err
}

func (v *VRouter) close() {
	if v.udp != nil {
		v.udp.Close()
	}
	if v.tap != nil {
		v.tap.Close()
	}
	if v.echo != nil {
		v.echo.Close()
	}
	v.wg.Wait()
}

// Own gives the EIP to the kernel behind the tunnel, so that it answers for it.
func (v *VRouter) Own(eip netip.Addr) error {
	dev := tapName
	if v.cfg.NoTunnel {
		dev = "lo"
	}
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return fmt.Errorf("peers: %s: %w", dev, err)
	}
	a := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(eip, eip.BitLen())), Flags: unix.IFA_F_NODAD}
	if err := netlink.AddrReplace(link, a); err != nil {
		return fmt.Errorf("peers: give %s to %s: %w", eip, dev, err)
	}
	return nil
}

// Stats are the tunnel's counters.
func (v *VRouter) Stats() VRouterStats {
	return VRouterStats{Frames: v.frames.Load(), Bytes: v.bytes.Load(),
		WrongVNI: v.vni.Load(), WrongMAC: v.mac.Load(), Bad: v.bad.Load()}
}

func (v *VRouter) openTunnel() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("peers: open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(tapName)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		unix.Close(fd)
		return fmt.Errorf("peers: make %s: %w", tapName, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	v.tap = os.NewFile(uintptr(fd), tapName)
	link, err := netlink.LinkByName(tapName)
	if err != nil {
		return fmt.Errorf("peers: %s: %w", tapName, err)
	}
	if err := errors.Join(netlink.LinkSetHardwareAddr(link, v.cfg.MAC[:]), netlink.LinkSetUp(link)); err != nil {
		return fmt.Errorf("peers: bring %s up: %w", tapName, err)
	}
	// Frames come in by the TAP and answers leave by the switch: asymmetric on purpose.
	for _, name := range []string{"all", tapName} {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/rp_filter", []byte("0"), 0); err != nil {
			return fmt.Errorf("peers: switch reverse path filtering off: %w", err)
		}
	}
	if v.udp, err = net.ListenUDP("udp", &net.UDPAddr{Port: genevePort}); err != nil {
		return fmt.Errorf("peers: listen for Geneve: %w", err)
	}
	if err := v.udp.SetReadBuffer(8 << 20); err != nil {
		return fmt.Errorf("peers: receive buffer: %w", err)
	}
	v.wg.Go(v.decapsulate)
	v.wg.Go(v.discardTAP)
	return nil
}

// decapsulate takes the outer headers off and gives the inner frame to the kernel.
// It reads the header by itself rather than with the gateway's own code, so that
// both have to be right.
//
//	 0                   1                   2                   3
//	|Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |  RFC 8926
//	|        Virtual Network Identifier (VNI)       |    Reserved   |  section 3.4
func (v *VRouter) decapsulate() {
	buf := make([]byte, 65536)
	for {
		n, _, err := v.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return // closed
		}
		p := buf[:n]
		if n < 8 || p[0]>>6 != 0 || binary.BigEndian.Uint16(p[2:]) != 0x6558 {
			v.bad.Add(1)
			continue
		}
		options := int(p[0]&0x3f) * 4
		critical := p[1]&0x40 != 0 // this router knows no option at all
		if critical || n < 8+options+14 {
			v.bad.Add(1)
			continue
		}
		inner := p[8+options:]
		switch {
		case binary.BigEndian.Uint32(p[4:])>>8 != v.cfg.VNI:
			v.vni.Add(1)
		case [6]byte(inner[:6]) != v.cfg.MAC:
			v.mac.Add(1)
		default:
			v.frames.Add(1)
			v.bytes.Add(uint64(len(inner)))
			if _, err := v.tap.Write(inner); err != nil && errors.Is(err, os.ErrClosed) {
				return
			}
		}
	}
}

// discardTAP reads what the kernel sends into the TAP (neighbor discovery, mostly):
// nothing leaves that way.
func (v *VRouter) discardTAP() {
	buf := make([]byte, 65536)
	for {
		if _, err := v.tap.Read(buf); err != nil {
			return
		}
	}
}

func (v *VRouter) serveEcho() {
	for {
		c, err := v.echo.Accept()
		if err != nil {
			return
		}
		go func() { // ends with its connection; the process ends with the listener
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}
