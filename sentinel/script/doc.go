// Package script runs the programs that operators have for Redis Sentinel, with Sentinel's rules: at most 16 at once, at most 256 in the
// queue, of which the oldest one that waits makes room. A program that exits with 0 is done. One that exits with 1, or is ended by a
// signal, is run again, up to ten times, after 30 s and twice as long each time. Any other exit code is final. One that runs for more
// than 60 s is killed, with all that it started.
//
//	Add ─► queue (pure) ─► Runner.Run ─► process
//	          ▲                │ ended, overdue
//	          └────────────────┘
//
// It promises that programs are started in the order in which they were added, that Add never waits, and that none of them runs any
// more when Run returns. It does not promise that a program is run: what waits when the agent stops is forgotten, as by Sentinel. What
// to run, and when, is the caller's affair.
package script
