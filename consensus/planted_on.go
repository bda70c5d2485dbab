//go:build planted

package consensus

import "sync/atomic"

var bug atomic.Uint32

func planted(b Bug) bool { return Bug(bug.Load()) == b }

// Plant makes all cores of this process make one mistake; NoBug: none.
func Plant(b Bug) { bug.Store(uint32(b)) }
