// Package config reads the gateway's configuration: YAML in, a typed Config out, or
// everything that is wrong with it at once, each mistake with its line, its key, the
// value, and what was expected instead.
//
// Flow, in the order of the files: reader.go walks the document (unknown keys, keys
// that stand there twice, wrong shapes), scalar.go turns words into addresses,
// prefixes, times; sections.go says which key goes where; config.go is the result and
// its defaults; validate.go checks what can only be seen across keys; diff.go says
// what of a changed configuration a running gateway can take over, and what needs a
// restart. example.go is a commented configuration with every key. problem.go is what
// a mistake looks like.
package config
