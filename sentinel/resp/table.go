package resp

import (
	"context"
	"strings"
	"time"

	"picket/sentinel/resp/acl"
)

// command is one line of the table.
type command struct {
	name    string // in lower case; of a subcommand without its container
	arity   int    // counts all words, the container too; negative: at least so many
	run     func(context.Context, *client, []string)
	usage   string // its arguments
	summary string
	always  bool // may be used while a RESP2 client subscribes
	writes  bool // waits while writers are paused
	hears   channels
	parts   []*command

	full   string // set by newTable: "container|name"
	manual manual // set by newTable
}

// channels says which arguments name one.
type channels uint8

const (
	noChannels channels = iota
	firstChannel
	allChannels
	allPatterns
)

// accepts says whether a command may have that many words.
func (d *command) accepts(words int) bool {
	return words == d.arity || d.arity < 0 && words >= -d.arity
}

// table finds commands.
type table struct {
	commands []*command
	byName   map[string]*command // by full name
}

func newTable() table {
	t := table{byName: map[string]*command{}}
	for _, group := range [][]*command{
		aclCommands(), connectionCommands(), clientCommands(), subscriptionCommands(), serverCommands(), sentinelCommands(),
	} {
		t.commands = append(t.commands, group...)
	}
	for _, d := range t.commands {
		t.add("", d)
	}
	return t
}

func (t table) add(container string, d *command) {
	d.full = container + d.name
	d.manual = manualOf(d.full)
	t.byName[d.full] = d
	for _, part := range d.parts {
		t.add(d.name+"|", part)
	}
}

// container finds the command that the first word names; nil: there is none.
func (t table) container(word string) *command {
	if strings.Contains(word, "|") {
		return nil
	}
	return t.byName[strings.ToLower(word)]
}

// lookup finds the command or subcommand that the words begin with; nil: there is none.
func (t table) lookup(words []string) *command {
	d := t.container(words[0])
	if d != nil && len(d.parts) > 0 && len(words) > 1 {
		return t.byName[d.name+"|"+strings.ToLower(words[1])]
	}
	return d
}

// find finds the command that the words begin with. The error is for the client.
func (t table) find(words []string) (d *command, problem string) {
	if d = t.container(words[0]); d == nil {
		return nil, unknownCommand(words)
	}
	if d = t.lookup(words); d == nil {
		return nil, "ERR unknown subcommand '" + cut(words[1], maxQuoted) + "'. Try " + strings.ToUpper(words[0]) + " HELP."
	}
	if !d.accepts(len(words)) {
		return nil, "ERR wrong number of arguments for '" + d.full + "' command"
	}
	return d, ""
}

// maxQuoted bounds how much of a command is quoted in an error.
const maxQuoted = 128

func unknownCommand(words []string) string {
	var args strings.Builder
	for _, arg := range words[1:] {
		if args.Len() >= maxQuoted {
			break
		}
		args.WriteString("'" + cut(arg, maxQuoted-args.Len()) + "' ")
	}
	return "ERR unknown command '" + cut(words[0], maxQuoted) + "', with args beginning with: " + args.String()
}

// cut shortens a text, and ends it where C would.
func cut(s string, length int) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s[:min(len(s), length)]
}

// dispatch runs a command. The checks are in Redis's order.
func (c *client) dispatch(ctx context.Context, words []string) {
	switch strings.ToLower(words[0]) {
	case "post", "host:": // a browser that was tricked into talking to us
		c.leaving = true
		return
	}
	d, problem := c.server.table.find(words)
	if problem == "" {
		problem = c.denial(d, words)
	}
	switch {
	case problem != "":
		c.reply.error(problem)
	case !c.reply.resp3 && c.topics.count() > 0 && !d.always:
		c.reply.error("ERR Can't execute '" + d.full +
			"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	case c.server.pause.wait(ctx, d.writes):
		d.run(ctx, c, words)
		c.server.traffic.commands.count(1)
		c.tracking.after(d)
	default:
		c.leaving = true // the server is closed
	}
	if len(c.reply.buf) > 0 && c.reply.buf[0] == '-' {
		c.server.traffic.errors.Add(1)
	}
}

// denial says why a client may not do what it wants; empty: it may.
func (c *client) denial(d *command, words []string) string {
	if !c.member && c.server.accounts.open() {
		c.enter(true) // a password is not needed any more
	}
	if !c.member && !d.manual.open() {
		return "NOAUTH Authentication required."
	}
	user := c.began(d, words)
	denied := c.server.accounts.check(user, d.request(words))
	if denied == nil {
		return ""
	}
	c.deny(*denied, user)
	if denied.Reason == acl.ForChannel {
		return "NOPERM this user has no permissions to access one of the channels used as arguments"
	}
	return "NOPERM this user has no permissions to run the '" + denied.Object + "' command"
}

// deny notes what somebody may not do.
func (c *client) deny(d acl.Denial, user string) {
	c.server.accounts.deny(acl.Entry{Denial: d, User: user, Client: c.line(time.Now()), At: time.Now()})
}

// request is what the rules for users are asked about.
func (d *command) request(words []string) acl.Request {
	args := words[1:]
	if strings.Contains(d.full, "|") {
		args = words[2:]
	}
	r := acl.Request{Command: d.full, Args: args, Patterns: d.hears == allPatterns}
	switch d.hears {
	case firstChannel:
		r.Channels = args[:min(1, len(args))]
	case allChannels, allPatterns:
		r.Channels = args
	}
	return r
}

// help answers the HELP of a container.
func help(_ context.Context, c *client, words []string) {
	container := c.server.table.byName[strings.ToLower(words[0])]
	lines := []string{strings.ToUpper(container.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, d := range container.parts {
		for usage := range strings.SplitSeq(d.usage, "\n") {
			lines = append(lines, strings.TrimSpace(strings.ToUpper(d.name)+" "+usage))
		}
		lines = append(lines, "    "+d.summary)
	}
	c.reply.array(len(lines))
	for _, line := range lines {
		c.reply.simple(line)
	}
}

func helpCommand() *command {
	return &command{name: "help", arity: 2, run: help, summary: "Print this help."}
}
