// Package rib brings what sources claim into the forwarding table and tells the
// switches: authorise, select, program, announce.
package rib
