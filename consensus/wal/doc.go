// Package wal keeps a Raft server's log, hard state and snapshots in a directory:
//
//	identity                cluster, server, founding members, incarnation of the directory; written once
//	lock                    held by the process that uses the directory
//	0000000000000001.log    segments: frames, one for each batch; named by the first one's sequence number
//	snapshot-<index>-<term> the current snapshot
//	*.tmp                   what is not finished, and goes at the next start
//
// A segment is a run of frames and then zeros, to the end of the space that was reserved for it:
//
//	magic and version 4, length 4, sequence 8, CRC-32C of these 4, CRC-32C of the payload 4,
//	payload, padded to 8, trailer 8
//
// A batch is one frame, one write and one sync, and holds the hard state, if it changed, and entries. Entries
// supersede earlier ones from their first index on, so that an overwrite only ever appends. The sequence
// number grows by one with each frame, over all segments. Each segment begins with a frame that repeats the
// hard state and says how far the log reached, so that older segments can go when a snapshot covers their
// entries. They go one by one, each durably before the next.
//
// # What is promised
//
// When Save has returned, what it was given survives a crash of the machine. So does what Open returned: a
// process that was killed, or whose sync failed, leaves a last frame that may be in the system's memory only,
// and that a later sync would not write; therefore Open writes and syncs it once more. The first write or
// sync that fails is final: nobody knows what the disk holds then, and only a start can find out. A snapshot
// is whole, or it is not there; it is durable under its name before the log that it replaces is forgotten,
// and a log that a crash left in disagreement with it is dropped at the next start.
//
// # Tears and damage
//
// Recovery reads frames until one is not whole. Because each is synced before the next is written, only the
// last one can be torn, and it was never acknowledged: it is cut off, durably, before anything is appended.
// All else is damage to what may have been acknowledged, and the log refuses to open: a server that has
// forgotten its vote or its entries can break the group.
//
// A disk writes a sector of 512 bytes whole or not at all, and does not hurt what else is in it; a file
// system shows zeros where space was reserved and nothing was written. So a frame that a crash of the machine
// tore has a sector that is zero still, and one that a dying process or a full disk cut short lacks the end
// of its trailer, which is never zero. A broken frame that looks different, or stands before a whole one, or
// in a segment that another one follows, is damaged.
//
// Two things can't be told from a tear, and are cut off like one: damage to the very last frame if one of its
// sectors holds nothing but zeros, which only a payload with a long run of zeros does; and damage that turns
// the last frames, or a sector of the last one, into zeros. A disk that garbles the sectors that it was
// writing when the power failed makes the log refuse to open, although nothing was lost.
//
// # What it costs
//
// Save allocates nothing, and takes two microseconds more than the write and the sync. Beginning a segment
// takes about half a millisecond more, once in 8 MiB: less than the slower ones of all syncs, so that no
// segment is prepared ahead.
package wal
