package static

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/bgpd/rib"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heard is a RIB that holds what it is told, and nothing else.
type heard struct {
	t *testing.T

	mu      sync.Mutex
	updates int
	dumped  bool
	paths   map[rib.PathKey]string // to the VTEP
}

func (h *heard) update(u rib.Update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.updates++
	assert.Equal(h.t, !h.dumped, u.RemoveAll, "what comes first replaces everything")
	assert.Equal(h.t, !h.dumped, u.Synced)
	h.dumped = true
	assert.Equal(h.t, rib.SourceStatic, u.Source)
	for _, k := range u.Remove {
		_, held := h.paths[k]
		assert.True(h.t, held, "%v removed, and nobody has said it", k)
		delete(h.paths, k)
	}
	for _, p := range u.Set {
		k := rib.PathKey{Prefix: p.Prefix, PathID: p.PathID}
		assert.Equal(h.t, rib.CarrierStatic, p.Carrier)
		h.paths[k] = p.Tunnel.VTEP.String()
	}
}

// is what the RIB should hold now: VTEPs by prefix.
func (h *heard) is(want map[string][]string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := map[string][]string{}
	for k, vtep := range h.paths {
		got[k.Prefix.Addr().String()] = append(got[k.Prefix.Addr().String()], vtep)
	}
	for _, v := range got {
		slices.Sort(v)
	}
	return assert.ObjectsAreEqual(want, got)
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.updates
}

// bench is a source that runs on a file of the test's.
type bench struct {
	*File
	*heard
	t    *testing.T
	path string
	log  *bytes.Buffer
}

func newBench(t *testing.T, path string) *bench {
	b := &bench{t: t, path: path, heard: &heard{t: t, paths: map[rib.PathKey]string{}}, log: &bytes.Buffer{}}
	f, err := New(Config{Path: path, Update: b.update, Poll: 5 * time.Millisecond, Log: slog.New(slog.NewTextHandler(b.log, nil))})
	require.NoError(t, err)
	b.File = f
	return b
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); assert.NoError(b.t, <-done) })
}

func (b *bench) eventually(want map[string][]string, what string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.is(want) }, 30*time.Second, 2*time.Millisecond, what)
}

func (b *bench) fails(text string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return bytes.Contains([]byte(b.Status().Err), []byte(text)) },
		30*time.Second, 2*time.Millisecond, "wanted %q", text)
}

// one is a file that binds each address to one VTEP.
func one(pairs ...string) string {
	text := "bindings:\n"
	for i := 0; i < len(pairs); i += 2 {
		text += fmt.Sprintf("  - {prefix: %s, tunnels: [{vtep: %s, vni: 1}]}\n", pairs[i], pairs[i+1])
	}
	if len(pairs) == 0 {
		text = "bindings: []\n"
	}
	return text
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestDifferences(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "b.yaml"))
	write(t, b.path, "bindings:\n  - {prefix: 203.0.113.1, tunnels: [{vtep: 10.0.0.1, vni: 1}, {vtep: 10.0.0.2, vni: 1}]}\n"+
		"  - {prefix: 203.0.113.2, tunnels: [{vtep: 10.0.0.1, vni: 1}]}\n")
	require.NoError(t, b.Reload())
	assert.True(t, b.is(map[string][]string{"203.0.113.1": {"10.0.0.1", "10.0.0.2"}, "203.0.113.2": {"10.0.0.1"}}))
	assert.True(t, b.dumped)
	assert.Equal(t, 2, b.Status().Bindings)

	require.NoError(t, b.Reload())
	assert.Equal(t, 1, b.count(), "nothing new, nothing said")

	write(t, b.path, one("203.0.113.1", "10.0.0.2", "203.0.113.3", "10.0.0.3"))
	require.NoError(t, b.Reload())
	assert.True(t, b.is(map[string][]string{"203.0.113.1": {"10.0.0.2"}, "203.0.113.3": {"10.0.0.3"}}))

	write(t, b.path, one())
	require.NoError(t, b.Reload())
	assert.True(t, b.is(map[string][]string{}))
	assert.Equal(t, 3, b.count())
}

func TestBadFileKeepsWhatIsInForce(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "b.yaml"))
	write(t, b.path, one("203.0.113.1", "10.0.0.1"))
	require.NoError(t, b.Reload())
	write(t, b.path, one("203.0.113.1", "10.0.0.1", "203.0.113.2", "nonsense"))
	err := b.Reload()
	assert.ErrorContains(t, err, b.path+`:3: bindings[1].tunnels[0].vtep: "nonsense": expected the underlay address`)
	assert.ErrorContains(t, err, "static: ")
	assert.ErrorContains(t, err, "; 1 bindings read before stay in force")
	assert.True(t, b.is(map[string][]string{"203.0.113.1": {"10.0.0.1"}}))
	st := b.Status()
	assert.Equal(t, err.Error(), st.Err)
	assert.Equal(t, 1, st.Bindings)
	assert.False(t, st.Failed.IsZero())
	assert.Error(t, b.Reload(), "it is still bad")
	assert.Equal(t, 1, bytes.Count(b.log.Bytes(), []byte("is bad")), "said once: %s", b.log)

	require.NoError(t, os.Remove(b.path))
	assert.ErrorIs(t, b.Reload(), os.ErrNotExist)
	write(t, b.path, one("203.0.113.9", "10.0.0.1"))
	require.NoError(t, b.Reload())
	assert.Empty(t, b.Status().Err)
	assert.True(t, b.is(map[string][]string{"203.0.113.9": {"10.0.0.1"}}))
}

func TestNotSyncedBeforeTheFileWasGood(t *testing.T) {
	b := newBench(t, filepath.Join(t.TempDir(), "b.yaml"))
	b.run()
	b.fails("no such file")
	write(t, b.path, "bindings: nonsense\n")
	b.fails("expected a list")
	assert.Zero(t, b.count())
	write(t, b.path, one())
	require.Eventually(t, func() bool { return b.Status().Err == "" }, 30*time.Second, time.Millisecond)
	assert.Equal(t, 1, b.count())
	assert.True(t, b.dumped, "an empty list is a whole dump")
}

func TestEveryWayToReplaceTheFile(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, filepath.Join(dir, "b.yaml"))
	write(t, b.path, one("203.0.113.1", "10.0.0.1"))
	b.run()
	b.eventually(map[string][]string{"203.0.113.1": {"10.0.0.1"}}, "at the start")

	write(t, b.path, one("203.0.113.1", "10.0.0.2"))
	b.eventually(map[string][]string{"203.0.113.1": {"10.0.0.2"}}, "written in place, the size the same")

	write(t, b.path+".new", one("203.0.113.1", "10.0.0.3"))
	require.NoError(t, os.Rename(b.path+".new", b.path))
	b.eventually(map[string][]string{"203.0.113.1": {"10.0.0.3"}}, "renamed into place")

	old := time.Now().Add(-time.Hour)
	write(t, b.path+".new", one("203.0.113.1", "10.0.0.4"))
	require.NoError(t, os.Chtimes(b.path+".new", old, old))
	require.NoError(t, os.Rename(b.path+".new", b.path))
	b.eventually(map[string][]string{"203.0.113.1": {"10.0.0.4"}}, "an older file renamed into place")

	write(t, b.path, one("203.0.113.1", "10.0.0.5"))
	require.NoError(t, os.Chtimes(b.path, old, old))
	b.eventually(map[string][]string{"203.0.113.1": {"10.0.0.5"}}, "written in place with its old time")

	require.NoError(t, os.Remove(b.path))
	b.fails("no such file")
	write(t, b.path, one("203.0.113.1", "10.0.0.5"))
	require.Eventually(t, func() bool { return b.Status().Err == "" }, 30*time.Second, time.Millisecond, "gone and back with the same text")
	assert.True(t, b.is(map[string][]string{"203.0.113.1": {"10.0.0.5"}}))
}

// TestSymlinkSwap is how a ConfigMap volume changes: b.yaml → ..data/b.yaml, and
// ..data → a directory of a version, renamed over.
func TestSymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		write(t, filepath.Join(dir, name, "b.yaml"), text)
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	version("v1", one("203.0.113.1", "10.0.0.1"))
	path := filepath.Join(dir, "b.yaml")
	require.NoError(t, os.Symlink(filepath.Join("..data", "b.yaml"), path))
	b := newBench(t, path)
	b.run()
	b.eventually(map[string][]string{"203.0.113.1": {"10.0.0.1"}}, "first version")
	version("v2", one("203.0.113.2", "10.0.0.2"))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "v1")))
	b.eventually(map[string][]string{"203.0.113.2": {"10.0.0.2"}}, "second version")
}

func TestHalfWrittenFileIsNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.yaml")
	w := watch{}
	look := func() bool {
		changed, err := w.look(path)
		require.NoError(t, err)
		return changed
	}
	read := func() {
		_, err := w.read(path)
		require.NoError(t, err)
		w.again = false // as if the file were old
	}
	write(t, path, "one")
	assert.True(t, look())
	read()
	assert.False(t, look())
	for i := range 5 { // a slow writer: every look finds it changed again
		write(t, path, "two"+string(make([]byte, i)))
		assert.False(t, look(), "still being written")
	}
	assert.True(t, look(), "quiet between two looks")
	read()
	assert.False(t, look())
	write(t, path+".new", "three")
	require.NoError(t, os.Rename(path+".new", path))
	assert.True(t, look(), "another file in its place is whole")
}

func TestYoungChangeIsReadTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.yaml")
	write(t, path, "one")
	w := watch{}
	_, err := w.read(path)
	require.NoError(t, err)
	changed, err := w.look(path)
	require.NoError(t, err)
	assert.True(t, changed, "another change may hide behind the same time")
	old := time.Now().Add(-2 * racy)
	require.NoError(t, os.Chtimes(path, old, old))
	_, err = w.read(path)
	require.NoError(t, err)
	changed, err = w.look(path)
	require.NoError(t, err)
	assert.False(t, changed)
}

func TestPathIsADirectory(t *testing.T) {
	b := newBench(t, t.TempDir())
	assert.ErrorContains(t, b.Reload(), "is a directory")
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.yaml")
	_, err := Load(path)
	assert.ErrorIs(t, err, os.ErrNotExist)
	write(t, path, one("203.0.113.1", "10.0.0.1"))
	got, err := Load(path)
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, netip.MustParsePrefix("203.0.113.1/32"), got[0].Prefix)
	write(t, path, "")
	_, err = Load(path)
	assert.EqualError(t, err, "static: "+path+`: the file is empty: expected "bindings:" with a list, [] for none`)
}

func TestNewRefuses(t *testing.T) {
	update := func(rib.Update) {}
	_, err := New(Config{Update: update})
	assert.ErrorContains(t, err, "Path is empty")
	_, err = New(Config{Path: "x"})
	assert.ErrorContains(t, err, "Update is nil")
	_, err = New(Config{Path: "x", Update: update, Poll: -1})
	assert.ErrorContains(t, err, "Poll is -1ns")
}
