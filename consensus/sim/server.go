package sim

import (
	"math/rand/v2"
	"time"

	"picket/consensus"
	"picket/consensus/linear"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

// server is one process and its machine: the production core and log, and a driver that follows the rules of Ready on virtual time.
type server struct {
	sim         *Sim
	id          consensus.ServerID
	founders    []consensus.Member // as its file lists them
	disk        *vfs.Mem           // nil: it was never started
	incarnation uint64
	log         *wal.Log
	core        *consensus.Core // nil: the process is dead
	life        int             // grows with each boot: what was scheduled for an earlier life is void

	bootAt time.Duration
	rate   float64 // of its clock
	frozen bool
	held   []consensus.Message // what arrived while it was frozen
	tickAt time.Duration       // when a tick is scheduled; -1: none is

	queue    []consensus.Ready // batches that the disk has not written
	writing  bool
	installs int               // snapshots that are being installed
	backlog  []consensus.Entry // committed, not applied: they follow such a snapshot
	applied  consensus.Index
	term     consensus.Term // of the last applied entry
	config   consensus.Configuration
	machine  *machine
	pins     map[consensus.ServerID]consensus.SnapshotReader // snapshots that are being sent

	writes map[consensus.Index][]pending // clients that wait for an entry
	reads  map[uint64]request            // and for a read point
	ripe   []read                        // reads that wait until enough is applied
}

// pending is a proposal that waits for its entry.
type pending struct {
	term consensus.Term
	request
}

// read waits until all up to index is applied.
type read struct {
	index consensus.Index
	request
}

func newServer(s *Sim, id consensus.ServerID) *server { return &server{sim: s, id: id} }

// found starts a founder for the first time.
func (sv *server) found(members []consensus.Member) {
	sv.founders, sv.disk = members, vfs.NewMem()
	sv.boot()
}

// boot starts the process from what the disk holds. It may be interrupted by another crash.
func (sv *server) boot() {
	s := sv.sim
	rec, ok := sv.open()
	if !ok {
		return
	}
	s.check.recovered(sv.id, rec)
	sv.life, sv.bootAt, sv.tickAt, sv.incarnation = sv.life+1, s.now, -1, rec.Incarnation
	sv.queue, sv.writing, sv.frozen, sv.held = nil, false, false, nil
	sv.installs, sv.backlog = 0, nil
	sv.pins, sv.writes = map[consensus.ServerID]consensus.SnapshotReader{}, map[consensus.Index][]pending{}
	sv.reads, sv.ripe = map[uint64]request{}, nil
	if sv.rate = 1; s.faults.drift && !s.calm {
		sv.rate = 0.5 + 1.5*s.rng.Float64()
	}
	sv.applied, sv.term, sv.machine, sv.config = 0, 0, newMachine(), rec.Snapshot.Configuration
	if rec.Snapshot.Index > 0 {
		if err := sv.restore(); err != nil {
			s.fail("%s can't start: %v", sv.id, err)
		}
	}
	core, err := consensus.NewCore(consensus.CoreConfig{
		ID: sv.id, ElectionTimeout: 150 * time.Millisecond, HeartbeatInterval: 30 * time.Millisecond,
		MaxAppendBytes: s.faults.batch, MaxInflight: 4, Rand: rand.New(rand.NewPCG(s.rng.Uint64(), 1)), Veto: sv.veto,
	}, rec, 0)
	if err != nil {
		s.fail("%s can't start: %v", sv.id, err)
	}
	sv.core = core
	s.note("%s boots: %+v snapshot %d, %d entries", sv.id, rec.HardState, rec.Snapshot.Index, len(rec.Entries))
	sv.settle()
}

// veto: the second byte of a reason names who objects.
func (sv *server) veto(_ consensus.ServerID, reason []byte) string {
	if len(reason) > 1 && sv.id == sv.sim.ids[int(reason[1])%len(sv.sim.ids)] {
		return "objection"
	}
	return ""
}

// clock is the server's own monotonic time.
func (sv *server) clock() time.Duration {
	return time.Duration(float64(sv.sim.now-sv.bootAt) * sv.rate)
}

func (sv *server) runs() bool { return sv.core != nil && !sv.frozen }

func (sv *server) leads() bool {
	return sv.runs() && sv.core.Status(sv.clock()).Role == consensus.Leader
}

// later schedules something for this life of the process. A frozen process does it when it wakes.
func (sv *server) later(d time.Duration, do func()) {
	life := sv.life
	var try func()
	try = func() {
		switch {
		case sv.core == nil || sv.life != life:
		case sv.frozen:
			sv.sim.after(5*time.Millisecond, try)
		default:
			do()
		}
	}
	sv.sim.after(d, try)
}

func (sv *server) freeze() { sv.frozen = sv.core != nil }

func (sv *server) thaw() {
	if !sv.frozen {
		return
	}
	sv.frozen = false
	held := sv.held
	sv.held = nil
	for _, m := range held {
		sv.receive(m)
	}
}

func (sv *server) receive(m consensus.Message) {
	switch {
	case sv.core == nil:
	case sv.frozen:
		sv.held = append(sv.held, m)
	default:
		sv.core.Step(sv.clock(), m)
		sv.settle()
	}
}

// request takes in what a client asks.
func (sv *server) request(r request) {
	if !sv.runs() {
		return
	}
	if r.op.Kind == linear.Get {
		sv.sim.reads++
		sv.reads[sv.sim.reads] = r
		sv.sim.check.readBegins(sv.id, sv.sim.reads)
		sv.core.ReadIndex(sv.clock(), sv.sim.reads)
		sv.settle()
		return
	}
	c := command{client: r.client.id, sequence: r.sent, kind: r.op.Kind, key: r.op.Key, value: r.op.Value, expect: r.op.Expect}
	index, term, err := sv.core.Propose(sv.clock(), c.encode())
	if err != nil {
		leader := sv.core.Status(sv.clock()).Leader
		sv.sim.call(func() { r.client.answered(r, "", leader, true) })
		return
	}
	sv.writes[index] = append(sv.writes[index], pending{term, r})
	sv.settle()
}

func (sv *server) campaign() {
	if sv.runs() {
		_, _ = sv.core.Campaign(sv.clock(), []byte{'m', byte(sv.sim.rng.IntN(14))}) // it may be vetoed
		sv.settle()
	}
}

// settle carries out what the core wants and schedules its next tick.
func (sv *server) settle() {
	for sv.core != nil && sv.core.HasReady() {
		sv.carryOut(sv.core.Ready())
	}
	if sv.core == nil {
		return
	}
	sv.sim.check.status(sv.id, sv.core.Status(sv.clock()))
	due := sv.bootAt + time.Duration(float64(sv.core.Deadline())/sv.rate) + time.Microsecond
	if due = max(due, sv.sim.now); sv.tickAt < sv.sim.now || due < sv.tickAt {
		sv.tickAt = due
		sv.later(due-sv.sim.now, func() {
			sv.tickAt = -1
			sv.core.Tick(sv.clock())
			sv.settle()
		})
	}
}

func (sv *server) carryOut(r consensus.Ready) {
	s := sv.sim
	s.check.ready(sv.id, r)
	for _, m := range r.Messages {
		sv.send(m)
	}
	if s.opts.Bug == AckBeforeSync {
		sv.sendLater(r)
	}
	if r.HardState != nil || len(r.Entries) > 0 || r.Chunk != nil || r.Install != nil || len(r.AfterPersist) > 0 {
		sv.queue = append(sv.queue, r)
		sv.startWrite()
	}
	// What follows a snapshot is applied once that is installed, as the node's queue has it.
	if r.Install != nil {
		sv.installs++
	}
	sv.backlog = append(sv.backlog, r.Committed...)
	sv.applyBacklog()
	for _, ready := range r.Reads {
		sv.readPoint(ready)
	}
}

// readPoint: the request may be answered once everything up to a point is applied.
func (sv *server) readPoint(ready consensus.ReadReady) {
	sv.sim.check.readEnds(sv.id, ready)
	r := sv.reads[ready.ID]
	delete(sv.reads, ready.ID)
	if ready.Err != nil {
		leader := sv.core.Status(sv.clock()).Leader
		sv.sim.call(func() { r.client.answered(r, "", leader, true) })
		return
	}
	sv.ripe = append(sv.ripe, read{ready.Index, r})
	sv.answerReads()
}

func (sv *server) answerReads() {
	waiting := sv.ripe[:0]
	for _, r := range sv.ripe {
		if r.index > sv.applied {
			waiting = append(waiting, r)
			continue
		}
		value, present := sv.machine.values[r.op.Key]
		sv.sim.call(func() { r.client.answered(r.request, encodeCell(value, present), "", false) })
	}
	sv.ripe = waiting
}

// applyBacklog applies what may be applied now.
func (sv *server) applyBacklog() {
	if sv.installs > 0 {
		return
	}
	entries := sv.backlog
	sv.backlog = nil
	for _, e := range entries {
		if e.Index > sv.applied { // what a snapshot covers was applied with it
			sv.apply(e)
		}
	}
	sv.answerReads()
}

// apply runs the state machine.
func (sv *server) apply(e consensus.Entry) {
	s := sv.sim
	if e.Index != sv.applied+1 {
		s.fail("%s applies %d after %d", sv.id, e.Index, sv.applied)
	}
	sv.applied, sv.term = e.Index, e.Term
	result := sv.machine.apply(e)
	if e.Kind == consensus.EntryConfiguration {
		sv.config = decodeConfiguration(e.Data)
	}
	s.check.applied(sv.id, e, sv.machine)
	sv.core.Applied(e.Index)
	for _, p := range sv.writes[e.Index] {
		switch {
		case p.term != e.Term: // overwritten: the client asks again
		case result == "overtaken":
		default:
			s.call(func() { p.client.answered(p.request, result, "", false) })
		}
	}
	delete(sv.writes, e.Index)
}
