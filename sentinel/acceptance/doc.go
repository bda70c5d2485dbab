// Package acceptance holds the tests of the product as its users meet it: the real binary, real redis-server processes,
// faults by signal, and only what comes out of the documented doors as evidence.
package acceptance
