package dataplane_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// echoer is a responder that sends the frame back, unless it refuses.
type echoer struct {
	refuse bool
	asked  []dataplane.Question
	of     []dataplane.Reason
}

func (e *echoer) Respond(f *dataplane.Frame, q dataplane.Question) bool {
	e.asked, e.of = append(e.asked, q), append(e.of, f.Reason)
	if e.refuse {
		return false
	}
	b := f.Bytes()
	macs := [12]byte(b)
	copy(b, macs[6:])
	copy(b[6:], macs[:6])
	return true
}

func withResponder(t *testing.T, e dataplane.Responder) *rig {
	r := newRig(t, &memport.Config{MTU: 9000, MAC: macNorth})
	reader, _ := newReader(t, resolver(), bindings())
	r.fw = dataplane.NewForwarder(dataplane.ForwarderConfig{
		Reader: reader, Ports: []dataplane.PortInfo{r.north.Info(), r.south.Info()}, Responder: e,
	})
	return r
}

func TestResponderIsAskedAboutWhatCallsForAnAnswer(t *testing.T) {
	want := map[dataplane.Reason]dataplane.Answer{
		dataplane.ReasonTTLExpired:      dataplane.AnswerTimeExceeded,
		dataplane.ReasonHopLimitExpired: dataplane.AnswerTimeExceeded,
		dataplane.ReasonNoBinding:       dataplane.AnswerUnreachable,
		dataplane.ReasonUnresolvedVTEP:  dataplane.AnswerUnreachable,
		dataplane.ReasonPacketTooBig:    dataplane.AnswerTooBig,
	}
	for reason, frame := range drops() {
		e := &echoer{}
		r := withResponder(t, e)
		f := r.process(frame)[0]
		if want[reason] == dataplane.AnswerNone {
			assert.Empty(t, e.asked, reason.String())
			assert.Equal(t, dataplane.Drop, f.Verdict)
		} else {
			require.Len(t, e.asked, 1, reason.String())
			assert.Equal(t, want[reason], e.asked[0].Answer)
			assert.Equal(t, reason, e.of[0])
			assert.Equal(t, dataplane.Reply, f.Verdict)
			assert.Equal(t, north, f.Out)
			assert.Equal(t, frame[6:12], f.Bytes()[:6])
		}
		assert.Equal(t, reason, f.Reason)
		r.release()
	}
}

func TestResponderIsToldTheMTU(t *testing.T) {
	for x, mtu := range map[byte]uint16{7: 1450, 8: 1422, 11: 1350, 12: 1450} {
		e := &echoer{refuse: true}
		r := withResponder(t, e)
		f := r.process(sized4(x, 8000))[0]
		require.Len(t, e.asked, 1)
		assert.Equal(t, mtu, e.asked[0].MTU)
		assert.Equal(t, dataplane.Drop, f.Verdict, "a refusal is a drop")
		assert.Equal(t, dataplane.ReasonPacketTooBig, f.Reason)
		r.release()
	}
}

func TestResponderIsNotAskedAboutForwardedFrames(t *testing.T) {
	e := &echoer{}
	r := withResponder(t, e)
	r.forward(udp7)
	assert.Empty(t, e.asked)
}
