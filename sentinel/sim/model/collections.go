package model

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

var collectionCommands = []*command{
	{name: "rpush", arity: -3, traits: writes, run: (*process).push},
	{name: "lpush", arity: -3, traits: writes, run: (*process).push},
	{name: "llen", arity: 2, traits: reads, run: (*process).llen},
	{name: "lrange", arity: 4, traits: reads, run: (*process).lrange},
	{name: "sadd", arity: -3, traits: writes, run: (*process).sadd},
	{name: "srem", arity: -3, traits: writes, run: (*process).srem},
	{name: "scard", arity: 2, traits: reads, run: (*process).scard},
	{name: "sismember", arity: 3, traits: reads, run: (*process).sismember},
	{name: "smembers", arity: 2, traits: reads, run: (*process).smembers},
	{name: "hset", arity: -4, traits: writes, run: (*process).hset},
	{name: "hdel", arity: -3, traits: writes, run: (*process).hdel},
	{name: "hget", arity: 3, traits: reads, run: (*process).hget},
	{name: "hgetall", arity: 2, traits: reads, run: (*process).hgetall},
	{name: "hlen", arity: 2, traits: reads, run: (*process).hlen},
}

// none stands for a key that is not there.
var none value

// findKind is find for one kind of collection. The value is not nil when ok; where there is none it is to be only read.
func (p *process) findKind(c *client, key, kind string) (v *value, ok bool) {
	v = p.find(c, key)
	if v == nil {
		return &none, true
	}
	if v.kind() != kind {
		c.fail(wrongType)
		return nil, false
	}
	return v, true
}

// makeKind is findKind for those that write.
func (p *process) makeKind(c *client, key, kind string) (v *value, ok bool) {
	if v, ok = p.findKind(c, key, kind); !ok || v != &none {
		return v, ok
	}
	v = &value{}
	switch kind {
	case "set":
		v.set = map[string]struct{}{}
	case "hash":
		v.hash = map[string]string{}
	}
	p.data[c.db].put(key, v)
	return v, true
}

// edited notes n changes of a collection, which goes away with its last element.
func (p *process) edited(c *client, key string, v *value, n int) {
	if n == 0 {
		return
	}
	if v.empty() {
		p.data[c.db].remove(key)
	}
	p.touched(c.db, key)
	p.changed(n)
}

func (p *process) push(c *client, args []string) {
	v, ok := p.makeKind(c, args[1], "list")
	if !ok {
		return
	}
	added := slices.Clone(args[2:])
	if strings.EqualFold(args[0], "rpush") {
		v.list = append(v.list, added...)
	} else {
		slices.Reverse(added)
		v.list = append(added, v.list...)
	}
	p.edited(c, args[1], v, len(added))
	c.number(int64(len(v.list)))
}

func (p *process) llen(c *client, args []string) {
	if v, ok := p.findKind(c, args[1], "list"); ok {
		c.number(int64(len(v.list)))
	}
}

func (p *process) lrange(c *client, args []string) {
	from, err1 := strconv.Atoi(args[2])
	to, err2 := strconv.Atoi(args[3])
	if err1 != nil || err2 != nil {
		c.fail(notInteger)
		return
	}
	v, ok := p.findKind(c, args[1], "list")
	if !ok {
		return
	}
	if from < 0 {
		from = max(0, from+len(v.list))
	}
	if to < 0 {
		to += len(v.list)
	}
	to = min(to, len(v.list)-1)
	if from > to {
		c.array(0)
		return
	}
	c.bulks(v.list[from : to+1]...)
}

func (p *process) sadd(c *client, args []string) {
	v, ok := p.makeKind(c, args[1], "set")
	if !ok {
		return
	}
	before := len(v.set)
	for _, m := range args[2:] {
		v.set[m] = struct{}{}
	}
	added := len(v.set) - before
	p.edited(c, args[1], v, added)
	c.number(int64(added))
}

func (p *process) srem(c *client, args []string) {
	v, ok := p.findKind(c, args[1], "set")
	if !ok {
		return
	}
	before := len(v.set)
	for _, m := range args[2:] {
		delete(v.set, m)
	}
	removed := before - len(v.set)
	p.edited(c, args[1], v, removed)
	c.number(int64(removed))
}

func (p *process) scard(c *client, args []string) {
	if v, ok := p.findKind(c, args[1], "set"); ok {
		c.number(int64(len(v.set)))
	}
}

func (p *process) sismember(c *client, args []string) {
	if v, ok := p.findKind(c, args[1], "set"); ok {
		_, is := v.set[args[2]]
		c.flag(is)
	}
}

func (p *process) smembers(c *client, args []string) {
	if v, ok := p.findKind(c, args[1], "set"); ok {
		c.bulks(slices.Sorted(maps.Keys(v.set))...)
	}
}

func (p *process) hset(c *client, args []string) {
	if len(args)%2 != 0 {
		c.fail("ERR wrong number of arguments for 'hset' command")
		return
	}
	v, ok := p.makeKind(c, args[1], "hash")
	if !ok {
		return
	}
	before := len(v.hash)
	for i := 2; i < len(args); i += 2 {
		v.hash[args[i]] = args[i+1]
	}
	p.edited(c, args[1], v, (len(args)-2)/2)
	c.number(int64(len(v.hash) - before))
}

func (p *process) hdel(c *client, args []string) {
	v, ok := p.findKind(c, args[1], "hash")
	if !ok {
		return
	}
	before := len(v.hash)
	for _, f := range args[2:] {
		delete(v.hash, f)
	}
	removed := before - len(v.hash)
	p.edited(c, args[1], v, removed)
	c.number(int64(removed))
}

func (p *process) hget(c *client, args []string) {
	v, ok := p.findKind(c, args[1], "hash")
	if !ok {
		return
	}
	if text, has := v.hash[args[2]]; has {
		c.bulk(text)
	} else {
		c.null()
	}
}

func (p *process) hgetall(c *client, args []string) {
	v, ok := p.findKind(c, args[1], "hash")
	if !ok {
		return
	}
	c.array(2 * len(v.hash))
	for _, f := range slices.Sorted(maps.Keys(v.hash)) {
		c.bulk(f)
		c.bulk(v.hash[f])
	}
}

func (p *process) hlen(c *client, args []string) {
	if v, ok := p.findKind(c, args[1], "hash"); ok {
		c.number(int64(len(v.hash)))
	}
}
