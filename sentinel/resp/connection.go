package resp

import (
	"context"
	"strings"

	"picket/sentinel/resp/acl"
)

// compatible is the version of Redis Sentinel whose protocol this is. Clients derive from it what they may use.
const compatible = "7.0.15"

func connectionCommands() []*command {
	return []*command{
		{name: "auth", arity: -2, run: auth, usage: "[username] password", summary: "Give the password."},
		{name: "hello", arity: -1, run: hello,
			usage: "[protover [AUTH username password] [SETNAME clientname]]", summary: "Choose the version of the protocol."},
		{name: "ping", arity: -1, run: ping, always: true, usage: "[message]", summary: "Answer PONG, or the message."},
		{name: "quit", arity: -1, run: quit, always: true, summary: "End the connection."},
		{name: "reset", arity: 1, run: reset, always: true, summary: "Make the connection like a new one."},
	}
}

func ping(_ context.Context, c *client, args []string) {
	switch {
	case len(args) > 2:
		c.reply.error("ERR wrong number of arguments for 'ping' command")
	case !c.reply.resp3 && c.topics.count() > 0:
		c.reply.bulks([]string{"pong", strings.Join(args[1:], "")})
	case len(args) == 2:
		c.reply.bulk(args[1])
	default:
		c.reply.simple("PONG")
	}
}

func quit(_ context.Context, c *client, _ []string) {
	c.reply.ok()
	c.leaving = true
}

func reset(_ context.Context, c *client, _ []string) {
	c.server.hub.leave(c)
	c.resetProfile()
	c.server.hub.speak(c, false, func() { c.reply.simple("RESET") })
}

const wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

func auth(_ context.Context, c *client, args []string) {
	user := acl.Default
	switch {
	case len(args) > 3:
		c.reply.error(syntaxError)
		return
	case len(args) == 3:
		user = args[1]
	case c.server.accounts.user(acl.Default).NeedsNoPassword():
		c.reply.error("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
		return
	}
	if c.authenticate(args[0], user, args[len(args)-1]) {
		c.reply.ok()
	}
}

// authenticate takes the password that was given with a command; false: it is wrong, and the client was told.
func (c *client) authenticate(word, user, password string) bool {
	if !c.server.accounts.authenticate(user, password) {
		c.deny(acl.Denial{Reason: acl.ForAuth, Object: word}, user)
		c.reply.error(wrongPassword)
		return false
	}
	c.enterAs(user)
	return true
}

func hello(_ context.Context, c *client, args []string) {
	resp3 := c.reply.resp3
	if len(args) > 1 {
		version, ok := integer(args[1])
		switch {
		case !ok:
			c.reply.error("ERR Protocol version is not an integer or out of range")
			return
		case version != 2 && version != 3:
			c.reply.error("NOPROTO unsupported protocol version")
			return
		}
		resp3 = version == 3
		if !c.helloOptions(args[0], args[2:]) {
			return
		}
	}
	if !c.member {
		c.reply.error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> " +
			"<pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	c.server.hub.speak(c, resp3, c.greet)
}

// helloOptions does what HELLO asks for; false: it can't be done, and the client was told.
func (c *client) helloOptions(word string, options []string) bool {
	for len(options) > 0 {
		switch option := strings.ToLower(options[0]); {
		case option == "auth" && len(options) > 2:
			if !c.authenticate(word, options[1], options[2]) {
				return false
			}
			options = options[3:]
		case option == "setname" && len(options) > 1:
			if !c.rename(options[1]) {
				return false
			}
			options = options[2:]
		default:
			c.reply.error("ERR Syntax error in HELLO option '" + options[0] + "'")
			return false
		}
	}
	return true
}

func (c *client) greet() {
	version := int64(2)
	if c.reply.resp3 {
		version = 3
	}
	c.reply.mapping(6)
	c.reply.bulk("server")
	c.reply.bulk("redis")
	c.reply.bulk("version")
	c.reply.bulk(compatible)
	c.reply.bulk("proto")
	c.reply.integer(version)
	c.reply.bulk("id")
	c.reply.integer(c.id)
	c.reply.bulk("mode")
	c.reply.bulk("sentinel")
	c.reply.bulk("modules")
	c.reply.array(0)
}
