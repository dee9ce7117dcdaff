package fib

// Scaled is how often to repeat something: less under the race detector, which
// takes ten times as long.
func Scaled(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}
