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

// A frame of the port's MTU with two tags fits behind the headroom, and MTUs that
// don't are cut to what does.
func TestFrameSizeFollowsTheMTU(t *testing.T) {
	for _, c := range []struct{ mtu, size, port int }{
		{1500, 2048, 1500},
		{1770, 2048, 1770},
		{1771, 4096, 1771},
		{3818, 4096, 3818},
		{3819, 4096, 3818},
		{9000, 4096, 3818},
		{65535, 4096, 3818},
	} {
		assert.Equal(t, c.size, frameSize(c.mtu), "MTU %d", c.mtu)
		assert.Equal(t, c.port, portMTU(c.mtu), "MTU %d", c.mtu)
		assert.LessOrEqual(t, 256+portMTU(c.mtu)+14+8, frameSize(c.mtu), "MTU %d", c.mtu)
	}
}
