package demo

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
)

// transferTimeout is how long a TCP transfer may take before it counts as hung.
const transferTimeout = 30 * time.Second

// transfer sends n random bytes to the echo service on an EIP, reads them back, and
// compares. Both ends are kernel TCP stacks; the way there passes the gateway.
func transfer(ns *lab.NS, to netip.AddrPort, n int) (time.Duration, error) {
	var conn net.Conn
	err := ns.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", to.String(), transferTimeout)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("demo: connect to %s: %w", to, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(transferTimeout)); err != nil {
		return 0, err
	}
	start := time.Now()
	sent := sha256.New()
	done := make(chan error, 1)
	go func() {
		src := io.LimitReader(rand.NewChaCha8([32]byte{1}), int64(n))
		_, err := io.Copy(conn, io.TeeReader(src, sent))
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		done <- err
	}()
	back := sha256.New()
	got, err := io.Copy(back, conn)
	if werr := <-done; err == nil {
		err = werr
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("demo: TCP with %s, after %d of %d bytes: %w", to, got, n, err)
	case got != int64(n) || string(back.Sum(nil)) != string(sent.Sum(nil)):
		return 0, fmt.Errorf("demo: TCP with %s: %d bytes came back of %d, or others than were sent", to, got, n)
	}
	return time.Since(start), nil
}
