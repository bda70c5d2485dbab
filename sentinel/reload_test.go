package sentinel

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
)

// TestReload: what can change while the agent runs does, and the rest waits.
func TestReload(t *testing.T) {
	cfg := func() *config.Config {
		c := config.Default()
		c.Cluster, c.Agent.ID, c.Agent.DataDir = "test", "a", t.TempDir()
		c.Agents = []config.Peer{{ID: "a", Address: "127.0.0.1:1"}}
		for _, name := range []string{"same", "other", "gone"} {
			m := config.DefaultMaster()
			m.Name, m.Address, m.Quorum = name, config.Addr(name+":6379"), 1
			c.Masters = append(c.Masters, m)
		}
		return &c
	}
	old := cfg()
	a, err := New(old, Host{}, zerolog.Nop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if r := a.reloaded(); !r.OK || r.At.IsZero() {
		t.Errorf("at first: %+v", r)
	}
	same, other := a.named("same"), a.named("other")
	next := cfg()
	next.Agent = old.Agent
	next.Masters = next.Masters[:2]
	next.Masters[1].DownAfter, next.Masters[1].Password = time.Minute, "secret"
	next.Log.Level, next.Agent.Zone, next.OnStop = "warn", "elsewhere", config.StopSwitchover
	a.Reload(next)
	if a.named("same") != same {
		t.Error("the settings of a master that has none that is new are others: its connections would be made anew")
	}
	if now := a.named("other"); now == other || now.DownAfter != time.Minute || now.Password != "secret" {
		t.Errorf("the other master's settings: %+v", now)
	}
	if a.named("gone") != nil {
		t.Error("a master that is gone has settings")
	}
	if a.current().OnStop != config.StopSwitchover || a.volume.level() != zerolog.WarnLevel || a.current().Agent.Zone != "" {
		t.Errorf("%+v, level %s", a.current().Agent, a.volume.level())
	}
	if r := a.reloaded(); !r.OK || !slices.Equal(r.Pending, []string{"agent.zone"}) {
		t.Errorf("after it was read again: %+v", r)
	}
	a.Refused(errors.New("no"))
	if r := a.reloaded(); r.OK || r.Error != "no" || len(r.Pending) != 1 || a.current().OnStop != config.StopSwitchover {
		t.Errorf("after a bad one: %+v", r)
	}
	if old.OnStop != config.StopNothing || next.Agent.Zone != "elsewhere" {
		t.Error("a configuration was changed")
	}
	a.names.Close()
}

// TestReload_WhileTheDoorsOpen: a token that is taken away while the agent starts opens nothing.
func TestReload_WhileTheDoorsOpen(t *testing.T) {
	cfg := config.Default()
	cfg.Cluster, cfg.Agent.ID, cfg.Agent.DataDir = "test", "a", t.TempDir()
	cfg.Agents = []config.Peer{{ID: "a", Address: "127.0.0.1:1"}}
	cfg.Listen.Sentinel, cfg.Listen.Peers, cfg.Listen.HTTP = "127.0.0.1:0", "127.0.0.1:0", "localhost:0"
	cfg.HTTP.Anonymous = config.AnonymousNone
	cfg.HTTP.Tokens = []config.Token{{Name: "old", Token: "old-old-old-old-old", Role: config.RoleRead}}
	next := cfg
	next.HTTP.Tokens = []config.Token{{Name: "new", Token: "new-new-new-new-new", Role: config.RoleRead}}
	var a *Agent
	ready := make(chan struct{})
	host := Host{Ready: func() { close(ready) }, Listen: func(network, addr string) (net.Listener, error) {
		if addr == string(cfg.Listen.HTTP) {
			a.Reload(&next)
		}
		return net.Listen(network, addr)
	}}
	a, err := New(&cfg, host, zerolog.Nop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }() // ends below
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	for token, want := range map[string]int{"old-old-old-old-old": http.StatusUnauthorized, "new-new-new-new-new": http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.web.Load().Addr().String()+"/v1/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d", token, answer.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
