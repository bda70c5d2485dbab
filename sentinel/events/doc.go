// Package events says what the outside is told: how a committed event looks as a CloudEvent, and a catalogue of all types with what each
// means, its data as a JSON schema, and an example. docs/events.md and docs/events.schema.json are made from it:
//
//	go test ./sentinel/events -update
//
// Types never change meaning, and data only gains fields.
package events
