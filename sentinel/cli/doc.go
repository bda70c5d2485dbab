// Package cli is what the command line says to people: it fetches an agent's picture over HTTP and shows it as
// tables, it reads and writes the replicated map there, and it asks for failovers through the Sentinel port, as any
// Sentinel client would.
package cli
