package config

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// renewable is a configuration of two masters.
func renewable() *Config {
	c := Default()
	c.Cluster, c.Agent.ID, c.Sentinel.Password = "main", "a", "door"
	for _, name := range []string{"one", "two"} {
		m := DefaultMaster()
		m.Name, m.Address, m.Quorum, m.Password = name, Addr(name+":6379"), 2, "old"
		c.Masters = append(c.Masters, m)
	}
	c.Webhooks = []Webhook{{Name: "ops", URL: "https://token@a"}}
	return &c
}

func TestRenew(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*Config)
		want []Change
		kept func(*Config) any // what must be as it was
	}{
		"nothing": {edit: func(*Config) {}},
		"at once": {
			edit: func(c *Config) { c.Log.Level, c.Masters[1].DownAfter, c.Listen.MaxClients = "debug", time.Minute, 7 },
			want: []Change{
				{"listen.max-clients", "10000", "7", AtOnce}, {"masters[two].down-after", "1s", "1m0s", AtOnce}, {"log.level", "info", "debug", AtOnce},
			},
		},
		"a secret": {
			edit: func(c *Config) { c.Masters[0].Password, c.Sentinel.Password = "new", "another" },
			want: []Change{{"sentinel.password", stars, stars, AtOnce}, {"masters[one].password", stars, stars, AtOnce}},
		},
		"a secret's file": {
			edit: func(c *Config) { c.Masters[0].Password, c.Masters[0].PasswordFile = "", "/f" },
			want: []Change{{"masters[one].password", stars, "", AtOnce}, {"masters[one].password-file", "", "/f", AtOnce}},
		},
		"after a restart": {
			edit: func(c *Config) {
				c.Agent.Zone, c.Listen.HTTP, c.PeerTLS.Enabled, c.Cluster = "z", "", true, "other"
				c.Agents = []Peer{{ID: "b"}}
			},
			want: []Change{
				{"cluster", "main", "other", AfterRestart}, {"agent.zone", "", "z", AfterRestart}, {"agents[b]", "", "given", AfterRestart},
				{"listen.http", "127.0.0.1:26381", "", AfterRestart}, {"peer-tls.enabled", "", "true", AfterRestart},
			},
			kept: func(c *Config) any { return []any{c.Cluster, c.Agent, c.Agents, c.Listen, c.PeerTLS} },
		},
		"who may use a port, with the port": {
			edit: func(c *Config) {
				c.Listen.Sentinel, c.Listen.SentinelTLS, c.Sentinel.Password = "", "0.0.0.0:26379", ""
				c.HTTP.Anonymous, c.HTTP.TLS.Cert = "read", "/cert"
			},
			want: []Change{
				{"listen.sentinel", "0.0.0.0:26379", "", AfterRestart}, {"listen.sentinel-tls", "", "0.0.0.0:26379", AfterRestart},
				{"sentinel.password", stars, "", AfterRestart}, {"http.tls.cert", "", "/cert", AfterRestart}, {"http.anonymous", "local", "read", AfterRestart},
			},
			kept: func(c *Config) any { return []any{c.Listen, c.Sentinel, c.HTTP} },
		},
		"what may hold a token is not shown": {
			edit: func(c *Config) { c.Webhooks = []Webhook{{Name: "ops", URL: "https://token@b"}} },
			want: []Change{{"webhooks[ops].url", stars, stars, AtOnce}},
		},
		"at the first start": {
			edit: func(c *Config) { c.Masters[0].Address = "h:1" },
			want: []Change{{"masters[one].address", "one:6379", "h:1", AtFirst}},
		},
		"masters come, go and change places": {
			edit: func(c *Config) { c.Masters = []Master{c.Masters[1], {Name: "three"}} },
			want: []Change{{Key: "masters[one]", Old: "given"}, {Key: "masters[three]", New: "given"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := renewable(), renewable()
			tc.edit(next)
			now, changes := Renew(old, next)
			if !slices.Equal(changes, tc.want) {
				t.Errorf("changes %v, want %v", changes, tc.want)
			}
			if !reflect.DeepEqual(old, renewable()) {
				t.Error("the old one is different")
			}
			if tc.kept != nil && !reflect.DeepEqual(tc.kept(now), tc.kept(old)) {
				t.Errorf("%v, want %v", tc.kept(now), tc.kept(old))
			}
			if tc.kept == nil && !reflect.DeepEqual(now, next) {
				t.Error("not all of the next one counts")
			}
		})
	}
}

func TestFiles(t *testing.T) {
	c := renewable()
	c.Masters[0].PasswordFile, c.Masters[1].PasswordFile, c.Sentinel.PasswordFile = "/one", "/two", "/one"
	c.Sentinel.ACLFile = "/acl" // ACL LOAD reads it
	c.Webhooks = []Webhook{{SecretFile: "/hook"}}
	if got := c.Files(); !slices.Equal(got, []string{"/hook", "/one", "/two"}) {
		t.Errorf("files %v", got)
	}
}
