package resp

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
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
