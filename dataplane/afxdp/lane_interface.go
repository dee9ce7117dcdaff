package afxdp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// onLane is what an interface has beside its filter when it is in a lane. Interface.mu
// guards it.
type onLane struct {
	program  *ebpf.Program // instead of the filter where the mode is native
	counters *ebpf.Map
	segments sureSegments
	features *features
	farEnds  *farEnds
	now      laneDevice // what the lane knows of the device
	why      error      // why the device could not be asked
}

// loadLane loads the copy of both programs for one interface, over the lane's shared maps.
func (i *Interface) loadLane() error {
	spec, err := loadLane()
	if err != nil {
		return err
	}
	shared := i.cfg.Lane.shared()
	for _, name := range laneRegions {
		if shared[name] == nil {
			return errors.New("the lane's memory has to be a table's before")
		}
		spec.Maps[name].MaxEntries = shared[name].MaxEntries()
	}
	if err := spec.Variables["lane_port"].Set(uint32(i.cfg.ID)); err != nil {
		return err
	}
	var objs struct {
		lanePrograms
		laneMaps
		Variables *ebpf.Map `ebpf:".bss"`
	}
	if err := spec.LoadAndAssign(&objs, &ebpf.CollectionOptions{MapReplacements: shared}); err != nil {
		if errors.Is(err, unix.EACCES) && len(missing(capPerfmon)) > 0 { // for its arithmetic with addresses
			err = explainPrivilege(err, capPerfmon)
		}
		return fmt.Errorf("the fast lane: %w", err)
	}
	i.objs.filterPrograms = filterPrograms{EipgwFilter: objs.EipgwFilter}
	i.objs.filterMaps = filterMaps{
		FilterCounters: objs.FilterCounters, FilterSettings: objs.FilterSettings,
		Queues: objs.Queues, Segments4: objs.Segments4, Segments6: objs.Segments6, Sockets: objs.Sockets,
	}
	i.lane.program, i.lane.counters = objs.EipgwLane, objs.LaneCounters
	i.lane.segments, err = mapSure(spec, objs.Variables)
	for _, m := range []*ebpf.Map{objs.FibRoot4, objs.FibSlots, objs.FibLines, objs.LaneRules, objs.LaneDevices, objs.Variables} {
		err = errors.Join(err, m.Close()) // the program holds them
	}
	if err == nil {
		i.lane.features, err = askFeatures()
	}
	if err == nil {
		i.lane.farEnds, err = askFarEnds()
	}
	return err
}

// shared is the maps that the programs of all interfaces have in common.
func (l *Lane) shared() map[string]*ebpf.Map {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]*ebpf.Map{}
	for name, m := range l.maps {
		out[name] = m
	}
	return out
}

// programFor is the program that the device gets in a mode. In generic mode the kernel
// copies a frame before the program and once more behind it: the lane would gain nothing.
func (i *Interface) programFor(m Mode) *ebpf.Program {
	if i.lane.program != nil && m == ModeNative {
		return i.lane.program
	}
	return i.objs.EipgwFilter
}

// joinLane tells the lane of the device as it is. The caller holds mu, and is in the
// interface's network namespace if the device is another one than before.
func (i *Interface) joinLane() error {
	if i.lane.program == nil {
		return nil
	}
	d := laneDevice{index: i.dev.index, mtu: i.mtu}
	if i.mode == ModeNative {
		var has uint64
		has, i.lane.why = i.lane.features.of(i.dev.index)
		d.redirect = has&featureNdoXmit != 0
		d.tx = has&featureBasic != 0
		if i.dev.driver == "veth" {
			// It says that it can do that whatever its far end can; and where that has no
			// program of its own, only GRO, nobody wakes it up for what comes so
			// (veth_xdp_flush in the kernel's drivers/net/veth.c). What can't be asked redirects.
			native, err := i.lane.farEnds.native(i.dev.index)
			d.tx = d.tx && native && err == nil
		}
	}
	if err := i.cfg.Lane.set(i, i.cfg.ID, d); err != nil {
		return err
	}
	i.lane.now = d
	return nil
}

// refreshLane is joinLane for a device that has been told of.
func (i *Interface) refreshLane() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.lane.now.index != i.dev.index {
		return nil
	}
	return i.joinLane()
}

// leaveLane undoes loadLane and joinLane, after the program has been detached.
func (i *Interface) leaveLane() error {
	if i.lane.program == nil {
		return nil
	}
	i.lane.features.close()
	i.lane.farEnds.close()
	i.segments.sure = sureSegments{}
	return errors.Join(i.cfg.Lane.forget(i), i.lane.program.Close(), i.lane.counters.Close(), i.lane.segments.close())
}

// LaneCounters is what the lane has forwarded of what came in by an interface, by the
// port that it left by.
type LaneCounters struct {
	Out      fib.PortID `json:"out"`
	Frames   uint64     `json:"frames"`
	Received uint64     `json:"received-bytes"` // as they came in
	Sent     uint64     `json:"sent-bytes"`     // tunnel headers included
	Lost     uint64     `json:"lost"`           // frames beside those: the port's device had gone
}

// laneStatus is nil where the lane's program is not on the interface.
func (i *Interface) laneStatus() (*LaneStatus, error) {
	if i.lane.program == nil || i.mode != ModeNative {
		return nil, nil
	}
	st := &LaneStatus{Redirects: i.lane.now.redirect, Returns: i.lane.now.tx}
	var cpus []laneCarried
	for id := range uint32(maxLanePorts) {
		if err := i.lane.counters.Lookup(id, &cpus); err != nil {
			return nil, fmt.Errorf("afxdp: %s: reading the lane's counters: %w", i.cfg.Name, err)
		}
		c := LaneCounters{Out: fib.PortID(id)}
		for _, cpu := range cpus {
			c.Frames += cpu.Frames
			c.Received += cpu.Received
			c.Sent += cpu.Sent
			c.Lost += cpu.Lost
		}
		if c.Frames+c.Lost > 0 {
			st.Carried = append(st.Carried, c)
		}
	}
	return st, nil
}

// LaneStatus is an interface's part of the fast lane.
type LaneStatus struct {
	Redirects bool           `json:"redirects"` // the lane sends by it whatever came in
	Returns   bool           `json:"returns"`   // ... or at least what came in by itself
	Carried   []LaneCounters `json:"carried"`   // by port that frames left by, without those that none did
}

// laneNotes says why the lane does less than it might.
func (i *Interface) laneNotes(note func(string, ...any)) {
	switch {
	case i.lane.program == nil:
	case i.mode != ModeNative:
		note("fast lane: not on this interface: in %v mode it would gain nothing", i.mode)
	case i.lane.why != nil:
		note("fast lane: frames that leave by this interface go through a worker: its device can't be asked what it takes: %v", i.lane.why)
	case !i.lane.now.redirect && i.dev.driver == "veth":
		note("fast lane: frames that leave by this interface go through a worker: its far end takes none from a program (it needs GRO on or an XDP program of its own)")
	case !i.lane.now.redirect && !i.lane.now.tx:
		note("fast lane: frames that leave by this interface go through a worker: driver %s sends none for a program", i.dev.driver)
	case !i.lane.now.redirect:
		note("fast lane: frames that came in by others and leave by this interface go through a worker: driver %s takes none from a program", i.dev.driver)
	}
}

// checkLane says whether the interface can be the lane's.
func (c *InterfaceConfig) checkLane() error {
	if c.Lane != nil && int(c.ID) >= maxLanePorts {
		return fmt.Errorf("afxdp: %s: port ID %d: the fast lane has room for IDs up to %d", c.Name, c.ID, maxLanePorts-1)
	}
	return nil
}

// ours are the names of the programs that this package puts on interfaces.
var ours = []string{filterProgEipgwFilter, laneProgEipgwLane}

func isOurs(name string) bool { return slices.Contains(ours, name) }
