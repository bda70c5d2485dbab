//go:build !race

package consensus_test

const racing = false
