//go:build !planted

package sim

// plant knows no mistakes in a binary that can have none.
func plant(string, bool) func(*Shape) { return nil }
