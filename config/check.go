package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of durations: below, the agents' own jitter looks like a failure; above, it is surely a slip.
const (
	minElectionTimeout = 50 * time.Millisecond
	maxElectionTimeout = 10 * time.Second
	minDownAfter       = 100 * time.Millisecond
	minCrashGrace      = 10 * time.Millisecond
	minLease           = 50 * time.Millisecond
	minFailoverTimeout = time.Second
	minFenceTimeout    = 100 * time.Millisecond
	maxFenceTimeout    = time.Minute
	minHookTimeout     = 10 * time.Millisecond
	maxHookTimeout     = 10 * time.Second
)

// MaxLease bounds what an agent may ask others to promise: for so long nobody may replace its master.
const MaxLease = 10 * time.Second

// names are what ids and names may look like: they stand in URLs, in Sentinel's line protocol and in file
// names.
var names = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// ValidName says whether a master may have the name.
func ValidName(name string) bool { return names.MatchString(name) }

// check reports what makes no sense although each value is of the right type, and reads the secrets' files.
func (c *Config) check(r *report) {
	r.name("cluster", c.Cluster)
	c.checkAgents(r)
	c.checkListen(r)
	if c.Local.unspecified() {
		r.add("local", c.Local, "is not the address of one server", "write 127.0.0.1 for a Redis on the same host")
	}
	r.oneOf("mode", c.Mode, ModeActive, ModeShadow)
	c.checkDoor(r)
	c.checkHTTP(r)
	c.PeerTLS.check(r, "peer-tls")
	c.PeerTLS.checkMutual(r, "peer-tls")
	c.checkMasters(r)
	c.checkWebhooks(r)
	r.oneOf("on-stop", c.OnStop, StopNothing, StopSwitchover)
	r.between("fence.timeout", c.Fence.Timeout, minFenceTimeout, maxFenceTimeout)
	if (c.Fence.Kill || c.Fence.Command != "") && c.Local == "" {
		r.add("local", nil, "is missing, although fence says what to do to it", "name the Redis beside this agent, or take kill and command away")
	}
	r.executable("hooks.pre-failover", c.Hooks.PreFailover)
	r.executable("hooks.pre-switchover", c.Hooks.PreSwitchover)
	r.between("hooks.timeout", c.Hooks.Timeout, minHookTimeout, maxHookTimeout)
	r.oneOf("hooks.on-failure", c.Hooks.OnFailure, HookProceed, HookVeto)
	if c.Salvage.MaxBytes < 0 {
		r.add("salvage.max-bytes", c.Salvage.MaxBytes, "is negative", "give a number of bytes; 0 keeps nothing")
	}
	r.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	r.oneOf("log.format", c.Log.Format, "console", "json")
	c.checkTracing(r)
	c.checkRewrite(r)
}

func (c *Config) checkAgents(r *report) {
	if c.Agent.ID != "" || len(c.Agents) > 0 || r.layer == nil { // else it may follow from the agents, once they are there
		r.name("agent.id", c.Agent.ID)
	}
	if c.Agent.DataDir == "" {
		r.add("agent.data-dir", nil, "is missing", "name a directory that survives restarts")
	}
	r.between("agent.election-timeout", c.Agent.ElectionTimeout, minElectionTimeout, maxElectionTimeout)
	if len(c.Agents) == 0 {
		r.add("agents", nil, "is missing", "list all agents of the cluster, this one included")
	}
	ids, addresses := unique[string]{}, unique[Addr]{}
	for i, p := range c.Agents {
		key := element("agents", i)
		r.name(key+".id", p.ID)
		c.server(r, key+".address", p.Address)
		ids.check(r, key+".id", p.ID)
		addresses.check(r, key+".address", p.Address)
	}
	if _, known := ids[c.Agent.ID]; !known && r.sound("agents") {
		r.add("agent.id", c.Agent.ID, "is not among the agents", didYouMean(c.Agent.ID, slices.Sorted(maps.Keys(ids))))
	}
}

func (c *Config) checkListen(r *report) {
	listeners := []struct {
		key  string
		addr Addr
	}{
		{"listen.sentinel", c.Listen.Sentinel}, {"listen.sentinel-tls", c.Listen.SentinelTLS},
		{"listen.peers", c.Listen.Peers}, {"listen.http", c.Listen.HTTP},
	}
	for i, l := range listeners {
		if l.addr == "" && (l.key == "listen.peers" || l.key == "listen.sentinel" && c.Listen.SentinelTLS == "") {
			r.add(l.key, nil, "is missing", "leave the key away for the default")
		}
		for _, other := range listeners[:i] {
			if l.addr.Port() == other.addr.Port() && l.addr != "" &&
				(l.addr.Host() == other.addr.Host() || l.addr.unspecified() || other.addr.unspecified()) {
				r.add(l.key, l.addr, "has the same port as "+other.key, "give each its own")
			}
		}
	}
	c.checkMoreListeners(r)
	if c.Announce.Host != "" {
		if _, err := parseHost(c.Announce.Host); err != nil || NewAddr(c.Announce.Host, 1).unspecified() {
			r.add("announce.host", c.Announce.Host, "is not a host that clients can reach", "write a name or an IP address, without a port")
		}
	}
	if c.Announce.SentinelPort < 0 || c.Announce.SentinelPort > 65535 {
		r.add("announce.sentinel-port", c.Announce.SentinelPort, "is not a port from 1 to 65535", "")
	}
}

func (c *Config) checkMoreListeners(r *report) {
	known := unique[string]{}
	for i, host := range c.Listen.Also {
		key, name := element("listen.also", i), strings.TrimPrefix(host, "-")
		if _, err := parseHost(name); err != nil {
			r.add(key, host, "is not a host", "write a name or an IP address of this host, without a port")
		}
		if name == c.Listen.Sentinel.Host() {
			r.add(key, host, "is that of listen.sentinel", "take it away")
		}
		known.check(r, key, name)
	}
	if c.Listen.MaxClients < 1 {
		r.add("listen.max-clients", c.Listen.MaxClients, "is less than 1", "")
	}
}

// checkRewrite finds out whether what is to be rewritten can be.
func (c *Config) checkRewrite(r *report) {
	r.oneOf("config-rewrite", c.ConfigRewrite, RewriteNone, RewriteSentinel)
	switch {
	case c.ConfigRewrite != RewriteSentinel:
	case r.layer == nil:
		r.add("config-rewrite", c.ConfigRewrite, "is given, but no sentinel.conf", "start with --sentinel-conf FILE, or write none")
	case r.layer.Fixed != "":
		r.add("config-rewrite", c.ConfigRewrite, r.layer.File+" can't be rewritten: "+r.layer.Fixed, "write none")
	}
}

func (c *Config) checkMasters(r *report) {
	if len(c.Masters) == 0 && r.layer == nil { // Sentinel's users make them known at run time, too
		r.add("masters", nil, "is missing", "list at least one master: there is nothing to watch")
	}
	known, addresses := unique[string]{}, unique[Addr]{}
	for i := range c.Masters {
		key := element("masters", i)
		c.checkMaster(r, key, &c.Masters[i])
		known.check(r, key+".name", c.Masters[i].Name)
		addresses.check(r, key+".address", c.Masters[i].Address)
	}
}

func (c *Config) checkMaster(r *report, key string, m *Master) {
	r.name(key+".name", m.Name)
	c.server(r, key+".address", m.Address)
	if !c.ResolveHostnames && m.Address != "" && !m.Address.literal() {
		r.add(key+".address", m.Address, "is a name, and resolve-hostnames is false", "write the IP address, or set resolve-hostnames: true")
	}
	if m.Quorum > len(c.Agents) && r.layer != nil && r.sound("agents") { // Redis Sentinel takes it, and SENTINEL SET: an agent must start from it
		c.warnings = append(c.warnings, fmt.Sprintf("%s.quorum: %s can't fail over: %d agents must find it down, and there are %d; a majority is %d",
			key, m.Name, m.Quorum, len(c.Agents), len(c.Agents)/2+1))
	} else if m.Quorum < 1 || m.Quorum > len(c.Agents) && r.sound("agents") {
		r.add(key+".quorum", m.Quorum, fmt.Sprintf("is not a number from 1 to %d, the number of agents", len(c.Agents)),
			fmt.Sprintf("a majority is %d", len(c.Agents)/2+1))
	}
	r.atLeast(key+".down-after", m.DownAfter, minDownAfter)
	r.atLeast(key+".crash-grace", m.CrashGrace, minCrashGrace)
	r.shorter(key+".crash-grace", m.CrashGrace, m)
	if m.DownAfter >= minDownAfter {
		r.between(key+".lease", m.Lease, minLease, MaxLease)
	}
	r.shorter(key+".lease", m.Lease, m)
	r.oneOf(key+".lease-loss", m.LeaseLoss, LeaseReplicas, LeaseStrict, LeaseOff)
	m.checkDurability(r, key)
	r.oneOf(key+".switchover", m.Switchover, SwitchoverPause, SwitchoverNative)
	if m.PreferServer != "" && m.PreferZone != "" {
		r.add(key+".prefer-server", m.PreferServer, "is given although prefer-zone is, too", "keep one of them")
	}
	r.oneOf(key+".empty-master", m.EmptyMaster, EmptyProtect, EmptyAccept)
	r.oneOf(key+".foreign-sentinels", m.ForeignSentinels, ForeignRefuse, ForeignIgnore)
	m.checkRenames(r, key+".rename-commands")
	r.atLeast(key+".failover-timeout", m.FailoverTimeout, max(minFailoverTimeout, m.DownAfter))
	if m.ParallelSyncs < 1 {
		r.add(key+".parallel-syncs", m.ParallelSyncs, "is less than 1", "1 is the gentlest: one replica at a time")
	}
	replicas := unique[Addr]{m.Address: key + ".address"}
	for i, a := range m.KnownReplicas {
		c.server(r, element(key+".known-replicas", i), a)
		replicas.check(r, element(key+".known-replicas", i), a)
	}
	r.executable(key+".notification-script", m.NotificationScript)
	r.executable(key+".pre-failover", m.PreFailover)
	r.executable(key+".pre-switchover", m.PreSwitchover)
	r.executable(key+".client-reconfig-script", m.ClientReconfigScript)
	c.secret(r, key+".password", &m.Password, m.PasswordFile)
	m.TLS.check(r, key+".tls")
}

func (m *Master) checkRenames(r *report, key string) {
	known := unique[string]{}
	for i, rename := range m.RenameCommands {
		below := element(key, i)
		for field, word := range map[string]string{".command": rename.Command, ".as": rename.As} {
			if word == "" || strings.ContainsAny(word, " \t\r\n") {
				r.add(below+field, word, "is not one word", "")
			}
		}
		known.check(r, below+".command", strings.ToUpper(rename.Command))
	}
}

func (m *Master) checkDurability(r *report, key string) {
	d, below := m.Durability, key+".durability"
	if d.Wait < 0 {
		r.add(below+".wait", d.Wait, "is negative", "write the number that clients give to WAIT; 0 for those that do not use it")
	}
	r.oneOf(below+".on-quorum-missing", d.OnQuorumMissing, MissingWait, MissingPromote, MissingNever)
	r.oneOf(key+".prefer", m.Prefer, PreferOffset, PreferPriority)
	if m.Prefer == PreferPriority && d.Wait > 0 {
		r.add(key+".prefer", m.Prefer, fmt.Sprintf("breaks the promise of durability.wait %d", d.Wait),
			"the replica that holds the most must be promoted: write offset, or wait: 0")
	}
}

// Warnings tells what is allowed but hardly meant. It is empty for a Config that was not loaded.
func (c *Config) Warnings() []string {
	warnings := slices.Clone(c.warnings)
	switch n := len(c.Agents); {
	case n == 1:
		warnings = append(warnings, "agents: one agent decides alone, and nobody does when it is down; use three")
	case n%2 == 0:
		warnings = append(warnings, fmt.Sprintf("agents: %d agents survive no more failures than %d; use an odd number", n, n-1))
	}
	return warnings
}
