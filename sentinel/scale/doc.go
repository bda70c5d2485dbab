// Package scale holds the tests of one agent that has very much to do: real processes, many clients, many masters. Figures are logged, and bounds
// are generous, because machines differ. Under the race detector, which allows a process some thousand goroutines, there is less of
// everything; make scale tests the whole.
package scale
