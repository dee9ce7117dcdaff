package encap

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVLANText(t *testing.T) {
	for text, want := range map[string]VLAN{
		"0": {}, "1": {C: 1}, "4094": {C: 4094}, "100.200": {S: 100, C: 200}, "4094.4094": {S: 4094, C: 4094}, "100.0": {S: 100},
	} {
		v, err := ParseVLAN(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, v)
		assert.Equal(t, text, v.String())
		assert.Equal(t, text == "0", v.IsZero())

		wire, err := want.MarshalText()
		require.NoError(t, err)
		v = VLAN{S: 9, C: 9}
		require.NoError(t, v.UnmarshalText(wire))
		assert.Equal(t, want, v, "over a dirty value")
	}
	text, err := VLAN{}.MarshalText()
	require.NoError(t, err)
	assert.Empty(t, text)
	assert.Equal(t, "100.200", VLAN{S: 7<<13 | 100, C: 1<<12 | 200}.String(), "without priorities")

	for _, bad := range []string{"4095", "-1", "+1", "x", "1.4095", "4095.1", "0.1", "0.0", ".1", "1.", "1.2.3", "1 2", " 1", "65537", "1e2"} {
		v, err := ParseVLAN(bad)
		assert.EqualError(t, err, `encap: "`+bad+`" is not a VLAN, such as 100, or 100.200 for 802.1Q 200 inside 802.1ad 100, each at most 4094`)
		assert.Zero(t, v)
	}
}

func TestProtocolText(t *testing.T) {
	for _, p := range []Protocol{Geneve, VXLAN} {
		q, err := ParseProtocol(p.String())
		require.NoError(t, err)
		assert.Equal(t, p, q)
	}
	_, err := ParseProtocol("gre")
	assert.EqualError(t, err, `encap: "gre" is not a tunnel protocol, want geneve or vxlan`)
	assert.Equal(t, []uint16{6081, 4789}, []uint16{Geneve.Port(), VXLAN.Port()})
}
