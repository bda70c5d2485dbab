package resp

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"picket/config"
	"picket/sentinel/picture"
)

// sentinelCommands holds Valkey's spellings beside those of Redis.
func sentinelCommands() []*command {
	const name = "<master-name>"
	const byAddr = "<ip> <port> <current-epoch> <runid>"
	parts := append(registryCommands(), []*command{
		{name: "ckquorum", arity: 3, run: ckquorum, usage: name, summary: "Check whether enough agents are there for a failover."},
		{name: "debug", arity: -2, run: debug, usage: "[<param> <value> ...]", summary: "Show or set periods, in milliseconds."},
		{name: "failover", arity: -3, run: handOver, usage: name + " [COORDINATED]", summary: "Hand the master over to its best replica."},
		{name: "get-master-addr-by-name", arity: 3, run: showAddr, usage: name, summary: "Return the address of the master."},
		{name: "get-primary-addr-by-name", arity: 3, run: showAddr, usage: name, summary: "Return the address of the master."},
		{name: "info-cache", arity: -3, run: infoCache, usage: name + " [<master-name> ...]", summary: "Return what the servers' INFO said last."},
		{name: "is-master-down-by-addr", arity: 6, run: isMasterDown, usage: byAddr,
			summary: "Say whether this agent finds the master down. It gives no vote: agents elect among themselves."},
		{name: "is-primary-down-by-addr", arity: 6, run: isMasterDown, usage: byAddr, summary: "The same."},
		{name: "master", arity: 3, run: showMaster, usage: name, summary: "Describe a master."},
		{name: "masters", arity: 2, run: showMasters, summary: "Describe all masters."},
		{name: "myid", arity: 2, run: showMyID, summary: "Return the id of this agent."},
		{name: "pending-scripts", arity: 2, run: showScripts, summary: "List the scripts that run or wait."},
		{name: "primaries", arity: 2, run: showMasters, summary: "Describe all masters."},
		{name: "primary", arity: 3, run: showMaster, usage: name, summary: "Describe a master."},
		{name: "replicas", arity: 3, run: showReplicas, usage: name, summary: "Describe the replicas of a master."},
		{name: "sentinels", arity: 3, run: showAgents, usage: name, summary: "Describe the other agents."},
		{name: "simulate-failure", arity: -3, run: simulateFailure, usage: "[CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
			summary: "Have this agent's process end at the next failover that it leads."},
		{name: "slaves", arity: 3, run: showReplicas, usage: name, summary: "Describe the replicas of a master."},
		helpCommand(),
	}...)
	slices.SortFunc(parts, func(a, b *command) int { return cmp.Compare(a.name, b.name) })
	return []*command{{name: "sentinel", arity: -2, summary: "The masters, their replicas, and the agents.", parts: parts}}
}

const noSuchMaster = "ERR No such master with that name"

// masterOf finds a master in a picture; nil: there is none.
func masterOf(p *picture.Picture, name string) *picture.Master {
	i := slices.IndexFunc(p.Masters, func(m picture.Master) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &p.Masters[i]
}

// named takes a picture and finds a master in it. If there is none the client is told, and ok is false.
func (c *client) named(name string) (p picture.Picture, m *picture.Master, ok bool) {
	p = c.server.cfg.Backend.Picture()
	if m = masterOf(&p, name); m == nil {
		c.reply.error(noSuchMaster)
	}
	return p, m, m != nil
}

func showMasters(_ context.Context, c *client, _ []string) {
	p := c.server.cfg.Backend.Picture()
	c.reply.array(len(p.Masters))
	for i := range p.Masters {
		c.reply.fields(masterFields(&p, &p.Masters[i]))
	}
}

func showMaster(_ context.Context, c *client, args []string) {
	if p, m, ok := c.named(args[2]); ok {
		c.reply.fields(masterFields(&p, m))
	}
}

func showReplicas(_ context.Context, c *client, args []string) {
	p, m, ok := c.named(args[2])
	if !ok {
		return
	}
	listed := slices.DeleteFunc(slices.Clone(m.Replicas), func(r picture.Server) bool { return r.Unlisted() })
	c.reply.array(len(listed))
	for i := range listed {
		c.reply.fields(replicaFields(&p, m, &listed[i]))
	}
}

func showAgents(_ context.Context, c *client, args []string) {
	p, m, ok := c.named(args[2])
	if !ok {
		return
	}
	// Clients connect to what is listed here, so an agent whose address is not known yet is left out.
	others := slices.DeleteFunc(slices.Clone(p.Agents), func(a picture.Agent) bool { return a.Self || a.Host == "" })
	c.reply.array(len(others))
	for i := range others {
		c.reply.fields(agentFields(&p, m, &others[i]))
	}
}

func showAddr(_ context.Context, c *client, args []string) {
	p := c.server.cfg.Backend.Picture()
	m := masterOf(&p, args[2])
	if m == nil {
		c.reply.nullArray()
		return
	}
	told := m.Server.Shown()
	c.reply.bulks([]string{told.Host(), strconv.Itoa(told.Port())})
}

func showMyID(_ context.Context, c *client, _ []string) {
	p := c.server.cfg.Backend.Picture()
	c.reply.bulk(picture.MyID(p.Cluster, p.Agent))
}

// isMasterDown answers Sentinels, and those who watch them. Votes are a matter of the agents' own protocol:
// whoever asks for one learns that nobody leads.
func isMasterDown(_ context.Context, c *client, args []string) {
	port, err := strconv.ParseInt(args[3], 10, 64)
	if err == nil {
		_, err = strconv.ParseInt(args[4], 10, 64)
	}
	if err != nil {
		c.reply.error("ERR value is not an integer or out of range")
		return
	}
	p := c.server.cfg.Backend.Picture()
	down := int64(0)
	for _, m := range p.Masters {
		means := func(a config.Addr) bool { return a.Host() == canonical(args[2]) && int64(a.Port()) == port }
		if (means(m.Server.Addr) || means(m.Server.Numeric)) && m.Server.Down && !p.Stalled {
			down = 1
		}
	}
	c.reply.array(3)
	c.reply.integer(down)
	c.reply.bulk("*")
	c.reply.integer(0)
}

func ckquorum(_ context.Context, c *client, args []string) {
	p, m, ok := c.named(args[2])
	if !ok {
		return
	}
	text, enough := p.CheckQuorum(m)
	if !enough {
		c.reply.error(text)
		return
	}
	c.reply.simple(text)
}

// handOver takes a while. Only its own connection waits. A hand-over that loses nothing is what COORDINATED asks for in Valkey: it is the only kind
// here, as long as the master lives.
func handOver(ctx context.Context, c *client, args []string) {
	if len(args) > 4 || len(args) == 4 && !strings.EqualFold(args[3], "coordinated") {
		c.reply.error("ERR syntax error")
		return
	}
	c.done(c.server.cfg.Backend.Failover(ctx, args[2]))
}
