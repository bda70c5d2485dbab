// Package salvage keeps what a former master had written behind the back of the present one. Before such a server is made a
// replica, and its history thrown away, its replication backlog is asked for the stretch that nobody else has: PSYNC, as a
// replica would that was cut off where the histories part. What comes is written to a file, byte for byte, and can be decoded
// into commands.
//
//	the former master   …──────┬───────────┤ From … To: what is lost
//	the present master  …──────┴─────────────────────▶
//
// Nothing is acknowledged to the server (a WAIT there never counts this connection), it is never asked for more than its
// backlog holds (that would make it fork), and all is bounded in time and in bytes. That something can't be kept is no reason
// to leave two masters: the caller is told why, and goes on.
//
// Nothing is ever replayed, and no file is ever deleted: both are a person's decision.
package salvage
