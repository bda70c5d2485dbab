// Package tcp carries consensus messages: one TCP connection for each direction between two servers; who
// dials, sends. Frames are a length and a message. A connection begins with a handshake that names the
// cluster and both servers, so that agents of two clusters never talk, and nothing is decoded, and hardly
// anything allocated, for a peer that has not passed it.
//
//	dialler                                   acceptor
//	   | -- magic, cluster, from, to ----------> |
//	   | <------------- nothing, or why not ---- |
//	   | -- message, message, … ---------------> |
//
// Messages may be lost: a queue that is full drops, a broken connection loses what it held. Raft does not
// mind.
//
// With TLS, both sides present certificates that the configured authorities signed, and the certificate of
// each must be valid for the host under which the other one's configuration lists it, be that a name or an
// address.
package tcp
