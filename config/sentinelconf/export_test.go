package sentinelconf

import (
	"strings"
	"testing"

	"picket/config"
)

// TestBase makes the files of agents that have an address, a name that is resolved, or an address that others see; of ports with TLS and without. Each is
// one that Sentinel takes.
func TestBase(t *testing.T) {
	tls := []config.Master{{Name: "plain"}, {Name: "tls", TLS: config.TLS{Enabled: true, CA: "/servers/ca", Cert: "/servers/cert", Key: "/servers/key"}}}
	for name, edit := range map[string]func(*config.Config){
		"address": func(c *config.Config) {
			c.Listen.Sentinel, c.Listen.Also, c.Listen.MaxClients = "10.0.0.2:26379", []string{"127.0.0.1", "-::1"}, 77
			c.Sentinel.Password, c.Sentinel.Users = "two words", []config.Secret{"alice on >secret +@all", "bob off"}
			c.Announce.SentinelPort = 26379 // as it listens
		},
		"name": func(c *config.Config) {
			c.Agent.ID, c.ResolveHostnames, c.Announce.Hostnames, c.Scripts.DenyReconfig = "c", true, true, false
			c.Sentinel.ACLFile = "/etc/users.acl"
		},
		"name-unresolved": func(c *config.Config) { c.Agent.ID = "c" },
		"announced": func(c *config.Config) {
			c.Announce = config.Announce{Host: "203.0.113.7", SentinelPort: 36379}
		},
		"tls": func(c *config.Config) { // its certificate is that for the servers
			c.Listen.Sentinel, c.Listen.SentinelTLS, c.Masters = "", "10.0.0.2:26379", tls
			c.Sentinel.TLS.AuthClients = config.AuthClientsNo
		},
		"tls-both": func(c *config.Config) {
			c.Listen.SentinelTLS, c.Masters = "0.0.0.0:26378", tls
			c.Sentinel.TLS = config.DoorTLS{Cert: "/door/cert", Key: "/door/key", CA: "/door/ca", AuthClients: config.AuthClientsOptional}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Agents = []config.Peer{{ID: "a", Address: "10.0.0.1:26380"}, {ID: "b", Address: "10.0.0.2:26380"}, {ID: "c", Address: "redis-3:26380"}}
			cfg.Agent.ID, cfg.ResolveHostnames = "b", false
			edit(&cfg)
			text := Base(&cfg)
			golden(t, "testdata/export/"+name+".conf", text)
			if _, err := Read(Source{Input: strings.NewReader(text)}); err != nil {
				t.Error(err)
			}
		})
	}
}
