package main

import "fmt"

// Case is a gateway, the frames that arrive, and what has to come of each.
type Case struct {
	Name  string
	Topic string // heading in the index
	Gateway

	at      string // port at which frames arrive
	in, out map[string][][]byte
	drops   map[string]count
	events  map[string]int
}

// count is frames and their bytes.
type count struct{ packets, bytes int }

// story is a case to be told: what it is called, what it shows, what it rests on.
type story struct {
	name, title, rfc string
	tell             func(*Case)
}

// topic is stories under one heading.
type topic struct {
	heading string
	stories []story
}

func (s story) run(heading string) *Case {
	c := &Case{
		Name: s.name, Topic: heading, Gateway: Gateway{Title: s.title, RFC: s.rfc, Ports: []Port{sw0}},
		at: sw0.Name, in: map[string][][]byte{}, out: map[string][][]byte{}, drops: map[string]count{}, events: map[string]int{},
	}
	s.tell(c)
	return c
}

// ports replaces the case's ports, of which there is one, sw0, from the start. Frames
// arrive at the first.
func (c *Case) ports(ports ...Port) {
	c.Ports = ports
	c.at = ports[0].Name
}

// bind puts tunnels behind a prefix or an address, and gives every VTEP that has no
// way yet the common one: by the first port, to the switch.
func (c *Case) bind(prefix prefixer, tunnels ...Tunnel) {
	c.bindUnresolved(prefix, tunnels...)
	for _, t := range tunnels {
		if len(c.ways(t.VTEP)) == 0 {
			c.resolve(t, c.wayOut(c.Ports[0]))
		}
	}
}

// bindUnresolved is bind without ways.
func (c *Case) bindUnresolved(prefix prefixer, tunnels ...Tunnel) {
	c.Bindings = append(c.Bindings, Binding{prefix.prefix().String(), tunnels})
}

// resolve gives a tunnel's VTEP its ways; where they name no source address, the
// gateway's service address of the VTEP's family.
func (c *Case) resolve(t Tunnel, ways ...Way) {
	for i := range ways {
		if !ways[i].Local.IsValid() {
			ways[i].Local = service(t.VTEP)
		}
	}
	c.Underlay = append(c.Underlay, Underlay{t.VTEP, ways})
}

// wayOut is the way to the switch by a port.
func (c *Case) wayOut(p Port) Way { return Way{Port: p.Name, DstMAC: switchMAC} }

// frame is p as the switch sends it to the port at which frames arrive.
func (c *Case) frame(p packet) []byte {
	return c.ether(p.etherType(), p.bytes())
}

// ether is a frame of any type from the switch to that port.
func (c *Case) ether(etherType uint16, payload []byte) []byte {
	_, port := c.port(c.at)
	return ethernet{macOr(port.MAC, mac{}), macOr(switchMAC, mac{}), etherType}.over(payload)
}

// drop has a frame arrive that must go nowhere, for that Reason.
func (c *Case) drop(frame []byte, reason string) {
	c.arrive(frame)
	d := c.drops[reason]
	d.packets++
	d.bytes += len(frame)
	c.drops[reason] = d
}

// forward has p arrive, which must leave through one of the tunnels: the one that
// its flow chooses where there are several.
func (c *Case) forward(p packet, tunnels ...Tunnel) Tunnel {
	return c.forwardFrame(c.frame(p), p, tunnels...)
}

// forwardFrame is forward for a frame that holds p in another manner.
func (c *Case) forwardFrame(frame []byte, p packet, tunnels ...Tunnel) Tunnel {
	t, w, ok := c.choose(p.flow.hash(), tunnels)
	if !ok {
		panic(fmt.Sprintf("case %s: no way to any of %v", c.Name, tunnels))
	}
	c.arrive(frame)
	want := c.encapsulate(p.hop(), t, w)
	size := len(want) - 14 - 4*len(w.VLAN.tags())
	if _, out := c.port(w.Port); size > min(w.MTU, out.mtu()) {
		panic(fmt.Sprintf("case %s: a packet of %d bytes is more than way %v takes", c.Name, size, w))
	}
	c.out[w.Port] = append(c.out[w.Port], want)
	return t
}

// event counts something that happened to a frame beside its end.
func (c *Case) event(name string) { c.events[name]++ }

func (c *Case) arrive(frame []byte) {
	_, p := c.port(c.at)
	largest := 14 + p.mtu()
	if len(frame) > 14 && frame[12] == 0x81 { // links leave room for one 802.1Q tag
		largest += 4
	}
	if len(frame) > largest {
		panic(fmt.Sprintf("case %s: a frame of %d bytes does not come through port %s", c.Name, len(frame), p.Name))
	}
	c.in[c.at] = append(c.in[c.at], frame)
}
