package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// webAddr is where contenders answer, in their namespace.
const webAddr = "127.0.0.1:9179"

// get asks a contender's web server, from inside the namespace: what dials is whatever
// goroutine the client has for it.
func (st *stand) get(ctx context.Context, path string) (*http.Response, error) {
	dial := func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		err = st.gateway.Do(func() error {
			var d net.Dialer
			c, err = d.DialContext(ctx, network, addr)
			return err
		})
		return c, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+webAddr+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("%s: %s", path, resp.Status), resp.Body.Close())
	}
	return resp, err
}

// profileTo writes a contender's CPU profile of the time from now on, named like the
// directory of its turn.
func (st *stand) profileTo(ctx context.Context, d time.Duration, dir string) error {
	resp, err := st.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(d.Seconds())))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := os.MkdirAll(st.settings.profile, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(st.settings.profile, filepath.Base(dir)+".cpu"))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
