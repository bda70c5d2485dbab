package model

import (
	"maps"
	"slices"
	"strings"
)

const always = whileLoading | whileStale

var pubsubCommands = []*command{
	{name: "subscribe", arity: -2, traits: always | subscribed, run: (*process).subscribe},
	{name: "psubscribe", arity: -2, traits: always | subscribed, run: (*process).subscribe},
	{name: "unsubscribe", arity: -1, traits: always | subscribed, run: (*process).unsubscribe},
	{name: "punsubscribe", arity: -1, traits: always | subscribed, run: (*process).unsubscribe},
	{name: "publish", arity: 3, traits: always | mayReplicate, run: (*process).publish},
}

// subscriptions are the client's and everybody's of one kind: by channel or by pattern.
func (p *process) subscriptions(c *client, command string) (own *map[string]bool, all map[string]map[*client]bool, kind string) {
	kind = strings.ToLower(command)
	if strings.HasPrefix(kind, "p") {
		return &c.patterns, p.matched, kind
	}
	return &c.channels, p.subscribed, kind
}

func (p *process) subscribe(c *client, args []string) {
	own, all, kind := p.subscriptions(c, args[0])
	for _, name := range args[1:] {
		if *own == nil {
			*own = map[string]bool{}
		}
		(*own)[name] = true
		if all[name] == nil {
			all[name] = map[*client]bool{}
		}
		all[name][c] = true
		c.array(3)
		c.bulk(kind)
		c.bulk(name)
		c.number(int64(len(c.channels) + len(c.patterns)))
	}
}

func (p *process) unsubscribe(c *client, args []string) {
	own, all, kind := p.subscriptions(c, args[0])
	names := args[1:]
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(*own))
	}
	for _, name := range names {
		delete(*own, name)
		forget(all, name, c)
		c.array(3)
		c.bulk(kind)
		c.bulk(name)
		c.number(int64(len(c.channels) + len(c.patterns)))
	}
	if len(names) == 0 {
		c.array(3)
		c.bulk(kind)
		c.null()
		c.number(int64(len(c.channels) + len(c.patterns)))
	}
}

func forget(all map[string]map[*client]bool, name string, c *client) {
	delete(all[name], c)
	if len(all[name]) == 0 {
		delete(all, name)
	}
}

// unsubscribeAll is for a client that goes.
func (p *process) unsubscribeAll(c *client) {
	for name := range c.channels {
		forget(p.subscribed, name, c)
	}
	for name := range c.patterns {
		forget(p.matched, name, c)
	}
	c.channels, c.patterns = nil, nil
}

// publish reaches subscribers here and, through the replication stream, those of the replicas.
func (p *process) publish(c *client, args []string) {
	receivers := int64(0)
	for _, s := range byID(p.subscribed[args[1]]) {
		s.bulks("message", args[1], args[2])
		receivers++
	}
	for _, pattern := range slices.Sorted(maps.Keys(p.matched)) {
		if !matches(pattern, args[1]) {
			continue
		}
		for _, s := range byID(p.matched[pattern]) {
			s.bulks("pmessage", pattern, args[1], args[2])
			receivers++
		}
	}
	p.ops = append(p.ops, op{db: c.db, args: args, message: true})
	c.number(receivers)
}

func byID(set map[*client]bool) []*client {
	return slices.SortedFunc(maps.Keys(set), func(a, b *client) int { return int(a.id - b.id) })
}

// matches is Redis's glob: * ? [set] [^set] [a-z] and \ before a character.
func matches(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			rest := strings.TrimLeft(pattern, "*")
			for i := 0; i <= len(s); i++ {
				if matches(rest, s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
			pattern = pattern[1:]
		case '[':
			if s == "" {
				return false
			}
			in, rest := inSet(pattern[1:], s[0])
			if !in {
				return false
			}
			pattern = rest
		case '\\':
			if len(pattern) > 1 {
				pattern = pattern[1:]
			}
			fallthrough
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
			pattern = pattern[1:]
		}
		s = s[1:]
	}
	return s == ""
}

// inSet reads the rest of "[…]" and says whether it holds c.
func inSet(set string, c byte) (in bool, rest string) {
	not := strings.HasPrefix(set, "^")
	if not {
		set = set[1:]
	}
	for set != "" && set[0] != ']' {
		if set[0] == '\\' && len(set) > 1 {
			set = set[1:]
		}
		low, high, size := set[0], set[0], 1
		if len(set) > 2 && set[1] == '-' && set[2] != ']' {
			high, size = set[2], 3
		}
		in = in || min(low, high) <= c && c <= max(low, high)
		set = set[size:]
	}
	return in != not, strings.TrimPrefix(set, "]")
}
