// Package state is what the agents agree on: the masters and their replicas, running failovers, the agents themselves,
// the history of events, how far each webhook receiver has been told of it, and a small map of settings.
//
// It is a pure state machine: the same commands in the same order give the same bytes on every agent. A command that
// makes no sense (any more) changes nothing and gives an error as its result. What is safe to do, and when,
// is not decided here but in package failover; here its steps become facts.
//
// Readers get an immutable State and never wait for a writer. Events are read from the history by id, so a slow
// reader holds nobody up; one that is slower than the history is long misses the oldest.
package state
