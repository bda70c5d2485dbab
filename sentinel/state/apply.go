package state

import (
	"fmt"
	"slices"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

// Limits of what commands can make the state hold. They stop a runaway, they are not meant to be reached.
const (
	maxMasters  = 10_000
	maxReplicas = 1_000 // of one master
	maxAgents   = 1_000
	maxCursors  = 100 // webhooks
)

// position is where in the log a command stands.
type position struct{ index, term uint64 }

// apply gives the state after a command, nil if nothing changes.
func (s *State) apply(c Command, at position) (*State, error) {
	switch {
	case c.AddMaster != nil:
		return s.addMaster(c, at)
	case c.AddReplica != nil:
		return s.addReplica(c, at)
	case c.RegisterAgent != nil:
		return s.registerAgent(c, at)
	case c.Step != nil:
		return s.step(c, at)
	case c.AdvanceCursor != nil:
		return s.advanceCursor(*c.AdvanceCursor)
	case c.Write != nil:
		return s.write(*c.Write, at)
	case c.ForgetAgent != "":
		return s.forgetAgent(c, at)
	case c.Pause != nil:
		return s.pause(c, at)
	case c.Resume != nil:
		return s.resume(c, at)
	case c.Acknowledge != nil:
		return s.acknowledge(c, at)
	case c.Schedule != nil:
		return s.schedule(c, at)
	case c.Cancel != nil:
		return s.cancel(c, at)
	case c.AllowLoss != nil:
		return s.allowLoss(c, at)
	case c.Diverged != nil:
		return s.diverged(c, at)
	case c.Register != nil:
		return s.register(*c.Register)
	case c.Forget != nil:
		return s.forgetReplica(c, at)
	case c.Shadow != nil:
		return s.shadow(c, at)
	case c.Monitor != nil:
		return s.monitor(c, at)
	case c.Remove != "":
		return s.removeMaster(c, at)
	case c.Set != nil:
		return s.setOptions(c, at)
	case c.Reset != nil:
		return s.reset(c, at)
	case c.Move != nil:
		return s.moveReplica(c, at)
	case c.Delivery != nil:
		return s.deliver(c, at)
	case c.Inquire != nil:
		return s.inquire(c, at)
	}
	return nil, fmt.Errorf("%w: it is empty", ErrInvalid)
}

// addMaster makes a master of a file known, unless it is, or was removed.
func (s *State) addMaster(c Command, at position) (*State, error) {
	add := *c.AddMaster
	if s.Master(add.Name) != nil || s.WasRemoved(add.Name) {
		return nil, nil
	}
	return s.admit(Master{Name: add.Name, Addr: add.Addr}, add.Quorum, c.At, at)
}

// admit adds a master.
func (s *State) admit(m Master, quorum int, when monitor.Moment, at position) (*State, error) {
	switch owner := s.Owner(m.Addr); {
	case m.Name == "" || m.Addr.Port() == 0:
		return nil, fmt.Errorf("%w: master %q at %q", ErrInvalid, m.Name, m.Addr)
	case owner != nil:
		return nil, fmt.Errorf("%w: %s belongs to %s already", ErrInvalid, m.Addr, owner.Name)
	case len(s.Masters) >= maxMasters:
		return nil, fmt.Errorf("%w: there are %d masters already", ErrInvalid, maxMasters)
	}
	m.Since, m.Added = at.term, at.index
	return s.withMaster(m).withEvent(Event{
		ID: at.index, Type: MasterAdded, Master: m.Name, Epoch: at.term, At: when, Data: EventData{To: m.Addr, Quorum: quorum},
	}), nil
}

func (s *State) addReplica(c Command, at position) (*State, error) {
	add := c.AddReplica
	m := s.Master(add.Master)
	switch {
	case m == nil || add.Addr.Port() == 0:
		return nil, fmt.Errorf("%w: replica %q of master %q", ErrInvalid, add.Addr, add.Master)
	case add.Of != 0 && add.Of != m.Added: // 0: of an agent that did not say
		return nil, fmt.Errorf("%w: %s is a replica of a master named %s that was removed", ErrStale, add.Addr, add.Master)
	case m.Owns(add.Addr):
		return nil, nil
	case s.Owner(add.Addr) != nil:
		return nil, fmt.Errorf("%w: %s belongs to %s", ErrInvalid, add.Addr, s.Owner(add.Addr).Name)
	case len(m.Replicas) >= maxReplicas:
		return nil, fmt.Errorf("%w: %s has %d replicas already", ErrInvalid, add.Master, maxReplicas)
	}
	next := *m
	next.Replicas = withAddr(m.Replicas, add.Addr)
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: ReplicaAdded, Master: add.Master, Epoch: at.term, At: c.At,
		Data: EventData{From: m.Addr, Replica: add.Addr},
	}), nil
}

func (s *State) registerAgent(c Command, at position) (*State, error) {
	agent := *c.RegisterAgent
	known := s.Agent(agent.ID)
	switch {
	case agent.ID == "":
		return nil, fmt.Errorf("%w: an agent without an id", ErrInvalid)
	case known != nil && *known == agent:
		return nil, nil
	case known == nil && len(s.Agents) >= maxAgents:
		return nil, fmt.Errorf("%w: there are %d agents already", ErrInvalid, maxAgents)
	}
	next := *s
	next.Agents = with(s.Agents, agent, agentKey)
	if known != nil && known.rebooted(agent.Boot) == agent {
		return &next, nil // nothing to tell anybody
	}
	data := EventData{Agent: agent.ID, Host: agent.Host, Port: agent.SentinelPort}
	if known != nil {
		data.From = config.NewAddr(known.Host, known.SentinelPort)
	}
	return next.withEvent(Event{ID: at.index, Type: AgentRegistered, Epoch: at.term, At: c.At, Data: data}), nil
}

func (s *State) forgetAgent(c Command, at position) (*State, error) {
	i, known := search(s.Agents, c.ForgetAgent, agentKey)
	if !known {
		return nil, nil
	}
	agent := s.Agents[i]
	next := *s
	next.Agents = slices.Delete(slices.Clone(s.Agents), i, i+1)
	return next.withEvent(Event{
		ID: at.index, Type: AgentRemoved, Epoch: at.term, At: c.At,
		Data: EventData{Agent: agent.ID, Host: agent.Host, Port: agent.SentinelPort},
	}), nil
}

// rebooted is the agent after a restart.
func (a Agent) rebooted(boot uint64) Agent {
	a.Boot = boot
	return a
}

// advanceCursor makes an endpoint known, or takes it farther in all its lanes.
func (s *State) advanceCursor(c Cursor) (*State, error) {
	known := s.Cursor(c.Endpoint)
	switch {
	case c.Endpoint == "":
		return nil, fmt.Errorf("%w: a cursor without an endpoint", ErrInvalid)
	case known == nil && len(s.Cursors) >= maxCursors:
		return nil, fmt.Errorf("%w: there are %d cursors already", ErrInvalid, maxCursors)
	case known == nil:
		return s.withCursor(Cursor{Endpoint: c.Endpoint, ID: c.ID}), nil
	case known.Rewound != 0:
		return nil, fmt.Errorf("%w: the webhook %s was taken back", ErrStale, c.Endpoint)
	}
	return s.told(*known, Delivery{ID: c.ID})
}

// step lets a failover go on. A leader that is deposed meanwhile can't slip one in: the entry's term is the term
// of the leader that appended it.
func (s *State) step(c Command, at position) (*State, error) {
	step := *c.Step
	m := s.Master(step.Master)
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: a failover of %q, which is not known", ErrInvalid, step.Master)
	case step.Epoch != at.term:
		return nil, fmt.Errorf("%w: a step of epoch %d in term %d", ErrStale, step.Epoch, at.term)
	}
	record, err := m.next(step, at)
	if err != nil {
		return nil, err
	}
	next := *m
	next.Failover = record
	if step.Kind == failover.StepBegin {
		next.Inquiry = nil
	}
	if order := m.Scheduled; order != nil && step.Kind == failover.StepBegin && step.Cause == failover.CauseManual && step.At >= order.At {
		next.Scheduled = nil // this is it
	}
	switch {
	case record.Phase == failover.Ended:
		next.Failover, next.Last = nil, record
	case step.Kind == failover.StepSwitch:
		next.move(failover.Process{Addr: record.Target, RunID: record.RunID, ReplID: step.ReplID}, step.Epoch)
		if record.HandOver {
			next.Processes = with(next.Processes, failover.Process{Addr: record.Old}, processKey) // it follows at once
		}
	}
	return s.withMaster(next).withEvent(event(step, record, &next, at)), nil
}

// move makes another server the master.
func (m *Master) move(to failover.Process, epoch uint64) {
	old := m.Addr
	m.Addr, m.Epoch = to.Addr, epoch
	m.Replicas = withAddr(withoutAddr(m.Replicas, to.Addr), old)
	// Nobody follows the new master yet who is not known; an old one that is dead is registered when it is back.
	m.Processes = slices.DeleteFunc(slices.Clone(m.Processes), func(p failover.Process) bool { return p.Addr == old })
	m.Processes = with(m.Processes, to, processKey)
}

// settled gives a master whose processes may change: while a failover counts who must be asked, they stay what they are.
func (s *State) settled(r Register) (*Master, error) {
	m := s.Master(r.Master)
	switch {
	case m == nil || r.Addr.Port() == 0:
		return nil, fmt.Errorf("%w: process at %q of master %q", ErrInvalid, r.Addr, r.Master)
	case m.Failover != nil && m.Failover.Phase < failover.Switched:
		return nil, fmt.Errorf("%w: failover %d of %s is running", ErrStale, m.Failover.ID, m.Name)
	}
	return m, nil
}

// diverged counts what was lost. A server of which that was said already, and that did not write since, is not counted twice.
func (s *State) diverged(c Command, at position) (*State, error) {
	d := *c.Diverged
	m := s.Master(d.Master)
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: a divergence from %q, which is not known", ErrInvalid, d.Master)
	case d.Known && d.Bytes == 0:
		return nil, nil
	case m.Diverged != nil && m.Diverged.Same(d.Divergence) && m.DivergedIn == m.Epoch:
		return nil, nil
	}
	next := *m
	next.Diverged, next.DivergedIn = &d.Divergence, m.Epoch
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: FailoverDivergence, Master: m.Name, Epoch: at.term, At: c.At,
		Data: EventData{From: d.Server, To: m.Addr, Known: d.Known, Bytes: d.Bytes, Why: d.Why, Kept: d.Kept, Unkept: d.Unkept},
	}), nil
}

func (s *State) register(r Register) (*State, error) {
	m, err := s.settled(r)
	switch {
	case err != nil:
		return nil, err
	case s.Owner(r.Addr) != nil && s.Owner(r.Addr) != m:
		return nil, fmt.Errorf("%w: %s belongs to %s", ErrInvalid, r.Addr, s.Owner(r.Addr).Name)
	case len(m.Processes) > maxReplicas:
		return nil, fmt.Errorf("%w: %s has %d processes already", ErrInvalid, r.Master, len(m.Processes))
	}
	if known := m.Process(r.Addr); known != nil && *known == r.Process {
		return nil, nil
	}
	next := *m
	next.Processes = with(m.Processes, r.Process, processKey)
	return s.withMaster(next), nil
}

// forgetReplica drops a replica: it need not be asked any more. Whoever proposes it has seen that it follows no more, and that the others hold all
// that it may have acknowledged.
func (s *State) forgetReplica(c Command, at position) (*State, error) {
	r := *c.Forget
	m, err := s.settled(r)
	if err != nil {
		return nil, err
	}
	known := m.Process(r.Addr)
	switch {
	case r.Addr == m.Addr:
		return nil, fmt.Errorf("%w: %s is the master", ErrInvalid, r.Addr)
	case !m.Owns(r.Addr) && known == nil:
		return nil, nil
	case known != nil && known.RunID != r.RunID:
		return nil, fmt.Errorf("%w: %s was restarted", ErrStale, r.Addr)
	}
	next := *m
	next.Replicas = withoutAddr(m.Replicas, r.Addr)
	next.Processes = slices.DeleteFunc(slices.Clone(m.Processes), func(p failover.Process) bool { return p.Addr == r.Addr })
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: ReplicaForgotten, Master: m.Name, Epoch: at.term, At: c.At, Data: EventData{From: m.Addr, Replica: r.Addr},
	}), nil
}

// moveReplica has a replica be known by one address only. Where the first one counts among those that may have acknowledged writes, so does the second one
// from then on, and it is taken to hold no more than was known of either.
func (s *State) moveReplica(c Command, at position) (*State, error) {
	move := *c.Move
	m := s.Master(move.Master)
	switch {
	case m == nil || !m.Owns(move.To) || move.From == move.To || move.RunID == "":
		return nil, fmt.Errorf("%w: replica %q of master %q is %q", ErrInvalid, move.From, move.Master, move.To)
	case m.Failover != nil:
		return nil, fmt.Errorf("%w: failover %d of %s is running", ErrStale, m.Failover.ID, m.Name)
	case move.From == m.Addr:
		return nil, fmt.Errorf("%w: %s is the master", ErrInvalid, move.From)
	case !m.Owns(move.From) && m.Process(move.From) == nil:
		return nil, nil
	case m.Unanswered(move.From, move.To, move.RunID):
		return nil, fmt.Errorf("%w: another process is registered at %s, which may have acknowledged what this one lacks", ErrStale, move.From)
	}
	next := *m
	next.Replicas = withoutAddr(m.Replicas, move.From)
	next.Processes = slices.DeleteFunc(slices.Clone(m.Processes), func(p failover.Process) bool { return p.Addr == move.From })
	if was := m.Process(move.From); was != nil && m.Process(move.To) == nil {
		same := failover.Process{Addr: move.To}
		if was.RunID == move.RunID {
			same.RunID = move.RunID
		}
		next.Processes = with(next.Processes, same, processKey)
	}
	return s.withMaster(next).withEvent(Event{
		ID: at.index, Type: ReplicaMoved, Master: m.Name, Epoch: at.term, At: c.At, Data: EventData{From: move.From, Replica: move.To},
	}), nil
}

// Unanswered says whether a process that is at another address now is not the one that is registered at the former: that one must not be dropped, where a
// process is registered at the new address as well, because nobody else may hold what it acknowledged.
func (m *Master) Unanswered(from, to config.Addr, runID string) bool {
	was := m.Process(from)
	return was != nil && was.RunID != "" && was.RunID != runID && m.Process(to) != nil
}

// next is the record of the failover after a step.
func (m *Master) next(step failover.Step, at position) (*failover.Record, error) {
	if step.Kind == failover.StepBegin {
		switch {
		case m.Failover != nil:
			return nil, fmt.Errorf("%w: failover %d of %s is running", ErrStale, m.Failover.ID, m.Name)
		case step.Old != m.Addr:
			return nil, fmt.Errorf("%w: the master of %s is %s, not %s", ErrStale, m.Name, m.Addr, step.Old)
		case step.Epoch <= m.LastEpoch():
			// One failover per master and term: otherwise one epoch would name two masters.
			return nil, fmt.Errorf("%w: %s has failed over, or was made known, in term %d already", ErrStale, m.Name, m.LastEpoch())
		}
		return failover.Begin(step, at.index)
	}
	if m.Failover == nil {
		return nil, fmt.Errorf("%w: no failover of %s is running", ErrStale, m.Name)
	}
	record := *m.Failover
	record.Replicas = slices.Clone(record.Replicas)
	record.Repointed = slices.Clone(record.Repointed)
	record.Leaders, record.Agents = slices.Clone(record.Leaders), slices.Clone(record.Agents)
	record.RepointAt = slices.Clone(record.RepointAt)
	if err := record.Apply(step, at.index); err != nil {
		return nil, err
	}
	return &record, nil
}

// LastEpoch is the newest term in which a failover of the master was worked on, whatever became of it.
func (m *Master) LastEpoch() uint64 {
	if m.Last == nil {
		return max(m.Epoch, m.Since)
	}
	return max(m.Epoch, m.Last.Epoch, m.Since)
}

// types are the events that the steps make.
var types = map[failover.StepKind]EventType{
	failover.StepBegin:   FailoverBegun,
	failover.StepResume:  FailoverResumed,
	failover.StepPromote: FailoverPromoting,
	failover.StepSwitch:  FailoverSwitched,
	failover.StepRepoint: FailoverRepointed,
	failover.StepEnd:     FailoverEnded,
	failover.StepAbort:   FailoverAborted,
}

// event tells of a step that led to the record and the master.
func event(step failover.Step, r *failover.Record, m *Master, at position) Event {
	data := EventData{Failover: r.ID, Cause: string(r.Cause), From: r.Old, To: r.Target}
	switch step.Kind {
	case failover.StepBegin:
		data.Evidence, data.Replicas = r.Evidence, r.Replicas
	case failover.StepPromote:
		data.Offset, data.Why = r.Offset, step.Why
	case failover.StepSwitch:
		data.Replicas, data.ElapsedMS, data.Agent = m.Replicas, elapsed(r.DownAt, step.At), r.Leader()
	case failover.StepRepoint:
		data.Replica = step.Replica
	case failover.StepEnd, failover.StepAbort:
		data.Why, data.Reason, data.ElapsedMS = step.Why, step.Reason, elapsed(r.DownAt, step.At)
	}
	return Event{ID: at.index, Type: types[step.Kind], Master: m.Name, Epoch: at.term, At: step.At, Data: data}
}

// elapsed is for people: the two clocks may be of different agents.
func elapsed(since, now monitor.Moment) int64 {
	if since == 0 || now < since {
		return 0
	}
	return now.Sub(since).Milliseconds()
}

func (s *State) withMaster(m Master) *State {
	next := *s
	next.Masters = with(s.Masters, m, masterKey)
	return &next
}

func masterKey(m *Master) string { return m.Name }

func agentKey(a *Agent) string { return a.ID }

func withAddr(sorted []config.Addr, a config.Addr) []config.Addr {
	i, found := slices.BinarySearch(sorted, a)
	if found {
		return sorted
	}
	return slices.Insert(slices.Clip(sorted), i, a)
}

func withoutAddr(sorted []config.Addr, a config.Addr) []config.Addr {
	return slices.DeleteFunc(slices.Clone(sorted), func(b config.Addr) bool { return a == b })
}
