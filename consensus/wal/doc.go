// Package wal keeps a Raft server's log, hard state and snapshots in a directory:
//
//	identity              cluster, server, and the voters it was founded with; written once
//	lock                  held by the process that uses the directory
//	0000000000000001.log  segments: frames, one for each batch
//	snapshot-…            the current snapshot
//
// A segment is a run of frames and then zeros, to the end of the space that was reserved for it:
//
//	| magic, version: 4 | length: 4 | sequence: 8 | CRC-32C: 4 | zero: 4 | payload, padded to 8 |
//
// A batch is one frame, one write and one sync, and holds the hard state, if it changed, and entries. Entries supersede
// earlier ones from their first index on, so that an overwrite only ever appends. The sequence number grows by one with each
// frame, over all segments; each segment begins with a frame that repeats the hard state, so that older
// segments can go when a snapshot covers their entries.
//
// Recovery reads frames until one is not whole. Because each batch is synced before the next is written, only the last
// one can be torn: if no later frame stands anywhere behind the broken one, it was never acknowledged, and it is cut off,
// durably, before anything is appended. If one does, the broken frame had been acknowledged: that is corruption, and the log refuses to
// open. (A bit that flips in the very last frame can't be told from a torn write.) Sectors that are being written are assumed not
// to hurt their neighbours.
package wal
