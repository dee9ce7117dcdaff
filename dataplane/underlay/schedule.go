package underlay

import "time"

const (
	// settleTime and lateTime are when all routes are asked for again after a link or an
	// address changed: the kernel tells of such a change before it has taken out the
	// routes that go with it, and does not tell of those.
	settleTime = 20 * time.Millisecond
	lateTime   = time.Second

	// idleTime is when all routes are asked for although nothing was heard.
	idleTime = time.Minute

	// restShare is how many times longer than a round the pause after it is at least,
	// when rounds are wanted without end.
	restShare = 4
)

// schedule says when the routes of all VTEPs are asked for. The zero value: never.
type schedule struct {
	soon, settle, late time.Time // zero: not planned
	rested             time.Time // no round before this
}

// want plans a round now and, when more may follow in silence, two later ones.
func (s *schedule) want(now time.Time, settles bool) {
	s.soon = earliest(s.soon, now)
	if settles {
		s.settle = now.Add(settleTime)
		s.late = now.Add(lateTime)
	}
}

func (s *schedule) next() time.Time {
	at := earliest(earliest(s.soon, s.settle), s.late)
	if at.IsZero() {
		return at
	}
	return later(at, s.rested)
}

func (s *schedule) due(now time.Time) bool { return due(s.next(), now) }

// done notes that a round ran from began to now.
func (s *schedule) done(began, now time.Time) {
	s.soon = time.Time{}
	if due(s.settle, began) {
		s.settle = time.Time{}
	}
	if s.late.IsZero() || due(s.late, began) {
		s.late = now.Add(idleTime)
	}
	s.rested = now.Add(restShare * now.Sub(began))
}
