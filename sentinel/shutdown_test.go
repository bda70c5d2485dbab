package sentinel

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"picket/config"
)

// TestShutdown_HandsTheMasterOverUnlessHurried has a client order the agent beside the master to end.
func TestShutdown_HandsTheMasterOverUnlessHurried(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(a *Agent) { a.cfg.OnStop = config.StopSwitchover })
	order := func(m *member, words ...any) {
		t.Helper()
		client := redis.NewClient(&redis.Options{Addr: string(m.cfg.Listen.Sentinel), MaxRetries: -1, DisableIdentity: true, ReadTimeout: patience})
		defer client.Close()
		if err := client.Do(t.Context(), words...).Err(); err == nil {
			t.Errorf("%v was answered", words)
		}
		if err := <-m.done; err != nil {
			t.Errorf("%v: the agent ended with %v", words, err)
		}
		m.mu.Lock()
		m.agent = nil
		m.mu.Unlock()
		m.crash()
	}
	order(g.members[0], "SHUTDOWN")
	var next config.Addr
	g.await("the others agree on another master", func(context.Context) error {
		next = ""
		for _, p := range g.pictures() {
			at := p.Masters[0].Server.Addr
			if at == g.servers[0].Addr || p.Masters[0].Failover != nil || next != "" && next != at {
				return fmt.Errorf("%s: %s is the master", p.Agent, at)
			}
			next = at
		}
		return nil
	})
	g.members[0].start()
	g.settle(next)
	for i, s := range g.servers {
		if s.Addr == next {
			order(g.members[i], "SHUTDOWN", "NOW")
		}
	}
	g.await("nothing has moved", func(context.Context) error {
		for _, p := range g.pictures() {
			if at := p.Masters[0].Server.Addr; at != next {
				return fmt.Errorf("%s: %s is the master", p.Agent, at)
			}
			if p.Masters[0].Failover != nil {
				return errors.New("a failover runs")
			}
		}
		return nil
	})
}
