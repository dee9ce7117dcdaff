package memport_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/dataplane/porttest"
)

func TestConformance(t *testing.T) {
	for name, cfg := range map[string]memport.Config{
		"plain":    {ID: 1, Tailroom: 8},
		"poisoned": {ID: 7, Poison: true, MTU: 9000, Buffers: 100, TxQueue: 70},
	} {
		t.Run(name, func(t *testing.T) {
			porttest.Run(t, porttest.Harness{
				Buffers: cfg.Buffers,
				Tagged:  true,
				Open: func(testing.TB, [][]byte) *porttest.Link {
					p := memport.New(cfg)
					return &porttest.Link{
						Port:     p,
						Send:     p.Inject,
						Received: p.Collect,
						End:      p.End,
						Down:     func() { p.SetDown(errors.New("pulled")) },
						Up:       func() { p.SetDown(nil) },
					}
				},
			})
		})
	}
}

func TestDefaults(t *testing.T) {
	assert.Equal(t, dataplane.PortInfo{ID: 3, Name: "mem3", MTU: 1500, Headroom: 256}, memport.New(memport.Config{ID: 3}).Info())
	assert.Zero(t, memport.New(memport.Config{Headroom: -1}).Info().Headroom)
}

func TestRepeat(t *testing.T) {
	for _, restore := range []int{0, 64, 200} {
		frames := [][]byte{make([]byte, 60), make([]byte, 200), make([]byte, 61)}
		for i, f := range frames {
			f[0], f[59] = byte(i+1), byte(i+10)
		}
		p := memport.New(memport.Config{Repeat: frames, Restore: restore, Buffers: 70, Discard: true})
		var b dataplane.Burst
		fs := make([]*dataplane.Frame, 0, dataplane.BurstSize)
		seen := 0
		round := func() {
			n, err := p.Rx(&b)
			if err != nil || n != dataplane.BurstSize {
				t.Fatal(n, err)
			}
			fs = fs[:0]
			for i := range b.F[:n] {
				f := &b.F[i]
				if !bytes.Equal(f.Bytes(), frames[seen%3]) {
					t.Fatalf("restore %d: frame %d is not frame %d of the list", restore, seen, seen%3)
				}
				f.Bytes()[0] = 99 // is restored
				fs = append(fs, f)
				seen++
			}
			p.Tx(fs)
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			p.Release(&b)
		}
		assert.Zero(t, testing.AllocsPerRun(100, round))
		assert.EqualValues(t, seen, p.Sent())
		assert.Empty(t, p.Collect())
	}
}

func TestPoison(t *testing.T) {
	p := memport.New(memport.Config{Poison: true})
	p.Inject([]byte("a frame"))
	var b dataplane.Burst
	_, err := p.Rx(&b)
	require.NoError(t, err)
	held := b.F[0].Bytes()
	p.Release(&b)
	assert.NotContains(t, string(held), "frame")
}

func TestTooLargeAFrame(t *testing.T) {
	p := memport.New(memport.Config{MTU: 100})
	assert.Panics(t, func() { p.Inject(make([]byte, 119)) })
	assert.NotPanics(t, func() { p.Inject(make([]byte, 118)) })
	assert.Panics(t, func() { memport.New(memport.Config{MTU: 100, Repeat: [][]byte{make([]byte, 119)}}) })
}
