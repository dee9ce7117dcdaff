package pcapport_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/dataplane/pcapport"
	"github.com/eipgw/eipgw/dataplane/porttest"
)

// Magic numbers of pcap files.
const (
	micro = 0xa1b2c3d4
	nano  = 0xa1b23c4d
)

// packet is a record of a pcap file.
type packet struct {
	sec, frac uint32
	data      []byte
	length    int // on the wire; 0: of data
}

// pcap builds a capture file by hand (draft-ietf-opsawg-pcap).
func pcap(order binary.AppendByteOrder, magic, link uint32, packets ...packet) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 96) // a snap length that the packets do not keep to
	b = order.AppendUint32(b, link)
	for _, p := range packets {
		b = order.AppendUint32(b, p.sec)
		b = order.AppendUint32(b, p.frac)
		b = order.AppendUint32(b, uint32(len(p.data)))
		b = order.AppendUint32(b, uint32(max(p.length, len(p.data))))
		b = append(b, p.data...)
	}
	return b
}

// pcapng builds a pcapng file by hand (draft-ietf-opsawg-pcapng): a section header,
// interfaces with these link types, packets of the last.
func pcapng(links []uint16, packets ...packet) []byte {
	le := binary.LittleEndian
	block := func(kind uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		b := le.AppendUint32(nil, kind)
		b = le.AppendUint32(b, uint32(len(body)+12))
		b = append(b, body...)
		return le.AppendUint32(b, uint32(len(body)+12))
	}
	b := block(0x0A0D0D0A, []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255})
	for _, link := range links {
		b = append(b, block(1, []byte{byte(link), byte(link >> 8), 0, 0, 0, 0, 0, 0})...)
	}
	for _, p := range packets {
		at := uint64(p.sec)*1e6 + uint64(p.frac)
		body := le.AppendUint32(nil, uint32(len(links)-1))
		body = le.AppendUint32(body, uint32(at>>32))
		body = le.AppendUint32(body, uint32(at))
		body = le.AppendUint32(body, uint32(len(p.data)))
		body = le.AppendUint32(body, uint32(max(p.length, len(p.data))))
		b = append(b, block(6, append(body, p.data...))...)
	}
	return b
}

// parse takes a file that the port has written apart.
func parse(t testing.TB, b []byte) (packets []packet) {
	t.Helper()
	le := binary.LittleEndian
	require.GreaterOrEqual(t, len(b), 24)
	require.EqualValues(t, nano, le.Uint32(b))
	require.EqualValues(t, 1, le.Uint32(b[20:]), "Ethernet")
	for b = b[24:]; len(b) > 0; {
		n := le.Uint32(b[8:])
		require.Equal(t, n, le.Uint32(b[12:]), "whole frames")
		packets = append(packets, packet{sec: le.Uint32(b), frac: le.Uint32(b[4:]), data: b[16 : 16+n]})
		b = b[16+n:]
	}
	return packets
}

func file(t testing.TB, name string, content []byte) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func TestConformance(t *testing.T) {
	porttest.Run(t, porttest.Harness{
		Preload: true, NeverFull: true, Tagged: true, Buffers: dataplane.BurstSize,
		Open: func(t testing.TB, in [][]byte) *porttest.Link {
			var packets []packet
			for i, f := range in {
				packets = append(packets, packet{sec: uint32(i), data: f})
			}
			out := filepath.Join(t.TempDir(), "out.pcap")
			p, err := pcapport.Open(pcapport.Config{ID: 5, In: file(t, "in.pcap", pcap(binary.LittleEndian, nano, 1, packets...)), Out: out})
			require.NoError(t, err)
			seen := 0
			return &porttest.Link{Port: p, Received: func() (frames [][]byte) {
				b, err := os.ReadFile(out)
				require.NoError(t, err)
				all := parse(t, b)
				for _, p := range all[seen:] {
					frames = append(frames, p.data)
				}
				seen = len(all)
				return frames
			}}
		},
	})
}

// read receives all frames of a port and returns copies, and when they were captured.
func read(t *testing.T, p *pcapport.Port) (frames [][]byte, times []time.Time) {
	t.Helper()
	var b dataplane.Burst
	for {
		n, err := p.Rx(&b)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return frames, times
		}
		for i := range b.F[:n] {
			frames = append(frames, bytes.Clone(b.F[i].Bytes()))
			times = append(times, time.Unix(0, int64(b.F[i].Cookie)).UTC())
		}
		p.Release(&b)
	}
}

func TestFormats(t *testing.T) {
	a, b, jumbo := []byte("a frame of Ethernet"), bytes.Repeat([]byte{7}, 300), bytes.Repeat([]byte{9}, 20_000)
	in := func(frac uint32) []packet {
		return []packet{{1, frac, a, 0}, {2, 0, b, 0}, {0xffffffff, 1, jumbo, 0}}
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(pcap(binary.LittleEndian, nano, 1, in(123456789)...))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, c := range map[string]struct {
		content []byte
		nanos   int64
	}{
		"microseconds":                     {pcap(binary.LittleEndian, micro, 1, in(123456)...), 123456000},
		"nanoseconds":                      {pcap(binary.LittleEndian, nano, 1, in(123456789)...), 123456789},
		"microseconds of the other endian": {pcap(binary.BigEndian, micro, 1, in(123456)...), 123456000},
		"nanoseconds of the other endian":  {pcap(binary.BigEndian, nano, 1, in(123456789)...), 123456789},
		"gzip":                             {zipped.Bytes(), 123456789},
		"pcapng":                           {pcapng([]uint16{1}, in(123456)...), 123456000},
		"pcapng of two Ethernets":          {pcapng([]uint16{1, 1}, in(123456)...), 123456000},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pcapport.Open(pcapport.Config{In: file(t, "in", c.content)})
			require.NoError(t, err)
			frames, times := read(t, p)
			assert.NoError(t, p.Err())
			require.Len(t, frames, 3)
			assert.Equal(t, [][]byte{a, b, jumbo}, frames)
			assert.Equal(t, time.Unix(1, c.nanos).UTC(), times[0])
			assert.Equal(t, time.Unix(2, 0).UTC(), times[1])
			assert.NoError(t, p.Close())
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	whole := pcap(binary.LittleEndian, nano, 1)
	same := file(t, "same", whole)
	for want, c := range map[string]pcapport.Config{
		"no such file":                     {In: "/nonexistent/in.pcap"},
		"less than 4 bytes":                {In: file(t, "empty", nil)},
		"expected a pcap or pcapng file":   {In: file(t, "text", []byte("this is no capture at all, only words"))},
		"pcapng file: unexpected EOF":      {In: file(t, "short", whole[:10])},
		"link type Raw: expected Ethernet": {In: file(t, "raw", pcap(binary.LittleEndian, nano, 101))},
		"Linux SLL: expected Ethernet":     {In: file(t, "sll", pcapng([]uint16{113}))},
		"pcapng header":                    {In: file(t, "ng", pcapng(nil)[:20])},
		"is the input as well":             {In: same, Out: same},
		"no such file or directory":        {In: same, Out: "/nonexistent/out.pcap"},
		"is a directory":                   {Out: t.TempDir()},
	} {
		_, err := pcapport.Open(c)
		require.Error(t, err, want)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "pcapport: ")
	}
	after, err := os.ReadFile(same)
	require.NoError(t, err)
	assert.Equal(t, whole, after, "a refused output does not destroy the input")
}

// What goes wrong within the input ends it: the frames before are received, the error
// is reported once as the port's and then kept.
func TestBrokenInput(t *testing.T) {
	good := packet{1, 0, bytes.Repeat([]byte{1}, 60), 0}
	whole := pcap(binary.LittleEndian, nano, 1, good, good)
	huge := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(huge[24+76+8:], 1<<30)
	for want, content := range map[string][]byte{
		"frame 2: unexpected EOF":                   whole[:len(whole)-1],
		"frame 2: the file ends within the frame":   whole[:len(whole)-60],
		"frame 2: the capture holds 60 of its 1500": pcap(binary.LittleEndian, nano, 1, good, packet{1, 0, good.data, 1500}),
		"frame 2: capture length exceeds":           huge,
		"frame 1: Link type of current interface":   pcapng([]uint16{1, 101}, good),
	} {
		p, err := pcapport.Open(pcapport.Config{Name: "in", In: file(t, "in", content)})
		require.NoError(t, err, want)
		var b dataplane.Burst
		n, err := p.Rx(&b)
		if strings.HasPrefix(want, "frame 2") {
			require.NoError(t, err, want)
			require.Equal(t, 1, n, want)
			p.Release(&b)
			_, err = p.Rx(&b)
		}
		assert.ErrorContains(t, err, want, "once")
		for range 3 {
			_, err = p.Rx(&b)
			assert.ErrorIs(t, err, io.EOF)
		}
		assert.ErrorContains(t, p.Err(), want)
		assert.NoError(t, p.Close())
	}
}

// Times go with the frames from port to port of a group; frames from elsewhere get
// the time of their place.
func TestTimes(t *testing.T) {
	frames := []packet{{100, 5, bytes.Repeat([]byte{1}, 60), 0}, {99, 7, bytes.Repeat([]byte{2}, 60), 0}}
	in := file(t, "in.pcap", pcap(binary.LittleEndian, nano, 1, frames...))
	out := filepath.Join(t.TempDir(), "out.pcap")
	group := new(pcapport.Group)
	a, err := pcapport.Open(pcapport.Config{ID: 1, In: in, Group: group})
	require.NoError(t, err)
	b, err := pcapport.Open(pcapport.Config{ID: 2, Out: out, Group: group})
	require.NoError(t, err)
	m := memport.New(memport.Config{ID: 3})
	m.Inject([]byte("from memory"))

	for _, from := range []dataplane.Port{a, m} {
		var burst dataplane.Burst
		n, err := from.Rx(&burst)
		require.NoError(t, err)
		var fs []*dataplane.Frame
		for i := range burst.F[:n] {
			fs = append(fs, &burst.F[i])
		}
		require.Equal(t, n, b.Tx(fs))
		from.Release(&burst)
	}
	require.NoError(t, b.Close())
	require.NoError(t, a.Close())
	written, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, append(frames, packet{0, 2000, []byte("from memory"), 0}), parse(t, written))
}

// A full disk shows as a failing port, and at Close at the latest.
func TestWriteError(t *testing.T) {
	p, err := pcapport.Open(pcapport.Config{Name: "full", Out: "/dev/full"})
	require.NoError(t, err, "the header is buffered")
	assert.ErrorContains(t, p.Flush(), "no space left")
	f := new(dataplane.Frame)
	f.Attach(make([]byte, 60), 0, 60)
	assert.Zero(t, p.Tx([]*dataplane.Frame{f}))
	assert.ErrorContains(t, p.Close(), "pcapport: full: write: ")
	assert.NoError(t, p.Close())
}

func TestDiscards(t *testing.T) {
	p, err := pcapport.Open(pcapport.Config{Name: "nowhere", Headroom: -1})
	require.NoError(t, err)
	assert.Zero(t, p.Info().Headroom)
	f := new(dataplane.Frame)
	f.Attach(make([]byte, 60), 0, 60)
	assert.Equal(t, 1, p.Tx([]*dataplane.Frame{f}))
	assert.NoError(t, p.Flush())
	assert.NoError(t, p.Close())
}
