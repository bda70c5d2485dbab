//go:build race

package sim

// racing: the race detector is on, and all is ten times slower.
const racing = true
