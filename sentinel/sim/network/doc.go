// Package network is an IP network in memory, for whole systems in one process on virtual time: hosts with addresses, processes on them
// that listen and dial, and TCP connections between them.
//
// What can go wrong is what goes wrong with real ones. A path between two hosts can be blocked in one direction or both: what is sent
// meanwhile arrives after it is opened again, as TCP sends it again, and connections that are being made hang. A process can be killed,
// and its kernel closes what it had open, or frozen, and its kernel goes on to accept connections and bytes. A host can go down: its
// connections never say so, and are reset when it is back and hears from them. Buffers are bounded: whoever writes to somebody who does
// not read is blocked at last.
//
// Nothing runs in the background but timers, so that a synctest bubble is quiet when nobody has anything to do.
package network
