//go:build !planted

package consensus

func planted(Bug) bool { return false }
