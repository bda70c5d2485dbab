package model

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

var serverCommands = []*command{
	{name: "info", arity: -1, traits: always, run: (*process).infoCommand},
	{name: "time", arity: 1, traits: always, run: (*process).timeCommand},
	{name: "save", arity: 1, traits: notInMulti, run: (*process).saveCommand},
	{name: "bgsave", arity: -1, run: (*process).bgsave},
	{name: "bgrewriteaof", arity: 1, run: (*process).bgrewrite},
	{name: "lastsave", arity: 1, traits: always, run: func(p *process, c *client, _ []string) { c.number(p.stats.lastSave.Unix()) }},
	{name: "shutdown", arity: -1, traits: always | notInMulti, run: (*process).shutdown},
	{name: "debug", arity: -2, traits: always, sub: index([]*command{
		{name: "debug|sleep", arity: 3, traits: always, run: (*process).debugSleep},
	})},
	{name: "config", arity: -2, traits: always, sub: index([]*command{
		{name: "config|get", arity: -3, traits: always, run: (*process).configGet},
		{name: "config|set", arity: -4, traits: always, run: (*process).configSet},
		{name: "config|rewrite", arity: 2, traits: always, run: (*process).configRewrite},
		{name: "config|resetstat", arity: 2, traits: always, run: (*process).resetStat},
	})},
	{name: "command", arity: -1, traits: always, run: (*process).describeCommands, sub: index([]*command{
		{name: "command|count", arity: 2, traits: always, run: (*process).countCommands},
		{name: "command|docs", arity: -2, traits: always, run: func(_ *process, c *client, _ []string) { c.array(0) }},
	})},
}

func (p *process) timeCommand(c *client, _ []string) {
	now := time.Now()
	c.bulks(strconv.FormatInt(now.Unix(), 10), strconv.Itoa(now.Nanosecond()/1000))
}

func (p *process) saveCommand(c *client, _ []string) {
	if p.saving {
		c.fail("ERR Background save already in progress")
		return
	}
	p.save(p.image())
	c.ok()
}

func (p *process) bgsave(c *client, _ []string) {
	if p.saving {
		c.fail("ERR Background save already in progress")
		return
	}
	p.saving = true
	i := p.image()
	p.after(p.cfg.SnapshotTime, func() {
		p.saving = false
		p.save(i)
		p.startSnapshots()
	})
	c.status("Background saving started")
}

func (p *process) bgrewrite(c *client, _ []string) {
	p.rewriteFile()
	c.status("Background append only file rewriting started")
}

func (p *process) resetStat(c *client, _ []string) {
	p.stats = stats{saves: p.stats.saves, changes: p.stats.changes, lastSave: p.stats.lastSave}
	c.ok()
}

func (p *process) countCommands(c *client, _ []string) { c.number(int64(len(commands))) }

// describeCommands tells the names and arities; nobody asked for more yet.
func (p *process) describeCommands(c *client, _ []string) {
	c.array(len(commands))
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		c.array(2)
		c.bulk(name)
		c.number(int64(commands[name].arity))
	}
}

const noDebug = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a " +
	"local connection, otherwise you need to set this option in the configuration file, and then restart the server."

// debugSleep stops the process, not only the client.
func (p *process) debugSleep(c *client, args []string) {
	if p.value("enable-debug-command") == "no" {
		c.fail(noDebug)
		return
	}
	seconds, err := strconv.ParseFloat(args[2], 64)
	if err != nil || seconds < 0 || seconds > maxTimeout.Seconds() {
		seconds = 0 // as strtod does with what is no number
	}
	c.ok()
	p.sleeping = true
	time.AfterFunc(time.Duration(seconds*float64(time.Second)), func() {
		p.mu.Lock()
		p.sleeping = false
		p.release()
		if p.enter() { // those who sent something meanwhile go on
			p.leave(nil)
		}
	})
}
