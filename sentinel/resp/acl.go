package resp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/sentinel/resp/acl"
)

func aclCommands() []*command {
	return []*command{{name: "acl", arity: -2, summary: "Who may do what at this port of this agent.", parts: []*command{
		{name: "cat", arity: -2, run: showCategories, usage: "[<category>]", summary: "List the categories of commands, or the commands of one."},
		{name: "deluser", arity: -3, run: deleteUsers, usage: "<username> [<username> ...]", summary: "Remove users, and close their connections."},
		{name: "dryrun", arity: -4, run: tryRun, usage: "<username> <command> [<arg> ...]", summary: "Say whether a user may do something, without doing it."},
		{name: "getuser", arity: 3, run: showUser, usage: "<username>", summary: "Describe a user."},
		{name: "genpass", arity: -2, run: makePassword, usage: "[<bits>]", summary: "Make up a password of 256 bits, or of so many."},
		{name: "list", arity: 2, run: listUsers, summary: "Describe all users as the ACL file does."},
		{name: "load", arity: 2, run: loadUsers, summary: "Read the ACL file again: its users take the place of those that there are."},
		{name: "log", arity: -2, run: showDenied, usage: "[<count> | RESET]", summary: "List what was denied, the newest first, or forget it."},
		{name: "save", arity: 2, run: saveUsers, summary: "Write the users to the ACL file."},
		{name: "setuser", arity: -3, run: setUser, usage: "<username> <attribute> [<attribute> ...]",
			summary: "Make or change a user, on this agent and until it stops; ACL SAVE keeps it."},
		{name: "users", arity: 2, run: nameUsers, summary: "List the names of all users."},
		{name: "whoami", arity: 2, run: whoAmI, summary: "Return the name of the user of this connection."},
		helpCommand(),
	}}}
}

// misused answers a subcommand that has too many arguments.
func (c *client) misused(words []string) {
	c.reply.error(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.", cut(words[1], maxQuoted), strings.ToUpper(words[0])))
}

func showCategories(_ context.Context, c *client, args []string) {
	if len(args) > 3 {
		c.misused(args)
		return
	}
	if len(args) == 2 {
		c.reply.bulks(acl.Categories)
		return
	}
	names := c.server.accounts.catalogue.In(args[2])
	if names == nil {
		c.reply.error("ERR Unknown category '" + cut(args[2], maxQuoted) + "'")
		return
	}
	c.reply.bulks(names)
}

func deleteUsers(_ context.Context, c *client, args []string) {
	gone, err := c.server.accounts.remove(args[2:])
	if err != nil {
		c.reply.error("ERR " + err.Error())
		return
	}
	for _, name := range gone {
		c.server.kill(c, func(o *client) bool { return o.user() == name })
	}
	c.reply.integer(int64(len(gone)))
}

func tryRun(_ context.Context, c *client, args []string) {
	if c.server.accounts.user(args[2]) == nil {
		c.reply.error("ERR User '" + cut(args[2], maxQuoted) + "' not found")
		return
	}
	d := c.server.table.lookup(args[3:])
	switch {
	case d == nil:
		c.reply.error("ERR Command '" + cut(args[3], maxQuoted) + "' not found")
		return
	case !d.accepts(len(args[3:])):
		c.reply.error("ERR wrong number of arguments for '" + d.full + "' command")
		return
	}
	switch denied := c.server.accounts.check(args[2], d.request(args[3:])); {
	case denied == nil:
		c.reply.ok()
	case denied.Reason == acl.ForChannel:
		c.reply.bulk("This user has no permissions to access the '" + denied.Object + "' channel")
	default:
		c.reply.bulk("This user has no permissions to run the '" + denied.Object + "' command")
	}
}

func showUser(_ context.Context, c *client, args []string) {
	u := c.server.accounts.user(args[2])
	if u == nil {
		c.reply.null()
		return
	}
	c.reply.mapping(6)
	c.reply.bulk("flags")
	c.reply.bulkSet(u.Flags())
	c.reply.bulk("passwords")
	c.reply.bulks(u.Passwords())
	for _, f := range (fields{{"commands", u.Commands()}, {"keys", u.Keys()}, {"channels", u.Channels()}}) {
		c.reply.bulk(f.name)
		c.reply.bulk(f.value)
	}
	c.reply.bulk("selectors")
	c.reply.array(0)
}

const maxPasswordBits = 4096

func makePassword(_ context.Context, c *client, args []string) {
	bits := int64(256)
	if len(args) > 3 {
		c.misused(args)
		return
	}
	if len(args) == 3 {
		n, ok := integer(args[2])
		if !ok {
			c.reply.error(notInteger)
			return
		}
		bits = n
	}
	if bits <= 0 || bits > maxPasswordBits {
		c.reply.error("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
		return
	}
	digits := (bits + 3) / 4
	random := make([]byte, (digits+1)/2)
	_, _ = rand.Read(random) // never fails
	c.reply.bulk(hex.EncodeToString(random)[:digits])
}

func listUsers(_ context.Context, c *client, _ []string) { c.reply.bulks(c.server.accounts.lines()) }

func nameUsers(_ context.Context, c *client, _ []string) { c.reply.bulks(c.server.accounts.names()) }

func whoAmI(_ context.Context, c *client, _ []string) { c.reply.bulk(c.user()) }

const noACLFile = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then " +
	"issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration."

// loadUsers closes the connections of all users but the default one: what they may do now was said of others.
func loadUsers(_ context.Context, c *client, _ []string) {
	if c.server.accounts.file == "" {
		c.reply.error(noACLFile)
		return
	}
	if err := c.server.accounts.load(); err != nil {
		c.reply.error("ERR " + err.Error())
		return
	}
	c.server.kill(c, func(o *client) bool { return o.user() != acl.Default })
	c.reply.ok()
}

func saveUsers(_ context.Context, c *client, _ []string) {
	if c.server.accounts.file == "" {
		c.reply.error(noACLFile)
		return
	}
	if err := c.server.accounts.save(); err != nil {
		c.reply.error("ERR There was an error trying to save the ACLs: " + err.Error() + "; make the directory of the file writable")
		return
	}
	c.reply.ok()
}

// setUser closes the connections that subscribe to what their user may not hear any more.
func setUser(_ context.Context, c *client, args []string) {
	name := args[2]
	var rule *acl.RuleError
	switch err := c.server.accounts.set(name, args[3:]); {
	case errors.As(err, &rule):
		c.reply.error(fmt.Sprintf("ERR Error in ACL SETUSER modifier '%s': %s", rule.Rule, rule.Text))
		return
	case err != nil:
		c.reply.error("ERR " + err.Error())
		return
	}
	u := c.server.accounts.user(name)
	c.server.kill(c, func(o *client) bool { return o.user() == name && u != nil && !u.Hears(c.server.hub.topics(o)) })
	c.reply.ok()
}

// showDenied lists ten entries, or as many as are asked for.
func showDenied(_ context.Context, c *client, args []string) {
	count := int64(10)
	switch {
	case len(args) > 3:
		c.misused(args)
		return
	case len(args) == 3 && strings.EqualFold(args[2], "reset"):
		c.server.accounts.forgetDenied()
		c.reply.ok()
		return
	case len(args) == 3:
		n, ok := integer(args[2])
		if !ok {
			c.reply.error(notInteger)
			return
		}
		count = n
	}
	entries := c.server.accounts.denied(int(min(max(0, count), 1<<20)))
	c.reply.array(len(entries))
	for _, e := range entries {
		c.reply.mapping(7)
		c.reply.bulk("count")
		c.reply.integer(e.Count)
		for _, f := range (fields{{"reason", string(e.Reason)}, {"context", "toplevel"}, {"object", e.Object}, {"username", e.User}}) {
			c.reply.bulk(f.name)
			c.reply.bulk(f.value)
		}
		c.reply.bulk("age-seconds")
		c.reply.double(time.Since(e.At).Round(time.Millisecond).Seconds())
		c.reply.bulk("client-info")
		c.reply.bulk(e.Client)
	}
}

const notInteger = "ERR value is not an integer or out of range"

// integer reads a number as strictly as Redis does: no plus, no zeros before it, no spaces.
func integer(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == text
}
