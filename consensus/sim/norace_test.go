//go:build !race

package sim

// racing: the race detector is off.
const racing = false
