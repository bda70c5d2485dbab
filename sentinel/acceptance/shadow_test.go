package acceptance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
	"picket/sentinel/state"
)

// TestShadow_BesideRedisSentinel has agents that only watch the same servers as Redis Sentinels, which fail the master over.
func TestShadow_BesideRedisSentinel(t *testing.T) {
	t.Parallel()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	timing := lab.ClusterOptions{DownAfter: time.Second, FailoverTimeout: 5 * time.Second}
	real, err := l.StartSentinels(timing)
	if errors.Is(err, lab.ErrNoSentinel) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	opts := timing
	opts.Program, opts.Shadow, opts.Servers = binary, true, real.Redis
	c, err := l.StartCluster(opts)
	t.Cleanup(func() { checkLogs(t, l, c) })
	if err != nil {
		t.Fatal(err)
	}
	agent := c.Agents[0]
	await := func(what string, condition func(context.Context) error) {
		t.Helper()
		if err := lab.Await(patience, what, condition); err != nil {
			t.Fatal(err)
		}
	}
	await("the agents know of the three Sentinels", func(ctx context.Context) error {
		p, err := agent.Status(ctx)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, f := range p.Masters[0].Foreign {
			known[f.RunID] = true
		}
		if len(known) != 3 {
			return fmt.Errorf("they know %d", len(known))
		}
		return nil
	})
	if out := picket(t, 3, "failover", lab.MasterName, "--agent", string(agent.HTTP)); !strings.Contains(out, "only watch") {
		t.Errorf("a failover by hand: %s", out)
	}

	old := real.Redis[0]
	old.Kill()
	newMaster(t, c, old.Addr)
	events := map[state.EventType]state.Event{}
	p, err := agent.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Events {
		if _, again := events[e.Type]; !again { // the Sentinels may switch more than once
			events[e.Type] = e
		}
	}
	decided, compared := events[state.ShadowDecision].Data, events[state.ShadowComparison].Data
	if decided.From != old.Addr || decided.To == "" || decided.To == old.Addr {
		t.Errorf("decided %+v", decided)
	}
	if compared.From != old.Addr || compared.To == "" || compared.To == old.Addr || compared.Imagined != decided.To || compared.AheadMS <= 0 {
		t.Errorf("compared %+v", compared)
	}
	t.Log(compared.Why)
	if _, acted := events[state.FailoverBegun]; acted {
		t.Error("the agents have begun a failover themselves")
	}
	if out := picket(t, 0, "status", "--agent", string(agent.HTTP)); !strings.Contains(out, "SHADOW MODE") || !strings.Contains(out, "shadow: ") ||
		!strings.Contains(out, "Redis Sentinel") {
		t.Errorf("the status shows\n%s", out)
	}
	// The old master comes back, and the Sentinels, not the agents, make it a replica.
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	const slow = time.Minute // a Sentinel takes some ten seconds to make a returned master a replica
	if err := lab.Await(slow, "all follow whom the Sentinels have made the master", func(ctx context.Context) error {
		master, err := masterOf(ctx, agent)
		if err != nil {
			return err
		}
		return errors.Join(real.Settled(ctx, master), c.AwaitSettled(time.Second, master))
	}); err != nil {
		t.Fatal(err)
	}
}
