package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/eipgw/eipgw/dataplane"
)

// CountersFile is the name of the expected counters within a case folder.
const CountersFile = "counters.json"

// Counters is what changed, by name; what did not change is absent. Names are
//
//	port.<name>.rx_packets   port.<name>.rx_bytes   port.<name>.tx_packets   port.<name>.tx_bytes
//	drop.<reason>.packets    drop.<reason>.bytes    reasons as dataplane.Reason names them
//	event.<event>                                   events as dataplane.Event names them
//
// so that the sum of all rx_packets, and of the events that stand for frames that were
// made, is the sum of all tx_packets and drop packets.
type Counters map[string]uint64

// countersOf reads a worker's counters. Gauges have no place here: a golden file must
// change with behavior only.
func countersOf(s *dataplane.WorkerStats) Counters {
	c := Counters{}
	set := func(name string, n uint64) {
		if n != 0 {
			c[name] = n
		}
	}
	for _, p := range s.Ports {
		prefix := "port." + p.Info.Name + "."
		set(prefix+"rx_packets", p.RxPackets)
		set(prefix+"rx_bytes", p.RxBytes)
		set(prefix+"tx_packets", p.TxPackets)
		set(prefix+"tx_bytes", p.TxBytes)
	}
	for r, n := range s.Drops {
		prefix := "drop." + dataplane.Reason(r).String() + "."
		set(prefix+"packets", n.Packets)
		set(prefix+"bytes", n.Bytes)
	}
	for e, n := range s.Events {
		set("event."+dataplane.Event(e).String(), n)
	}
	return c
}

// LoadCounters reads a counters file.
func LoadCounters(path string) (Counters, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var c Counters
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("replay: %s: %w", path, err)
	}
	return c, nil
}

// Write writes a counters file: sorted by name, one per line.
func (c Counters) Write(path string) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}
