// Command bench measures picket/consensus beside hashicorp/raft and etcd/raft: the same loads, on three nodes with durable logs in one
// process, over loopback TCP, in one run, by turns. It is a module of its own, so that the product does not depend on what it is
// compared with.
//
// hashicorp/raft runs with raft-boltdb and with raft-wal. etcd/raft brings neither log nor transport: here it writes a preallocated file
// with one fdatasync for all that waits, in the shape that it is fastest in, with asynchronous storage writes.
package main
