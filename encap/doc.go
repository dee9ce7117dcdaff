// Package encap holds tunnel headers as bytes.
package encap
