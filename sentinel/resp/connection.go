package resp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strconv"
	"strings"
)

// compatible is the version of Redis Sentinel whose protocol this is. Clients derive from it what they may use.
const compatible = "7.0.15"

func connectionCommands() []*command {
	return []*command{
		{name: "auth", arity: -2, run: auth, guests: true, usage: "[username] password", summary: "Give the password."},
		{name: "client", arity: -2, summary: "This connection.", parts: []*command{
			{name: "getname", arity: 2, run: getName, summary: "Return the name of this connection."},
			{name: "id", arity: 2, run: clientID, summary: "Return the number of this connection."},
			{name: "setinfo", arity: 4, run: setInfo, usage: "(LIB-NAME|LIB-VER) <value>", summary: "Accepted, and ignored."},
			{name: "setname", arity: 3, run: setName, usage: "<name>", summary: "Name this connection."},
			helpCommand(),
		}},
		{name: "hello", arity: -1, run: hello, guests: true,
			usage: "[protover [AUTH username password] [SETNAME clientname]]", summary: "Choose the version of the protocol."},
		{name: "ping", arity: -1, run: ping, always: true, usage: "[message]", summary: "Answer PONG, or the message."},
		{name: "quit", arity: -1, run: quit, guests: true, always: true, summary: "End the connection."},
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
	c.name = ""
	c.enter(c.server.cfg.Password == "")
	c.server.hub.speak(c, false, func() { c.reply.simple("RESET") })
}

const wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

// defaultUser is the only user there is.
const defaultUser = "default"

func auth(_ context.Context, c *client, args []string) {
	user := defaultUser
	switch {
	case len(args) > 3:
		c.reply.error("ERR syntax error")
		return
	case len(args) == 3:
		user = args[1]
	case c.server.cfg.Password == "":
		c.reply.error("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
		return
	}
	if c.authenticate(user, args[len(args)-1]) {
		c.reply.ok()
	}
}

// authenticate takes the password; false: it is wrong, and the client was told.
func (c *client) authenticate(user, password string) bool {
	want := c.server.cfg.Password
	// Sums are of the same length, and so take the same time to compare, whatever was guessed.
	got, wanted := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	same := subtle.ConstantTimeCompare(got[:], wanted[:]) == 1
	if user != defaultUser || want != "" && !same {
		c.reply.error(wrongPassword)
		return false
	}
	c.enter(true)
	return true
}

func hello(_ context.Context, c *client, args []string) {
	resp3 := c.reply.resp3
	if len(args) > 1 {
		version, err := strconv.Atoi(args[1])
		switch {
		case err != nil:
			c.reply.error("ERR Protocol version is not an integer or out of range")
			return
		case version != 2 && version != 3:
			c.reply.error("NOPROTO unsupported protocol version")
			return
		}
		resp3 = version == 3
		if !c.helloOptions(args[2:]) {
			return
		}
	}
	if !c.member {
		c.reply.error("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> " +
			"<pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	c.server.hub.speak(c, resp3, c.greet)
}

// helloOptions does what HELLO asks for; false: it can't be done, and the client was told.
func (c *client) helloOptions(options []string) bool {
	for len(options) > 0 {
		switch option := strings.ToLower(options[0]); {
		case option == "auth" && len(options) > 2:
			if !c.authenticate(options[1], options[2]) {
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

func clientID(_ context.Context, c *client, _ []string) { c.reply.integer(c.id) }

func getName(_ context.Context, c *client, _ []string) {
	if c.name == "" {
		c.reply.null()
		return
	}
	c.reply.bulk(c.name)
}

func setName(_ context.Context, c *client, args []string) {
	if c.rename(args[2]) {
		c.reply.ok()
	}
}

// rename names the connection; false: it can't be named so, and the client was told.
func (c *client) rename(name string) bool {
	if !printable(name) {
		c.reply.error("ERR Client names cannot contain spaces, newlines or special characters.")
		return false
	}
	c.name = name
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
