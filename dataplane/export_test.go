package dataplane

// Round makes one round over the worker's ports, without Run.
func (w *Worker) Round() { w.round() }
