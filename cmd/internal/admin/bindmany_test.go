package admin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Requests that plainBindMany reads, and such that it leaves to package json.
var (
	plainRequests = []string{
		`{"tunnels":[{"vtep":"10.1.0.11","vni":5001}],"prefixes":["203.0.113.7/32","2001:db8::/64"]}`,
		` { "prefixes" : [ "203.0.113.7/32" ,` + "\n\t" + `"203.0.113.7/24" ] , "tunnels" : [] } ` + "\r\n",
		`{"prefixes":["203.0.113.7/32"],"tunnels":[{"vtep":"10.1.0.11","vni":1,"ovn":{"inport":2,"outport":1}},{"vtep":"10.1.0.12","vni":2}]}`,
		`{"prefixes":["::ffff:203.0.113.7/128"],"tunnels":[{"inner_mac":"]}"}]}`,
		`{"tunnels":[]}`,
	}
	otherRequests = []string{
		"", "null", "[]", "{}", "{", `{"prefixes"`, `{"prefixes":[`, `{"prefixes":["203.0.113.7/32`,
		`{"prefixes":["203.0.113.7/32"],"tunnels":[]}x`, `{"prefixes":["203.0.113.7/32"],"tunnels":[]}{}`,
		`{"prefixes":["203.0.113.7/32",],"tunnels":[]}`, `{"prefixes":["203.0.113.7/32"],"tunnels":[],}`,
		`{"prefixes":["203.0.113.7/32"] "tunnels":[]}`, `{"prefixes":["203.0.113.7/32"],"tunnels":[}`,
		`{"prefixes":["203.0.113.7/32"],"tunnels":[}]}`, `{"prefixes":["203.0.113.7/32"],"tunnels":["]}`,
		`{"prefixes":["203.0.113.7/32"]}`, `{"prefixes":[],"tunnels":[]}`, `{"prefixes":null,"tunnels":null}`,
		`{"Prefixes":["203.0.113.7/32"],"tunnels":[]}`, `{"prefixes":["\u0032\u0030\u0033.0.113.7/32"],"tunnels":[]}`,
		`{"prefixes":[""],"tunnels":[]}`, `{"prefixes":["203.0.113.7"],"tunnels":[]}`, `{"prefixes":["203.0.113.7/33"],"tunnels":[]}`,
		`{"prefixes":[null],"tunnels":[]}`, `{"prefixes":[7],"tunnels":[]}`, `{"prefixes":"203.0.113.7/32","tunnels":[]}`,
		`{"prefixes":["203.0.113.7/32"],"tunnels":[{"vni":-1}]}`, `{"prefixes":["203.0.113.7/32"],"tunnels":[{"vnl":1}]}`,
		`{"prefixes":["203.0.113.7/32"],"tunnels":[7]}`, `{"prefixes":["203.0.113.7/32"],"tunnels":[],"more":1}`,
		`{"prefixes":["203.0.113.7/32"],"prefixes":["203.0.113.8/32"],"tunnels":[]}`,
		`{"prefixes":["203.0.113.7/32"],"tunnels":[{"vni":1}],"tunnels":[]}`, `{"tunnels":[{"inner_mac":"\""}],"prefixes":["203.0.113.7/32"]}`,
	}
)

func TestPlainBindMany(t *testing.T) {
	for _, body := range plainRequests {
		assert.True(t, samePlain(t, body), body)
	}
	for _, body := range otherRequests {
		assert.False(t, samePlain(t, body), body)
	}
}

// samePlain says whether plainBindMany takes a request, and checks that it reads it as package json does.
func samePlain(t *testing.T, body string) bool {
	var got, want BindMany
	if !plainBindMany(body, &got) {
		return false
	}
	require.NoError(t, decodeFrom(strings.NewReader(body), &want), body)
	require.Equal(t, want, got, body)
	return true
}

// FuzzPlainBindMany: what plainBindMany takes means the same to package json.
func FuzzPlainBindMany(f *testing.F) {
	for _, body := range append(plainRequests, otherRequests...) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { samePlain(t, body) })
}
