package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/cli"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// TestMembers_GroupIsResizedAndReplacedUnderLoad grows the group from three agents to five, shrinks it again, and replaces every agent, one
// after the other, while clients work on the map and the master of the real Redis fails in between.
func TestMembers_GroupIsResizedAndReplacedUnderLoad(t *testing.T) {
	_, c := start(t, nil)
	m := &membership{t: t, c: c}
	founders := c.Agents[:3:3]
	witnesses := []*lab.Agent{m.prepare("agent-4", ""), m.prepare("agent-5", "")}
	var heirs []*lab.Agent
	for i, a := range founders {
		heirs = append(heirs, m.prepare(fmt.Sprintf("agent-%d", 6+i), a.Local))
	}
	watch := m.watchLeader()
	h := record(t, doorsOf(c), func() {
		for _, a := range witnesses {
			m.join(a)
		}
		m.failover()
		for _, a := range witnesses {
			m.leave(a)
		}
		m.failover()
		for i, heir := range heirs {
			if i == 2 { // the file of the last one names nobody who leads
				picket(t, 0, "members", "transfer", heirs[0].ID, "--agent", string(heirs[0].HTTP))
			}
			m.join(heir)
			m.leave(founders[i])
			m.failover()
		}
	})
	// On a machine that is late, so is each step of an election: the timeout, the votes, the commit, and the look at it.
	if gap, late := watch(); gap > 2*electionTimeout+4*late {
		t.Errorf("there was no leader for %s, longer than two election timeouts, while agents answered within %s", gap, late)
	} else {
		t.Logf("longest time without a leader: %s, while agents answered within %s", gap, late)
	}
	h.check(t)
	var doors []cli.KV
	for _, a := range heirs {
		doors = append(doors, cli.KV{Client: cli.At(a.HTTP)})
		m.sentinelsAre(a, heirs)
	}
	sameMap(t, doors)
}

// electionTimeout is the default.
const electionTimeout = 300 * time.Millisecond

// membership changes a cluster's agents.
type membership struct {
	t *testing.T
	c *lab.Cluster
}

// prepare configures another agent.
func (m *membership) prepare(id string, local config.Addr) *lab.Agent {
	m.t.Helper()
	a, err := m.c.AddAgent(id, local)
	if err != nil {
		m.t.Fatal(err)
	}
	return a
}

// join starts a new agent, and waits until it votes.
func (m *membership) join(a *lab.Agent) {
	m.t.Helper()
	began := time.Now()
	if err := a.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.await(a.ID+" votes", func(ctx context.Context) error {
		list, err := cli.Members{Client: cli.At(a.HTTP)}.List(ctx)
		if err != nil {
			return err
		}
		for _, member := range list.Members {
			if member.ID == a.ID && member.Voter && list.Leader != "" {
				return nil
			}
		}
		return fmt.Errorf("the members are %+v", list)
	})
	m.t.Logf("%s votes %s after it was started", a.ID, time.Since(began))
}

// leave takes an agent out of the group, by way of another one, and stops it.
func (m *membership) leave(a *lab.Agent) {
	m.t.Helper()
	var other *lab.Agent
	for _, b := range m.c.Agents {
		if b != a && b.Running() {
			other = b
		}
	}
	picket(m.t, 0, "members", "remove", a.ID, "--agent", string(other.HTTP))
	if err := a.Stop(patience); err != nil {
		m.t.Error(err)
	}
}

// failover kills the master, and brings it back as a replica.
func (m *membership) failover() {
	m.t.Helper()
	var old config.Addr
	m.await("a master is known", func(ctx context.Context) (err error) {
		for _, a := range m.c.Agents {
			if a.Running() {
				old, err = masterOf(ctx, a)
			}
		}
		return err
	})
	m.c.At(old).Kill()
	newMaster(m.t, m.c, old)
	if err := m.c.At(old).Start(); err != nil {
		m.t.Fatal(err)
	}
	m.await("the old master is back", func(ctx context.Context) error {
		for _, r := range m.c.Redis {
			if err := r.Client().Ping(ctx).Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err := m.c.AwaitSettled(patience, m.master()); err != nil {
		m.t.Error(err)
	}
}

func (m *membership) master() (addr config.Addr) {
	for _, a := range m.c.Agents {
		if a.Running() {
			addr, _ = masterOf(m.t.Context(), a) // AwaitSettled finds out if it is not
		}
	}
	return addr
}

func (m *membership) await(what string, condition func(context.Context) error) {
	m.t.Helper()
	if err := lab.Await(patience, what, condition); err != nil {
		m.t.Fatal(err)
	}
}

// watchLeader measures the longest time in which no agent says that it leads; the returned function ends it.
func (m *membership) watchLeader() func() (gap, late time.Duration) {
	ctx, stop := context.WithCancel(m.t.Context())
	var watching sync.WaitGroup
	var mu sync.Mutex
	var last time.Time
	var longest, slowest time.Duration
	for _, a := range m.c.Agents {
		watching.Go(func() {
			for lab.Pause(ctx, 5*time.Millisecond) {
				if !a.Running() {
					continue
				}
				asked := time.Now()
				p, err := a.Status(ctx)
				if err != nil {
					continue
				}
				mu.Lock()
				now := time.Now()
				slowest = max(slowest, now.Sub(asked))
				if p.Role == "leader" {
					if !last.IsZero() {
						longest = max(longest, now.Sub(last))
					}
					last = now
				}
				mu.Unlock()
			}
		})
	}
	return func() (time.Duration, time.Duration) {
		stop()
		watching.Wait()
		return longest, slowest
	}
}

// sentinelsAre compares what a client of the Sentinel protocol sees with the members.
func (m *membership) sentinelsAre(a *lab.Agent, members []*lab.Agent) {
	m.t.Helper()
	client := redis.NewSentinelClient(&redis.Options{Addr: string(a.Sentinel)})
	defer client.Close()
	m.await("the Sentinel view of "+a.ID, func(ctx context.Context) error {
		others, err := client.Sentinels(ctx, lab.MasterName).Result()
		if err != nil {
			return err
		}
		var ports []string
		for _, o := range others {
			ports = append(ports, o["port"])
		}
		for _, b := range members {
			if b != a && !strings.Contains(strings.Join(ports, " "), fmt.Sprint(b.Sentinel.Port())) {
				return fmt.Errorf("%s is missing among %v", b.ID, ports)
			}
		}
		master, err := client.Master(ctx, lab.MasterName).Result()
		if err != nil {
			return err
		}
		if want := fmt.Sprint(len(members) - 1); len(others) != len(members)-1 || master["num-other-sentinels"] != want {
			return fmt.Errorf("%d others are listed, num-other-sentinels is %s, want %s", len(others), master["num-other-sentinels"], want)
		}
		return nil
	})
}

// A lost disk does not come back as a voter; the agent is replaced under its own id.
func TestMembers_WipedDiskIsReplaced(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	m := &membership{t: t, c: c}
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := c.Agents[0]
	if lost == leader {
		lost = c.Agents[1]
	}
	door := cli.KV{Client: cli.At(leader.HTTP)}
	if _, err := door.Write(t.Context(), state.Write{Key: "k", Value: "v"}); err != nil {
		t.Fatal(err)
	}
	lost.Kill()
	if err := os.RemoveAll(lost.Dir); err != nil {
		t.Fatal(err)
	}
	if err := lost.Start(); err != nil {
		t.Fatal(err)
	}
	m.await("the agent says what to do", func(context.Context) error {
		text, err := os.ReadFile(lost.Log)
		if err == nil && !strings.Contains(string(text), "is a member with another disk") {
			err = errors.New("it does not")
		}
		return err
	})
	out := picket(t, 0, "members", "remove", lost.ID, "--agent", string(leader.HTTP))
	if strings.Contains(out, lost.ID+" ") {
		t.Errorf("after the removal:\n%s", out)
	}
	m.await("it votes again", func(ctx context.Context) error {
		list, err := cli.Members{Client: cli.At(leader.HTTP)}.List(ctx)
		if err != nil {
			return err
		}
		return voter(list.Members, lost.ID)
	})
	// What would leave no majority is refused, with the reason.
	for _, a := range c.Agents {
		if a != leader && a != lost {
			a.Kill()
		}
	}
	m.await("the leader misses it", func(ctx context.Context) error {
		list, err := cli.Members{Client: cli.At(leader.HTTP)}.List(ctx)
		for _, a := range list.Members {
			if !a.Up {
				return nil
			}
		}
		return errors.Join(err, errors.New("all are up"))
	})
	out = picket(t, 3, "members", "remove", lost.ID, "--agent", string(leader.HTTP))
	if !strings.Contains(out, "only 1 can be heard, and 2 are needed") {
		t.Errorf("a removal that leaves no majority: %s", out)
	}
}

func voter(members []picture.Agent, id string) error {
	for _, a := range members {
		if a.ID == id && a.Voter {
			return nil
		}
	}
	return fmt.Errorf("%s does not vote: %+v", id, members)
}
