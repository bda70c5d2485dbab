//go:build planted

package sim

import (
	"time"

	"picket/consensus"
)

// inCore are mistakes in the core itself.
var inCore = []planted{
	core("entries of former terms are committed by counting", consensus.OldTermCommitted, 1000, figure8),
	core("a follower commits up to its last entry", consensus.CommitBeyond, 500, leftovers),
	core("a shorter append cuts the log off", consensus.ShorterTruncates, 300, reordering),
	core("a configuration outlives its entry", consensus.ConfigurationKept, 300, changing),
	core("a snapshot keeps a suffix that disagrees", consensus.SnapshotUnchecked, 2000, lagging),
	core("reads before the first commit of the term", consensus.ReadTooEarly, 2000, reading),
	core("a step back within a term forgets the vote", consensus.VoteReset, 100, nil),
	core("a removed leader counts itself", consensus.CountsItself, 2000, changing),
	core("votes for a log that is behind", consensus.LogIgnored, 200, nil),
	core("a second change while one is not committed", consensus.SecondChange, 300, changing),
	core("a change before the first commit of the term", consensus.ChangeTooEarly, 2000, changing),
	core("an empty disk votes", consensus.BlankVotes, 3000, losing),
	core("votes of another term count", consensus.ForeignVotes, 2000, reordering),
}

func core(name string, b consensus.Bug, budget uint64, shape func(*faults, *int)) planted {
	return planted{name: name, core: uint8(b), budget: budget, shape: shape}
}

func plant(b uint8) (undo func()) {
	consensus.Plant(consensus.Bug(b))
	return func() { consensus.Plant(consensus.NoBug) }
}

// Circumstances in which some mistakes show sooner.
func figure8(f *faults, n *int) {
	f.crash, f.campaign, f.cut, f.loss, f.slowDisk, f.batch, *n = 0.1, 0.5, 0.1, 0.3, 5*time.Millisecond, 1, 3
	f.change, f.compact, f.double, f.ancient = 0, 0, 0, 0
}

func reordering(f *faults, n *int) {
	f.double, f.ancient, f.slowest, f.campaign, *n = 0.2, 0.05, 40*time.Millisecond, 0.1, 3
}

func changing(f *faults, n *int) {
	f.change, f.wipe, f.cut, f.campaign, f.transfer, *n = 0.5, 0, 0.1, 0.1, 0.05, 3
}

func lagging(f *faults, n *int) { f.compact, f.cut, f.campaign, f.crash, *n = 0.3, 0.1, 0.2, 0.05, 3 }

// reading has new leaders whose first commit takes long, and who have not heard yet how far the one before had committed.
func reading(f *faults, n *int) {
	f.campaign, f.slowDisk, f.slowest, *n = 0.3, 40*time.Millisecond, 5*time.Millisecond, 3
	f.crash, f.badDisk, f.change, f.compact, f.cut, f.pause, f.loss = 0, 0, 0, 0, 0, 0, 0
}

// leftovers are entries of a leader that was cut off, in logs that the next leader has not mended yet.
func leftovers(f *faults, n *int) {
	f.cut, f.campaign, f.loss, f.batch, *n = 0.15, 0.2, 0.2, 1, 3
	f.change, f.compact = 0, 0
}

func losing(f *faults, n *int) {
	f.change, f.wipe, f.campaign, f.cut, f.crash, *n = 0.3, 0.8, 0.3, 0.1, 0.05, 3
}
