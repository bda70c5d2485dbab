package sim

import (
	"syscall"

	"picket/consensus/vfs"
)

// Bug is a mistake that is made on purpose, in what surrounds the core: the driver, the disk, the client. The core's own are
// consensus.Bug.
type Bug uint8

const (
	NoBug             Bug = iota
	VoteForgotten         // the vote is not written
	AckBeforeSync         // messages leave before the batch that they depend on is written
	ErrorIgnored          // a failed write or sync is taken for a success
	NamesForgotten        // directories are never synced
	SequenceReused        // a client sends a retry as a new command
	SessionsForgotten     // snapshots leave the sessions out
)

// errNoSpace is what a full disk says.
var errNoSpace = error(syscall.ENOSPC)

// spoiled is a server's file system, with the mistakes of the planted bug.
func spoiled(sv *server) vfs.FS {
	if sv.sim.opts.Bug == NamesForgotten {
		return namesForgotten{sv.disk}
	}
	return sv.disk
}

type namesForgotten struct{ vfs.FS }

func (namesForgotten) SyncDir(string, string) error { return nil }
