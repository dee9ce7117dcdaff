package dataplane

// queue lists a frame to be sent by a port. Only with fragments in it is a burst more
// than the list holds.
func (w *Worker) queue(q *workerPort, f *Frame) {
	if q.out.n == BurstSize {
		w.send(q)
	}
	q.out.add(f)
}

// sendAll gives every port its frames. No scratch frame is in use afterwards.
func (w *Worker) sendAll() {
	for _, q := range w.ports {
		if q.out.n > 0 {
			w.send(q)
		}
	}
	w.scratch.used = 0
}

// send gives a port its frames. Those that it does not take are dropped: waiting for
// one port would hold up the others. An answer counts with its own length then: what was
// received has been counted.
func (w *Worker) send(q *workerPort) {
	frames := q.out.take()
	took := q.Tx(frames)
	for _, f := range frames[:took] {
		q.count.TxBytes += uint64(f.Len())
	}
	q.count.TxPackets += uint64(took)
	for _, f := range frames[took:] {
		n := f.Received()
		if f.Verdict == Reply {
			n = f.Len()
		}
		f.Verdict, f.Reason = Drop, ReasonTxFull
		if q.rxErr != nil || q.err.Load() != nil {
			f.Reason = ReasonPortDown
		}
		w.tally.drop(f.Reason, n)
	}
}
