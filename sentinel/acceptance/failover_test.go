package acceptance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/lab"
)

func TestCrash_EachFailoverHasAnEpochOfItsOwn(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	master, last := c.Redis[0], epoch(t, c)
	for range 3 {
		master.Kill()
		next := newMaster(t, c, master.Addr)
		if err := master.Start(); err != nil {
			t.Fatal(err)
		}
		settle(t, c, next.Addr)
		if e := epoch(t, c); e <= last {
			t.Errorf("epoch %d after the failover, %d before it", e, last)
		} else {
			last = e
		}
		master = next
	}
}

func TestHang_FailsOverAfterDownAfterAndTheWokenMasterFollows(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old := c.Redis[0]
	if err := old.Freeze(); err != nil {
		t.Fatal(err)
	}
	next := newMaster(t, c, old.Addr)
	if err := old.Thaw(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
}

func TestLateMaster_IsNeverFailedOver(t *testing.T) {
	t.Parallel()
	_, c := start(t, func(o *lab.ClusterOptions) { o.DownAfter = 3 * time.Second }) // long against what a busy machine adds
	master, before := c.Redis[0], epoch(t, c)
	for range 3 { // late by 60 % of that, again and again
		if err := master.Freeze(); err != nil {
			t.Fatal(err)
		}
		stays(t, c, master.Addr, 1800*time.Millisecond)
		if err := master.Thaw(); err != nil {
			t.Fatal(err)
		}
		stays(t, c, master.Addr, 300*time.Millisecond)
	}
	settle(t, c, master.Addr)
	if e := epoch(t, c); e != before {
		t.Errorf("epoch %d, want %d: no failover", e, before)
	}
}

func TestFrozenAgents_WakeWithoutAFailover(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	master, before := c.Redis[0], epoch(t, c)
	for _, a := range c.Agents {
		if err := a.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
	asleep := time.NewTimer(3 * time.Second)
	defer asleep.Stop()
	<-asleep.C // the agents' clocks must run on while they are frozen
	for _, a := range c.Agents {
		if err := a.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
	stays(t, c, master.Addr, 2*time.Second)
	settle(t, c, master.Addr)
	if e := epoch(t, c); e != before {
		t.Errorf("epoch %d, want %d: no failover", e, before)
	}
}

func TestLeaderAndMasterKilledTogether(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old, dead := c.Redis[0], leader(t, c)
	dead.Kill()
	old.Kill()
	next := newMaster(t, c, old.Addr)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
}

func TestMinority_PromotesNothingUntilAnAgentIsBack(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old := c.Redis[0]
	c.Agents[0].Kill()
	c.Agents[1].Kill()
	old.Kill()
	stays(t, c, old.Addr, 3*time.Second)
	for _, r := range c.Redis[1:] {
		info, err := r.Info(t.Context(), "replication")
		if err != nil {
			t.Fatal(err)
		}
		// The agent beside a replica may have kept it from a master that could come back empty.
		got := config.Addr(info["master_host"] + ":" + info["master_port"])
		if info["role"] != "slave" || got != old.Addr && got != failover.Silent {
			t.Errorf("%s is a %s of %s: a minority touched it", r.Name, info["role"], got)
		}
	}
	if err := c.Agents[0].Start(); err != nil {
		t.Fatal(err)
	}
	next := newMaster(t, c, old.Addr)
	if err := c.Agents[1].Start(); err != nil {
		t.Fatal(err)
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
}

func TestRestartOfAllAgents_ForgetsNothing(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old := c.Redis[0]
	old.Kill()
	next := newMaster(t, c, old.Addr)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
	before := epoch(t, c)
	restartAll(t, c)
	settle(t, c, next.Addr)
	if e := epoch(t, c); e != before {
		t.Errorf("after the restart the master's epoch is %d, want %d", e, before)
	}
}

func TestRestartOfAllAgents_MidFailover(t *testing.T) {
	t.Parallel()
	// The agents are killed at different moments after the crash: somewhere within the failover, which takes some tens of
	// milliseconds behind the crash grace.
	for _, delay := range []time.Duration{45, 60, 75, 100} {
		delay *= time.Millisecond
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			_, c := start(t, nil)
			old := c.Redis[0]
			old.Kill()
			timer := time.NewTimer(delay)
			defer timer.Stop()
			<-timer.C
			restartAll(t, c)
			next := newMaster(t, c, old.Addr)
			if err := old.Start(); err != nil {
				t.Fatal(err)
			}
			settle(t, c, next.Addr)
		})
	}
}

func restartAll(t *testing.T, c *lab.Cluster) {
	t.Helper()
	for _, a := range c.Agents {
		a.Kill()
	}
	for _, a := range c.Agents {
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClient_FollowsWithoutRestartAndLosesNothingInAManualFailover(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	writer := lab.NewWriter(c.FailoverClient(), "manual")
	defer writer.Stop()
	enough := func(n int) {
		t.Helper()
		if err := lab.Await(patience, fmt.Sprintf("%d writes are acknowledged", n), func(context.Context) error {
			if got := len(writer.Acked()); got < n {
				return fmt.Errorf("%d are", got)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	enough(200)
	old := c.Redis[0]
	picket(t, 0, "failover", lab.MasterName, "--agent", string(c.Agents[1].HTTP))
	next := newMaster(t, c, old.Addr)
	settle(t, c, next.Addr)
	enough(len(writer.Acked()) + 200)
	writer.Stop()
	client := next.Client()
	defer client.Close()
	lost, err := lab.Lost(t.Context(), client, writer.Acked())
	if err != nil {
		t.Fatal(err)
	}
	if lost != 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(writer.Acked()))
	}
}
