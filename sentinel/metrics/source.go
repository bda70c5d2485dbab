package metrics

import (
	"time"

	"picket/config/certs"
	"picket/sentinel/picture"
)

// Source is what the metrics are read from, at each scrape.
type Source interface {
	Picture() picture.Picture
	Counters() Counters
}

// Counters are what the picture does not show.
type Counters struct {
	MessagesDropped uint64             // to other agents, because a queue was full
	EventsDropped   uint64             // log lines and Sentinel events about what this agent saw, because too many waited
	Webhooks        map[string]Webhook // by name
	Certificates    []certs.Expiry     // that this agent shows
	Sentinel        Port
	HTTP            int    // connections to the HTTP port
	TracesDropped   uint64 // failovers that the collector was not told of
	ScriptsRunning  int
	Scripts         int // that run or wait
}

// Webhook is how far an endpoint is behind.
type Webhook struct {
	Backlog int       // events that it was not told of yet
	Oldest  time.Time // when the first of them was committed; zero: there is none
	Dead    int       // letters: events that were given up
	Dropped uint64    // dead letters that were lost, because there were too many
	// Disabled: its receiver has said that it wants nothing more.
	Disabled bool
}

// Port is what goes on at a port where clients connect.
type Port struct {
	Open                                 int   // connections
	Accepted, Rejected, Commands, Errors int64 // since the start
}
