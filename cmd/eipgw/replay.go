package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eipgw/eipgw/bgpd/static"
	"github.com/eipgw/eipgw/dataplane/replay"
	"github.com/eipgw/eipgw/encap"
)

// replayFlags make a case, or change one that was read.
type replayFlags struct {
	file, bindings            string
	ports, in, out, adjacency []string
}

func (c *cli) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay [-c CASE] [--in PORT=FILE]... [--out PORT=FILE]...",
		Short: "Send pcap files through the forwarder: no root, no network, no daemon",
		Long: `Send pcap files through the same forwarder that runs on the wire, and print the
counters that changed. It needs no privilege and opens nothing but files.

CASE is a folder with case.yaml and in.PORT.pcap, as under pcaps/cases, or such a
description by itself; flags add to it. Its rules say what is answered, fragmented,
clamped and so on; without them nothing is answered. Without CASE, flags say the rest:

  --port PORT=MAC[,MTU[,VLAN]]               an interface; MTU 1500 and untagged by default,
                                             or a VLAN such as 100, or 100.200 for two tags
  --bindings FILE                            a bindings file, in place of the case's
  --adjacency VTEP=PORT,NEXT-HOP-MAC,SOURCE  a way to a VTEP; several make ECMP
  --in PORT=FILE                             frames that arrive there
  --out PORT=FILE                            where to write frames that leave there`,
		Example: `  eipgw replay -c pcaps/cases/ipv4-over-ipv4 --out sw0=out.pcap
  eipgw replay --port sw0=02:00:00:00:00:01 --bindings bindings.yaml \
    --adjacency 10.0.2.11=sw0,02:00:00:00:00:fe,10.255.0.1 --in sw0=in.pcap --out sw0=out.pcap`,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			k, err := f.build()
			if err != nil {
				return err
			}
			r, err := replay.Run(k)
			if err != nil {
				return err
			}
			return c.print(replayView(r), func() error { return c.printReplay(&k, r) })
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "case", "c", "", "case folder, or its description")
	fl.StringArrayVar(&f.ports, "port", nil, "PORT=MAC[,MTU[,VLAN]]; may be repeated")
	fl.StringArrayVar(&f.in, "in", nil, "PORT=FILE that arrives; may be repeated")
	fl.StringArrayVar(&f.out, "out", nil, "PORT=FILE for what leaves; may be repeated")
	fl.StringVar(&f.bindings, "bindings", "", "bindings file, in place of the case's bindings")
	fl.StringArrayVar(&f.adjacency, "adjacency", nil, "VTEP=PORT,NEXT-HOP-MAC,SOURCE; may be repeated")
	return c.jsonFlag(cmd)
}

// build reads the case and adds what the flags say.
func (f *replayFlags) build() (k replay.Case, err error) {
	if f.file == "" && len(f.ports) == 0 {
		return k, usage("expected a case (-c), or at least one --port: `eipgw replay --help` has examples")
	}
	k.Title = "replay"
	if f.file != "" {
		if k, err = replay.Load(f.file); err != nil {
			return k, &usageError{err}
		}
	}
	for _, step := range []func(*replay.Case) error{f.addPorts, f.takeBindings, f.addWays, f.files} {
		if err := step(&k); err != nil {
			return k, err
		}
	}
	if err := k.Complete(); err != nil {
		return k, &usageError{err}
	}
	return k, nil
}

// pair splits NAME=VALUE.
func pair(flag, text, shape string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || value == "" {
		return "", "", usage("--%s %q: expected %s", flag, text, shape)
	}
	return name, value, nil
}

func (f *replayFlags) addPorts(k *replay.Case) error {
	const shape = "PORT=MAC[,MTU[,VLAN]], such as sw0=02:00:00:00:00:01,1500"
	for _, text := range f.ports {
		name, value, err := pair("port", text, shape)
		if err != nil {
			return err
		}
		words := strings.Split(value, ",")
		p := replay.Port{Name: name}
		if len(words) > 3 || p.MAC.UnmarshalText([]byte(words[0])) != nil {
			return usage("--port %q: expected %s", text, shape)
		}
		for i, word := range words[1:] {
			if i == 0 {
				n, e := strconv.ParseUint(word, 10, 16)
				p.MTU, err = int(n), e
			} else {
				var vlan encap.VLAN
				vlan, err = encap.ParseVLAN(word)
				p.VLAN = replay.VLAN(vlan)
			}
			if err != nil {
				return usage("--port %q: expected %s", text, shape)
			}
		}
		k.Ports = append(k.Ports, p)
	}
	return nil
}

// takeBindings reads the bindings file as the daemon would.
func (f *replayFlags) takeBindings(k *replay.Case) error {
	if f.bindings == "" {
		return nil
	}
	bindings, err := static.Load(f.bindings)
	if err != nil {
		return &usageError{err}
	}
	k.Bindings = nil
	for _, b := range bindings {
		r := replay.Binding{Prefix: b.Prefix}
		for _, t := range b.Tunnels {
			r.Tunnels = append(r.Tunnels, replayTunnel(t))
		}
		k.Bindings = append(k.Bindings, r)
	}
	return nil
}

func replayTunnel(t encap.Tunnel) replay.Tunnel {
	return replay.Tunnel{
		VTEP: t.VTEP, VNI: t.VNI, Protocol: replay.Protocol(t.Protocol), UDPPort: t.Port, InnerMAC: replay.MAC(t.InnerDst), InnerSrcMAC: replay.MAC(t.InnerSrc),
		Options: hex.EncodeToString(t.Options.AppendTo(nil)),
	}
}

func (f *replayFlags) addWays(k *replay.Case) error {
	const shape = "VTEP=PORT,NEXT-HOP-MAC,SOURCE, such as 10.0.2.11=sw0,02:00:00:00:00:fe,10.255.0.1"
	for _, text := range f.adjacency {
		name, value, err := pair("adjacency", text, shape)
		if err != nil {
			return err
		}
		words := strings.Split(value, ",")
		vtep, err := netip.ParseAddr(name)
		if err != nil || len(words) != 3 {
			return usage("--adjacency %q: expected %s", text, shape)
		}
		w := replay.Way{Port: words[0]}
		local, err := netip.ParseAddr(words[2])
		if err != nil || w.DstMAC.UnmarshalText([]byte(words[1])) != nil {
			return usage("--adjacency %q: expected %s", text, shape)
		}
		w.Local = local
		i := slices.IndexFunc(k.Underlay, func(u replay.Underlay) bool { return u.VTEP == vtep })
		if i < 0 {
			i = len(k.Underlay)
			k.Underlay = append(k.Underlay, replay.Underlay{VTEP: vtep})
		}
		k.Underlay[i].Ways = append(k.Underlay[i].Ways, w)
	}
	return nil
}

// files points ports at the files that --in and --out name.
func (f *replayFlags) files(k *replay.Case) error {
	set := func(flag string, texts []string, at func(*replay.Port, string)) error {
		for _, text := range texts {
			name, file, err := pair(flag, text, "PORT=FILE")
			if err != nil {
				return err
			}
			i := slices.IndexFunc(k.Ports, func(p replay.Port) bool { return p.Name == name })
			if i < 0 {
				return usage("--%s %s: %q is none of the ports", flag, text, name)
			}
			at(&k.Ports[i], file)
		}
		return nil
	}
	if err := set("in", f.in, func(p *replay.Port, file string) { p.In = file }); err != nil {
		return err
	}
	return set("out", f.out, func(p *replay.Port, file string) { p.Out = file })
}

// replayView is a result as JSON.
func replayView(r replay.Result) any {
	return struct {
		Counters replay.Counters `json:"counters"`
	}{r.Counters}
}

func (c *cli) printReplay(k *replay.Case, r replay.Result) error {
	t := newTable("COUNTER", "VALUE>")
	for _, name := range slices.Sorted(maps.Keys(r.Counters)) {
		t.row(name, count(r.Counters[name]))
	}
	if err := t.print(c.out, "no frame arrived: name files with --in"); err != nil {
		return err
	}
	for _, p := range k.Ports {
		line := ""
		switch {
		case p.Out != "":
			line = "what left " + p.Name + " is in " + p.Out
		case len(r.Out[p.Name]) > 0:
			line = fmt.Sprintf("what left %s was not kept: --out %s=FILE writes it", p.Name, p.Name)
		default:
			continue
		}
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}
