package model

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

var keyCommands = []*command{
	{name: "del", arity: -2, traits: writes, run: (*process).del},
	{name: "unlink", arity: -2, traits: writes, run: (*process).del},
	{name: "exists", arity: -2, traits: reads, run: (*process).exists},
	{name: "type", arity: 2, traits: reads, run: (*process).typeOf},
	{name: "keys", arity: 2, traits: reads, run: (*process).listKeys},
	{name: "dbsize", arity: 1, traits: reads, run: (*process).dbsize},
	{name: "flushdb", arity: -1, traits: writes, run: (*process).flush},
	{name: "flushall", arity: -1, traits: writes, run: (*process).flush},
	{name: "expire", arity: -3, traits: writes, run: (*process).setExpiry},
	{name: "pexpire", arity: -3, traits: writes, run: (*process).setExpiry},
	{name: "expireat", arity: -3, traits: writes, run: (*process).setExpiry},
	{name: "pexpireat", arity: -3, traits: writes, run: (*process).setExpiry},
	{name: "persist", arity: 2, traits: writes, run: (*process).persist},
	{name: "ttl", arity: 2, traits: reads, run: (*process).ttl},
	{name: "pttl", arity: 2, traits: reads, run: (*process).ttl},
}

func (p *process) del(c *client, args []string) {
	removed := 0
	for _, key := range args[1:] {
		if p.find(c, key) != nil && p.data[c.db].remove(key) {
			p.touched(c.db, key)
			removed++
		}
	}
	p.changed(removed)
	c.number(int64(removed))
}

func (p *process) exists(c *client, args []string) {
	n := int64(0)
	for _, key := range args[1:] {
		if p.find(c, key) != nil {
			n++
		}
	}
	c.number(n)
}

func (p *process) typeOf(c *client, args []string) {
	if v := p.find(c, args[1]); v != nil {
		c.status(v.kind())
	} else {
		c.status("none")
	}
}

func (p *process) listKeys(c *client, args []string) {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(p.data[c.db].keys)) {
		if matches(args[1], key) && p.find(c, key) != nil {
			found = append(found, key)
		}
	}
	c.bulks(found...)
}

func (p *process) dbsize(c *client, _ []string) { c.number(int64(len(p.data[c.db].keys))) }

// flush is told to replicas also when there was nothing to delete.
func (p *process) flush(c *client, args []string) {
	if len(args) > 2 || len(args) == 2 && !oneOf(args[1], "SYNC", "ASYNC") {
		c.fail(syntax)
		return
	}
	for i := range p.data {
		if i == c.db || strings.EqualFold(args[0], "flushall") {
			p.touchedAll(i)
			p.data[i] = database{}
		}
	}
	p.changed(1)
	c.ok()
}

// setExpiry is EXPIRE and its kin; replicas are told the moment.
func (p *process) setExpiry(c *client, args []string) {
	name := strings.ToLower(args[0])
	n, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		c.fail(notInteger)
		return
	}
	if len(args) > 3 && !oneOf(args[3], "NX", "XX", "GT", "LT") {
		c.fail("ERR Unsupported option " + args[3])
		return
	}
	if !strings.HasPrefix(name, "p") {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			c.fail("ERR invalid expire time in '" + name + "' command")
			return
		}
		n *= 1000
	}
	now := time.Now().UnixMilli()
	if !strings.HasSuffix(name, "at") {
		n += now
	}
	key := args[1]
	if p.find(c, key) == nil || len(args) > 3 && !p.mayExpire(c.db, key, args[3], n) {
		c.number(0)
		return
	}
	if n <= now && p.masterHost == "" {
		p.data[c.db].remove(key)
		p.rewrite = []string{"DEL", key}
	} else {
		p.expireAt(c, key, n)
		p.rewrite = []string{"PEXPIREAT", key, strconv.FormatInt(n, 10)}
	}
	p.touched(c.db, key)
	p.changed(1)
	c.number(1)
}

// mayExpire is the condition of an EXPIRE; a key that never expires does so later than all others.
func (p *process) mayExpire(db int, key, condition string, at int64) bool {
	is, has := p.data[db].expires[key]
	switch strings.ToUpper(condition) {
	case "NX":
		return !has
	case "XX":
		return has
	case "GT":
		return has && at > is
	}
	return !has || at < is
}

func (p *process) persist(c *client, args []string) {
	_, had := p.data[c.db].expires[args[1]]
	if p.find(c, args[1]) == nil || !had {
		c.number(0)
		return
	}
	delete(p.data[c.db].expires, args[1])
	p.touched(c.db, args[1])
	p.changed(1)
	c.number(1)
}

func (p *process) ttl(c *client, args []string) {
	if p.find(c, args[1]) == nil {
		c.number(-2)
		return
	}
	at, has := p.data[c.db].expires[args[1]]
	if !has {
		c.number(-1)
		return
	}
	left := max(0, at-time.Now().UnixMilli())
	if strings.EqualFold(args[0], "ttl") {
		left = (left + 500) / 1000
	}
	c.number(left)
}

// expireAt sets when a key's time is up and sees to it that somebody looks then.
func (p *process) expireAt(c *client, key string, ms int64) {
	p.data[c.db].expireAt(key, ms)
	p.watchExpiry(ms)
}

// expire deletes a key whose time is up. A replica waits for its master to say so, a paused master for the end of the pause.
func (p *process) expire(db int, key string) {
	if p.masterHost != "" || p.paused() {
		return
	}
	p.data[db].remove(key)
	p.touched(db, key)
	p.stats.expired++
	p.also(db, "DEL", key)
}

// expiryDelay is how long a key that nobody looks at may live on.
const expiryDelay = 50 * time.Millisecond

func (p *process) watchExpiry(ms int64) {
	if p.masterHost != "" || p.nextDue != 0 && p.nextDue <= ms {
		return
	}
	p.nextDue = ms
	wait := time.Until(time.UnixMilli(ms)) + expiryDelay
	if p.expirer != nil {
		p.expirer.Stop()
	}
	p.expirer = p.after(wait, p.expireDue)
}

// expireDue deletes what has expired and waits for the next.
func (p *process) expireDue() {
	p.nextDue = 0
	if p.loading || p.masterHost != "" {
		return
	}
	next := int64(0)
	for i := range p.data {
		db := &p.data[i]
		for _, key := range slices.Sorted(maps.Keys(db.expires)) {
			at := db.expires[key]
			if db.expired(key) && !p.paused() {
				p.expire(i, key)
				p.propagate()
			} else if next == 0 || at < next {
				next = at
			}
		}
	}
	if next != 0 {
		p.watchExpiry(max(next, time.Now().UnixMilli()))
	}
}

func oneOf(word string, list ...string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}
