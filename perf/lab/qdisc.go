package lab

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Pfifo puts a pfifo qdisc that holds limit packets at the root of a link, as "tc
// qdisc replace dev X root pfifo limit N" does. With a qdisc, a full veth ring holds
// the sender back instead of dropping.
func (ns *NS) Pfifo(link string, limit int) error {
	return ns.onLink(link, "pfifo", func(l netlink.Link) error {
		req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
		req.AddData(&nl.TcMsg{
			Family:  nl.FAMILY_ALL,
			Ifindex: int32(l.Attrs().Index),
			Parent:  netlink.HANDLE_ROOT,
		})
		req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("pfifo")))
		// struct tc_fifo_qopt is the limit alone.
		req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, binary.NativeEndian.AppendUint32(nil, uint32(limit))))
		return ns.Do(func() error {
			if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
				return fmt.Errorf("limit %d: %w", limit, err)
			}
			return nil
		})
	})
}
