// Package model is a model of redis-server 7.0, good enough that a client, another server or a coordinator can't tell it from the
// real one by what it answers: the protocol, the transactions, the persistence and above all the replication, byte for byte of its
// stream. Many of them run in one process on virtual time, over whatever network they are given.
//
// A Server is the machine's part: configuration file, files with data, address. A process is one life of it: all that a kill -9
// takes away. As in Redis, commands are executed one at a time: every goroutine that touches a process holds its lock between enter
// and leave, and leave does what Redis does before it sleeps (unblock, ask for acknowledgements, send). Nobody does I/O with it.
//
//	acceptor ──► reader of a connection ──► enter, execute, leave ──► the reader writes its own replies,
//	link to the master ───────────────────►    ▲                      a short-lived writer what else was caused
//	timers (each second, pauses, WAIT) ────────┘
//
// A hung process (SIGSTOP) lets nobody enter. Connections are accepted all the same, as the kernel does, and what clients send waits
// in the sockets.
//
// What differs from the real one, on purpose: a snapshot (RDB, AOF) is a series of commands in the protocol's encoding and takes a
// configured time; the backlog is cut to its size exactly, not by blocks; memory and connections are not limited; there are no ACL
// users but the default one, no scripts, modules, streams, sorted sets, cluster or third version of the protocol (HELLO 3 is
// refused). Command execution takes no time.
//
// The scripts in testdata are run against the model and the real server, and their answers compared.
package model
