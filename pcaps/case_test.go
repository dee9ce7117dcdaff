package pcaps

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/dataplane/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what a case gives, or must give. Ports that no frame left are absent.
type outcome struct {
	out      map[string][][]byte
	counters replay.Counters
}

// testCase is a case folder, read.
type testCase struct {
	replay.Case
	name string
	in   map[string][][]byte
	want outcome
}

// cases reads every case. That there are none is a failure: a walker that finds
// nothing to check has checked nothing.
func cases(t *testing.T) []testCase {
	t.Helper()
	dirs, err := os.ReadDir("cases")
	require.NoError(t, err)
	var all []testCase
	for _, d := range dirs {
		all = append(all, load(t, d.Name()))
	}
	require.NotEmpty(t, all, "no cases: run go generate ./pcaps")
	return all
}

func load(t *testing.T, name string) testCase {
	t.Helper()
	dir := filepath.Join("cases", name)
	c, err := replay.Load(dir)
	require.NoError(t, err)
	counters, err := replay.LoadCounters(filepath.Join(dir, replay.CountersFile))
	require.NoError(t, err)
	tc := testCase{Case: c, name: name, in: map[string][][]byte{}, want: outcome{map[string][][]byte{}, counters}}
	files := 2 // case.yaml and counters.json
	for _, p := range c.Ports {
		if frames, ok := readPcap(t, c.File("in", p.Name)); ok {
			tc.in[p.Name] = frames
			files++
		}
		if frames, ok := readPcap(t, c.File("want", p.Name)); ok {
			tc.want.out[p.Name] = frames
			files++
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, files, "%s: a file is none of the format's, or names no port of the case", dir)
	require.NotEmpty(t, tc.in, "%s: no frames", dir)
	return tc
}

// readPcap reads all frames of a file; false when there is no such file.
func readPcap(t *testing.T, path string) ([][]byte, bool) {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false
	}
	require.NoError(t, err)
	r, err := pcapgo.NewReader(bytes.NewReader(b))
	require.NoError(t, err, path)
	var frames [][]byte
	for {
		frame, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return frames, true
		}
		require.NoError(t, err, path)
		require.Equal(t, info.Length, info.CaptureLength, "%s: a frame is cut short", path)
		frames = append(frames, frame)
	}
}
