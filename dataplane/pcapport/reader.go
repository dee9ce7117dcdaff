package pcapport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// maxFrame is the longest frame that is read: what tcpdump takes for no limit.
const maxFrame = 262144

// reader reads the frames of a capture file.
type reader struct {
	file   *os.File
	path   string
	frames int
	source interface {
		ZeroCopyReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	}
}

// openReader opens a capture file and reads its header.
func openReader(path string) (_ *reader, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	r := &reader{file: f, path: path}
	buf := bufio.NewReaderSize(f, 1<<16)
	magic, err := buf.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("%s: expected a pcap or pcapng file, it has less than 4 bytes", path)
	}
	var link layers.LinkType
	if binary.LittleEndian.Uint32(magic) == 0x0A0D0D0A { // the same in both byte orders
		ng, err := pcapgo.NewNgReader(buf, pcapgo.NgReaderOptions{ErrorOnMismatchingLinkType: true})
		if err != nil {
			return nil, fmt.Errorf("%s: pcapng header: %w", path, err)
		}
		r.source, link = ng, ng.LinkType()
	} else {
		pcap, err := pcapgo.NewReader(buf)
		if err != nil {
			return nil, fmt.Errorf("%s: expected a pcap or pcapng file: %w", path, err)
		}
		pcap.SetSnaplen(maxFrame) // some writers claim less than they write
		r.source, link = pcap, pcap.LinkType()
	}
	if link != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("%s: link type %v: expected Ethernet", path, link)
	}
	return r, nil
}

// next returns the next frame, which is valid until the next call, and when it was
// captured. io.EOF is the end.
func (r *reader) next() ([]byte, time.Time, error) {
	frame, info, err := r.source.ZeroCopyReadPacketData()
	switch {
	case errors.Is(err, io.EOF) && info.CaptureLength > 0:
		return nil, time.Time{}, fmt.Errorf("pcapport: %s: frame %d: the file ends within the frame", r.path, r.frames+1)
	case errors.Is(err, io.EOF):
		return nil, time.Time{}, io.EOF
	case err != nil:
		return nil, time.Time{}, fmt.Errorf("pcapport: %s: frame %d: %w", r.path, r.frames+1, err)
	case info.CaptureLength < info.Length:
		return nil, time.Time{}, fmt.Errorf("pcapport: %s: frame %d: the capture holds %d of its %d bytes: expected one taken with no snap length",
			r.path, r.frames+1, info.CaptureLength, info.Length)
	}
	r.frames++
	return frame, info.Timestamp, nil
}
