//go:build planted

package webhook

import "sync/atomic"

var bug atomic.Uint32

func planted(b Bug) bool { return Bug(bug.Load()) == b }

// Plant makes all dispatchers of this process make one mistake; NoBug: none.
func Plant(b Bug) { bug.Store(uint32(b)) }
