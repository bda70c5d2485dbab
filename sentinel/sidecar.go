package sentinel

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// sidecar keeps watch over the Redis beside this agent: it renews the lease of a master, and fences one that must not take writes. What
// failover.Guard orders, it carries out. Its fields belong to its goroutine; others post functions to its inbox.
type sidecar struct {
	a         *Agent
	inbox     chan func(*sidecar)
	guard     *failover.Guard
	stand     atomic.Pointer[picture.Lease] // for the doors
	beside    atomic.Pointer[api.Beside]    // for load balancers
	confirmed time.Time                     // all that was committed up to then is known here
	proofs    map[config.Addr]time.Time     // until when a replica's word counts
	left      time.Time                     // a replica was asked last that does not follow
	busy      map[string]bool               // what is under way, by name
	pauses    map[string]time.Time          // what has failed is not tried again before
	released  time.Time                     // the latest time that the others were told of a release
	gone      string                        // run id of the process that was ended, so that it is done once
	failures  int                           // to fence the server, in a row
	why       string                        // the server is fenced
	last      failover.Post                 // the latest
	master    *monitor.Observation          // of the master, when that was made; nil: none
	strange   int                           // looks at the server that were in vain: it is none that is watched
}

const (
	// sidecarInbox bounds what waits for the sidecar; what is lost is repeated.
	sidecarInbox = 256
	// fenceLimit bounds a try to fence or to release the server; where it answers at all it takes no time.
	fenceLimit = 500 * time.Millisecond
	// fencePause separates tries that failed.
	fencePause = 100 * time.Millisecond
	// confirmLimit bounds the question what is committed.
	confirmLimit = time.Second
	// releaseEvery is how often a release is told again: each telling may be lost.
	releaseEvery = 250 * time.Millisecond
	// seekEvery is how often it is seen whether there is something to do, while the group does not know the Redis.
	seekEvery = 100 * time.Millisecond
	// warm is how often the connection is used over which a server that hangs is fenced, and left a fence if it wants TLS.
	warm = time.Second
)

func newSidecar(a *Agent) *sidecar {
	s := &sidecar{
		a: a, inbox: make(chan func(*sidecar), sidecarInbox), guard: failover.NewGuard(a.now()),
		proofs: map[config.Addr]time.Time{}, busy: map[string]bool{}, pauses: map[string]time.Time{},
	}
	s.stand.Store(&picture.Lease{})
	s.beside.Store(&api.Beside{})
	return s
}

// run looks after the server until ctx ends.
func (s *sidecar) run(ctx context.Context) {
	if s.a.cfg.Local == "" {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		changed := s.a.machine.Changed()
		next := s.round(ctx)
		timer := time.NewTimer(max(time.Millisecond, next.Sub(s.a.now())))
		select {
		case <-ctx.Done():
		case <-changed:
		case post := <-s.inbox:
			post(s)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// offer has the sidecar run f, unless too much waits.
func (s *sidecar) offer(f func(*sidecar)) {
	select {
	case s.inbox <- f:
	default:
	}
}

// round looks at the server once and does what is to be done. It says when to look again.
func (s *sidecar) round(ctx context.Context) time.Time {
	for range len(s.inbox) {
		(<-s.inbox)(s)
	}
	now := s.a.now()
	m := s.a.machine.State().Owner(s.a.local())
	if m == nil {
		s.beside.Store(&api.Beside{})
		s.dismissed(ctx)
		s.locate(ctx)
		return now.Add(seekEvery)
	}
	if s.a.settings(m) == nil {
		return now.Add(locateEvery)
	}
	p := s.post(now, m)
	s.last = p
	orders := s.guard.Next(p)
	s.show(p)
	s.stands(p, m, orders)
	if orders.Ask {
		s.ask(p)
	}
	if why, _ := s.guard.Released(); orders.Release || why != "" && p.Master == p.Server.Addr && now.Sub(s.released) >= releaseEvery {
		s.release(p)
	}
	if orders.Prove {
		s.prove(ctx, m)
	}
	if orders.Confirm {
		s.confirm(ctx)
	}
	s.forsake(ctx, m)
	if orders.Fence == "" {
		s.failures = 0
	}
	switch {
	case orders.Fence != "":
		s.fence(ctx, p, orders.Fence)
	case orders.Unfence:
		s.unfence(ctx, p)
	default:
		s.try("warm", warm, func() error { return s.do(ctx, p.Name, failover.Action{Kind: failover.Read}) })
	}
	return orders.Look
}

// dismissed lets a master take writes again that nobody watches any more: it was removed while it was fenced.
func (s *sidecar) dismissed(ctx context.Context) {
	if s.why != "" && abandoned(s.a.machine.State(), s.last) {
		s.unfence(ctx, s.last)
	}
}

// abandoned says whether a server that is not known any more was the master to the last. Where the master's name is still known, the server may have been
// replaced, and forgotten, since it was looked at.
func abandoned(s *state.State, last failover.Post) bool {
	return last.Master == last.Server.Addr && s.Master(last.Name) == nil
}

// post is what is known of the server now.
func (s *sidecar) post(now time.Time, m *state.Master) failover.Post {
	view := s.a.monitor.View()
	s.master = view.Servers[m.Addr].Last
	p := failover.Post{
		Now: now, Server: view.Servers[s.a.local()], Name: m.Name, Settings: s.a.settings(m), Master: m.Addr, RunID: m.RunID(),
		Record: m.Failover, Confirmed: s.confirmed, Left: s.left,
	}
	p.Foreign = len(failover.Feared(view, p.Settings, m.Addr, m.Replicas)) > 0
	p.Proven = now.Add(failover.ProofFor(p.Settings.Lease))
	for _, r := range followers(m, p.Server.Last) {
		if proof := s.proofs[r]; proof.Before(p.Proven) {
			p.Proven = proof
		}
	}
	return p
}

// followers lists the replicas that are known by agreement, or because the server itself lists them.
func followers(m *state.Master, server *monitor.Observation) []config.Addr {
	all := slices.Clone(m.Replicas)
	if server != nil {
		for _, r := range server.Replicas {
			all = append(all, r.Server)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ask begins a round of the lease. This agent's own promise is asked for like everybody's.
func (s *sidecar) ask(p failover.Post) {
	voters, electorate := s.a.peers.voters()
	n := note{
		Kind: noteAsk, Server: p.Server.Addr, Boot: s.a.identity.Boot, Round: s.guard.Lease().Ask(p.Now), Span: p.Settings.Lease, Electorate: electorate,
	}
	for _, id := range voters {
		if string(id) != s.a.cfg.Agent.ID {
			s.a.whisper(n, id)
		} else if s.a.promise(id, n) {
			s.count(string(id), n)
		}
	}
}

// promised takes in a peer's promise.
func (s *sidecar) promised(from string, n note) {
	s.offer(func(s *sidecar) { s.count(from, n) })
}

func (s *sidecar) count(from string, n note) {
	voters, electorate := s.a.peers.voters()
	if n.Boot != s.a.identity.Boot || n.Server != s.a.local() || n.Electorate != electorate {
		return
	}
	ids := make([]string, len(voters))
	for i, id := range voters {
		ids[i] = string(id)
	}
	lease := s.guard.Lease()
	sent, open := lease.Sent(n.Round)
	until := lease.Until()
	lease.Answered(n.Round, from, ids, n.Span)
	if took := s.a.now().Sub(sent); open {
		if from != s.a.cfg.Agent.ID {
			s.a.metrics.Promised(from, took)
		}
		if lease.Until() != until {
			s.a.metrics.Renewed(took)
		}
	}
}

// release tells everybody that nobody need wait for the lease.
func (s *sidecar) release(p failover.Post) {
	s.released = p.Now
	why, round := s.guard.Released()
	n := note{Kind: noteRelease, Server: p.Server.Addr, Boot: s.a.identity.Boot, Round: round, Why: why[:min(len(why), maxWhy)]}
	voters, _ := s.a.peers.voters()
	for _, id := range voters {
		if string(id) != s.a.cfg.Agent.ID {
			s.a.whisper(n, id)
		} else {
			s.a.released(id, n)
		}
	}
}

// prove has every replica say whom it follows. The word counts from when it was asked for.
func (s *sidecar) prove(ctx context.Context, m *state.Master) {
	settings := s.a.settings(m)
	span := failover.ProofFor(settings.Lease)
	for _, r := range followers(m, s.a.monitor.View().Servers[s.a.local()].Last) {
		asked := s.a.now()
		s.work("prove "+string(r), func() error {
			ctx, cancel := context.WithTimeout(ctx, span)
			defer cancel()
			o, _, err := s.a.redis.Do(ctx, m.Name, failover.Action{Kind: failover.Read, Server: r})
			switch {
			case err != nil: // no proof
			case o.Role != "slave" || o.Master != m.Addr:
				s.offer(func(s *sidecar) { s.left = asked })
			default:
				s.offer(func(s *sidecar) { s.proofs[r] = asked.Add(span) })
			}
			return nil
		})
	}
}

// confirm finds out all that is committed up to now.
func (s *sidecar) confirm(ctx context.Context) {
	asked := s.a.now()
	s.try("confirm", fencePause, func() error {
		ctx, cancel := context.WithTimeout(ctx, confirmLimit)
		defer cancel()
		err := s.a.node.Barrier(ctx)
		if err == nil {
			s.offer(func(s *sidecar) { s.confirmed = asked })
		}
		return err
	})
}

// fence has the server refuse writes. One that does not answer, or that may hang already, is left a fence, whatever else is under way: it finds it
// when it wakes up, unless it is ended before.
func (s *sidecar) fence(ctx context.Context, p failover.Post, why string) {
	hangs := p.Server.State == monitor.Down
	if !hangs && p.Server.Suspect {
		s.try("leave a fence", fenceLimit, func() error { return s.do(ctx, p.Name, blind(p)) })
	}
	name, a := "fence", failover.Action{Kind: failover.Fence}
	if hangs {
		name, a = "fence blindly", blind(p)
	}
	s.try(name, fencePause, func() error {
		err := s.do(ctx, p.Name, a)
		s.a.herald.fenced(p.Name, p.Server.Addr, why, err)
		switch {
		case err == nil:
			s.offer(func(s *sidecar) { s.why, s.failures = why, 0 })
		case ctx.Err() == nil:
			s.offer(func(s *sidecar) { s.failed(ctx, p, why) })
		}
		return err
	})
}

// hopeless is how many tries to fence a server must fail until it is ended, although it seems to be up: one may have met a moment at which it
// forks, or a connection that was just closed.
const hopeless = 2

// failed: the server could not be fenced.
func (s *sidecar) failed(ctx context.Context, p failover.Post, why string) {
	if s.failures++; s.failures >= hopeless || p.Server.State == monitor.Down {
		s.end(ctx, p, why)
	}
}

// blind is a fence for a server that does not answer.
func blind(p failover.Post) failover.Action {
	return failover.Action{Kind: failover.BlindFence, Fence: p.Server.Last.Fence}
}

// end is the last resort, as the configuration has it; once for a process, if it succeeds.
func (s *sidecar) end(ctx context.Context, p failover.Post, why string) {
	runID := p.Server.Last.RunID
	if s.gone == runID {
		return
	}
	s.work("end", func() error {
		err := terminate(ctx, s.a.current().Fence, victim{p.Name, s.a.cfg.Local, runID, p.Server.Last.PID, why})
		s.a.herald.ended(p.Name, p.Server.Addr, err)
		if err == nil || errors.Is(err, errNoLastResort) {
			s.offer(func(s *sidecar) { s.gone = runID })
		}
		return nil
	})
}

func (s *sidecar) unfence(ctx context.Context, p failover.Post) {
	s.try("unfence", fencePause, func() error {
		err := s.do(ctx, p.Name, failover.Action{Kind: failover.Unfence})
		s.a.herald.unfenced(p.Name, p.Server.Addr, err)
		if err == nil {
			s.offer(func(s *sidecar) { s.why = "" })
		}
		return err
	})
}

// do acts on the server, and has the monitor see what became of it.
func (s *sidecar) do(ctx context.Context, master string, a failover.Action) error {
	ctx, cancel := context.WithTimeout(ctx, fenceLimit)
	defer cancel()
	a.Server = s.a.local()
	if _, _, err := s.a.redis.Do(ctx, master, a); err != nil || a.Kind == failover.Read {
		return err
	}
	_, _ = s.a.monitor.Refresh(ctx, a.Server) // whose connection may have been among those that were closed; it makes another one
	return nil
}

// try does something unless it is under way, or was tried less than the pause ago.
func (s *sidecar) try(name string, pause time.Duration, f func() error) {
	if now := s.a.now(); !now.Before(s.pauses[name]) && !s.busy[name] {
		s.pauses[name] = now.Add(pause)
		s.work(name, f)
	}
}

// work does something in a goroutine of its own, unless it is under way; the agent waits for it.
func (s *sidecar) work(name string, f func() error) {
	if s.busy[name] {
		return
	}
	s.busy[name] = true
	s.a.workers.Go(func() { // ends within its own limit
		_ = f() // who does it has told
		select {
		case s.inbox <- func(s *sidecar) { delete(s.busy, name) }:
		case <-s.a.settled:
		}
	})
}

// lease is how this agent stands to its Redis; nil: it has none that the group knows.
func (s *sidecar) lease() *picture.Lease {
	if lease := s.stand.Load(); lease.Server != "" {
		return lease
	}
	return nil
}

// show tells the doors how the lease stands.
func (s *sidecar) show(p failover.Post) {
	released, _ := s.guard.Released()
	lease := &picture.Lease{Server: p.Server.Addr, Master: p.Name, Fenced: s.why, Released: released}
	if until := s.guard.Lease().Until(); s.guard.Lease().Held(p.Now) {
		lease.Until = until
	}
	s.stand.Store(lease)
}
