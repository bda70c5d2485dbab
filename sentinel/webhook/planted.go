package webhook

// Bug is a mistake that can be planted in the delivery, to show that the checkers of the simulation see it. Only binaries that are built
// with the tag "planted" can have one; in all others `planted` is false for the compiler, too.
type Bug uint8

const (
	NoBug       Bug = iota
	CursorFirst     // it is agreed that the receiver was told before it was
)
