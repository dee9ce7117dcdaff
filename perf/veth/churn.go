package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// churner changes bindings of a running gateway through its API: POST /v1/bindings moves a
// batch of EIPs to another VTEP, and is answered when workers see that. One goroutine at a
// time uses it.
type churner struct {
	p      *eipgwProcess
	client *http.Client

	text []byte // all EIPs as JSON strings, a comma behind each
	ends []int  // where each ends in text, the comma included; one more in front
	next int    // the EIP that is moved next
	pass int    // how many times all have been moved
}

// tunnelBlock is how many EIPs in a row have one tunnel. Batches divide it.
const tunnelBlock = 1000

func newChurner(p *eipgwProcess, eips int) *churner {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(p.dir, "eipgw.sock"))
	}
	c := &churner{p: p, client: &http.Client{Transport: &http.Transport{DialContext: dial}}, ends: []int{0}}
	for i, eip := 0, firstEIP; i < eips; i, eip = i+1, eip.Next() {
		c.text = append(strconv.AppendQuote(c.text, eip.String()+"/32"), ',')
		c.ends = append(c.ends, len(c.text))
	}
	return c
}

func (c *churner) eips() int { return len(c.ends) - 1 }

func (c *churner) close() error {
	c.client.CloseIdleConnections()
	return nil
}

// move gives the next n EIPs, or as many as there are left in their block, their next tunnel.
func (c *churner) move(ctx context.Context, n int) (moved int, err error) {
	end := min(c.next+n, c.eips(), (c.next/tunnelBlock+1)*tunnelBlock)
	tunnel := (c.next/tunnelBlock + c.pass) % tunnelsInUse
	head := fmt.Sprintf(`{"tunnels":[{"vtep":"%s","vni":%d}],"prefixes":[`, vtep(tunnel), 5000+tunnel)
	list := c.text[c.ends[c.next] : c.ends[end]-1]
	body := io.MultiReader(strings.NewReader(head), bytes.NewReader(list), strings.NewReader("]}"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://eipgw/v1/bindings", body)
	if err != nil {
		return 0, err
	}
	req.ContentLength = int64(len(head) + len(list) + len("]}"))
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("binding %d EIPs: %s: %s", end-c.next, resp.Status, answer)
	}
	moved = end - c.next
	if c.next = end; end == c.eips() {
		c.next = 0
		c.pass++
	}
	return moved, nil
}

// moveAll moves every EIP once, as fast as it goes.
func (c *churner) moveAll(ctx context.Context) error {
	for pass := c.pass; c.pass == pass; {
		if _, err := c.move(ctx, tunnelBlock); err != nil {
			return err
		}
	}
	return nil
}

// run moves EIPs at a rate until ctx ends, and returns nil then. When the gateway does not
// keep up, it falls behind: programmed tells what came of it.
func (c *churner) run(ctx context.Context, rate float64) error {
	const often = 100 // batches a second, unless that makes them too large
	batch := tunnelBlock
	for batch > 1 && float64(batch) > rate/often {
		batch /= 10
	}
	start, asked := time.Now(), 0
	for {
		due := start.Add(time.Duration(float64(asked) / rate * float64(time.Second)))
		if sleep(ctx, time.Until(due)) != nil {
			return nil
		}
		n, err := c.move(ctx, batch)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		asked += n
	}
}

// change is a churner at work; nil is none.
type change struct {
	p      *eipgwProcess
	cancel context.CancelFunc
	done   chan error
}

// churn has bindings change from now on, at a rate; 0: not at all.
func (st *stand) churn(ctx context.Context, rate float64) (*change, error) {
	if rate == 0 {
		return nil, nil
	}
	p, ok := st.process.(*eipgwProcess)
	if !ok {
		return nil, fmt.Errorf("%s has no API to change bindings by", st.contender.name())
	}
	if st.churner == nil {
		st.churner = newChurner(p, st.traffic.eips)
		st.closers = append(st.closers, st.churner.close)
		start := time.Now()
		if err := st.churner.moveAll(ctx); err != nil { // from now on a move replaces one
			return nil, err
		}
		perSecond := float64(st.churner.eips()) / time.Since(start).Seconds()
		st.notes = append(st.notes, fmt.Sprintf("without traffic %.0f changes/s", perSecond))
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &change{p: p, cancel: cancel, done: make(chan error, 1)}
	go func() { c.done <- st.churner.run(ctx, rate) }()
	return c, nil
}

func (c *change) stop() error {
	if c == nil {
		return nil
	}
	c.cancel()
	return <-c.done
}

// programs is how many bindings a gateway had handed to its table at a moment.
type programs struct {
	at time.Time
	n  float64
}

func (p programs) since(e programs) float64 { return (p.n - e.n) / p.at.Sub(e.at).Seconds() }

// programmed asks the gateway itself how many changes have reached its table.
func (c *change) programmed() (p programs, err error) {
	if c == nil {
		return p, nil
	}
	p.n, err = c.p.metric(context.Background(), "eipgw_rib_programmed_bindings_total")
	p.at = time.Now()
	return p, err
}

// metric is one counter or gauge without labels of a running gateway.
func (p *eipgwProcess) metric(ctx context.Context, name string) (float64, error) {
	text, err := p.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("the gateway has no metric %s", name)
}

// get asks the gateway's HTTP listener, which is in its network namespace.
func (p *eipgwProcess) get(ctx context.Context, path string) (_ []byte, err error) {
	dial := func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		err = p.ns.Do(func() error {
			var d net.Dialer
			c, err = d.DialContext(ctx, network, addr)
			return err
		})
		return c, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pprofAddr+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
