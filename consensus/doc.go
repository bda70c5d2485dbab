// Package consensus is Raft: a replicated log for a handful of servers, with elections that can be
// started at once and for a stated reason.
//
// The core (Core) is a deterministic state machine: messages, proposals and the time go in; what to
// persist, send and apply comes out as a Ready. It starts no goroutine, reads no clock and does no
// I/O, so the simulator in consensus/sim drives the very code that production runs. Node is the thin
// shell around it: one loop, one disk, one transport.
//
// What the package promises: at most one leader per term; an entry that was reported committed is
// in the log of every later leader; every server applies the same entries in the same order;
// nothing is acknowledged before it is synced to disk. What it leaves to the caller: the state
// machine, and which servers there are at the first start.
package consensus
