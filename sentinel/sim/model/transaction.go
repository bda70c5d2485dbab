package model

var transactionCommands = []*command{
	{name: "multi", arity: 1, traits: whileLoading | whileStale | notQueued, run: (*process).multi},
	{name: "exec", arity: 1, traits: whileLoading | whileStale | notQueued, run: (*process).exec},
	{name: "discard", arity: 1, traits: whileLoading | whileStale | notQueued, run: (*process).discard},
	{name: "watch", arity: -2, traits: whileLoading | whileStale | notQueued, run: (*process).watch},
	{name: "unwatch", arity: 1, traits: whileLoading | whileStale, run: (*process).unwatch},
}

// transaction is what a client has queued.
type transaction struct {
	commands []queued
	traits   traits // of all of them
	broken   bool   // one was refused
}

type queued struct {
	cmd  *command
	args []string
}

func (t *transaction) add(cmd *command, args []string) {
	t.commands = append(t.commands, queued{cmd, args})
	t.traits |= cmd.traits
}

// watch is a key that must not change before EXEC.
type watch struct {
	db      int
	key     string
	changed bool
}

func (p *process) multi(c *client, _ []string) {
	if c.queue != nil {
		c.fail("ERR MULTI calls can not be nested")
		return
	}
	c.queue = &transaction{}
	c.ok()
}

func (p *process) exec(c *client, _ []string) {
	t := c.queue
	if t == nil {
		c.fail("ERR EXEC without MULTI")
		return
	}
	spoilt := false
	for _, w := range c.watched {
		spoilt = spoilt || w.changed || p.data[w.db].expired(w.key)
	}
	p.forgetWatches(c)
	switch {
	case t.broken:
		c.queue = nil
		c.fail("EXECABORT Transaction discarded because of previous errors.")
	case spoilt:
		c.queue = nil
		c.raw("*-1\r\n")
	default:
		c.array(len(t.commands))
		for _, q := range t.commands {
			p.call(c, q.cmd, q.args)
		}
		c.queue = nil
	}
}

func (p *process) discard(c *client, _ []string) {
	if c.queue == nil {
		c.fail("ERR DISCARD without MULTI")
		return
	}
	c.queue = nil
	p.forgetWatches(c)
	c.ok()
}

func (p *process) watch(c *client, args []string) {
	if c.queue != nil {
		c.fail("ERR WATCH inside MULTI is not allowed")
		return
	}
	p.watchers[c] = true
	for _, key := range args[1:] {
		c.watched = append(c.watched, watch{db: c.db, key: key})
	}
	c.ok()
}

func (p *process) unwatch(c *client, _ []string) {
	p.forgetWatches(c)
	c.ok()
}

func (p *process) forgetWatches(c *client) {
	c.watched = nil
	delete(p.watchers, c)
}

// touched tells the transactions that watch a key.
func (p *process) touched(db int, key string) {
	for c := range p.watchers {
		for i := range c.watched {
			if w := &c.watched[i]; w.db == db && w.key == key {
				w.changed = true
			}
		}
	}
}

// touchedAll is touched for all keys of a database.
func (p *process) touchedAll(db int) {
	for c := range p.watchers {
		for i := range c.watched {
			w := &c.watched[i]
			if _, is := p.data[db].keys[w.key]; w.db == db && is {
				w.changed = true
			}
		}
	}
}
