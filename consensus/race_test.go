//go:build race

package consensus_test

// racing: the race detector is on.
const racing = true
