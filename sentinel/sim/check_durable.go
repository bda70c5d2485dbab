package sim

import "sync"

// durableCheck: what as many replicas have acknowledged as durability.wait asks for is in the master at the end, whatever has happened.
type durableCheck struct {
	world *world

	mu   sync.Mutex
	keys []map[string]bool // by group
}

func newDurableCheck(w *world) *durableCheck {
	c := &durableCheck{world: w}
	for range w.shape.Masters {
		c.keys = append(c.keys, map[string]bool{})
	}
	return c
}

func (c *durableCheck) acknowledged(n int, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[n][key] = true
	c.world.count(func(n *Counts) { n.Durable++ })
}

// forgive: an operator has accepted that writes are lost.
func (c *durableCheck) forgive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.keys[0])
}

func (c *durableCheck) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, keys := range c.keys {
		master := c.world.master(n)
		held := master.redis[n].Dump(0)
		lost, first := 0, ""
		for key := range keys {
			if held[key] == nil {
				lost++
				first = min(first, key)
				if first == "" {
					first = key
				}
			}
		}
		if lost > 0 {
			c.world.violate("%s: of %d writes that were waited for %d are lost, among them %s", masterName(n), len(keys), lost, first)
		}
	}
}
