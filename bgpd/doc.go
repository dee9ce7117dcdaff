// Package bgpd is the gateway's BGP speaker: it learns which EIP is behind which
// virtual router, and announces the EIP segments to the switches.
package bgpd
