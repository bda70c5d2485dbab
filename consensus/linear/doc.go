// Package linear checks histories of a replicated map: what clients asked, what they were told, and when. A history is
// linearizable if each operation can be given one instant between its call and its return such that the answers are
// those of a single map that carries the operations out at these instants.
//
// It is for tests: the simulator's and those that drive real processes. The caller records the operations; the times
// may be of any one clock, virtual or real. The search for an order is porcupine's.
package linear
