package model

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	wrongType  = "WRONGTYPE Operation against a key holding the wrong kind of value"
	notInteger = "ERR value is not an integer or out of range"
	syntax     = "ERR syntax error"
)

var stringCommands = []*command{
	{name: "get", arity: 2, traits: reads, run: (*process).get},
	{name: "mget", arity: -2, traits: reads, run: (*process).mget},
	{name: "set", arity: -3, traits: writes, run: (*process).setKey},
	{name: "setex", arity: 4, traits: writes, run: (*process).setex},
	{name: "psetex", arity: 4, traits: writes, run: (*process).setex},
	{name: "setnx", arity: 3, traits: writes, run: (*process).setnx},
	{name: "append", arity: 3, traits: writes, run: (*process).appendTo},
	{name: "strlen", arity: 2, traits: reads, run: (*process).strlen},
	{name: "incr", arity: 2, traits: writes, run: (*process).incr},
	{name: "decr", arity: 2, traits: writes, run: (*process).incr},
	{name: "incrby", arity: 3, traits: writes, run: (*process).incr},
	{name: "decrby", arity: 3, traits: writes, run: (*process).incr},
}

// find looks a key up for the client; nil: there is none. A master deletes one that is expired at this moment.
func (p *process) find(c *client, key string) *value {
	db := &p.data[c.db]
	if db.expired(key) && !c.master {
		p.expire(c.db, key)
		return nil
	}
	return db.keys[key]
}

// findText is find for a string. ok is false when it is something else, and said so.
func (p *process) findText(c *client, key string) (text *string, ok bool) {
	v := p.find(c, key)
	if v == nil {
		return nil, true
	}
	if v.text == nil {
		c.fail(wrongType)
		return nil, false
	}
	return v.text, true
}

func (p *process) get(c *client, args []string) {
	text, ok := p.findText(c, args[1])
	switch {
	case !ok:
	case text == nil:
		p.stats.misses++
		c.null()
	default:
		p.stats.hits++
		c.bulk(*text)
	}
}

func (p *process) mget(c *client, args []string) {
	c.array(len(args) - 1)
	for _, key := range args[1:] {
		if v := p.find(c, key); v != nil && v.text != nil {
			c.bulk(*v.text)
		} else {
			c.null()
		}
	}
}

func (p *process) strlen(c *client, args []string) {
	if text, ok := p.findText(c, args[1]); ok {
		n := 0
		if text != nil {
			n = len(*text)
		}
		c.number(int64(n))
	}
}

// setting is what a SET asks for.
type setting struct {
	nx, xx, get, keep bool
	expires           int64 // Unix time in ms; 0: never
}

func (p *process) setKey(c *client, args []string) {
	s, refusal := parseSet(args)
	if refusal != "" {
		c.fail(refusal)
		return
	}
	old := p.find(c, args[1])
	if s.get {
		text, ok := p.findText(c, args[1])
		if !ok {
			return
		}
		if text == nil {
			c.null()
		} else {
			c.bulk(*text)
		}
	}
	if s.nx && old != nil || s.xx && old == nil {
		if !s.get {
			c.null()
		}
		return
	}
	p.store(c, args[1], args[2], s)
	if !s.get {
		c.ok()
	}
}

// store sets a string, and tells replicas the moment at which it expires rather than the time until then.
func (p *process) store(c *client, key, text string, s setting) {
	db := &p.data[c.db]
	db.put(key, &value{text: &text})
	if !s.keep {
		delete(db.expires, key)
	}
	if s.expires > 0 {
		p.expireAt(c, key, s.expires)
		p.rewrite = []string{"SET", key, text, "PXAT", strconv.FormatInt(s.expires, 10)}
	}
	p.touched(c.db, key)
	p.changed(1)
}

func parseSet(args []string) (s setting, refusal string) {
	for i := 3; i < len(args); i++ {
		option := strings.ToUpper(args[i])
		switch option {
		case "NX":
			s.nx = true
		case "XX":
			s.xx = true
		case "GET":
			s.get = true
		case "KEEPTTL":
			s.keep = true
		case "EX", "PX", "EXAT", "PXAT":
			if i++; i == len(args) || s.expires != 0 {
				return s, syntax
			}
			if s.expires, refusal = moment(option, args[i], "set"); refusal != "" {
				return s, refusal
			}
		default:
			return s, syntax
		}
	}
	if s.nx && s.xx || s.keep && s.expires != 0 {
		return s, syntax
	}
	return s, ""
}

// moment is the Unix time in ms that an option and its number mean.
func moment(option, number, command string) (ms int64, refusal string) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, notInteger
	}
	invalid := "ERR invalid expire time in '" + command + "' command"
	if n <= 0 || !strings.HasPrefix(option, "P") && n > math.MaxInt64/1000 {
		return 0, invalid
	}
	if !strings.HasPrefix(option, "P") {
		n *= 1000
	}
	if !strings.HasSuffix(option, "AT") {
		now := time.Now().UnixMilli()
		if n > math.MaxInt64-now {
			return 0, invalid
		}
		n += now
	}
	return n, ""
}

func (p *process) setex(c *client, args []string) {
	option := map[string]string{"setex": "EX", "psetex": "PX"}[strings.ToLower(args[0])]
	at, refusal := moment(option, args[2], strings.ToLower(args[0]))
	if refusal != "" {
		c.fail(refusal)
		return
	}
	p.find(c, args[1])
	p.store(c, args[1], args[3], setting{expires: at})
	c.ok()
}

func (p *process) setnx(c *client, args []string) {
	absent := p.find(c, args[1]) == nil
	if absent {
		p.store(c, args[1], args[2], setting{})
	}
	c.flag(absent)
}

func (p *process) appendTo(c *client, args []string) {
	text, ok := p.findText(c, args[1])
	if !ok {
		return
	}
	whole := args[2]
	if text != nil {
		whole = *text + whole
	}
	p.store(c, args[1], whole, setting{keep: true})
	c.number(int64(len(whole)))
}

func (p *process) incr(c *client, args []string) {
	by := int64(1)
	if len(args) == 3 {
		var err error
		if by, err = strconv.ParseInt(args[2], 10, 64); err != nil {
			c.fail(notInteger)
			return
		}
	}
	if strings.HasPrefix(strings.ToLower(args[0]), "decr") {
		if by == math.MinInt64 {
			c.fail("ERR decrement would overflow")
			return
		}
		by = -by
	}
	text, ok := p.findText(c, args[1])
	if !ok {
		return
	}
	n := int64(0)
	if text != nil {
		var err error
		if n, err = strconv.ParseInt(*text, 10, 64); err != nil {
			c.fail(notInteger)
			return
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		c.fail("ERR increment or decrement would overflow")
		return
	}
	p.store(c, args[1], strconv.FormatInt(n+by, 10), setting{keep: true})
	c.number(n + by)
}
