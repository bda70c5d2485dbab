package sim

import (
	"fmt"
	"strconv"
	"sync"

	"picket/sentinel/state"
)

// hook is a delivered event, as far as it matters here.
type hook struct {
	ID       string `json:"id"`
	Sequence string `json:"sequence"`
	Type     string `json:"type"`
	Subject  string `json:"subject"` // the master
}

// hookCheck: every committed event is delivered, and for each master none before an older one.
type hookCheck struct {
	world *world

	mu     sync.Mutex
	since  uint64            // events up to this need not be delivered: the receiver may have been unknown when they happened
	seen   map[string]bool   // by id
	newest map[string]uint64 // by master
}

func newHookCheck(w *world) *hookCheck {
	return &hookCheck{world: w, seen: map[string]bool{}, newest: map[string]uint64{}}
}

func (c *hookCheck) delivered(h hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := strconv.ParseUint(h.Sequence, 10, 64)
	switch {
	case err != nil:
		c.world.violate("a webhook has the sequence %q", h.Sequence)
	case c.seen[h.ID]:
		return // again
	case n <= c.newest[h.Subject]:
		c.world.violate("webhook %s (%s) of %q comes after %d", h.ID, h.Type, h.Subject, c.newest[h.Subject])
	}
	c.seen[h.ID], c.newest[h.Subject] = true, n
	c.world.count(func(n *Counts) { n.Webhooks++ })
}

// begin: from now on everything must be delivered.
func (c *hookCheck) begin() {
	for _, e := range c.events() {
		c.since = e.ID
	}
}

// events are those that the agents remember.
func (c *hookCheck) events() (events []state.Event) {
	for _, m := range c.world.machines {
		if a := m.agent.Load(); a != nil {
			events = a.Picture().Events
		}
	}
	return events
}

// end waits for what is under way.
func (c *hookCheck) end() {
	if why := c.world.await(settleLimit, c.missing); why != "" {
		c.world.violate("%s", why)
	}
}

// missing says which event was not delivered.
func (c *hookCheck) missing() string {
	events := c.events()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		if id := fmt.Sprintf("sim-%d", e.ID); e.ID > c.since && !c.seen[id] {
			return fmt.Sprintf("the event %s of %q was not delivered: %s", id, e.Master, e.Type)
		}
	}
	return ""
}
