package failover

// Bug is a mistake that can be planted in the decisions, to show that the checkers of the simulation see it. Only binaries that are built
// with the tag "planted" can have one; in all others `planted` is false for the compiler, too.
type Bug uint8

const (
	NoBug            Bug = iota
	NoVeto               // a promise does not keep a voter from voting
	PromiseForgotten     // an agent that has just started votes, whatever it promised before
	PromiseAfterVote     // a voter promises right after it has voted for a failover
	FenceLeft            // a fence is not taken away
	FenceSkipped         // a master without a lease goes on
	CutSkipped           // replicas are read, but not detached
	QuorumIgnored        // a write that was waited for may be on a replica that was not asked
	RestartedCounts      // a replica that was restarted since counts as if it remembered
	PriorityFirst        // the priority goes before the offset although writes are waited for
	PromoteFirst         // the target is promoted before that is committed
	LeaseIgnored         // nobody waits for the end of the old master's lease
	EmptyFollowed        // replicas are attached to a master that has lost its data
)
