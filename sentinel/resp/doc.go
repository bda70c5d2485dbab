// Package resp is the agent's door for Redis clients: to them it is a Redis Sentinel. It answers the commands with
// which clients find a master and its replicas, and tells subscribers what happens.
//
// It promises the names, orders, types and texts of Sentinel's replies, in RESP2 and RESP3; that one reply comes
// from one picture.Picture; that no client, before or after AUTH, can make it allocate more than a small bound, or
// wait for anybody but itself. Who doesn't read what it subscribed to is disconnected. It decides nothing, and keeps
// nothing but the users of this port: what is true is its Backend's word, and what has happened is the word of whoever calls Publish.
// docs/sentinel-compatibility.md lists what differs from a Sentinel; a test compares the two.
//
//	connection ─► requests ─► dispatch ─► accounts ─► command ─► reply ─┐
//	                             │                       │              ▼
//	                           table                  Backend        outbox ─► connection
//	                                                                    ▲
//	                                                 Publish ─► hub ────┘
//
// Each client has two goroutines: one reads and runs its commands in order, one writes. An event is written by who publishes it, as far as the
// connection takes it at once; the writer does the rest. Replies are encoded by
// redcon. Requests are not read with it: the length in a header can make its parser spin, or panic.
package resp
