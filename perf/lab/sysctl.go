package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// defaultSysctls are set before any link exists, so that "default" reaches them all.
var defaultSysctls = []struct{ key, value string }{
	{"net.ipv4.ip_forward", "1"},
	{"net.ipv4.conf.all.rp_filter", "0"},
	{"net.ipv4.conf.default.rp_filter", "0"},
	{"net.ipv6.conf.all.forwarding", "1"},
	{"net.ipv6.conf.default.forwarding", "1"},
	{"net.ipv6.conf.all.accept_dad", "0"},
	{"net.ipv6.conf.default.accept_dad", "0"},
	{"net.ipv6.conf.default.dad_transmits", "0"},
	{"net.ipv6.conf.default.accept_ra", "0"},
	{"net.ipv6.conf.default.router_solicitations", "0"},
}

func (ns *NS) defaultSysctls() error {
	return ns.Do(func() error {
		for _, s := range defaultSysctls {
			if err := writeSysctl(s.key, s.value); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// Sysctl sets a setting of the namespace, given in dotted form. A part that holds dots
// itself, such as the name of a VLAN sub-interface, is written with slashes in their
// place.
func (ns *NS) Sysctl(key, value string) error {
	return ns.Do(func() error { return writeSysctl(key, value) })
}

// ReadSysctl returns a setting of the namespace.
func (ns *NS) ReadSysctl(key string) (string, error) {
	var value string
	err := ns.Do(func() error {
		b, err := os.ReadFile(sysctlPath(key))
		value = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("lab: sysctl %s: %w", key, err)
	}
	return value, nil
}

func writeSysctl(key, value string) error {
	if err := os.WriteFile(sysctlPath(key), []byte(value), 0o644); err != nil {
		return fmt.Errorf("lab: sysctl %s=%s: %w", key, value, err)
	}
	return nil
}

// sysctlPath swaps dots and slashes, as sysctl(8) does.
func sysctlPath(key string) string {
	swap := strings.NewReplacer(".", "/", "/", ".")
	return filepath.Join("/proc/sys", swap.Replace(key))
}
