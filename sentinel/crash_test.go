package sentinel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
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
	}
	name, counts := names[action.Kind]
	if !counts { // it only looks
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

// sabotaged is a group under a saboteur.
func sabotaged(t *testing.T) (*group, *saboteur) {
	s := &saboteur{counts: map[string]int{}, crashed: map[*Agent]bool{}}
	g := newGroup(t, s.adjust)
	s.crash = func(a *Agent) {
		for _, m := range g.members {
			if m.running() == a {
				m.crash()
			}
		}
	}
	return g, s
}

// crashPoints are all points that a failover of a crashed master passes.
func crashPoints(t *testing.T) []string {
	g, s := sabotaged(t)
	old := g.servers[0]
	s.watch("")
	old.Kill()
	g.settle(g.newMaster(old.Addr))
	points := s.points()
	for _, name := range []string{
		"commit of begin", "cut", "commit of promote", "promotion", "commit of switch", "follow", "commit of repoint", "commit of end",
	} {
		for _, when := range []string{"before ", "after "} {
			if !slices.ContainsFunc(points, func(p string) bool { return strings.HasPrefix(p, when+name) }) {
				t.Errorf("a failover does not pass %q: %v", when+name, points)
			}
		}
	}
	return points
}

// TestLeaderDies_BetweenAnyTwoSteps crashes the agent that runs a failover at each point in turn. The failover must be finished by another
// one, and nobody but the master may ever have been promoted.
func TestLeaderDies_BetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	points := crashPoints(t)
	const groups = 3 // side by side, each with its share of the points
	for i := range groups {
		t.Run(fmt.Sprint("group ", i+1), func(t *testing.T) {
			t.Parallel()
			g, s := sabotaged(t)
			for j := i; j < len(points); j += groups {
				leaderDies(t, g, s, points[j])
			}
		})
	}
}

func leaderDies(t *testing.T, g *group, s *saboteur, point string) {
	t.Helper()
	old := g.server(g.pictures()[0].Masters[0].Server.Addr)
	before := g.pictures()[0].Masters[0].Epoch
	s.watch(point)
	old.Kill()
	dead := g.fallen(s)
	t.Logf("%s: %s has died", point, dead.cfg.Agent.ID)
	dead.stop()
	next := g.newMaster(old.Addr)
	g.settle(next)
	s.mu.Lock()
	promoted := slices.Compact(slices.Sorted(slices.Values(s.promoted)))
	s.mu.Unlock()
	if len(promoted) != 1 || promoted[0] != next {
		t.Errorf("%s: %v were promoted, the master is %s", point, promoted, next)
	}
	if m := g.pictures()[0].Masters[0]; m.Epoch <= before || m.Last == nil || m.Last.Outcome != failover.Done {
		t.Errorf("%s: epoch %d, before %d; the failover ended as %+v", point, m.Epoch, before, m.Last)
	}
	dead.start()
	g.restart(old)
	g.settle(next)
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
		return fmt.Errorf("none has: %v", s.seen)
	})
	return found
}

// TestAgents_AllRestartWithinAFailover crashes the agent that runs a failover at some points, and the others with it.
func TestAgents_AllRestartWithinAFailover(t *testing.T) {
	t.Parallel()
	g, s := sabotaged(t)
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
