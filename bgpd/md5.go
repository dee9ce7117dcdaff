package bgpd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// tryPasswords finds out whether the kernel would take the passwords of c on the
// listeners. GoBGP, which does set them there, says no more than a line in the log when
// the kernel does not, and has a session by then. So they are tried on a socket of each
// family that is for nothing else, all of them at once: what the kernel limits is what
// one socket holds. Without a password among those that come there is nothing to try.
func tryPasswords(c *Config, come []*Neighbor) error {
	if !slices.ContainsFunc(come, func(n *Neighbor) bool { return n.Password != "" }) {
		return nil
	}
	return errors.Join(c.tryPasswords(IPv4, unix.AF_INET), c.tryPasswords(IPv6, unix.AF_INET6))
}

func (c *Config) tryPasswords(f Family, domain int) error {
	if !slices.ContainsFunc(c.Listen, func(l netip.AddrPort) bool { return FamilyOf(l.Addr()) == f }) {
		return nil
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return fmt.Errorf("bgpd: socket to try passwords on: %w", err)
	}
	defer unix.Close(fd)
	for i := range c.Neighbors {
		n := &c.Neighbors[i]
		if n.Password == "" || n.family() != f {
			continue
		}
		if err := setMD5(fd, n.prefix(), n.Password); err != nil {
			return fmt.Errorf("bgpd: neighbor %s: password: failed to set md5: %w%s", n.key(), err, hint(err))
		}
	}
	return nil
}

// hint says what bounds the passwords of a socket.
func hint(err error) string {
	if errors.Is(err, unix.ENOMEM) {
		return " (sysctl net.core.optmem_max bounds how many passwords there can be)"
	}
	return ""
}

// setMD5 gives a socket the password for whoever has an address of p.
func setMD5(fd int, p netip.Prefix, password string) error {
	sig := unix.TCPMD5Sig{Flags: unix.TCP_MD5SIG_FLAG_PREFIX, Prefixlen: uint8(p.Bits())}
	if p.Addr().Is4() {
		sig.Addr.Family = unix.AF_INET
		copy(sig.Addr.Data[2:], p.Addr().AsSlice()) // sockaddr_in: port, address
	} else {
		sig.Addr.Family = unix.AF_INET6
		copy(sig.Addr.Data[6:], p.Addr().AsSlice()) // sockaddr_in6: port, flow, address
	}
	sig.Keylen = uint16(copy(sig.Key[:], password))
	return unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG_EXT, &sig)
}
