// Package path turns a route as GoBGP reports it into a claim on an EIP.
package path
