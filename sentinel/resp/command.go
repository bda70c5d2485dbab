package resp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"picket/sentinel/resp/glob"
)

func serverCommands() []*command {
	return []*command{
		{name: "command", arity: -1, run: allCommands, summary: "What commands there are.", parts: []*command{
			{name: "count", arity: 2, run: countCommands, summary: "Return the number of commands."},
			{name: "docs", arity: -2, run: describeCommands, usage: "[<command-name> ...]", summary: "Describe commands, or all, to people."},
			{name: "getkeys", arity: -4, run: noKeys, usage: "<full-command>", summary: "Return the keys of a command: none has any."},
			{name: "getkeysandflags", arity: -4, run: noKeys, usage: "<full-command>", summary: "The same."},
			{name: "info", arity: -2, run: someCommands, usage: "[<command-name> ...]", summary: "Describe commands, or all, to programs."},
			{name: "list", arity: -2, run: listCommands, usage: "[FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
				summary: "Return the names of all commands, or of some."},
			helpCommand(),
		}},
		{name: "info", arity: -1, run: info, usage: "[section [section ...]]", summary: "What this agent knows, for people and exporters."},
		{name: "role", arity: 1, run: role, summary: "Return the names of the masters."},
		{name: "shutdown", arity: -1, run: shutdown, usage: "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]", summary: "End this agent's process."},
	}
}

func countCommands(_ context.Context, c *client, _ []string) {
	c.reply.integer(int64(len(c.server.table.commands)))
}

// all lists commands and subcommands that a filter lets through.
func (t table) all(wanted func(*command) bool) []string {
	var names []string
	for _, d := range t.commands {
		for _, one := range append([]*command{d}, d.parts...) {
			if wanted(one) {
				names = append(names, one.full)
			}
		}
	}
	return names
}

func listCommands(_ context.Context, c *client, args []string) {
	wanted := func(*command) bool { return true }
	if len(args) > 2 {
		if len(args) != 5 || !strings.EqualFold(args[2], "filterby") {
			c.reply.error(syntaxError)
			return
		}
		switch word := strings.ToLower(args[4]); strings.ToLower(args[3]) {
		case "module":
			wanted = func(*command) bool { return false }
		case "aclcat":
			wanted = func(d *command) bool { return slices.Contains(d.manual.Categories, word) }
		case "pattern":
			wanted = func(d *command) bool { return glob.Match(word, d.full) }
		default:
			c.reply.error(syntaxError)
			return
		}
	}
	c.reply.bulks(c.server.table.all(wanted))
}

// noKeys answers who asks which of a command's arguments are keys.
func noKeys(_ context.Context, c *client, args []string) {
	switch d := c.server.table.lookup(args[2:]); {
	case d == nil:
		c.reply.error("ERR Invalid command specified")
	default:
		c.reply.error("ERR The command has no key arguments")
	}
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
	if !c.fewEnough(names) {
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
	c.reply.simpleSet(d.manual.Flags)
	for range 3 { // the first key, the last one, the step between them
		c.reply.integer(0)
	}
	c.reply.set(len(d.manual.Categories))
	for _, category := range d.manual.Categories {
		c.reply.simple("@" + category)
	}
	c.reply.bulkSet(d.manual.Tips)
	c.reply.set(0) // specifications of keys
	if len(d.parts) == 0 {
		c.reply.set(0)
		return
	}
	c.reply.array(len(d.parts))
	for _, part := range d.parts {
		c.entry(part)
	}
}

// fewEnough says whether so many commands may be described at once. The names may be repeated, and what describes a command is far longer than its name.
func (c *client) fewEnough(names []string) bool {
	most := 2 * len(c.server.table.commands)
	if len(names) > most {
		c.reply.error(fmt.Sprintf("ERR %d names are too many: up to %d commands are described at once", len(names), most))
	}
	return len(names) <= most
}

func describeCommands(_ context.Context, c *client, args []string) {
	if !c.fewEnough(args[2:]) {
		return
	}
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
		var parts []func()
		if len(d.manual.DocFlags) > 0 {
			parts = append(parts, func() { c.reply.bulk("doc_flags"); c.reply.simpleSet(d.manual.DocFlags) })
		}
		parts = append(parts, c.texts(fields{{"deprecated_since", d.manual.DeprecatedSince}, {"replaced_by", d.manual.ReplacedBy}})...)
		if len(d.manual.Arguments) > 0 {
			parts = append(parts, func() { c.reply.bulk("arguments"); c.arguments(d.manual.Arguments) })
		}
		if len(d.parts) > 0 {
			parts = append(parts, func() { c.reply.bulk("subcommands"); c.describe(d.parts) })
		}
		c.pairs(append(c.texts(fields{{"summary", d.summary}, {"since", d.manual.Since}, {"group", d.manual.Group}}), parts...))
	}
}

func (c *client) arguments(all []argument) {
	c.reply.array(len(all))
	for _, a := range all {
		parts := c.texts(fields{{"name", a.Name}, {"type", a.Type}, {"token", a.Token}, {"since", a.Since}, {"deprecated_since", a.DeprecatedSince}})
		if len(a.Flags) > 0 {
			parts = append(parts, func() { c.reply.bulk("flags"); c.reply.simpleSet(a.Flags) })
		}
		if len(a.Arguments) > 0 {
			parts = append(parts, func() { c.reply.bulk("arguments"); c.arguments(a.Arguments) })
		}
		c.pairs(parts)
	}
}

// pairs writes a map of which each function writes a name and a value.
func (c *client) pairs(parts []func()) {
	c.reply.mapping(len(parts))
	for _, write := range parts {
		write()
	}
}

// texts are the pairs of a map whose values are texts; those that are empty are left out.
func (c *client) texts(f fields) []func() {
	var parts []func()
	for _, pair := range f {
		if pair.value != "" {
			parts = append(parts, func() { c.reply.bulk(pair.name); c.reply.bulk(pair.value) })
		}
	}
	return parts
}

// shutdown ends the process. Whoever ordered that is not answered: its connection ends with the others.
func shutdown(ctx context.Context, c *client, args []string) {
	given := map[string]bool{}
	for _, word := range args[1:] {
		word = strings.ToLower(word)
		if !slices.Contains([]string{"nosave", "save", "now", "force", "abort"}, word) {
			c.reply.error(syntaxError)
			return
		}
		given[word] = true
	}
	switch {
	case given["abort"] && len(given) > 1 || given["save"] && given["nosave"]:
		c.reply.error(syntaxError)
		return
	case given["abort"]:
		c.reply.error("ERR No shutdown in progress.")
		return
	}
	c.server.cfg.Backend.Shutdown(given["now"])
	<-ctx.Done() // the server is closed
	c.leaving = true
}
