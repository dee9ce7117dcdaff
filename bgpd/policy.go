package bgpd

import (
	"net/netip"

	api "github.com/osrg/gobgp/v3/api"
)

// What goes in and out is fenced by GoBGP's policies, both of which reject by
// default.
//
// In: only what the gateway itself originates enters GoBGP's table. Routes of
// neighbors stay in the adj-RIB-in, where they are watched before policy; selection
// is the RIB's. So GoBGP has nothing of theirs to propagate, to anybody, and their
// attribute 23 cannot leak.
//
// Out: what is local, to the switches, with the next hop that is configured. The
// statements name the switches; nobody else gets anything. Virtual routers are kept
// out by their kind of session besides, see apiRouteServer.
const (
	importPolicy = "eipgw-import"
	exportPolicy = "eipgw-export"
	globalTable  = "global" // the name that policy assignment has for the table
)

var apiFamily = map[Family]*api.Family{
	IPv4: {Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST},
	IPv6: {Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST},
}

// policies is the whole policy for c: for each family and kind of next hop a set of
// the switches and a statement.
func policies(c *Config) *api.SetPoliciesRequest {
	local := api.Conditions_ROUTE_TYPE_LOCAL
	export := &api.Policy{Name: exportPolicy}
	req := &api.SetPoliciesRequest{Policies: []*api.Policy{
		{Name: importPolicy, Statements: []*api.Statement{{
			Name:       "eipgw-own",
			Conditions: &api.Conditions{RouteType: local},
			Actions:    &api.Actions{RouteAction: api.RouteAction_ACCEPT},
		}}},
		export,
	}}
	for _, f := range []Family{IPv4, IPv6} {
		for _, h := range []hop{hopSession, hopService} {
			members := switches(c, f, h)
			if len(members) == 0 { // an empty set would match everybody
				continue
			}
			name, nh := "eipgw-"+f.String()+"-session", &api.NexthopAction{Self: true}
			if h == hopService {
				name, nh = "eipgw-"+f.String()+"-service", &api.NexthopAction{Address: c.service(f).String()}
			}
			req.DefinedSets = append(req.DefinedSets, &api.DefinedSet{
				DefinedType: api.DefinedType_NEIGHBOR, Name: name, List: members,
			})
			export.Statements = append(export.Statements, &api.Statement{
				Name: name,
				Conditions: &api.Conditions{
					NeighborSet: &api.MatchSet{Type: api.MatchSet_ANY, Name: name},
					AfiSafiIn:   []*api.Family{apiFamily[f]},
					RouteType:   local,
				},
				Actions: &api.Actions{RouteAction: api.RouteAction_ACCEPT, Nexthop: nh},
			})
		}
	}
	return req
}

// switches lists those that get family f with next hop h, as prefixes.
func switches(c *Config, f Family, h hop) []string {
	var list []string
	for i := range c.Neighbors {
		n := &c.Neighbors[i]
		if n.Role != Switch || c.hop(n, f) != h {
			continue
		}
		p := n.Range
		if !p.IsValid() {
			p = netip.PrefixFrom(n.Address, n.Address.BitLen())
		}
		list = append(list, p.String())
	}
	return list
}

// assignments puts the policies to work; both reject what they do not name.
func assignments() []*api.SetPolicyAssignmentRequest {
	assign := func(d api.PolicyDirection, policy string) *api.SetPolicyAssignmentRequest {
		return &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
			Name: globalTable, Direction: d,
			Policies:      []*api.Policy{{Name: policy}},
			DefaultAction: api.RouteAction_REJECT,
		}}
	}
	return []*api.SetPolicyAssignmentRequest{
		assign(api.PolicyDirection_IMPORT, importPolicy),
		assign(api.PolicyDirection_EXPORT, exportPolicy),
	}
}
