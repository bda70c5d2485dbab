package resp

import (
	"context"
	"slices"
	"strings"
)

// killing says which clients CLIENT KILL closes. Only what was not given, and is nil, matches all: nobody is at the address "".
type killing struct {
	id          int64 // 0: not given
	addr, laddr *string
	user, kind  *string
	skipMe      bool
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
			kind := strings.ToLower(value)
			if k.kind = &kind; !slices.Contains(kinds, kind) {
				return k, unknownKind(value)
			}
		case "addr":
			k.addr = &value
		case "laddr":
			k.laddr = &value
		case "user":
			if k.user = &value; !known(value) {
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
	return (k.id == 0 || k.id == o.id) && is(k.addr, o.conn.RemoteAddr().String()) && is(k.laddr, o.conn.LocalAddr().String()) &&
		is(k.user, o.user()) && is(k.kind, o.kind())
}

// is says whether something is what was asked for, if anything was.
func is(asked *string, value string) bool { return asked == nil || *asked == value }

func killClients(_ context.Context, c *client, args []string) {
	if len(args) == 3 {
		if c.server.kill(c, killing{addr: &args[2]}.matches) == 0 {
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
