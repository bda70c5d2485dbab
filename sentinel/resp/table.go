package resp

import (
	"context"
	"strings"
)

// command is one line of the table.
type command struct {
	name    string // in lower case; of a subcommand without its container
	arity   int    // counts all words, the container too; negative: at least so many
	run     func(context.Context, *client, []string)
	usage   string // its arguments
	summary string
	guests  bool // may be used before AUTH
	always  bool // may be used while a RESP2 client subscribes
	parts   []*command

	full string // set by newTable: "container|name"
}

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
	for _, group := range [][]*command{connectionCommands(), subscriptionCommands(), serverCommands(), sentinelCommands()} {
		t.commands = append(t.commands, group...)
	}
	for _, d := range t.commands {
		t.add("", d)
	}
	return t
}

func (t table) add(container string, d *command) {
	d.full = container + d.name
	t.byName[d.full] = d
	for _, part := range d.parts {
		t.add(d.name+"|", part)
	}
}

// find finds the command that the words begin with. The error is for the client.
func (t table) find(words []string) (d *command, problem string) {
	d = t.byName[strings.ToLower(words[0])]
	if d == nil || strings.Contains(words[0], "|") {
		return nil, unknownCommand(words)
	}
	if len(d.parts) > 0 && len(words) > 1 {
		if d = t.byName[d.name+"|"+strings.ToLower(words[1])]; d == nil {
			return nil, "ERR unknown subcommand '" + cut(words[1], maxQuoted) + "'. Try " + strings.ToUpper(words[0]) + " HELP."
		}
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

func cut(s string, length int) string { return s[:min(len(s), length)] }

// dispatch runs a command.
func (c *client) dispatch(ctx context.Context, words []string) {
	switch strings.ToLower(words[0]) {
	case "post", "host:": // a browser that was tricked into talking to us
		c.leaving = true
		return
	}
	c.server.commands.Add(1)
	d, problem := c.server.table.find(words)
	switch {
	case problem != "":
		c.reply.error(problem)
	case !c.member && !d.guests:
		c.reply.error("NOAUTH Authentication required.")
	case !c.reply.resp3 && c.topics.count() > 0 && !d.always:
		c.reply.error("ERR Can't execute '" + d.full +
			"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	default:
		d.run(ctx, c, words)
	}
}

// help answers the HELP of a container.
func help(_ context.Context, c *client, words []string) {
	container := c.server.table.byName[strings.ToLower(words[0])]
	lines := []string{strings.ToUpper(container.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, d := range container.parts {
		lines = append(lines, strings.TrimSpace(strings.ToUpper(d.name)+" "+d.usage), "    "+d.summary)
	}
	c.reply.array(len(lines))
	for _, line := range lines {
		c.reply.simple(line)
	}
}

func helpCommand() *command {
	return &command{name: "help", arity: 2, run: help, summary: "Print this help."}
}
