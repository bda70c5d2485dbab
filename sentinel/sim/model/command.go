package model

import (
	"strings"
)

// traits of commands decide when one is refused, postponed or passed on.
type traits uint16

const (
	writes       traits = 1 << iota // changes data
	reads                           // looks at data
	mayReplicate                    // postponed by a pause of writes although it writes nothing
	whileLoading
	whileStale  // on a replica without its master
	withoutAuth // before AUTH
	notQueued   // executed at once within MULTI
	subscribed  // in the context of SUBSCRIBE
	notInMulti  // refused there
)

// command is one that clients may send. Its arity counts its name; negative: at least so many.
type command struct {
	name   string
	arity  int
	traits traits
	run    func(p *process, c *client, args []string)
	sub    map[string]*command // by the second word
}

func (cmd *command) is(t traits) bool { return cmd.traits&t != 0 }

// commands is filled by init: the table refers to what refers to it.
var commands map[string]*command

func init() {
	commands = index(slicesOf(connectionCommands, keyCommands, stringCommands, collectionCommands, transactionCommands,
		pubsubCommands, replicationCommands, serverCommands))
}

func slicesOf(lists ...[]*command) (all []*command) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func index(list []*command) map[string]*command {
	m := make(map[string]*command, len(list))
	for _, cmd := range list {
		name := cmd.name
		if _, sub, ok := strings.Cut(name, "|"); ok {
			name = sub
		}
		m[name] = cmd
	}
	return m
}

// execution is what the unit of execution at hand, a command or a transaction, has done so far.
type execution struct {
	dirty   int64    // changes of data since the start, never reset
	rewrite []string // what replicas get in place of the current command
	ops     []op     // for replicas
}

type op struct {
	db      int
	args    []string
	message bool // it changes nothing: PUBLISH
}

// process checks one command of a client and executes, queues, postpones or refuses it.
func (p *process) process(c *client, args []string) {
	cmd, refusal := p.look(c, args)
	if refusal != "" {
		p.refuse(c, refusal)
		return
	}
	c.lastCommand = cmd.name
	if refusal = p.permit(c, cmd); refusal != "" {
		p.refuse(c, refusal)
		return
	}
	if !c.master && c.class() != "replica" && p.postpones(c, cmd) {
		c.postponed = true
		return
	}
	if c.queue != nil && !cmd.is(notQueued) {
		c.queue.add(cmd, args)
		c.status("QUEUED")
		return
	}
	p.call(c, cmd, args)
	p.propagate()
	c.wrote = p.offset
}

// refuse answers with an error, and a transaction that this was to be part of can't be executed any more.
func (p *process) refuse(c *client, text string) {
	if c.queue != nil {
		c.queue.broken = true
	}
	c.fail(text)
}

// look finds the command and checks the number of its words.
func (p *process) look(c *client, args []string) (cmd *command, refusal string) {
	cmd = commands[strings.ToLower(args[0])]
	if cmd == nil {
		return nil, "ERR " + unknownCommand(args)
	}
	if cmd.sub != nil && len(args) > 1 {
		sub := cmd.sub[strings.ToLower(args[1])]
		if sub == nil {
			return nil, "ERR unknown subcommand '" + clip(args[1], 128) + "'. Try " + strings.ToUpper(cmd.name) + " HELP."
		}
		cmd = sub
	}
	if cmd.arity > 0 && len(args) != cmd.arity || len(args) < -cmd.arity {
		return nil, "ERR wrong number of arguments for '" + cmd.name + "' command"
	}
	if !c.authenticated && !cmd.is(withoutAuth) {
		return nil, "NOAUTH Authentication required."
	}
	if c.queue != nil && cmd.is(notInMulti) {
		return nil, "ERR Command not allowed inside a transaction"
	}
	return cmd, ""
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

func unknownCommand(args []string) string {
	var b strings.Builder
	b.WriteString("unknown command '" + clip(args[0], 128) + "', with args beginning with: ")
	begin := b.Len()
	for _, a := range args[1:] {
		if b.Len()-begin >= 128 {
			break
		}
		b.WriteString("'" + clip(a, 128-(b.Len()-begin)) + "' ")
	}
	return b.String()
}

// permit says why the server's state forbids a command; empty: it does not.
func (p *process) permit(c *client, cmd *command) string {
	traits := cmd.traits
	if cmd.name == "exec" && c.queue != nil {
		traits |= c.queue.traits
	}
	writing := traits&writes != 0
	switch {
	case writing && !c.master && p.lacksReplicas():
		return "NOREPLICAS Not enough good replicas to write."
	case writing && !c.master && p.masterHost != "" && p.set.readOnly:
		return "READONLY You can't write against a read only replica."
	case len(c.channels)+len(c.patterns) > 0 && traits&subscribed == 0:
		return "ERR Can't execute '" + cmd.name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed " +
			"in this context"
	case p.masterHost != "" && p.linkState != linkConnected && !p.set.serveStale && traits&whileStale == 0:
		return "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
	case p.loading && traits&whileLoading == 0:
		return "LOADING Redis is loading the dataset in memory"
	case c.class() == "replica" && traits&(writes|reads|mayReplicate) != 0:
		return "ERR Replica can't interact with the keyspace"
	}
	return ""
}

// call executes a command, and notes what replicas must be told.
func (p *process) call(c *client, cmd *command, args []string) {
	before, db := p.dirty, c.db
	p.rewrite = args
	p.stats.commands++
	cmd.run(p, c, args)
	if p.dirty == before || !cmd.is(writes|mayReplicate) {
		return
	}
	if p.rewrite != nil {
		p.ops = append(p.ops, op{db: db, args: p.rewrite})
	}
}

// changed notes n changes of data by the current command.
func (p *process) changed(n int) {
	p.dirty += int64(n)
	p.stats.changes += int64(n)
}

// also has replicas told something before the current command.
func (p *process) also(db int, args ...string) { p.ops = append(p.ops, op{db: db, args: args}) }

// propagate feeds what the unit of execution did to the replicas and to the file; several commands as one transaction.
func (p *process) propagate() {
	if len(p.ops) == 0 {
		return
	}
	several := len(p.ops) > 1
	if several {
		p.pass(-1, "MULTI")
	}
	for _, o := range p.ops {
		if o.message {
			p.feed(o.db, o.args...)
			continue
		}
		p.pass(o.db, o.args...)
	}
	if several {
		p.pass(-1, "EXEC")
	}
	if p.masterHost == "" {
		for _, o := range p.ops {
			if o.message {
				continue
			}
			p.observe(Event{Kind: Wrote, Command: o.args})
		}
	}
	clear(p.ops)
	p.ops = p.ops[:0]
}

// pass gives one command to the file and to the replicas.
func (p *process) pass(db int, args ...string) {
	p.disk.append(p.set, db, args)
	p.feed(db, args...)
}
