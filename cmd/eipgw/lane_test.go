package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane/afxdp"
)

// What the lane carried counts as received where it came in and as sent where it left.
func TestLaneTotals(t *testing.T) {
	totals := laneTotals{}
	totals.add(1, nil)
	assert.Empty(t, totals)
	totals.add(1, &afxdp.LaneStatus{Carried: []afxdp.LaneCounters{
		{Out: 1, Frames: 10, Received: 600, Sent: 1100}, {Out: 2, Frames: 4, Received: 500, Sent: 600, Lost: 1},
	}})
	totals.add(2, &afxdp.LaneStatus{Carried: []afxdp.LaneCounters{{Out: 1, Frames: 1, Received: 60, Sent: 110}}})
	assert.Equal(t, laneTotals{
		1: {rx: admin.Traffic{Packets: 15, Bytes: 1100}, tx: admin.Traffic{Packets: 11, Bytes: 1210}, lost: 1},
		2: {rx: admin.Traffic{Packets: 1, Bytes: 60}, tx: admin.Traffic{Packets: 4, Bytes: 600}},
	}, totals)
}
