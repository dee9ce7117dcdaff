package afxdp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*InterfaceConfig)
		want   string
	}{
		"no name":                {func(c *InterfaceConfig) { c.Name = "" }, `interface name ""`},
		"long name":              {func(c *InterfaceConfig) { c.Name = "sixteen-letters-" }, `expected 1 to 15 bytes`},
		"frames not a power":     {func(c *InterfaceConfig) { c.Frames = 3000 }, "sw0: 3000 frames: expected a power of two from 256 to 65536"},
		"too few frames":         {func(c *InterfaceConfig) { c.Frames = 128 }, "128 frames"},
		"too many frames":        {func(c *InterfaceConfig) { c.Frames = 1 << 17 }, "131072 frames"},
		"negative queues":        {func(c *InterfaceConfig) { c.Queues = -1 }, "-1 queues"},
		"too many queues":        {func(c *InterfaceConfig) { c.Queues = 257 }, "257 queues"},
		"unknown mode":           {func(c *InterfaceConfig) { c.Mode = 9 }, "mode unknown (9)"},
		"unknown zero-copy":      {func(c *InterfaceConfig) { c.ZeroCopy = 9 }, "zero-copy unknown (9)"},
		"generic and zero-copy":  {func(c *InterfaceConfig) { c.Mode, c.ZeroCopy = ModeGeneric, ZeroCopyRequire }, "zero-copy needs native mode"},
		"busy-poll out of range": {func(c *InterfaceConfig) { c.BusyPoll = 5000 }, "busy-poll budget 5000"},
	} {
		cfg := InterfaceConfig{Name: "sw0"}
		c.change(&cfg)
		assert.ErrorContains(t, cfg.check(), c.want, name)
	}
	cfg := InterfaceConfig{Name: "sw0"}
	require.NoError(t, cfg.check())
	assert.Equal(t, DefaultFrames, cfg.Frames)
}

func TestModesReadTheirOwnNames(t *testing.T) {
	for _, m := range []Mode{ModeAuto, ModeNative, ModeGeneric} {
		var got Mode
		require.NoError(t, got.UnmarshalText([]byte(m.String())))
		assert.Equal(t, m, got)
	}
	for _, z := range []ZeroCopy{ZeroCopyAuto, ZeroCopyRequire, ZeroCopyOff} {
		var got ZeroCopy
		text, err := z.MarshalText()
		require.NoError(t, err)
		require.NoError(t, got.UnmarshalText(text))
		assert.Equal(t, z, got)
	}
	assert.ErrorContains(t, new(Mode).UnmarshalText([]byte("driver")), `"driver" is no XDP mode: expected one of [auto native generic]`)
	assert.Error(t, new(ZeroCopy).UnmarshalText(nil))
}

// A frame of the port's MTU with two tags fits behind the headroom of one chunk, or of three, and
// MTUs that don't are cut to what does.
func TestFrameSizeFollowsTheMTU(t *testing.T) {
	for _, c := range []struct {
		mtu, size, port int
		jumbo           bool
	}{
		{1500, 2048, 1500, false},
		{1770, 2048, 1770, false},
		{1771, 4096, 1771, false},
		{3818, 4096, 3818, false},
		{3819, 4096, 3819, true},
		{9000, 4096, 9000, true},
		{9216, 4096, 9216, true},
		{11498, 4096, 11498, true},
		{11499, 4096, 11498, true},
		{65535, 4096, 11498, true},
	} {
		port, jumbo := portMTU(c.mtu)
		assert.Equal(t, c.size, frameSize(c.mtu), "MTU %d", c.mtu)
		assert.Equal(t, c.port, port, "MTU %d", c.mtu)
		assert.Equal(t, c.jumbo, jumbo, "MTU %d", c.mtu)
		chunks := 1
		if jumbo {
			chunks = 3
		}
		assert.LessOrEqual(t, port+14+8, chunks*(c.size-256), "MTU %d", c.mtu)
	}
}
