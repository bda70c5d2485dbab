package sentinelconf

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/config"
)

// Sentinel's defaults.
const (
	defaultDownAfter       = 30 * time.Second
	defaultFailoverTimeout = 3 * time.Minute
)

// leastFailoverTimeout is the shortest that Picket takes.
const leastFailoverTimeout = time.Second

func (b *builder) monitor(d directive) {
	args := d.args()
	name, host := args[0], args[1]
	if b.master(name) != nil {
		b.refuse(d, name, "is the name of another master", "each needs its own")
		return
	}
	port, ok := b.portNumber(d, args[2])
	if ok && port == 0 {
		b.refuse(d, args[2], "is not a port from 1 to 65535", "")
		ok = false
	}
	quorum, sound := b.whole(d, args[3], 1)
	if !ok || !sound {
		return
	}
	m := &master{name: name, renames: map[string]bool{}, at: d.place, tree: map[string]any{
		"name": name, "address": net.JoinHostPort(host, strconv.Itoa(port)), "quorum": quorum,
	}}
	b.masters = append(b.masters, m)
	b.conf.Layer.Places[fmt.Sprintf("masters[%d]", len(b.masters)-1)] = d.place
	b.conf.Layer.Servers = append(b.conf.Layer.Servers, config.NewAddr(host, port))
}

// master finds one by its name; nil: there is none.
func (b *builder) master(name string) *master {
	if at := slices.IndexFunc(b.masters, func(m *master) bool { return m.name == name }); at >= 0 {
		return b.masters[at]
	}
	return nil
}

// of finds the master that a directive speaks of, and says so if there is none.
func (b *builder) of(d directive) *master {
	name := d.args()[0]
	m := b.master(name)
	if m == nil {
		b.refuse(d, "", fmt.Sprintf("there is no master named %q", name), "write a line for it: sentinel monitor "+Quote(name)+" HOST PORT QUORUM")
	}
	return m
}

// milliseconds applies a duration of a master.
func milliseconds(key string, least int64) func(*builder, directive) {
	return func(b *builder, d directive) {
		value := d.args()[1]
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < least || n > math.MaxInt64/int64(time.Millisecond) {
			b.refuse(d, value, fmt.Sprintf("is not a number of milliseconds from %d", least), "")
			return
		}
		if m := b.of(d); m != nil {
			b.setOf(d, m, key, (time.Duration(n) * time.Millisecond).String())
		}
	}
}

// text applies a text of a master.
func text(key string) func(*builder, directive) {
	return func(b *builder, d directive) {
		if m := b.of(d); m != nil {
			b.setOf(d, m, key, d.args()[1])
		}
	}
}

// script applies a program of a master; a path begins in the working directory.
func script(key string) func(*builder, directive) {
	return func(b *builder, d directive) {
		m := b.of(d)
		if m == nil {
			return
		}
		path := d.args()[1]
		if path != "" {
			path = b.path(path)
		}
		b.setOf(d, m, key, path)
	}
}

func (b *builder) parallelSyncs(d directive) {
	n, ok := b.whole(d, d.args()[1], 1)
	if m := b.of(d); m != nil && ok {
		b.setOf(d, m, "parallel-syncs", n)
	}
}

func (b *builder) renameCommand(d directive) {
	m := b.of(d)
	if m == nil {
		return
	}
	command := strings.ToUpper(d.args()[1])
	if m.renames[command] {
		b.refuse(d, "", command+" is renamed more than once", "keep one line")
		return
	}
	m.renames[command] = true
	renames, _ := m.tree["rename-commands"].([]any)
	b.setOf(d, m, "rename-commands", append(renames, map[string]any{"command": d.args()[1], "as": d.args()[2]}))
}

func (b *builder) announceIP(d directive) {
	if host := d.args()[0]; host != "" {
		b.set(d, "announce.host", host)
	}
}

func (b *builder) announcePort(d directive) {
	if n, ok := b.portNumber(d, d.args()[0]); ok {
		b.set(d, "announce.sentinel-port", n)
	}
}

// knownReplica is needed where the master can't be asked, and a hint of which server is beside the agent.
func (b *builder) knownReplica(d directive) {
	port, ok := b.portNumber(d, d.args()[2])
	m := b.of(d)
	if m == nil || !ok || port == 0 {
		return
	}
	addr := config.NewAddr(d.args()[1], port)
	known, _ := m.tree["known-replicas"].([]any)
	if slices.Contains(known, any(string(addr))) || m.tree["address"] == string(addr) {
		return // which is no news
	}
	b.setOf(d, m, "known-replicas", append(known, string(addr)))
	b.conf.Layer.Servers = append(b.conf.Layer.Servers, addr)
}

// knownSentinel is a hint of which agents there may be.
func (b *builder) knownSentinel(d directive) {
	port, ok := b.portNumber(d, d.args()[2])
	p := peer{host: d.args()[1], port: port}
	if len(d.args()) > 3 {
		p.id = d.args()[3]
	}
	if b.of(d) != nil && ok && !slices.ContainsFunc(b.peers, func(known peer) bool { return known.host == p.host && known.port == p.port }) {
		b.peers = append(b.peers, p)
	}
}

// ownID is by which the other Sentinels' files name this one.
func (b *builder) ownID(d directive) { b.myID = d.args()[0] }

// configEpoch tells which of several files knows the master best.
func (b *builder) configEpoch(d directive) {
	if m := b.master(d.args()[0]); m != nil {
		m.epoch, _ = strconv.ParseUint(d.args()[1], 10, 64) // what is none says nothing
	}
}

// finish knows all directives.
func (b *builder) finish() {
	b.finishListening()
	b.finishTLS()
	if len(b.users) > 0 {
		put(b.conf.Layer.Over, "sentinel.users", b.userList())
	}
	list := make([]any, len(b.masters))
	for i, m := range b.masters {
		b.stretch(m)
		list[i] = m.tree
	}
	b.conf.Layer.Over["masters"] = list
	put(b.conf.Layer.Under, "cluster", "picket")
	put(b.conf.Layer.Under, "announce.hostnames", false) // as Sentinel's clients are used to
	put(b.conf.Layer.Under, "resolve-hostnames", false)
	b.remedies()
}

// stretch has a failover's steps take as long as a master may be silent, at least: Sentinel does not ask for that.
func (b *builder) stretch(m *master) {
	downAfter, timeout := duration(m.tree["down-after"], defaultDownAfter), duration(m.tree["failover-timeout"], defaultFailoverTimeout)
	least := max(leastFailoverTimeout, downAfter)
	if timeout >= least {
		return
	}
	m.tree["failover-timeout"] = least.String()
	at, asked := b.conf.Layer.Places[fmt.Sprintf("masters[%d].failover-timeout", slices.Index(b.masters, m))]
	if !asked {
		return
	}
	b.warn(directive{place: at, words: []string{sentinelWord, config.OptionFailoverTimeout}}, fmt.Sprintf(
		"%v of %s is too short for Picket, which takes %v: at least down-after-milliseconds, and 1s", timeout, m.name, least))
}

// duration reads what milliseconds wrote.
func duration(text any, usual time.Duration) time.Duration {
	if s, ok := text.(string); ok {
		usual, _ = time.ParseDuration(s) // was written by Duration.String
	}
	return usual
}
