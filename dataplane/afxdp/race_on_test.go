//go:build race

package afxdp

// Opening a thousand times takes half a minute of the kernel's time; once is enough.
const openRounds = 100
