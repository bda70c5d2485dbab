package sentinelconf

import (
	"net"
	"strconv"
	"strings"

	"picket/config"
)

// Base is a sentinel.conf of a Redis Sentinel that listens as an agent does, and lets in whom that lets in. What it watches is for Rewrite to add.
func Base(cfg *config.Config) string {
	lines := []string{"# Made by picket config export", "dir /tmp", "protected-mode no"}
	add := func(words ...string) { lines = append(lines, Join(words...)) }
	host := cfg.Listen.Sentinel.Host()
	switch plain, tls := cfg.Listen.Sentinel, cfg.Listen.SentinelTLS; {
	case plain == "":
		host = tls.Host()
		add("port", "0")
	default:
		add("port", strconv.Itoa(plain.Port()))
	}
	if tls := cfg.Listen.SentinelTLS; tls != "" {
		add("tls-port", strconv.Itoa(tls.Port()))
		add("tls-auth-clients", cfg.Sentinel.TLS.AuthClients)
	}
	add(append([]string{"bind", host}, cfg.Listen.Also...)...)
	if cfg.Listen.MaxClients != config.Default().Listen.MaxClients {
		add("maxclients", strconv.Itoa(cfg.Listen.MaxClients))
	}
	for _, l := range tlsOf(cfg) {
		add(l...)
	}
	if cfg.Sentinel.Password != "" {
		add("requirepass", string(cfg.Sentinel.Password))
	}
	for _, user := range cfg.Sentinel.Users {
		add(append([]string{"user"}, strings.Fields(string(user))...)...)
	}
	if cfg.Sentinel.ACLFile != "" {
		add("aclfile", cfg.Sentinel.ACLFile)
	}
	yes := map[bool]string{true: "yes", false: "no"}
	add(sentinelWord, "resolve-hostnames", yes[cfg.ResolveHostnames])
	add(sentinelWord, "announce-hostnames", yes[cfg.ResolveHostnames && cfg.Announce.Hostnames])
	add(sentinelWord, "deny-scripts-reconfig", yes[cfg.Scripts.DenyReconfig])
	if cfg.Announce.Host != "" {
		add(sentinelWord, "announce-ip", cfg.Announce.Host)
	} else if own := ownAddress(cfg); net.ParseIP(own) != nil || cfg.ResolveHostnames {
		add(sentinelWord, "announce-ip", own)
	}
	if port := cfg.Announce.SentinelPort; port != 0 && port != cfg.Listen.SentinelPort() {
		add(sentinelWord, "announce-port", strconv.Itoa(port))
	}
	return strings.Join(lines, "\n") + "\n"
}

// ownAddress is how the other agents reach this one.
func ownAddress(cfg *config.Config) string {
	for _, a := range cfg.Agents {
		if a.ID == cfg.Agent.ID {
			return a.Address.Host()
		}
	}
	return ""
}

// tlsOf are the lines about certificates: one identity for the port and another for the servers, as far as Sentinel can tell them apart.
func tlsOf(cfg *config.Config) (lines [][]string) {
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, []string{name, value})
		}
	}
	door := cfg.Sentinel.TLS
	var servers config.TLS
	for _, m := range cfg.Masters {
		if m.TLS.Enabled {
			servers = m.TLS
		}
	}
	if door.Cert == "" {
		door.Cert, door.Key = servers.Cert, servers.Key
	}
	if door.CA == "" {
		door.CA = servers.CA
	}
	add("tls-cert-file", door.Cert)
	add("tls-key-file", door.Key)
	add("tls-ca-cert-file", door.CA)
	if servers.Enabled {
		add("tls-replication", "yes")
		if servers.Cert != door.Cert {
			add("tls-client-cert-file", servers.Cert)
			add("tls-client-key-file", servers.Key)
		}
	}
	return lines
}
