package resp

import (
	"context"
	"strings"
)

func serverCommands() []*command {
	return []*command{
		{name: "command", arity: -1, run: allCommands, summary: "What commands there are.", parts: []*command{
			{name: "count", arity: 2, run: countCommands, summary: "Return the number of commands."},
			{name: "docs", arity: -2, run: describeCommands, usage: "[<command-name> ...]", summary: "Describe commands, or all, to people."},
			{name: "info", arity: -2, run: someCommands, usage: "[<command-name> ...]", summary: "Describe commands, or all, to programs."},
			{name: "list", arity: -2, run: listCommands, summary: "Return the names of all commands."},
			helpCommand(),
		}},
		{name: "info", arity: -1, run: info, usage: "[section [section ...]]", summary: "What this agent knows, for people and exporters."},
		{name: "role", arity: 1, run: role, summary: "Return the names of the masters."},
	}
}

func countCommands(_ context.Context, c *client, _ []string) {
	c.reply.integer(int64(len(c.server.table.commands)))
}

func listCommands(_ context.Context, c *client, args []string) {
	if len(args) > 2 {
		c.reply.error("ERR syntax error") // there are no filters
		return
	}
	var names []string
	for _, d := range c.server.table.commands {
		names = append(names, d.full)
		for _, part := range d.parts {
			names = append(names, part.full)
		}
	}
	c.reply.bulks(names)
}

func allCommands(_ context.Context, c *client, _ []string) {
	c.reply.array(len(c.server.table.commands))
	for _, d := range c.server.table.commands {
		c.entry(d)
	}
}

func someCommands(ctx context.Context, c *client, args []string) {
	names := args[2:]
	if len(names) == 0 {
		allCommands(ctx, c, args)
		return
	}
	c.reply.array(len(names))
	for _, name := range names {
		if d := c.server.table.byName[strings.ToLower(name)]; d != nil {
			c.entry(d)
		} else {
			c.reply.null()
		}
	}
}

// entry describes a command to programs. No command here has keys, and so none of what is said about keys.
func (c *client) entry(d *command) {
	c.reply.array(10)
	c.reply.bulk(d.full)
	c.reply.integer(int64(d.arity))
	c.reply.array(0) // flags
	for range 3 {    // the first key, the last one, the step between them
		c.reply.integer(0)
	}
	for range 3 { // categories, tips, key specifications
		c.reply.array(0)
	}
	c.reply.array(len(d.parts))
	for _, part := range d.parts {
		c.entry(part)
	}
}

func describeCommands(_ context.Context, c *client, args []string) {
	found := c.server.table.commands
	if names := args[2:]; len(names) > 0 {
		found = nil
		for _, name := range names {
			if d := c.server.table.byName[strings.ToLower(name)]; d != nil {
				found = append(found, d)
			}
		}
	}
	c.describe(found)
}

// describe describes commands to people.
func (c *client) describe(commands []*command) {
	c.reply.mapping(len(commands))
	for _, d := range commands {
		c.reply.bulk(d.full)
		if len(d.parts) == 0 {
			c.reply.mapping(1)
		} else {
			c.reply.mapping(2)
		}
		c.reply.bulk("summary")
		c.reply.bulk(d.summary)
		if len(d.parts) > 0 {
			c.reply.bulk("subcommands")
			c.describe(d.parts)
		}
	}
}
