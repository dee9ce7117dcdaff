package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Client talks to a running daemon.
type Client struct {
	socket string
	http   *http.Client
}

// callTimeout bounds one question to the daemon: one page of bindings, or a change
// until it is programmed.
const callTimeout = 30 * time.Second

// NewClient makes a client of the daemon behind a socket. Nothing is opened yet.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Timeout: callTimeout, Transport: &http.Transport{DialContext: dial}}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ErrUnreachable says that no daemon answers.
var ErrUnreachable = errors.New("no eipgw answers")

// do sends body, unless nil, as JSON and decodes the answer into out.
func (c *Client) do(ctx context.Context, method, path string, body, out any) error {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("admin: %w", err)
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://eipgw"+path, send)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return problemOf(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("admin: the daemon's answer: %w", err)
	}
	return nil
}

// unreachable says why nobody answers and what to do.
func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: start it with `eipgw run`, or name its socket with --socket or EIPGW_SOCKET", ErrUnreachable, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s may be opened by the daemon's own user only: become that user (sudo)", ErrUnreachable, c.socket)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// problemOf makes an error of an answer again.
func problemOf(resp *http.Response) error {
	var e Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Error == "" {
		e.Error = "the daemon answered " + resp.Status
	}
	p := &Problem{Text: e.Error, Kind: errMethod}
	switch resp.StatusCode {
	case http.StatusBadRequest:
		p.Kind = ErrInvalid
	case http.StatusNotFound:
		p.Kind = ErrNotFound
	case http.StatusConflict:
		p.Kind = ErrConflict
	}
	return p
}

func get[T any](ctx context.Context, c *Client, path string) (out T, err error) {
	err = c.do(ctx, http.MethodGet, path, nil, &out)
	return out, err
}

// Status is the gateway at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// Segments lists segments, wanted or on their way out.
func (c *Client) Segments(ctx context.Context) ([]Segment, error) {
	return get[[]Segment](ctx, c, "/v1/segments")
}

// Neighbors lists BGP neighbors.
func (c *Client) Neighbors(ctx context.Context) ([]Neighbor, error) {
	return get[[]Neighbor](ctx, c, "/v1/neighbors")
}

// Ports lists every queue of every interface.
func (c *Client) Ports(ctx context.Context) ([]Port, error) {
	return get[[]Port](ctx, c, "/v1/ports")
}

// Counters is all that workers count.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	return get[Counters](ctx, c, "/v1/counters")
}

// Sources lists who may claim EIPs.
func (c *Client) Sources(ctx context.Context) ([]Source, error) {
	return get[[]Source](ctx, c, "/v1/sources")
}

// Refusals lists claims that were not accepted.
func (c *Client) Refusals(ctx context.Context) ([]Refusal, error) {
	return get[[]Refusal](ctx, c, "/v1/refusals")
}

// Underlay lists VTEPs and the ways to them.
func (c *Client) Underlay(ctx context.Context) ([]VTEP, error) {
	return get[[]VTEP](ctx, c, "/v1/underlay")
}

// Why explains what happens to frames for addr; flow may be nil.
func (c *Client) Why(ctx context.Context, addr netip.Addr, flow *Flow) (Why, error) {
	v := url.Values{"address": {addr.String()}}
	if flow != nil {
		v.Set("from", flow.From.String())
		v.Set("from_port", strconv.Itoa(int(flow.FromPort)))
		v.Set("to_port", strconv.Itoa(int(flow.ToPort)))
		v.Set("protocol", strconv.Itoa(int(flow.Protocol)))
	}
	return get[Why](ctx, c, "/v1/why?"+v.Encode())
}

// Bindings is one page.
func (c *Client) Bindings(ctx context.Context, q BindingQuery) (BindingPage, error) {
	v := url.Values{}
	if q.From.IsValid() {
		v.Set("from", q.From.String())
	}
	if q.Under.IsValid() {
		v.Set("under", q.Under.String())
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return get[BindingPage](ctx, c, "/v1/bindings?"+v.Encode())
}

// EachBinding calls fn for every binding that q asks for, page by page, until fn
// returns false; q.Limit is the most of all, 0 is no limit.
func (c *Client) EachBinding(ctx context.Context, q BindingQuery, fn func(Binding) bool) error {
	left := q.Limit
	for {
		q.Limit = maxPage
		if left > 0 {
			q.Limit = min(left, maxPage)
		}
		page, err := c.Bindings(ctx, q)
		if err != nil {
			return err
		}
		for _, b := range page.Bindings {
			if !fn(b) {
				return nil
			}
		}
		if left > 0 {
			if left -= len(page.Bindings); left <= 0 {
				return nil
			}
		}
		if page.Next == nil {
			return nil
		}
		q.From = *page.Next
	}
}

// ChangeSegments changes the wanted segments, or plans it.
func (c *Client) ChangeSegments(ctx context.Context, change SegmentChange) (p Plan, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/segments", change, &p)
	return p, err
}

// Bind makes or replaces a binding.
func (c *Client) Bind(ctx context.Context, b Bind) (bound Bound, err error) {
	err = c.do(ctx, http.MethodPut, "/v1/bindings", b, &bound)
	return bound, err
}

// BindMany makes or replaces bindings of many prefixes to the same tunnels.
func (c *Client) BindMany(ctx context.Context, b BindMany) (bound BoundMany, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/bindings", b, &bound)
	return bound, err
}

// Unbind removes what Bind has made.
func (c *Client) Unbind(ctx context.Context, prefix netip.Prefix) (bound Bound, err error) {
	err = c.do(ctx, http.MethodDelete, "/v1/bindings?prefix="+url.QueryEscape(prefix.String()), nil, &bound)
	return bound, err
}

// Reload has the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) (r Reloaded, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/reload", nil, &r)
	return r, err
}
