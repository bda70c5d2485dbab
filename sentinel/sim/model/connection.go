package model

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

var connectionCommands = []*command{
	{name: "ping", arity: -1, traits: subscribed, run: (*process).ping},
	{name: "echo", arity: 2, traits: always, run: func(_ *process, c *client, args []string) { c.bulk(args[1]) }},
	{name: "select", arity: 2, traits: always, run: (*process).selectDB},
	{name: "auth", arity: -2, traits: always | withoutAuth, run: (*process).auth},
	{name: "hello", arity: -1, traits: always | withoutAuth, run: (*process).hello},
	{name: "quit", arity: -1, traits: always | withoutAuth | notQueued | subscribed, run: (*process).quit},
	{name: "reset", arity: 1, traits: always | withoutAuth | notQueued | subscribed, run: (*process).reset},
	{name: "client", arity: -2, traits: always, sub: index([]*command{
		{name: "client|id", arity: 2, traits: always, run: func(_ *process, c *client, _ []string) { c.number(c.id) }},
		{name: "client|setname", arity: 3, traits: always, run: (*process).setName},
		{name: "client|getname", arity: 2, traits: always, run: (*process).getName},
		{name: "client|list", arity: -2, traits: always, run: (*process).clientList},
		{name: "client|info", arity: 2, traits: always, run: func(_ *process, c *client, _ []string) { c.bulk(c.describe()) }},
		{name: "client|kill", arity: -3, traits: always, run: (*process).clientKill},
		{name: "client|pause", arity: -3, traits: always, run: (*process).clientPause},
		{name: "client|unpause", arity: 2, traits: always, run: (*process).clientUnpause},
		{name: "client|no-evict", arity: 3, traits: always, run: (*process).noEvict},
	})},
}

func (p *process) ping(c *client, args []string) {
	if len(args) > 2 {
		c.fail("ERR wrong number of arguments for 'ping' command")
		return
	}
	text := ""
	if len(args) == 2 {
		text = args[1]
	}
	switch {
	case len(c.channels)+len(c.patterns) > 0:
		c.bulks("pong", text)
	case len(args) == 2:
		c.bulk(text)
	default:
		c.status("PONG")
	}
}

func (p *process) selectDB(c *client, args []string) {
	n, err := strconv.Atoi(args[1])
	switch {
	case err != nil:
		c.fail(notInteger)
	case n < 0 || n >= databases:
		c.fail("ERR DB index is out of range")
	default:
		c.db = n
		c.ok()
	}
}

const wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

func (p *process) auth(c *client, args []string) {
	switch {
	case len(args) > 3:
		c.fail(syntax)
	case len(args) == 2 && p.set.password == "":
		c.fail("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	case len(args) == 3 && args[1] != "default" || p.set.password != "" && args[len(args)-1] != p.set.password:
		c.fail(wrongPassword)
	default:
		c.authenticated = true
		c.ok()
	}
}

func (p *process) hello(c *client, args []string) {
	name := c.name
	if len(args) > 1 {
		if version, err := strconv.Atoi(args[1]); err != nil {
			c.fail("ERR Protocol version is not an integer or out of range")
			return
		} else if version != 2 {
			c.fail("NOPROTO unsupported protocol version")
			return
		}
	}
	for i := 2; i < len(args); i++ {
		switch left := len(args) - i - 1; {
		case strings.EqualFold(args[i], "auth") && left >= 2:
			if args[i+1] != "default" || args[i+2] != p.set.password && p.set.password != "" {
				c.fail(wrongPassword)
				return
			}
			c.authenticated = true
			i += 2
		case strings.EqualFold(args[i], "setname") && left >= 1:
			name = args[i+1]
			i++
		default:
			c.fail("ERR Syntax error in HELLO option '" + args[i] + "'")
			return
		}
	}
	if !c.authenticated {
		c.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option " +
			"can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if !p.nameClient(c, name) {
		return
	}
	c.array(14)
	for _, pair := range [][2]string{{"server", "redis"}, {"version", version}} {
		c.bulk(pair[0])
		c.bulk(pair[1])
	}
	c.bulk("proto")
	c.number(2)
	c.bulk("id")
	c.number(c.id)
	c.bulk("mode")
	c.bulk("standalone")
	c.bulk("role")
	c.bulk(map[string]string{"master": "master", "slave": "replica"}[p.role()])
	c.bulk("modules")
	c.array(0)
}

func (p *process) quit(c *client, _ []string) {
	c.ok()
	c.closeAfter = true
}

func (p *process) reset(c *client, _ []string) {
	c.queue, c.db, c.name = nil, 0, ""
	p.forgetWatches(c)
	p.unsubscribeAll(c)
	c.authenticated = p.set.password == ""
	c.status("RESET")
}

func (p *process) setName(c *client, args []string) {
	if p.nameClient(c, args[2]) {
		c.ok()
	}
}

// nameClient says so when the name can't be one.
func (p *process) nameClient(c *client, name string) bool {
	if strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' }) {
		c.fail("ERR Client names cannot contain spaces, newlines or special characters.")
		return false
	}
	c.name = name
	return true
}

func (p *process) getName(c *client, _ []string) {
	if c.name == "" {
		c.null()
	} else {
		c.bulk(c.name)
	}
}

// connected are all clients in the order in which they came.
func (p *process) connected() []*client {
	all := make([]*client, 0, len(p.clients))
	for _, c := range p.clients {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *client) int { return int(a.id - b.id) })
	return all
}

func (p *process) clientList(c *client, args []string) {
	class := ""
	ids := map[string]bool{}
	switch {
	case len(args) == 4 && strings.EqualFold(args[2], "type"):
		if class = clientClass(args[3]); class == "" {
			c.fail("ERR Unknown client type '" + args[3] + "'")
			return
		}
	case len(args) > 3 && strings.EqualFold(args[2], "id"):
		for _, id := range args[3:] {
			ids[id] = true
		}
	case len(args) != 2:
		c.fail(syntax)
		return
	}
	var b strings.Builder
	for _, other := range p.connected() {
		if (class == "" || other.class() == class) && (len(ids) == 0 || ids[strconv.FormatInt(other.id, 10)]) {
			b.WriteString(other.describe())
		}
	}
	c.bulk(b.String())
}

// clientClass is the class that a name means; empty: none.
func clientClass(name string) string {
	name = strings.ToLower(name)
	switch name {
	case "slave":
		return "replica"
	case "normal", "pubsub", "replica", "master":
		return name
	}
	return ""
}

func (p *process) clientKill(c *client, args []string) {
	if len(args) == 3 { // the old form
		for _, other := range p.connected() {
			if other.conn.RemoteAddr().String() == args[2] {
				c.ok()
				p.kill(c, other)
				return
			}
		}
		c.fail("ERR No such client")
		return
	}
	f, refusal := parseKill(args[2:])
	if refusal != "" {
		c.fail(refusal)
		return
	}
	killed := int64(0)
	self := false
	for _, other := range p.connected() {
		switch {
		case !f.selects(other) || other == c && f.skipMe:
		case other == c:
			self = true
			killed++
		default:
			p.kill(c, other)
			killed++
		}
	}
	c.number(killed)
	if self {
		c.closeAfter = true
	}
}

// kill disconnects a client; the one that asks for it gets its answer.
func (p *process) kill(by, c *client) {
	if c == by {
		c.closeAfter = true
		return
	}
	p.disconnect(c)
}

// filter is what CLIENT KILL selects by.
type filter struct {
	id                 int64
	addr, laddr, class string
	skipMe             bool
}

func (f *filter) selects(c *client) bool {
	return (f.id == 0 || f.id == c.id) && (f.class == "" || f.class == c.class()) &&
		(f.addr == "" || f.addr == c.conn.RemoteAddr().String()) && (f.laddr == "" || f.laddr == c.conn.LocalAddr().String())
}

func parseKill(args []string) (f filter, refusal string) {
	f.skipMe = true
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return f, syntax
		}
		word := args[i+1]
		switch strings.ToLower(args[i]) {
		case "id":
			id, err := strconv.ParseInt(word, 10, 64)
			if err != nil || id < 1 {
				return f, "ERR client-id should be greater than 0"
			}
			f.id = id
		case "addr":
			f.addr = word
		case "laddr":
			f.laddr = word
		case "type":
			if f.class = clientClass(word); f.class == "" {
				return f, "ERR Unknown client type '" + word + "'"
			}
		case "user":
			if word != "default" {
				return f, "ERR No such user '" + word + "'"
			}
		case "skipme":
			if !oneOf(word, "yes", "no") {
				return f, syntax
			}
			f.skipMe = strings.EqualFold(word, "yes")
		default:
			return f, syntax
		}
	}
	return f, ""
}

func (p *process) noEvict(c *client, args []string) {
	if oneOf(args[2], "on", "off") {
		c.ok()
	} else {
		c.fail(syntax)
	}
}

func (p *process) clientPause(c *client, args []string) {
	what := pauseAll
	if len(args) == 4 {
		switch strings.ToLower(args[3]) {
		case "write":
			what = pauseWrites
		case "all":
		default:
			c.fail("ERR CLIENT PAUSE mode must be WRITE or ALL")
			return
		}
	} else if len(args) > 4 {
		c.fail("ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP.")
		return
	}
	ms, refusal := parseTimeout(args[2])
	if refusal != "" {
		c.fail(refusal)
		return
	}
	p.pause(byCommand, what, time.Now().Add(ms))
	c.ok()
}

// parseTimeout reads a time in ms.
func parseTimeout(word string) (time.Duration, string) {
	ms, err := strconv.ParseInt(word, 10, 64)
	switch {
	case err != nil || ms > int64(maxTimeout/time.Millisecond):
		return 0, "ERR timeout is not an integer or out of range"
	case ms < 0:
		return 0, "ERR timeout is negative"
	}
	return time.Duration(ms) * time.Millisecond, ""
}

// maxTimeout keeps sums of times from overflowing.
const maxTimeout = 100 * 365 * 24 * time.Hour

func (p *process) clientUnpause(c *client, _ []string) {
	p.unpause(byCommand)
	c.ok()
}
