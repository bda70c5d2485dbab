// Package cli is what the command line says to people: it asks agents over HTTP, the first that answers, and shows what they know
// as tables, JSON or YAML; it reads and writes the replicated map there, and has masters failed and handed over.
package cli
