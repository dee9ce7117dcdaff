package dataplane

// Round makes one round over the worker's ports, without Run.
func (w *Worker) Round() { w.round() }

// MTU is what a dropped frame's sender is told.
func (f *Frame) MTU() int { return int(f.mtu) }
