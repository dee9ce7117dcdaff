// Command eipgw is the EIP gateway and the commands to work with it.
//
// One packet, five hops: Port.Rx → classify (parse, lookup) → rewrite (TTL, MTU,
// tunnel header) or respond → Port.Tx → release. One route, five hops: GoBGP →
// bgpd/path (to a claim) → bgpd/rib (authorise, select) → dataplane/fib (compile,
// publish) → announce.
//
// Files: main.go (the command tree, exit codes). The daemon: run.go (signals, log,
// systemd), wire.go (configuration → ports, table, workers, RIB, speaker: the one place
// where the parts meet), parts.go (what of them touches the world, so that tests can
// put memory there), sources.go, segments.go and parts of them in split.go (wanted
// segments: the file's and the API's), reload.go, health.go (what announcing depends
// on), view.go, status.go and why.go (what the API shows), bind.go. The commands:
// show.go, tables.go and status_cmd.go, why_cmd.go, segment_cmd.go, bind_cmd.go,
// validate.go, replay.go, and demo.go, which alone may import perf. table.go prints.
// deps_test.go holds who may import whom.
package main
