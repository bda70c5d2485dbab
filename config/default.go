package config

import (
	"net"
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
		Listen: Listen{Sentinel: "0.0.0.0:26379", MaxClients: 10_000, Peers: "0.0.0.0:26380", HTTP: "127.0.0.1:26381"},
		Mode:   ModeActive, Sentinel: Door{TLS: DoorTLS{AuthClients: AuthClientsYes}},
		HTTP:   HTTP{TLS: DoorTLS{AuthClients: AuthClientsNo}, ClientRole: RoleRead, Anonymous: AnonymousLocal},
		OnStop: StopNothing, ResolveHostnames: true, Announce: Announce{Hostnames: true},
		Fence: Fence{Timeout: 5 * time.Second}, Salvage: Salvage{MaxBytes: 256 << 20}, Scripts: Scripts{DenyReconfig: true},
		Hooks: Hooks{Timeout: time.Second, OnFailure: HookProceed},
		Log:   Log{Level: "info", Format: "console"}, ConfigRewrite: RewriteNone,
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
func DefaultWebhook() Webhook {
	return Webhook{
		Timeout: 10 * time.Second, Ordering: OrderMaster, GiveUpAfter: 6 * time.Hour, Preset: PresetCloudEvents, ContentType: "application/json",
	}
}

// derive fills in the defaults that depend on other keys, where the file does not set them.
func (c *Config) derive(set map[string]bool) {
	if c.Agent.ID == "" {
		c.Agent.ID = c.self()
	}
	if !set["http.tls.auth-clients"] && c.HTTP.TLS.CA != "" {
		c.HTTP.TLS.AuthClients = AuthClientsOptional
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

// self is the agent that this one must be: the one that is announced as it is, is called like this host, or has an address of this host's; empty:
// there is none, or more than one.
func (c *Config) self() string {
	for _, names := range [][]string{{c.Announce.Host}, hostNames(), hostAddresses()} {
		here := map[string]bool{}
		for _, p := range c.Agents {
			if slices.Contains(names, p.ID) || slices.Contains(names, p.Address.Host()) {
				here[p.ID] = true
			}
		}
		delete(here, "") // is reported
		for id := range here {
			if len(here) == 1 {
				return id
			}
		}
	}
	return ""
}

// hostNames are this host's name with and without its domain.
func hostNames() []string {
	host, err := os.Hostname()
	if err != nil {
		return nil // then it is not found by its name
	}
	short, _, _ := strings.Cut(host, ".")
	return []string{host, short}
}

// hostAddresses are those of this host's interfaces.
func hostAddresses() []string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then it is not found by them
	}
	var ips []string
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok {
			ips = append(ips, network.IP.String())
		}
	}
	return ips
}
