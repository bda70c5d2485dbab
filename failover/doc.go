// Package failover decides and does: cut, read, promote, re-point, repair.
//
// Decisions are pure: Next looks at the replicated record of a failover and at what the monitor sees and
// says what to do now, or what blocks it and how to remedy that. Runner carries decisions out: it commits
// each step through the log before it does it, so that a leader that dies at any point is replaced by one that
// continues from the last committed step.
package failover
