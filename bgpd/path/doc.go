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
//	tunnel-encap     attribute 23 with a Geneve or VXLAN tunnel; VNI and inner MAC lie in
//	                 an Encapsulation sub-TLV in the form of VXLAN's, for Geneve a
//	                 convention of this gateway, since there is no standard form
//	large-community  GW-ASN:VTEP:VNI, the VTEP as a number; 0 for the next hop
//	next-hop         the next hop is the VTEP
//	peer             the next hop is the gateway itself: the VTEP is the virtual router,
//	                 which is ORIGINATOR_ID behind a reflector, else the neighbor
//
// The protocol is that of the tunnel in attribute 23; else what an Encapsulation extended
// community (RFC 9012 section 4.1) names; else the profile's, Geneve by default. Where a
// route offers both, in either form, the profile's is taken. A VXLAN tunnel whose
// Encapsulation sub-TLV says no VNI cannot be used (section 3.2.1) and is passed over; one
// without that sub-TLV takes the VNI from the large community or the profile.
//
// A better carrier wins where the lesser one is implied (next hop, peer, profile). Two
// that are explicit and differ, and two large communities that differ, are a conflict,
// and the route is refused: what was claimed before stays in force. So it does for an
// attribute that is malformed.
//
// # An attribute 23 that GoBGP drops
//
// GoBGP drops an attribute 23 that it cannot take apart (RFC 7606 calls that attribute
// discard), and says so in its log: which neighbor and when, but not which route. What
// is left of the route looks like one that never had the attribute. So of that neighbor,
// whatever was received in the same second or the one before is suspected, provided
// that
//
//   - its tunnel would be a guess: carrier next-hop or peer. A large community names VTEP
//     and VNI, and such a route is kept
//   - attribute 23 is believed of the neighbor. Whoever has next-hop or peer among the
//     carriers without tunnel-encap, or the other way around, never meets any of this
//
// What is suspected is refused at once, and judged again two seconds later. Where more
// than half of the suspected UPDATEs must be guilty, since so many attributes were
// dropped, all stay refused until they are withdrawn, or said again at a time when
// nothing is dropped: so it is with the usual one alone. Else nobody can tell the few
// guilty from the innocent, and all are believed: for the innocent that is right, and the
// guilty get the tunnel that the profile has for a route that names none, with a warning
// in the log. So both errors are possible: a plain route that stays refused among many
// guilty, and a guilty one in the tunnel of the profile. Where the latter must not be,
// take next-hop and peer off the neighbor's carriers. And what GoBGP drops is lost in any
// case: a route that has a large community as well is judged by that alone, and a
// conflict of the two goes unseen.
package path
