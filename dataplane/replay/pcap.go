package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// snapLength is what written files claim; frames are never cut.
const snapLength = 65535 + 18

// readFrames reads all frames of a pcap file.
func readFrames(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := pcapgo.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s: expected a pcap file: %w", path, err)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("%s: link type %v: expected Ethernet", path, r.LinkType())
	}
	var frames [][]byte
	for {
		frame, info, err := r.ReadPacketData()
		switch {
		case errors.Is(err, io.EOF):
			return frames, nil
		case err != nil:
			return nil, fmt.Errorf("%s: frame %d: %w", path, len(frames)+1, err)
		case info.CaptureLength < info.Length:
			return nil, fmt.Errorf("%s: frame %d was cut at %d of %d bytes: expected a capture of whole frames", path, len(frames)+1, info.CaptureLength, info.Length)
		}
		frames = append(frames, frame)
	}
}

// writeFrames writes a pcap file: frame i one microsecond after frame i-1, since a
// replay has no time of its own and files should compare.
func writeFrames(path string, frames [][]byte) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bufio.NewWriter(f)
	w := pcapgo.NewWriter(buf)
	if err := w.WriteFileHeader(snapLength, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for i, frame := range frames {
		info := gopacket.CaptureInfo{Timestamp: time.UnixMicro(int64(i)).UTC(), CaptureLength: len(frame), Length: len(frame)}
		if err := w.WritePacket(info, frame); err != nil {
			return err
		}
	}
	return buf.Flush()
}
