package demo

import (
	"bytes"
	"context"
	"text/template"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

// configText is the gateway's whole configuration.
var configText = template.Must(template.New("config").Parse(`gateway:
  asn: {{.GatewayASN}}
  router-id: {{.Service}}
  service-addresses: [{{.Service}}, "{{.Service6}}"]
segments:
  - {prefix: 203.0.113.0/24, communities: ["64512:100"]}
  - {prefix: "2001:db8:e1b::/64", communities: ["64512:100"]}
announce: {settle: 500ms, initial-wait: 4s}
neighbors:
  - {address: {{.SwitchA}}, role: switch, asn: 65001}
  - {address: {{.SwitchB}}, role: switch, asn: 65002, multihop: 4}
  - {address: {{.VR1}}, role: virtual-router, asn: 65101, profile: {inner-mac: "{{.VR1MAC}}"}}
  - range: 10.0.2.0/24
    role: virtual-router
    asn: 65102
    multihop: 4
    allow: [203.0.113.0/24, 192.0.2.0/24, "2001:db8:e1b::/64"]
ports: [{name: up0}]
stop: {linger: 500ms}`))

func startGateway(ctx context.Context, ns *lab.NS, exe, dir string) (*peers.Gateway, error) {
	var text bytes.Buffer
	err := configText.Execute(&text, map[string]any{
		"GatewayASN": gatewayASN, "Service": serviceAddr, "Service6": serviceAddr6,
		"SwitchA": switchAAddr, "SwitchB": switchBAddr, "VR1": vr1Addr, "VR1MAC": encap.MAC(vr1MAC),
	})
	if err != nil {
		return nil, err
	}
	return peers.StartGateway(ctx, ns, peers.GatewayConfig{Exe: exe, Dir: dir, YAML: text.String()})
}
