package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eipgw/eipgw/dataplane"
)

// dscpNames are the code points that have a name (RFC 2474, RFC 2597, RFC 3246, RFC
// 5865, RFC 8622).
var dscpNames = map[string]uint8{
	"be": 0, "le": 1, "ef": 46, "va": 44,
	"cs1": 8, "cs2": 16, "cs3": 24, "cs4": 32, "cs5": 40, "cs6": 48, "cs7": 56,
	"af11": 10, "af12": 12, "af13": 14, "af21": 18, "af22": 20, "af23": 22,
	"af31": 26, "af32": 28, "af33": 30, "af41": 34, "af42": 36, "af43": 38,
}

// dscpAliases are other names of them.
var dscpAliases = map[string]uint8{"df": 0, "cs0": 0, "voice-admit": 44}

const (
	maxDSCP  = 63
	wantDSCP = "a DSCP: 0 to 63, or a name such as ef, af11, cs6, be"

	dscpCopy = "copy"
)

// dscp reads a code point, by number or by name.
func dscp(text string) (uint8, string) {
	for _, names := range []map[string]uint8{dscpNames, dscpAliases} {
		if d, ok := names[strings.ToLower(text)]; ok {
			return d, ""
		}
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n > maxDSCP {
		return 0, wantDSCP
	}
	return uint8(n), ""
}

// readDSCP reads where the outer DSCP is from: a word for a policy, a code point for
// always the same, or a mapping from inner to outer ones.
func readDSCP(dst *dataplane.DSCPPolicy) func(value) {
	return func(v value) {
		pairs, ok := asMapping(v.node)
		if !ok {
			into(dst, dscpPolicy)(v)
			return
		}
		p := dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{}}
		for _, pair := range pairs {
			name, line := keyName(pair.Key), lineOf(pair.Key)
			to := v.child(join(v.key, name), pair.Value, line)
			from, want := dscp(name)
			if want != "" {
				to.bad("%q: expected %s", name, want)
				continue
			}
			if _, twice := p.Map[from]; twice {
				to.bad("there twice: DSCP %d is mapped already", from)
				continue
			}
			var code uint8
			into(&code, dscp)(to)
			p.Map[from] = code
		}
		if len(pairs) == 0 {
			v.bad("nothing: expected at least one pair of DSCPs, such as {ef: cs5}, or copy")
		}
		*dst = p
	}
}

func dscpPolicy(text string) (dataplane.DSCPPolicy, string) {
	if text == dscpCopy {
		return dataplane.DSCPPolicy{Mode: dataplane.DSCPCopy}, ""
	}
	d, want := dscp(text)
	if want != "" {
		return dataplane.DSCPPolicy{}, "copy, " + wantDSCP + ", or a map from inner to outer ones, such as {ef: cs5}"
	}
	return dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: d}, ""
}

// FormatDSCP is how the configuration would say a policy.
func FormatDSCP(p dataplane.DSCPPolicy) string {
	switch p.Mode {
	case dataplane.DSCPFixed:
		return dscpName(p.Fixed)
	case dataplane.DSCPMap:
		var pairs []string
		for _, from := range slices.Sorted(maps.Keys(p.Map)) {
			pairs = append(pairs, fmt.Sprintf("%s: %s", dscpName(from), dscpName(p.Map[from])))
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}
	return dscpCopy
}

func dscpName(d uint8) string {
	for name, v := range dscpNames {
		if v == d {
			return name
		}
	}
	return strconv.Itoa(int(d))
}
