//go:build !planted

package failover

func planted(Bug) bool { return false }
