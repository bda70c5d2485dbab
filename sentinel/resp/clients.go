package resp

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"picket/sentinel/resp/acl"
)

func clientCommands() []*command {
	return []*command{{name: "client", arity: -2, summary: "This connection, and the others.", parts: []*command{
		{name: "caching", arity: 3, run: caching, usage: "(YES|NO)", summary: "Accepted where Redis accepts it: there are no keys to track."},
		{name: "getredir", arity: 2, run: redirection, summary: "Return the connection to which notices of TRACKING go."},
		{name: "getname", arity: 2, run: getName, summary: "Return the name of this connection."},
		{name: "id", arity: 2, run: clientID, summary: "Return the number of this connection."},
		{name: "info", arity: 2, run: clientInfo, summary: "Describe this connection."},
		{name: "kill", arity: -3, run: killClients, usage: "<ip:port>\n<option> <value> [<option> <value> [...]]",
			summary: "Close connections: by ADDR, LADDR, TYPE, USER, ID; SKIPME YES, the default, spares this one."},
		{name: "list", arity: -2, run: listClients, usage: "[options ...]", summary: "Describe connections: all, or those of a TYPE, or with an ID."},
		{name: "no-evict", arity: 3, run: noEvict, usage: "(ON|OFF)", summary: "Accepted, and shown: nobody is evicted."},
		{name: "pause", arity: -3, run: pauseClients, usage: "<timeout> [WRITE|ALL]", summary: "Have all clients wait, or those that write, for milliseconds."},
		{name: "reply", arity: 3, run: muteReplies, usage: "(ON|OFF|SKIP)", summary: "Have commands of this connection answered, or not."},
		{name: "setinfo", arity: 4, run: setInfo, usage: "(LIB-NAME|LIB-VER) <value>", summary: "Accepted, and ignored."},
		{name: "setname", arity: 3, run: setName, usage: "<name>", summary: "Name this connection."},
		{name: "tracking", arity: -3, run: track, usage: "(ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
			summary: "Accepted where Redis accepts it: there are no keys to track."},
		{name: "trackinginfo", arity: 2, run: trackingInfo, summary: "Return what TRACKING was told."},
		{name: "unblock", arity: -3, run: unblock, usage: "<clientid> [TIMEOUT|ERROR]", summary: "Nobody is ever blocked: return 0."},
		{name: "unpause", arity: 2, run: unpause, summary: "End a PAUSE."},
		helpCommand(),
	}}}
}

const syntaxError = "ERR syntax error"

// profile is what others may ask of a client.
type profile struct {
	name      string
	user      string
	active    time.Time // its last command
	command   string    // that
	arguments int       // its bytes
	noEvict   bool
	tracking  bool
	redirect  int64
}

// update changes what others see of a client.
func (c *client) update(change func(*profile)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.shown)
}

func (c *client) profile() profile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}

func (c *client) user() string { return c.profile().user }

// began notes that a command begins, and says whose it is.
func (c *client) began(d *command, words []string) (user string) {
	c.update(func(p *profile) {
		p.active, p.command, p.arguments, user = time.Now(), d.full, 0, p.user
		for _, word := range words {
			p.arguments += len(word)
		}
	})
	return user
}

// line describes a client as CLIENT LIST does. What only Redis has is 0.
func (c *client) line(now time.Time) string {
	p, s := c.profile(), c.server.hub.look(c)
	redirect := int64(-1)
	if p.tracking {
		redirect = p.redirect
	}
	version := 2
	if s.resp3 {
		version = 3
	}
	command := p.command
	if command == "" {
		command = "NULL"
	}
	waiting := c.out.size()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=0 sub=%d psub=%d ssub=0 multi=-1 qbuf=0 qbuf-free=%d "+
		"argv-mem=%d multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=%d tot-mem=%d events=r cmd=%s user=%s redir=%d resp=%d",
		c.id, c.conn.RemoteAddr(), c.conn.LocalAddr(), c.fd, p.name, seconds(now.Sub(c.since)), seconds(now.Sub(p.active)), p.flags(s),
		s.channels, s.patterns, maxLine, p.arguments, waiting, maxLine+p.arguments+waiting, command, p.user, redirect, version)
}

func seconds(d time.Duration) int { return max(0, int(d.Seconds())) }

// flags are in Redis's order.
func (p profile) flags(s subscriptions) string {
	var b strings.Builder
	for _, f := range []struct {
		letter byte
		raised bool
	}{{'P', s.count() > 0}, {'t', p.tracking}, {'e', p.noEvict}} {
		if f.raised {
			b.WriteByte(f.letter)
		}
	}
	if b.Len() == 0 {
		return "N"
	}
	return b.String()
}

// kinds are the types of clients. Masters and replicas never connect.
var kinds = []string{"normal", "master", "replica", "slave", "pubsub"}

func (c *client) kind() string {
	if s := c.server.hub.look(c); s.count() > 0 {
		return "pubsub"
	}
	return "normal"
}

// maxListed bounds how many clients CLIENT LIST describes: those that came first.
const maxListed = 1000

func listClients(_ context.Context, c *client, args []string) {
	var listed []*client
	switch option := strings.ToLower(slices.Concat(args, []string{"", ""})[2]); {
	case len(args) == 2:
		listed = c.server.everybody()
	case option == "type" && len(args) == 4:
		kind := strings.ToLower(args[3])
		if !slices.Contains(kinds, kind) {
			c.reply.error(unknownKind(args[3]))
			return
		}
		listed = slices.DeleteFunc(c.server.everybody(), func(o *client) bool { return o.kind() != kind })
	case option == "id" && len(args) > 3:
		for _, word := range args[3:] {
			id, ok := integer(word)
			if !ok {
				c.reply.error("ERR Invalid client ID")
				return
			}
			if o := c.server.client(id); o != nil {
				listed = append(listed, o)
			}
		}
	default:
		c.reply.error(syntaxError)
		return
	}
	now := time.Now()
	var b strings.Builder
	for _, o := range listed[:min(len(listed), maxListed)] {
		b.WriteString(o.line(now) + "\n")
	}
	c.reply.verbatim(b.String())
}

func unknownKind(word string) string { return "ERR Unknown client type '" + cut(word, maxQuoted) + "'" }

func clientInfo(_ context.Context, c *client, _ []string) {
	c.reply.verbatim(c.line(time.Now()) + "\n")
}

// killing says which clients CLIENT KILL closes. What is empty matches all.
type killing struct {
	id                      int64
	addr, laddr, user, kind string
	skipMe                  bool
}

// parseKilling reads the options of CLIENT KILL; the problem is the answer.
func parseKilling(words []string, known func(user string) bool) (k killing, problem string) {
	k.skipMe = true
	for ; len(words) > 0; words = words[2:] {
		if len(words) == 1 {
			return k, syntaxError
		}
		value := words[1]
		switch option := strings.ToLower(words[0]); option {
		case "id":
			id, ok := integer(value)
			if !ok || id < 1 {
				return k, "ERR client-id should be greater than 0"
			}
			k.id = id
		case "type":
			if k.kind = strings.ToLower(value); !slices.Contains(kinds, k.kind) {
				return k, unknownKind(value)
			}
		case "addr":
			k.addr = value
		case "laddr":
			k.laddr = value
		case "user":
			if k.user = value; !known(value) {
				return k, "ERR No such user '" + cut(value, maxQuoted) + "'"
			}
		case "skipme":
			word := strings.ToLower(value)
			if word != "yes" && word != "no" {
				return k, syntaxError
			}
			k.skipMe = word == "yes"
		default:
			return k, syntaxError
		}
	}
	return k, ""
}

func (k killing) matches(o *client) bool {
	return (k.id == 0 || k.id == o.id) && (k.addr == "" || k.addr == o.conn.RemoteAddr().String()) &&
		(k.laddr == "" || k.laddr == o.conn.LocalAddr().String()) && (k.user == "" || k.user == o.user()) && (k.kind == "" || k.kind == o.kind())
}

func killClients(_ context.Context, c *client, args []string) {
	if len(args) == 3 {
		if c.server.kill(c, killing{addr: args[2]}.matches) == 0 {
			c.reply.error("ERR No such client")
			return
		}
		c.reply.ok()
		return
	}
	k, problem := parseKilling(args[2:], func(user string) bool { return c.server.accounts.user(user) != nil })
	if problem != "" {
		c.reply.error(problem)
		return
	}
	c.reply.integer(c.server.kill(c, func(o *client) bool { return k.matches(o) && (o != c || !k.skipMe) }))
}

// kill closes the connections of clients, and says how many there were. The one who asks is answered first.
func (s *Server) kill(who *client, matches func(*client) bool) int64 {
	killed := int64(0)
	for _, o := range s.everybody() {
		if !matches(o) {
			continue
		}
		killed++
		if o == who {
			o.leaving = true
		} else {
			o.disconnect()
		}
	}
	return killed
}

func noEvict(_ context.Context, c *client, args []string) {
	switch word := strings.ToLower(args[2]); word {
	case "on", "off":
		c.update(func(p *profile) { p.noEvict = word == "on" })
		c.reply.ok()
	default:
		c.reply.error(syntaxError)
	}
}

func pauseClients(_ context.Context, c *client, args []string) {
	all := true
	if len(args) > 4 {
		c.misused(args)
		return
	}
	if len(args) == 4 {
		word := strings.ToLower(args[3])
		if word != "write" && word != "all" {
			c.reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL")
			return
		}
		all = word == "all"
	}
	millis, ok := integer(args[2])
	switch {
	case !ok:
		c.reply.error("ERR timeout is not an integer or out of range")
	case millis < 0:
		c.reply.error("ERR timeout is negative")
	default:
		c.server.pause.begin(time.Now().Add(time.Duration(min(millis, math.MaxInt64/int64(time.Millisecond)))*time.Millisecond), all)
		c.reply.ok()
	}
}

func unpause(_ context.Context, c *client, _ []string) {
	c.server.pause.end()
	c.reply.ok()
}

func unblock(_ context.Context, c *client, args []string) {
	switch {
	case len(args) > 4:
		c.misused(args)
		return
	case len(args) == 4 && !strings.EqualFold(args[3], "timeout") && !strings.EqualFold(args[3], "error"):
		c.reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
		return
	}
	if _, ok := integer(args[2]); !ok {
		c.reply.error(notInteger)
		return
	}
	c.reply.integer(0)
}

// muting is whether a client is answered. Events, and what confirms a subscription, always are sent.
type muting uint8

const (
	answered muting = iota
	skipNext        // the next command is not
	skipThis
	muted
)

// next is how the next command is answered, if this one was no CLIENT REPLY.
func (m muting) next() muting {
	switch m {
	case skipNext:
		return skipThis
	case skipThis:
		return answered
	}
	return m
}

func muteReplies(_ context.Context, c *client, args []string) {
	switch strings.ToLower(args[2]) {
	case "on":
		c.muting = answered
		c.reply.ok()
	case "off":
		c.muting = muted
	case "skip":
		if c.muting != muted {
			c.muting = skipNext
		}
	default:
		c.reply.error(syntaxError)
	}
}

func clientID(_ context.Context, c *client, _ []string) { c.reply.integer(c.id) }

func getName(_ context.Context, c *client, _ []string) {
	if name := c.profile().name; name != "" {
		c.reply.bulk(name)
		return
	}
	c.reply.null()
}

func setName(_ context.Context, c *client, args []string) {
	if c.rename(args[2]) {
		c.reply.ok()
	}
}

// maxName bounds the name of a connection: it is in each line that describes it.
const maxName = 256

// rename names the connection; false: it can't be named so, and the client was told.
func (c *client) rename(name string) bool {
	if !printable(name) {
		c.reply.error("ERR Client names cannot contain spaces, newlines or special characters.")
		return false
	}
	if len(name) > maxName {
		c.reply.error(fmt.Sprintf("ERR Client names cannot be longer than %d characters.", maxName))
		return false
	}
	c.update(func(p *profile) { p.name = name })
	return true
}

func setInfo(_ context.Context, c *client, args []string) {
	switch {
	case !strings.EqualFold(args[2], "lib-name") && !strings.EqualFold(args[2], "lib-ver"):
		c.reply.error("ERR Unrecognized option '" + args[2] + "'")
	case !printable(args[3]):
		c.reply.error("ERR " + args[2] + " cannot contain spaces, newlines or special characters.")
	default:
		c.reply.ok()
	}
}

// printable says whether a text can stand in a list of clients.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// enterAs makes a client a user's who has given the password.
func (c *client) enterAs(user string) {
	c.update(func(p *profile) { p.user = user })
	c.enter(true)
}

// resetProfile makes a client as it was when it came.
func (c *client) resetProfile() {
	c.update(func(p *profile) {
		*p = profile{user: acl.Default, active: p.active, command: p.command, arguments: p.arguments}
	})
	c.tracking, c.muting = tracking{}, answered
	c.enter(c.server.accounts.open())
}
