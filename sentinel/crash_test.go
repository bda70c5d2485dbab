package sentinel

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
)

// saboteur stands between the agents' runners and the world. It sees every commit and every action on a server, and crashes
// the agent that comes to a given point.
type saboteur struct {
	mu       sync.Mutex
	seen     []string // points, in order
	counts   map[string]int
	armed    string // the point at which an agent is crashed; empty: none
	crashed  map[*Agent]bool
	crash    func(*Agent)
	promoted []config.Addr // servers that were told to be masters
}

var errCrashed = errors.New("this agent is dead")

// watch begins a new count of points, at one of which an agent is to be crashed.
func (s *saboteur) watch(point string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.counts, s.armed, s.promoted = nil, map[string]int{}, point, nil
}

// pass is told before and after each operation. An error: the agent is dead, and the operation, or its result, is lost.
func (s *saboteur) pass(a *Agent, point string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed[a] {
		return errCrashed
	}
	s.counts[point]++
	point = fmt.Sprintf("%s #%d", point, s.counts[point])
	s.seen = append(s.seen, point)
	if point == s.armed {
		s.armed, s.crashed[a] = "", true
		s.crash(a)
		return errCrashed
	}
	return nil
}

func (s *saboteur) points() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// around carries out an operation between its two points.
func (s *saboteur) around(a *Agent, name string, operation func() error) error {
	if err := s.pass(a, "before "+name); err != nil {
		return err
	}
	err := operation()
	if lost := s.pass(a, "after "+name); lost != nil {
		return lost
	}
	return err
}

// adjust puts the saboteur around an agent's commits and actions.
func (s *saboteur) adjust(a *Agent) {
	crew, redis := a.crew, a.redis
	a.crew = func(t consensus.Term) failover.Env { return watchedEnv{crew(t), a, s} }
	a.redis = watchedRedis{redis, a, s}
}

type watchedEnv struct {
	failover.Env
	a *Agent
	s *saboteur
}

func (e watchedEnv) Commit(ctx context.Context, step failover.Step) error {
	names := map[failover.StepKind]string{
		failover.StepBegin: "begin", failover.StepResume: "resume", failover.StepPromote: "promote", failover.StepSwitch: "switch",
		failover.StepRepoint: "repoint", failover.StepEnd: "end", failover.StepAbort: "abort",
	}
	return e.s.around(e.a, "commit of "+names[step.Kind], func() error { return e.Env.Commit(ctx, step) })
}

type watchedRedis struct {
	failover.Redis
	a *Agent
	s *saboteur
}

func (r watchedRedis) Do(ctx context.Context, master string, action failover.Action) (o *monitor.Observation, remark string, err error) {
	names := map[failover.ActionKind]string{
		failover.Cut: "cut", failover.Promote: "promotion", failover.Follow: "follow", failover.Hold: "hold", failover.Release: "release",
		failover.Persist: "rewrite", failover.Fence: "fence",
	}
	name, counts := names[action.Kind]
	if !counts || action.Kind == failover.Fence && !action.Quiet { // it only looks, or it is a sidecar that fences
		return r.Redis.Do(ctx, master, action)
	}
	err = r.s.around(r.a, name, func() error {
		if action.Kind == failover.Promote {
			r.s.mu.Lock()
			r.s.promoted = append(r.s.promoted, action.Server)
			r.s.mu.Unlock()
		}
		var err error
		o, remark, err = r.Redis.Do(ctx, master, action)
		return err
	})
	return o, remark, err
}

// sabotaged is a group under a saboteur; lease: zero, or how long agents may get no time.
func sabotaged(t *testing.T, lease time.Duration) (*group, *saboteur) {
	s := &saboteur{counts: map[string]int{}, crashed: map[*Agent]bool{}}
	l, g := newServers(t)
	g.lease = lease
	g.startAgents(l, s.adjust)
	s.crash = func(a *Agent) {
		for _, m := range g.members {
			if m.running() == a {
				m.crash()
			}
		}
	}
	return g, s
}

// crashes and handsOver are the two ways to start a failover. They return what must be undone before the next one.
func crashes(g *group, old *lab.Redis) (undo func()) {
	old.Kill()
	return func() { g.restart(old) }
}

func handsOver(g *group, _ *lab.Redis) (undo func()) {
	a := g.members[0].running()
	var asking sync.WaitGroup
	asking.Go(func() { // ends within seconds
		if err := a.Failover(context.Background(), master); err != nil {
			g.t.Logf("ordered, but %v", err) // as it must when this agent is the one to die
		}
	})
	return asking.Wait
}

// pointsOf gives all points that a failover passes, and checks that there are those of the named operations.
func pointsOf(t *testing.T, lease time.Duration, begin func(*group, *lab.Redis) func(), operations ...string) []string {
	g, s := sabotaged(t, lease)
	points := g.undisturbed(s, begin)
	for _, name := range operations {
		for _, when := range []string{"before ", "after "} {
			if !slices.ContainsFunc(points, func(p string) bool { return strings.HasPrefix(p, when+name) }) {
				t.Errorf("a failover does not pass %q: %v", when+name, points)
			}
		}
	}
	// A replica that the agent beside it has kept from the dead master is cut a second time, or not: that depends on who is faster.
	return slices.DeleteFunc(points, regexp.MustCompile(`cut #([3-9]|..+)$`).MatchString)
}

// undisturbed gives the points of a failover that one agent carried out from its beginning to its end. On a busy machine another may have to go on with it,
// by steps that no other failover need have.
func (g *group) undisturbed(s *saboteur, begin func(*group, *lab.Redis) func()) []string {
	g.t.Helper()
	for range 5 {
		old := g.server(g.pictures()[0].Masters[0].Server.Addr)
		s.watch("")
		undo := begin(g, old)
		next := g.newMaster(old.Addr)
		g.settle(next)
		points := s.points()
		if !slices.ContainsFunc(points, func(p string) bool {
			return strings.Contains(p, "commit of resume") || strings.Contains(p, "commit of abort")
		}) {
			return points
		}
		undo()
		g.settle(next)
	}
	g.t.Fatal("in each of five failovers the leader changed, although nobody crashed")
	return nil
}

// spread runs f for all points, in some groups side by side.
func spread(t *testing.T, lease time.Duration, points []string, f func(g *group, s *saboteur, point string)) {
	const groups = 3
	for i := range groups {
		t.Run(fmt.Sprint("group ", i+1), func(t *testing.T) {
			t.Parallel()
			g, s := sabotaged(t, lease)
			for j := i; j < len(points); j += groups {
				f(g, s, points[j])
			}
		})
	}
}

// TestLeaderDies_BetweenAnyTwoSteps crashes the agent that runs a failover at each point in turn. The others must finish it, or roll it
// back and begin another, and nobody but the new master may ever have been promoted.
func TestLeaderDies_BetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	points := pointsOf(t, 0, crashes, "commit of begin", "cut", "commit of promote", "promotion", "commit of switch", "follow",
		"commit of repoint", "commit of end")
	spread(t, 0, points, func(g *group, s *saboteur, point string) { g.leaderDies(s, point, crashes) })
}

// TestLeaderDies_WithinAHandOver does the same to the failover of a healthy master. It may be rolled back as well; in any case
// writers are not held for ever, and the server's configuration is what it was.
func TestLeaderDies_WithinAHandOver(t *testing.T) {
	t.Parallel()
	const lease = 2 * time.Second // a master that its own agent has fenced is not fenced again: that point would never come
	points := pointsOf(t, lease, handsOver, "commit of begin", "commit of promote", "hold", "fence", "promotion", "commit of switch", "follow", "commit of end")
	points = slices.DeleteFunc(points, func(p string) bool { return p == "before commit of begin #1" }) // nobody would know of the wish
	spread(t, lease, points, func(g *group, s *saboteur, point string) {
		g.leaderDies(s, point, handsOver)
		for _, r := range g.servers {
			client := r.Client()
			g.await("nothing is left of it", func(ctx context.Context) error { // an agent that gets no time may fence meanwhile
				got, err := client.ConfigGet(ctx, "min-replicas-to-write").Result()
				if err != nil || got["min-replicas-to-write"] != "0" {
					return fmt.Errorf("%s: %s has %v, %v", point, r.Name, got, err)
				}
				if r.Addr == g.pictures()[0].Masters[0].Server.Addr {
					return client.Set(ctx, "written", point, 0).Err()
				}
				return nil
			})
			_ = client.Close() // nothing is under way
		}
	})
}

// leaderDies has a failover begin, crashes the agent that comes to the point, and waits until the others have put all right.
func (g *group) leaderDies(s *saboteur, point string, begin func(*group, *lab.Redis) func()) {
	g.t.Helper()
	before := g.pictures()[0].Masters[0]
	old := g.server(before.Server.Addr)
	s.watch(point)
	undo := begin(g, old)
	dead := g.fallen(s)
	g.t.Logf("%s: %s has died", point, dead.cfg.Agent.ID)
	dead.stop()
	now := g.ended(before, old.Running())
	g.settle(now.Server.Addr)
	s.mu.Lock()
	promoted := slices.Compact(slices.Sorted(slices.Values(s.promoted)))
	s.mu.Unlock()
	switch last := now.Last; {
	case last.Outcome == failover.Done && (!slices.Equal(promoted, []config.Addr{now.Server.Addr}) || now.Epoch <= before.Epoch):
		g.t.Errorf("%s: %v were promoted, the master is %s in epoch %d, before %d", point, promoted, now.Server.Addr, now.Epoch, before.Epoch)
	case last.Outcome == failover.Aborted && (len(promoted) > 0 || now.Server.Addr != old.Addr):
		g.t.Errorf("%s: rolled back, but %v were promoted, and the master is %s", point, promoted, now.Server.Addr)
	}
	dead.start()
	undo()
	g.settle(now.Server.Addr)
}

// ended waits until all running agents know the same end of a failover later than the given one. If it may be rolled back, that is
// an end as well.
func (g *group) ended(before picture.Master, rollback bool) (now picture.Master) {
	g.t.Helper()
	g.await("the failover has ended", func(context.Context) error {
		now = picture.Master{}
		for _, p := range g.pictures() {
			m := p.Masters[0]
			switch {
			case m.Last == nil, before.Last != nil && m.Last.ID == before.Last.ID, m.Last.Outcome == failover.Aborted && !rollback:
				return fmt.Errorf("%s: running %+v, last %+v", p.Agent, m.Failover, m.Last)
			case now.Last != nil && now.Last.ID != m.Last.ID:
				return fmt.Errorf("%s: last is %d, not %d", p.Agent, m.Last.ID, now.Last.ID)
			}
			now = m
		}
		return nil
	})
	return now
}

// fallen waits until an agent has been crashed.
func (g *group) fallen(s *saboteur) *member {
	g.t.Helper()
	var found *member
	g.await("an agent comes to the point", func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, m := range g.members {
			if s.crashed[m.running()] {
				found = m
				return nil
			}
		}
		return fmt.Errorf("none has come to %s: %v", s.armed, s.seen)
	})
	return found
}

// TestAgents_AllRestartWithinAFailover crashes the agent that runs a failover at some points, and the others with it.
func TestAgents_AllRestartWithinAFailover(t *testing.T) {
	t.Parallel()
	g, s := sabotaged(t, 0)
	for _, point := range []string{"after commit of begin #1", "after commit of promote #1", "after promotion #1", "after commit of switch #1"} {
		old := g.server(g.pictures()[0].Masters[0].Server.Addr)
		s.watch(point)
		old.Kill()
		g.fallen(s)
		for _, m := range g.members {
			m.stop()
		}
		for _, m := range g.members {
			m.start()
		}
		next := g.newMaster(old.Addr)
		g.restart(old)
		g.settle(next)
	}
}
