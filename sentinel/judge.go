package sentinel

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// judge is the state of the goroutine that decides what happens next. Nobody else touches it; others post functions
// to its inbox, and may read the judgement that it publishes.
type judge struct {
	a         *Agent
	agenda    *agenda
	now       judgement
	watched   *state.State           // whose servers the monitor watches
	by        *ownValues             // and with which of this agent's own settings
	file      *config.Config         // and with which of the file's
	attended  []config.Addr          // and which it looks at closely
	standing  bool                   // an election that this agent stands in is not decided yet
	beginning map[string]time.Time   // masters whose failover is being begun: not to be tried again before
	reign     *reign                 // nil: this agent does not lead
	well      map[string]config.Addr // masters that are noted to be well
	present   rollCall
	due       time.Time // a promise ends, for which something waits; zero: none
}

// judgement is what the judge thinks of the masters, by name. It is immutable once published.
type judgement struct {
	at      time.Time
	masters map[string]judged
}

// judged is what the judge thinks of one master.
type judged struct {
	addr    config.Addr // the server that is judged
	verdict monitor.Verdict
	odown   time.Time         // objectively down since; zero: it is not
	foreign []monitor.Foreign // other coordinators of it
	blocker *failover.Blocker // why nothing is done about it; nil: nothing is wrong, or something is done
	blocked time.Time         // since when, for that reason
	bare    time.Time         // no agent is beside it since; zero: one is, or none is needed
	warned  bool              // that it is bare
}

// look is what one round looks at.
type look struct {
	now     time.Time
	state   *state.State    // all that the status says is applied is in it
	masters []*state.Master // that this agent's file names
	view    monitor.View
	status  consensus.Status
	peers   map[consensus.ServerID]peer
}

// idle is how long the judge rests at most; what depends on time alone is seen this late.
const idle = 100 * time.Millisecond

// lull is how long the judge does not listen to the monitor after a round in which all was well.
const lull = 10 * time.Millisecond

// beginTimeout bounds the commit of a failover's first step.
const beginTimeout = 2 * time.Second

// decide runs the judge until ctx ends.
func (a *Agent) decide(ctx context.Context) {
	j := &judge{a: a, agenda: newAgenda(), beginning: map[string]time.Time{}, well: map[string]config.Addr{}}
	defer close(a.settled)
	defer j.abdicate()
	for ctx.Err() == nil {
		changed := a.machine.Changed()
		a.bell.ring()
		next := j.round(ctx)
		if !j.calm() || j.wait(ctx, changed, nil, lull) {
			j.wait(ctx, changed, a.wake, next)
		}
	}
}

// wait returns when something has happened, or when the time has passed; then it returns true.
func (j *judge) wait(ctx context.Context, changed, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-wake:
	case post := <-j.a.inbox:
		post(j)
	case <-timer.C:
		return true
	}
	return false
}

// calm says whether all is well. Then the many small things that are seen all the time, like every answer of every server, are
// looked at together after a lull.
func (j *judge) calm() bool {
	for _, m := range j.now.masters {
		if m.verdict.Code != monitor.Healthy {
			return false
		}
	}
	return len(j.agenda.wants) == 0 && (j.reign == nil || len(j.reign.running) == 0)
}

// round looks at everything once, does what is to be done, and says when to look again at the latest.
func (j *judge) round(ctx context.Context) time.Duration {
	l := j.a.look()
	j.hear() // whoever stands for election: what the status shows was posted before
	status := l.status
	j.a.status.Store(&status)
	j.weigh(l)
	for id, silent := range j.present.listen(l) {
		j.a.herald.silent(string(id), silent)
	}
	j.watch(l)
	j.rule(ctx, l)
	suspects := false
	j.due = time.Time{}
	for _, m := range l.masters {
		purpose := j.need(ctx, l, m)
		j.agenda.set(m.Name, purpose, l.now)
		suspects = suspects || purpose == "" && j.suspect(l, m)
	}
	for _, m := range l.masters {
		j.explain(l, m)
	}
	j.publish()
	next := j.campaign(ctx, l, suspects)
	if !j.due.IsZero() {
		next = min(next, max(j.due.Sub(l.now), time.Millisecond))
	}
	return next
}

// hear does what others have posted.
func (j *judge) hear() {
	for {
		select {
		case post := <-j.a.inbox:
			post(j)
		default:
			return
		}
	}
}

// look takes in the picture of this moment.
func (a *Agent) look() look {
	status := a.node.Status()
	s := a.machine.State()
	return look{
		now: a.now(), state: s, masters: a.managed(s), view: a.monitor.View(), status: status, peers: a.peers.all(),
	}
}

// weigh judges every master and tells what is different from the last time.
func (j *judge) weigh(l look) {
	was := j.now.masters
	j.now = judgement{at: l.now, masters: make(map[string]judged, len(l.masters))}
	for _, m := range l.masters {
		before := was[m.Name]
		if before.addr != m.Addr {
			before = judged{addr: m.Addr, foreign: before.foreign} // another server: nothing is known of it yet
		}
		now := before
		now.verdict = j.a.verdict(l, m)
		switch {
		case !now.verdict.ObjectivelyDown:
			now.odown = time.Time{}
		case now.odown.IsZero():
			now.odown = l.now
		}
		now.foreign = failover.Foreign(l.view, m.Addr, m.Replicas)
		j.bare(l, m, &now)
		j.now.masters[m.Name] = now
		j.a.herald.foreign(m.Name, before.foreign, now.foreign)
		j.a.herald.verdict(j.a.herald.owner(m, m.Addr), before.verdict, now.verdict)
	}
}

// bareFor is how long a master may be without an agent beside it until that is told: agents make themselves known one after the other.
const bareFor = 5 * time.Second

// bare notes since when no agent is beside a master that is to be fenced when it is cut off.
func (j *judge) bare(l look, m *state.Master, now *judged) {
	switch {
	case j.a.settings(m).LeaseLoss == config.LeaseOff || l.state.Beside(m.Addr) != nil:
		now.bare, now.warned = time.Time{}, false
	case now.bare.IsZero():
		now.bare = l.now
	case !now.warned && l.now.Sub(now.bare) >= bareFor:
		now.warned = true
		j.a.herald.unguarded(m.Name, m.Addr)
	}
}

// publish makes the judgement known to the doors and to the veto.
func (j *judge) publish() {
	j.a.judgement.Store(&judgement{at: j.now.at, masters: maps.Clone(j.now.masters)})
}

// watch tells the monitor which servers matter, and which matter now.
func (j *judge) watch(l look) {
	if own := j.a.rules.own.values.Load(); l.state != j.watched || own != j.by || j.a.current() != j.file {
		j.watched, j.by, j.file = l.state, own, j.a.current()
		j.a.know(l.state)
		j.a.monitor.Watch(j.a.targets(l.state))
		j.tidy(l)
	}
	if servers := attended(l.masters, j.now.masters, l.view); !slices.Equal(servers, j.attended) {
		j.attended = servers
		j.a.monitor.Attend(servers)
	}
}

// tidy forgets what was kept for masters that were removed.
func (j *judge) tidy(l look) {
	gone := func(name string) bool { return l.master(name) == nil }
	j.agenda.forget(gone)
	maps.DeleteFunc(j.beginning, func(name string, _ time.Time) bool { return gone(name) })
	j.a.diary.forget(gone)
	j.a.ledger.forget(gone, l.status.Applied)
	err := j.a.rules.own.prune(l.state, uint64(l.status.Applied))
	j.a.herald.failed(context.Background(), "forget what was set for a master that was removed", "", err)
}

// block notes what keeps a master from being failed over; nil: nothing does.
func (j *judge) block(master string, b *failover.Blocker) {
	m := j.now.masters[master]
	j.a.herald.blocker(master, m.blocker, b)
	if b != nil && (m.blocker == nil || m.blocker.Reason != b.Reason) {
		m.blocked = j.now.at
	}
	m.blocker = b
	j.now.masters[master] = m
}

// need says what a master needs a leader to be elected for, and notes what is in the way.
func (j *judge) need(ctx context.Context, l look, m *state.Master) purpose {
	v := j.now.masters[m.Name].verdict
	switch {
	case j.a.shadow():
		return j.imagine(ctx, l, m)
	case m.Failover != nil:
		return j.resume(l, m)
	case !v.ObjectivelyDown:
		j.block(m.Name, failover.Doubted(v))
		return ""
	}
	p, blocker := j.replace(ctx, l, m)
	j.block(m.Name, blocker)
	return p
}

// resume says whether a failover that has begun needs a new leader. Its own leader knows what is in its way, as the runner says; the others guess.
func (j *judge) resume(l look, m *state.Master) purpose {
	if l.status.Role == consensus.Leader {
		return ""
	}
	j.block(m.Name, failover.Stuck(j.a.situation(l, m, l.status.Term)))
	if l.leaderGone(indulgence(j.a.cfg.Agent.ElectionTimeout, len(m.Failover.Leaders))) {
		return forResume
	}
	return ""
}

// indulgence is the election timeout by which the leader of a failover is judged, doubled for each one that it had before: where machines are busy, whoever
// is hurried never comes to the end.
func indulgence(electionTimeout time.Duration, leaders int) time.Duration {
	return electionTimeout << min(max(leaders-1, 0), maxTurn)
}

// replace is what a master needs that is objectively down. Where this agent leads a term that was won for the master it needs no other
// election: the failover begins.
func (j *judge) replace(ctx context.Context, l look, m *state.Master) (purpose, *failover.Blocker) {
	blocker := failover.MayBegin(j.a.situation(l, m, l.status.Term), failover.CauseDown, m.Last)
	switch {
	case blocker != nil && blocker.Reason == failover.ReasonHook && l.leaderGone(j.a.cfg.Agent.ElectionTimeout):
		// Nobody waits for the answer any more.
	case blocker != nil:
		return "", blocker
	case l.now.Before(j.beginning[m.Name]):
		return "", nil
	case j.wonFor(l, m):
		j.begin(l.status.Term, m)
		return "", nil
	case l.gaveUp(m):
		return "", nil
	}
	if blocker = j.waits(m); blocker != nil {
		return "", blocker
	}
	if !l.electorate(j.a.cfg.Agent.ElectionTimeout).majority() {
		b := failover.NoMajority()
		return forDown, &b // it is elected as soon as enough agents are back
	}
	return forDown, nil
}

// waits says whether this agent has promised to wait; nil: it has not. Standing for election would only raise the term.
func (j *judge) waits(m *state.Master) *failover.Blocker {
	until, why := j.a.bound(m)
	if why == "" {
		return nil
	}
	j.due = earliest(j.due, until)
	return &failover.Blocker{Reason: reasonLease, Text: why, Remedy: "it passes by itself"}
}

// reasonLease blocks a failover for some hundred milliseconds.
const reasonLease = "lease"

// earliest ignores what is zero.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// suspect says whether a master began to look dead just now, so that it may soon need the same election as others.
func (j *judge) suspect(l look, m *state.Master) bool {
	s := l.view.Servers[m.Addr]
	return s.Suspect && !s.Lost.IsZero() && l.now.Sub(s.Lost) < j.a.settings(m).CrashGrace+gather
}

// othersFirst is how long a leader whose attempt was given up leaves the next one to the other agents.
const othersFirst = 2 * time.Second

// gaveUp says whether this agent just led an attempt that came to nothing: perhaps only it can't reach the replicas.
func (l look) gaveUp(m *state.Master) bool {
	return l.status.Role == consensus.Leader && m.Last != nil && m.Last.Outcome == failover.Aborted &&
		m.Last.Epoch == uint64(l.status.Term) && l.now.Sub(m.Last.EndAt.Time()) < othersFirst
}

// wonFor says whether this agent leads a term that was won for the master, after it was found down: an older victory, in
// which the voters were not asked about this failure, does not count.
func (j *judge) wonFor(l look, m *state.Master) bool {
	r := electedFor(l.status.Reason)
	return j.reign != nil && uint64(j.reign.term) > m.LastEpoch() && r.purpose == forDown && r.names(m.Name) &&
		!j.reign.since.Before(j.now.masters[m.Name].odown)
}

// leaderGone says whether the leader is lost to this agent: unknown, disconnected, or silent for half of the time
// after which an ordinary election would come anyway.
func (l look) leaderGone(electionTimeout time.Duration) bool {
	if l.status.Leader == l.status.ID {
		return false
	}
	contact, heard := l.status.Contact[l.status.Leader]
	return l.status.Leader == "" || !l.peers[l.status.Leader].connected || heard && contact > electionTimeout/2
}

// electorate is the group as it looks now.
func (l look) electorate(electionTimeout time.Duration) electorate {
	e := electorate{self: l.status.ID, voters: l.status.Voters(), leader: l.status.Leader, reachable: map[consensus.ServerID]bool{}}
	for id, p := range l.peers {
		e.reachable[id] = p.connected
	}
	if l.leaderGone(electionTimeout) {
		e.leader = ""
	}
	return e
}

// campaign stands for election if it is this agent's turn, and says how long nothing has to be done otherwise.
func (j *judge) campaign(ctx context.Context, l look, suspects bool) time.Duration {
	e := l.electorate(j.a.cfg.Agent.ElectionTimeout)
	if j.standing || !e.majority() {
		return idle
	}
	r, next, ok := j.agenda.due(l.now, e.rank(), suspects)
	switch {
	case ok:
		if r.purpose == forDown {
			r.masters = j.asked(l, r.masters)
		}
		j.stand(ctx, r)
	case !next.IsZero():
		return min(idle, next.Sub(l.now))
	}
	return idle
}

// asked adds the masters of which a program is being asked whether they may be failed over. The election interrupts that. If each needed one of its own next, which interrupts
// what is asked for the others, and programs take longer than elections, no answer would ever be heard. Where an election was lost they are left out: somebody may have refused to vote for
// one of them.
func (j *judge) asked(l look, masters []string) []string {
	if slices.ContainsFunc(masters, func(name string) bool { return !j.agenda.losses[name].over(l.now) }) {
		return masters
	}
	for _, m := range l.masters {
		b := j.now.masters[m.Name].blocker
		if b != nil && b.Reason == failover.ReasonHook && !slices.Contains(masters, m.Name) && j.waits(m) == nil {
			masters = append(masters, m.Name)
		}
	}
	slices.Sort(masters)
	return masters
}

// stand holds an election. Its goroutine ends when it is decided.
func (j *judge) stand(ctx context.Context, r reason) {
	j.standing = true
	j.a.workers.Go(func() {
		_, err := j.a.elect(ctx, r)
		j.a.post(func(j *judge) {
			j.standing = false
			if err != nil {
				j.agenda.lost(r.masters, j.a.now(), rand.Float64())
			}
		})
	})
}

// begin has the first step of a failover committed. Its goroutine ends when that is decided, or the reign ends.
func (j *judge) begin(term consensus.Term, m *state.Master) {
	limit, master := beginTimeout+j.a.hesitation(m), m.Name
	j.beginning[master] = j.a.now().Add(limit)
	j.reign.start(func(ctx context.Context) { // which ends a program that is asked for a term that is over
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err := j.a.begin(ctx, term, master, failover.CauseDown, wish{})
		j.a.herald.failed(ctx, "begin the failover", master, err)
		j.a.post(func(j *judge) { j.beginning[master] = j.a.now().Add(rest) })
	})
}
