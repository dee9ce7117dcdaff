package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDiffNamesWhatNeedsARestart(t *testing.T) {
	running := mustParse(t, minimal)
	next := mustParse(t, strings.NewReplacer(
		"64512", "64513", "eth1", "eth2", "203.0.113.0/24", "203.0.113.0/25",
	).Replace(minimal)+"log: {level: debug, format: json}\n")
	assert.Equal(t, Change{
		Reload:  []string{"segments", "log.level"},
		Restart: []string{"gateway.asn", "ports", "log.format"},
	}, Diff(running, next))
	assert.True(t, Diff(running, mustParse(t, minimal)).Empty(), "the same text read twice differs")
}

// What a reload takes over is told from what is beside it and fixed.
func TestDiffOfForwarding(t *testing.T) {
	running := mustParse(t, minimal)
	forwarding := "forwarding: {unbound: drop}\ntunnel: {dscp: ef, pcp: from-dscp}\n"
	vlans := strings.NewReplacer("eth1", "eth1, accept-vlans: [7]", "203.0.113.0/24}", "203.0.113.0/24, mss-clamp: true}")
	assert.Equal(t, Change{Reload: []string{"segments", "ports.accept-vlans", "tunnel.dscp", "tunnel.pcp", "forwarding"}},
		Diff(running, mustParse(t, vlans.Replace(minimal)+forwarding)))
	assert.Equal(t, Change{Reload: []string{"tunnel.dscp"}, Restart: []string{"tunnel.ttl", "tunnel.path-mtu"}},
		Diff(running, mustParse(t, minimal+"tunnel: {dscp: {ef: cs5}, ttl: 7, path-mtu: off}\n")))
	assert.Equal(t, Change{Restart: []string{"ports.mode", "ports.vlan"}},
		Diff(running, mustParse(t, strings.Replace(minimal, "eth1", "eth1, vlan: 100.200, mode: generic", 1))))
	assert.Equal(t, Change{Restart: []string{"ports"}},
		Diff(running, mustParse(t, strings.Replace(minimal, "eth1", "eth2, vlan: 100.200", 1))), "another port is all that is said of one")
	assert.Equal(t, Change{Reload: []string{"forwarding"}, Restart: []string{"forwarding.fast-lane", "forwarding.fast-lane-memory"}},
		Diff(running, mustParse(t, minimal+"forwarding: {unbound: drop, fast-lane: on, fast-lane-memory: 64}\n")))
	assert.Empty(t, running.Ports[0].AcceptVLANs)
	assert.Len(t, mustParse(t, vlans.Replace(minimal)).Ports[0].AcceptVLANs, 1, "comparing takes nothing away")
}

// Every field of Config, however deep, is seen by Diff: it is changed here, one by one.
func TestDiffSeesEveryField(t *testing.T) {
	fields := 0
	var walk func(path string, get func(*Config) reflect.Value, typ reflect.Type)
	walk = func(path string, get func(*Config) reflect.Value, typ reflect.Type) {
		if typ.Kind() == reflect.Struct && typ != reflect.TypeFor[netip.Addr]() && typ != reflect.TypeFor[netip.AddrPort]() {
			for i := range typ.NumField() {
				walk(path+"."+typ.Field(i).Name, func(c *Config) reflect.Value { return get(c).Field(i) }, typ.Field(i).Type)
			}
			return
		}
		if path == ".Warnings" {
			return
		}
		fields++
		running, next := defaults(), defaults()
		change(t, get(next))
		assert.False(t, Diff(running, next).Empty(), "Diff does not see a change of %s", path)
	}
	walk("", func(c *Config) reflect.Value { return reflect.ValueOf(c).Elem() }, reflect.TypeFor[Config]())
	assert.Greater(t, fields, 20)
}

func change(t *testing.T, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = netip.MustParseAddr("192.0.2.1")
	case *netip.AddrPort:
		*p = netip.MustParseAddrPort("192.0.2.1:1")
	case *time.Duration:
		*p += time.Second
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int:
			v.SetInt(v.Int() + 1)
		case reflect.Uint8, reflect.Uint16, reflect.Uint32:
			v.SetUint(v.Uint() + 1)
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
		case reflect.Slice:
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		default:
			t.Fatalf("this test knows no other value of %s", v.Type())
		}
	}
}
