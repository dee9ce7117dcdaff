//go:build !race

package afxdp

const openRounds = 1000
