package config

import (
	"os"
	"slices"
	"strings"
	"time"
)

// Default is the configuration of an empty file. It is not complete: cluster, agents and masters have no
// default.
func Default() Config {
	return Config{
		Agent:  Agent{DataDir: "/var/lib/picket", ElectionTimeout: 300 * time.Millisecond},
		Listen: Listen{Sentinel: "0.0.0.0:26379", Peers: "0.0.0.0:26380", HTTP: "127.0.0.1:26381"},
		Mode:   ModeActive, Sentinel: Door{TLS: DoorTLS{AuthClients: AuthClientsYes}},
		OnStop: StopNothing, ResolveHostnames: true, Announce: Announce{Hostnames: true},
		Fence: Fence{Timeout: 5 * time.Second}, Salvage: Salvage{MaxBytes: 256 << 20}, Scripts: Scripts{DenyReconfig: true},
		Log: Log{Level: "info", Format: "console"},
	}
}

// DefaultMaster holds what a master has that says nothing of itself. Two defaults depend on other keys, and
// Load fills them in: the quorum is a majority of the agents, and the lease stays below a shorter down-after.
func DefaultMaster() Master {
	return Master{
		DownAfter: time.Second, CrashGrace: 30 * time.Millisecond, FailoverTimeout: 10 * time.Second, ParallelSyncs: 1,
		Cooldown: 10 * time.Second, Lease: 300 * time.Millisecond, LeaseLoss: LeaseReplicas,
		Durability: Durability{OnQuorumMissing: MissingWait, PromoteAfter: time.Minute}, Prefer: PreferOffset, Switchover: SwitchoverPause, EmptyMaster: EmptyProtect,
		ForeignSentinels: ForeignRefuse,
	}
}

// DefaultWebhook holds what a webhook has that says nothing of itself.
func DefaultWebhook() Webhook { return Webhook{Timeout: 10 * time.Second} }

// derive fills in the defaults that depend on other keys, where the file does not set them.
func (c *Config) derive(set map[string]bool) {
	if c.Agent.ID == "" {
		c.Agent.ID = c.namesake()
	}
	for i := range c.Masters {
		m, key := &c.Masters[i], element("masters", i)
		if !set[key+".quorum"] {
			m.Quorum = len(c.Agents)/2 + 1
		}
		if !set[key+".lease"] {
			m.Lease = min(m.Lease, m.DownAfter*6/10)
		}
	}
}

// namesake is the agent that is called like this host, with or without its domain; empty: there is none.
func (c *Config) namesake() string {
	host, err := os.Hostname()
	if err != nil {
		return "" // then the id is missing, which is reported
	}
	short, _, _ := strings.Cut(host, ".")
	for _, name := range []string{host, short} {
		if slices.ContainsFunc(c.Agents, func(p Peer) bool { return p.ID == name }) {
			return name
		}
	}
	return ""
}
