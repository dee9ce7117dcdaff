// Package path turns a route as GoBGP reports it into a claim: EIP → tunnel.
//
// Files, in the order in which a route passes through them:
//
//	convert.go      Converter: the routes of one UPDATE → one rib.Update
//	decode.go       prefix and attributes out of GoBGP's messages
//	tunnelencap.go  attribute 23, octet by octet (RFC 9012)
//	claim.go        which tunnel the attributes mean, or why none
//	profile.go      what the configuration knows of the neighbor
//
// What says which tunnel leads to an EIP is called a carrier. Best first:
//
//	tunnel-encap     attribute 23 with a Geneve tunnel; VNI and inner MAC lie in an
//	                 Encapsulation sub-TLV in the form of VXLAN's, a convention of this
//	                 gateway, since there is no standard form for Geneve
//	large-community  GW-ASN:VTEP:VNI, the VTEP as a number; 0 for the next hop
//	next-hop         the next hop is the VTEP
//	peer             the next hop is the gateway itself: the VTEP is the virtual router,
//	                 which is ORIGINATOR_ID behind a reflector, else the neighbor
//
// A better carrier wins where the lesser one is implied (next hop, peer, profile). Two
// that are explicit and differ, and two large communities that differ, are a conflict,
// and the route is refused: what was claimed before stays in force. So it does for an
// attribute that is malformed.
package path
