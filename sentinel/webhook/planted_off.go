//go:build !planted

package webhook

func planted(Bug) bool { return false }
