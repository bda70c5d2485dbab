// Package tour holds the test of docs/tour.md: what an operator does with three hosts, from a group of Redis Sentinel to one of Picket that
// has been through its first repairs. The test does every command of the document, on hosts that are namespaces of Linux.
package tour
