// Package session has proposals carried out exactly once, also when their outcome is lost and they are sent again.
//
// A session is opened by a log entry, whose index is its id: ids are never reused. A Client numbers its commands within
// its session and repeats one, under the same number, until it knows the outcome. The Machine, which stands between the
// log and the state machine proper, keeps the answer to each number until the client says that it has it, and gives that
// answer again instead of carrying the command out again. These answers are replicated state like any other: in the
// snapshot, and the same on every server. Commands without a session pass through unchanged.
//
// What it promises: a command whose answer the client got was carried out once; one that was refused was not, and
// never will be; one that ended with consensus.ErrUnknown was carried out at most once.
//
// What it leaves to the caller: a session lives as long as its Client, so whoever starts again does not know which of
// its old commands were carried out. The number of sessions is bounded: the one that was used longest ago makes room.
package session
