// Package config reads the gateway's configuration: YAML in, a typed Config out, or
// everything that is wrong with it at once, each mistake with its line, its key, the
// value, and what was expected instead.
//
// Flow, in the order of the files:
//
//	reader.go      walks the document: unknown keys, keys that stand there twice, wrong shapes
//	scalar.go      words → numbers, addresses, prefixes, times
//	community.go   words → communities, and back
//	sections.go    which key goes where; forwarding.go the same of what is not simply forwarded
//	dscp.go        words → DSCPs, and back
//	config.go      the result, and its defaults
//	validate.go    what can be seen across keys only; neighbors.go the same of neighbors
//	diff.go        what of a changed configuration a running gateway can take over
//	example.go     a commented configuration with every key
//	problem.go     what a mistake looks like
package config
