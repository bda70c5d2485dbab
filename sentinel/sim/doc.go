// Package sim runs the whole system on virtual time: machines with a model of redis-server and a complete production agent each, on a
// network in memory, with clients that write and a receiver of webhooks. A seed decides how everything is configured and what goes wrong:
// processes die, hang, freeze and come back with and without their data, paths are cut in one direction or both, disks are slow, clocks
// differ, machines lose power, operators ask for switchovers; at random moments, and exactly at the steps of a failover. Then all faults
// are taken away, and the system must come to rest.
//
// Meanwhile and afterwards checkers look whether the promises hold. Each is a file of its own, and each is shown to fail on mistakes that
// are planted in the production code.
//
//	clients ──► network ──► model.Server ×3 or 5, per machine
//	                └─────► sentinel.Agent with its own disk (vfs.Mem) and clock
//
// What a seed draws is the same each time; in which order goroutines run is not, so that a failing seed may have to be run more than once to
// fail again. Run must be called in a synctest bubble, one after the other: go-redis shares timers between all its clients, and those of
// one bubble can't be used in another.
package sim
