package fib

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(100 * time.Microsecond) {
		require.False(t, time.Now().After(end), "timed out: %s", what)
	}
}

// outside is a foreign reader's runs: each is inside of begin and end, and synchronize waits for
// those that are under way.
type outside struct {
	mu    sync.Mutex
	open  map[int]bool
	last  int
	ended *sync.Cond
}

func newOutside() *outside {
	r := &outside{open: map[int]bool{}}
	r.ended = sync.NewCond(&r.mu)
	return r
}

func (r *outside) begin() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.open[r.last] = true
	return r.last
}

func (r *outside) end(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, n)
	r.ended.Broadcast()
}

func (r *outside) synchronize() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.last
	under := func() bool {
		for n := range r.open {
			if n <= last {
				return true
			}
		}
		return false
	}
	for under() {
		r.ended.Wait()
	}
	return nil
}

func newForeign(t *testing.T, table *Table, synchronize func() error) *Foreign {
	t.Helper()
	f, err := table.NewForeign(synchronize)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// A run keeps what was in the table when it began; once it has ended that is freed, with
// nobody asking for it.
func TestForeignHolds(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	eip := host("203.0.113.7")
	r := newOutside()
	newForeign(t, table, r.synchronize)
	assert.Equal(t, 1, c.Stats().Readers)
	apply(t, c, bound(eip, 1))

	run := r.begin()
	apply(t, c, Binding{Prefix: eip})
	held := c.Stats().Retired
	assert.NotZero(t, held)
	for n := 2; n < 50; n++ { // neither is any of it used anew
		apply(t, c, bound(eip, n), Binding{Prefix: eip})
		c.Reclaim()
	}
	assert.GreaterOrEqual(t, c.Stats().Retired, held)
	late := r.begin()
	r.end(run)
	eventually(t, "what the first run could hold is freed", func() bool { return c.Stats().Retired == 0 || r.waits(late) })
	r.end(late)
	eventually(t, "all is freed", func() bool { return c.Stats().Retired == 0 })
}

// waits says whether run n is the only one under way.
func (r *outside) waits(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open) == 1 && r.open[n]
}

// A reader in a burst and a foreign one each hold what they may have found.
func TestForeignBesideReaders(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	eip := host("203.0.113.7")
	in := newReader(t, table)
	var waits atomic.Int64
	newForeign(t, table, func() error { waits.Add(1); return nil })
	apply(t, c, bound(eip, 1))
	in.Begin()
	apply(t, c, Binding{Prefix: eip})
	eventually(t, "the foreign reader is waited for", func() bool { return waits.Load() > 0 })
	assert.NotZero(t, c.Stats().Retired, "the burst holds it")
	in.End()
	c.Reclaim()
	eventually(t, "freed", func() bool { return c.Stats().Retired == 0 })
}

// While its runs cannot be waited for nothing is freed, and it does not end.
func TestForeignFails(t *testing.T) {
	table, c := newTable(t, TableOptions{Poison: true})
	eip := host("203.0.113.7")
	var broken atomic.Bool
	broken.Store(true)
	why := errors.New("no such thing")
	f, err := table.NewForeign(func() error {
		if broken.Load() {
			return why
		}
		return nil
	})
	require.NoError(t, err)
	apply(t, c, bound(eip, 1), Binding{Prefix: eip})
	eventually(t, "the failure shows", func() bool { return errors.Is(f.Err(), why) })
	c.Reclaim()
	assert.NotZero(t, c.Stats().Retired)
	broken.Store(false)
	eventually(t, "tried again", func() bool { return f.Err() == nil && c.Stats().Retired == 0 })

	broken.Store(true)
	assert.ErrorIs(t, f.Close(), why)
	assert.ErrorContains(t, table.Close(), "1 readers are still open")
	broken.Store(false)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
}

func TestOneForeign(t *testing.T) {
	table, err := NewTable(TableOptions{})
	require.NoError(t, err)
	none := func() error { return nil }
	f, err := table.NewForeign(none)
	require.NoError(t, err)
	_, err = table.NewForeign(none)
	assert.ErrorContains(t, err, "there is one already")
	assert.ErrorContains(t, table.Close(), "1 readers are still open")
	require.NoError(t, f.Close())
	f, err = table.NewForeign(none)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, table.Close())
	_, err = table.NewForeign(none)
	assert.ErrorContains(t, err, "table is closed")
}

// TestForeignChurn is TestChurn with readers that show no epochs: only that each run is
// waited for keeps them from finding freed memory.
func TestForeignChurn(t *testing.T) {
	o, updates := TableOptions{Poison: true}, 200_000
	if raceEnabled {
		o, updates = small(&heap{}), 20_000
	}
	table, c := newTable(t, o)
	ch, r := newChurn(t, table, c), newOutside()
	newForeign(t, table, r.synchronize)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wrong, made := make([]string, 2), make([]int, 2)
	for i := range wrong {
		reader := newReader(t, table)
		reader.Close() // the table knows nothing of it
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			for !stop.Load() && wrong[i] == "" {
				n := r.begin()
				for range 1 + rnd.IntN(20) {
					if w := ch.burst(reader, rnd); w != "" {
						wrong[i] = w
					}
				}
				r.end(n)
				made[i]++
			}
		})
	}
	for done := 0; done < updates; done++ {
		apply(t, ch.c, ch.change())
	}
	stop.Store(true)
	wg.Wait()
	for i := range wrong {
		assert.Empty(t, wrong[i])
		assert.NotZero(t, made[i])
	}
	eventually(t, "all is freed", func() bool { return c.Stats().Retired == 0 })
}

// A large change set waits in its middle for the foreign reader if that may hold much:
// what Apply would free without it is waited for before the next batch.
func TestForeignIsWaitedFor(t *testing.T) {
	table, c := newTable(t, small(&heap{}))
	var released atomic.Bool
	release := make(chan struct{})
	newForeign(t, table, func() error { <-release; return nil })
	let := sync.OnceFunc(func() { released.Store(true); close(release) })
	defer let()
	at := func(n, a int) netip.Prefix {
		return key{Addr6{Hi: uint64(10<<24|uint32(n)<<8|uint32(a)) << 32}, 32}.prefix(true)
	}
	var bs []Binding
	for n := range 256 {
		apply(t, c, bound(at(n, 0), 1), bound(at(n, 1), 2), bound(at(n, 2), 3))
	}
	for n := range 4 * changeBatch { // each replaces a node
		bs = append(bs, bound(at(n%256, 10), (1+n/256)%2))
	}
	inTime := make(chan bool, 1)
	go func() {
		_, err := c.Apply(bs)
		inTime <- err == nil && released.Load()
	}()
	eventually(t, "the first batch is in force", func() bool { return c.Stats().Retired > maxWaiting })
	for range 100 { // a while in which the next ones would be
		require.LessOrEqual(t, c.Stats().Retired, changeBatch*3/2, "the second batch is in force")
		time.Sleep(2 * time.Millisecond)
	}
	let()
	assert.True(t, <-inTime, "Apply did not wait")
	eventually(t, "all is freed", func() bool { return c.Stats().Retired == 0 })
}
