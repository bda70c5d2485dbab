package webhook

// Bug is a mistake that can be planted in the delivery, to show that the checkers see it. Only binaries that are built
// with the tag "planted" can have one; in all others `planted` is false for the compiler, too.
type Bug uint8

const (
	NoBug         Bug = iota
	CursorFirst       // it is agreed that the receiver was told before it was
	LowWaterJumps     // what waits in another lane is forgotten where the newest event was delivered
	OutOfOrder        // an event that can't be delivered is overtaken by the next one of its master
)
