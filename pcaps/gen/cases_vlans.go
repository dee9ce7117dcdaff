package main

// vlanCases are the VLANs that a port takes.
func vlanCases() []story {
	customer, other := tag{tpid: typeCTag, vid: 100}, tag{tpid: typeCTag, vid: 101}
	service := tag{tpid: typeSTag, vid: 200}
	priority := tag{tpid: typeCTag, pcp: 5}
	p4, p6 := udp(to4), udp(to6)
	const clause = "802.1Q section 8.6.2"

	// takes has the port take frames of these VLANs, and no others: every way to tag is
	// tried, in both families.
	takes := func(accepted func(tags ...tag) bool, vlans ...string) func(*Case) {
		return func(c *Case) {
			p := sw0
			p.VLANs = vlans
			c.ports(p)
			c.bind(eip4, tunnel4)
			c.bind(eip6, tunnel4)
			for _, tags := range [][]tag{
				nil, {priority}, {customer}, {other}, {{tpid: typeSTag, vid: 100}}, {service},
				{service, customer}, {service, other}, {customer, customer}, {{tpid: typeCTag, vid: 200}, customer},
				{{tpid: typeCTag, pcp: 7, dei: true, vid: 100}},
			} {
				for _, p := range []packet{p4, p6} {
					f := c.frame(p)
					for i := len(tags) - 1; i >= 0; i-- {
						f = tags[i].in(f)
					}
					if accepted(tags...) {
						c.forwardFrame(f, p, tunnel4)
					} else {
						c.drop(f, "vlan")
					}
				}
			}
		}
	}
	vids := func(tags ...tag) (v [2]uint16) {
		for i, t := range tags {
			v[i] = t.vid
		}
		return v
	}

	return []story{
		{"port-vlan-untagged", "a port of untagged frames alone; a priority tag names no VLAN", clause,
			takes(func(tags ...tag) bool { return vids(tags...) == [2]uint16{} }, "0")},
		{"port-vlan-one", "a port of one VLAN, by either type of tag", clause,
			takes(func(tags ...tag) bool { return vids(tags...) == [2]uint16{100} }, "100")},
		{"port-vlan-qinq", "a port of one VLAN in another", clause,
			takes(func(tags ...tag) bool { return vids(tags...) == [2]uint16{200, 100} }, "200.100")},
		{"port-vlan-some", "a port of several: untagged, one tag, two tags", clause,
			takes(func(tags ...tag) bool {
				v := vids(tags...)
				return v == [2]uint16{} || v == [2]uint16{101} || v == [2]uint16{200, 101}
			}, "0", "101", "200.101")},
		{"port-vlan-any", "a port that says nothing takes all", clause, func(c *Case) {
			only := vr0
			only.VLANs = []string{"100"}
			c.ports(sw0, only)
			c.bind(eip4, tunnel4)
			c.forward(p4, tunnel4)
			c.forwardFrame(other.in(c.frame(p4)), p4, tunnel4)
			c.forwardFrame(service.in(customer.in(c.frame(p4))), p4, tunnel4)
			c.at = vr0.Name
			c.drop(c.frame(p4), "vlan")
			c.forwardFrame(customer.in(c.frame(p4)), p4, tunnel4)
		}},
		{"port-vlan-not-answered", "a frame of a VLAN that the port does not take is not answered", clause, func(c *Case) {
			c.answering()
			only := sw0
			only.VLANs = []string{"100"}
			c.ports(only)
			c.bind(eip4, tunnel4)
			c.drop(c.frame(p4.ttl(1)), "vlan")
			c.answerFrame(customer.in(c.frame(p4.ttl(1))), p4.ttl(1), "ttl_expired", timeExceeded)
		}},
		{"port-vlan-first-fault", "that the frame is of another VLAN comes before what is in it", "order of the Reasons", func(c *Case) {
			only := sw0
			only.VLANs = []string{"100"}
			c.ports(only)
			c.bind(eip4, tunnel4)
			c.drop(c.ether(typeARP, pattern(46)), "vlan")
			c.drop(c.ether(typeIPv4, p6.bytes()), "vlan")
			c.drop(customer.in(c.ether(typeARP, pattern(46))), "ether_type")
		}},
	}
}
