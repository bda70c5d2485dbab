package consensus

// Bug is a mistake that can be planted in the core, to show that the simulator's checkers see it. Only binaries that are built with the
// tag "planted" can have one; in all others `planted` is false for the compiler, too.
type Bug uint8

const (
	NoBug             Bug = iota
	OldTermCommitted      // entries of former terms are committed by counting
	CommitBeyond          // a follower commits up to its own last entry, not up to what the message vouches for
	ShorterTruncates      // an append that ends earlier cuts the log off
	ConfigurationKept     // a configuration outlives the truncation of its entry
	SnapshotUnchecked     // a suffix that disagrees with an installed snapshot is kept
	ReadTooEarly          // reads are confirmed before the first commit of the term
	VoteReset             // a step back within a term forgets the vote
	CountsItself          // a leader that was removed counts its own disk
	LogIgnored            // votes are given whatever the candidate's log
	SecondChange          // a configuration is appended while the last one is not committed
	ChangeTooEarly        // a configuration is appended before the first commit of the term
	BlankVotes            // an empty disk votes
	ForeignVotes          // votes count whatever term they are for
)
