// Package sim proves the consensus package: it runs the production core, log and codec on virtual time, over a network that loses,
// delays, doubles and reorders and disks that tear and forget, and checks after every event that what Raft promises holds.
//
// A seed decides everything: how many servers, which faults and how strong, and every single event. The same seed gives the same run,
// byte for byte; Run reports a hash of it.
package sim
