// Package path turns routes, in the octets in which a neighbor sent them, into claims:
// EIP → tunnel.
//
// Files, in the order in which a route passes through them:
//
//	convert.go      Converter: one UPDATE → one rib.Update
//	cut.go          an UPDATE into its parts, octet by octet (RFC 4271, 4760, 7911)
//	malformed.go    what an UPDATE withdraws that cannot be cut
//	attributes.go   the attributes that its routes share, by GoBGP's own parser
//	tunnelencap.go  attribute 23, octet by octet (RFC 9012)
//	claim.go        which tunnel the attributes mean, or why none
//	held.go         the same for routes that GoBGP holds, and what it has lost of them
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
// # What GoBGP makes of an UPDATE
//
// GoBGP has read every UPDATE before and decided what becomes of it (RFC 7606); it is not
// told, so the same is decided here again. All attributes that routes share, but for
// attribute 23, go through GoBGP's own parser and validation, once as long as they stay the
// same. Where GoBGP takes the routes for withdrawn they are withdrawn, and so they are
// where it excludes them: the gateway's AS is in their path more often than the neighbor
// may have it, or a neighbor of the gateway's AS says that the gateway is the originator.
// Tests hold both against each other, with octets that are wrong as well.
//
// # An attribute 23 that GoBGP drops
//
// GoBGP discards an attribute 23 that it cannot take apart, so its tables show a route that
// never had one. Here it is judged as it came: a malformed one refuses its routes, and what
// was claimed of them before stays in force. For when routes are judged again, from GoBGP's
// tables, Lost keeps the octets that those do not have.
package path
