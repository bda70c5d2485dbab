package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"picket/consensus"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

// server is one member: the production core and log, and a driver that follows the rules of Ready on virtual time.
type server struct {
	sim  *Sim
	id   consensus.ServerID
	disk *vfs.Mem
	log  *wal.Log
	core *consensus.Core // nil: the process is dead
	life int             // grows with each boot: what was scheduled for an earlier life is void

	bootAt   time.Duration
	rate     float64 // of its clock
	frozen   bool
	held     []consensus.Message // what arrived while it was frozen
	tickAt   time.Duration       // when a tick is scheduled; -1: none is
	queue    []consensus.Ready   // batches that the disk has not written
	writing  bool
	applied  consensus.Index
	state    uint64 // the state machine: a hash of all commands
	awaiting []proposal

	committed []consensus.Entry // not applied yet
	installs  int               // snapshots that are being installed
}

type proposal struct {
	index consensus.Index
	term  consensus.Term
}

const dir = "/data"

var errDied = errors.New("the process dies here")

func newServer(s *Sim, id consensus.ServerID) *server {
	return &server{sim: s, id: id, disk: vfs.NewMem(), rate: 1}
}

// boot starts the process from what the disk holds.
func (sv *server) boot() {
	s := sv.sim
	log, rec, err := wal.Open(wal.Config{FS: sv.disk, Dir: dir, SegmentBytes: 4096,
		Identity: wal.Identity{Cluster: "sim", Server: sv.id, Founders: founders(s.ids)}, Rand: s.rng.Uint64})
	if err != nil {
		s.fail("%s can't start: %v", sv.id, err)
	}
	s.check.recovered(sv.id, rec)
	sv.log, sv.life, sv.bootAt, sv.tickAt = log, sv.life+1, s.now, -1
	sv.queue, sv.writing, sv.frozen, sv.held, sv.awaiting = nil, false, false, nil, nil
	sv.committed, sv.installs = nil, 0
	if sv.rate = 1; s.faults.drift && !s.calm {
		sv.rate = 0.5 + 1.5*s.rng.Float64()
	}
	sv.applied, sv.state = 0, 0
	if rec.Snapshot.Index > 0 {
		sv.restore(rec.Snapshot)
	}
	core, err := consensus.NewCore(consensus.CoreConfig{
		ID: sv.id, ElectionTimeout: 150 * time.Millisecond, HeartbeatInterval: 30 * time.Millisecond,
		MaxAppendBytes: 64, MaxInflight: 4, Rand: rand.New(rand.NewPCG(s.rng.Uint64(), 1)),
		Veto: func(candidate consensus.ServerID, reason []byte) string {
			if len(reason) > 1 { // the second byte names who objects
				if sv.id == s.ids[int(reason[1])%len(s.ids)] {
					return "objection"
				}
			}
			return ""
		},
	}, rec, 0)
	if err != nil {
		s.fail("%s can't start: %v", sv.id, err)
	}
	sv.core = core
	s.note("%s boots: term %d vote %q snapshot %d, %d entries", sv.id, rec.HardState.Term, rec.HardState.Vote, rec.Snapshot.Index, len(rec.Entries))
	sv.settle()
}

// clock is the server's own monotonic time.
func (sv *server) clock() time.Duration {
	return time.Duration(float64(sv.sim.now-sv.bootAt) * sv.rate)
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

// crash kills the process; torn: in the middle of the write that is due.
func (sv *server) crash(torn bool) {
	s := sv.sim
	if sv.core == nil {
		return
	}
	s.result.Crashes++
	if torn && len(sv.queue) > 0 {
		calls := s.rng.IntN(4)
		sv.disk.Fail(func(_, call, _ string) error {
			if calls--; calls < 0 && call != "open" && call != "read" {
				return errDied
			}
			return nil
		})
		_ = sv.save(sv.queue[0]) // whatever became of it
		sv.disk.Fail(nil)
	}
	sv.disk.Crash(s.rng)
	sv.core, sv.life = nil, sv.life+1
	s.check.died(sv.id)
	s.note("%s crashes", sv.id)
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

func (sv *server) propose(n int) {
	if sv.core == nil || sv.frozen || sv.core.Status(sv.clock()).Role != consensus.Leader {
		return
	}
	var data [][]byte
	for range n {
		data = append(data, binary.LittleEndian.AppendUint64(nil, sv.sim.rng.Uint64()))
	}
	first, term, err := sv.core.Propose(sv.clock(), data...)
	if err != nil {
		sv.sim.fail("%s leads, but can't propose: %v", sv.id, err)
	}
	for i := range n {
		sv.awaiting = append(sv.awaiting, proposal{first + consensus.Index(i), term})
	}
	sv.settle()
}

func (sv *server) campaign() {
	if sv.core != nil && !sv.frozen {
		_, _ = sv.core.Campaign(sv.clock(), []byte{'m', byte(sv.sim.rng.IntN(14))}) // it may be vetoed
		sv.settle()
	}
}

func (sv *server) read() {
	if sv.core != nil && !sv.frozen {
		sv.sim.reads++
		sv.sim.check.readBegins(sv.sim.reads)
		sv.core.ReadIndex(sv.clock(), sv.sim.reads)
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
		s.send(sv.fill(m))
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
	sv.committed = append(sv.committed, r.Committed...)
	sv.applyCommitted()
	for _, read := range r.Reads {
		s.check.readEnds(read)
	}
}

func (sv *server) sendLater(r consensus.Ready) {
	for _, m := range r.AfterPersist {
		sv.sim.send(sv.fill(m))
	}
}

// startWrite lets the disk work on the oldest batch.
func (sv *server) startWrite() {
	if sv.writing || len(sv.queue) == 0 {
		return
	}
	sv.writing = true
	delay := time.Duration(sv.sim.rng.ExpFloat64() * float64(200*time.Microsecond))
	if !sv.sim.calm && sv.sim.faults.disk > 0 {
		delay += time.Duration(sv.sim.rng.Int64N(int64(sv.sim.faults.disk)))
	}
	sv.later(delay, sv.finishWrite)
}

func (sv *server) finishWrite() {
	r := sv.queue[0]
	if sv.sim.opts.Bug == SyncIgnored && sv.sim.chance(0.1) {
		sv.failSync(r)
	} else if err := sv.save(r); err != nil {
		sv.sim.fail("%s: the log fails without a reason: %v", sv.id, err)
	}
	sv.queue, sv.writing = sv.queue[1:], false
	if r.Install != nil {
		sv.restore(*r.Install)
		sv.installs--
		sv.applyCommitted()
	}
	if sv.sim.opts.Bug != AckBeforeSync {
		sv.sendLater(r)
	}
	sv.core.Persisted(sv.clock(), r.Seq)
	sv.startWrite()
	sv.settle()
}

// failSync loses the batch and says nothing.
func (sv *server) failSync(r consensus.Ready) { sv.sim.check.saved(sv.id, r) }

// save writes one batch with the production log.
func (sv *server) save(r consensus.Ready) error {
	if r.Chunk != nil {
		if err := sv.log.ReceiveChunk(r.Chunk); err != nil {
			return err
		}
	}
	if r.Install != nil {
		if err := sv.log.InstallReceived(*r.Install, r.KeepLog); err != nil {
			return err
		}
	}
	hard := r.HardState
	if sv.sim.opts.Bug == VoteForgotten && hard != nil {
		hard = &consensus.HardState{Term: hard.Term, Admitted: hard.Admitted}
	}
	sv.sim.check.saving(sv.id, r)
	if err := sv.log.Save(hard, r.Entries); err != nil {
		return err
	}
	sv.sim.check.saved(sv.id, r)
	return nil
}

// applyCommitted applies what may be applied now.
func (sv *server) applyCommitted() {
	if sv.installs > 0 {
		return
	}
	committed := sv.committed
	sv.committed = nil
	for _, e := range committed {
		if e.Index > sv.applied { // what a snapshot covers was applied with it
			sv.apply(e)
		}
	}
}

// apply runs the state machine.
func (sv *server) apply(e consensus.Entry) {
	s := sv.sim
	if e.Index != sv.applied+1 {
		s.fail("%s applies %d after %d", sv.id, e.Index, sv.applied)
	}
	sv.applied = e.Index
	sv.state = mix(sv.state, e)
	s.check.applied(sv.id, e, sv.state)
	sv.core.Applied(e.Index)
	open := sv.awaiting[:0]
	for _, p := range sv.awaiting {
		switch {
		case p.index != e.Index:
			open = append(open, p)
		case p.term == e.Term:
			s.check.acknowledged(e.Index)
		}
	}
	sv.awaiting = open
}

// compact takes a snapshot of what is applied and lets the log forget.
func (sv *server) compact() {
	if sv.core == nil || sv.frozen || len(sv.queue) > 0 || sv.applied <= sv.core.Status(sv.clock()).Snapshot {
		return
	}
	meta := consensus.SnapshotMeta{Index: sv.applied, Term: sv.sim.check.history[sv.applied-1].Term,
		Configuration: consensus.NewConfiguration(founders(sv.sim.ids)...)}
	content := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, sv.state), 5)
	err := sv.log.WriteSnapshot(meta, func(w io.Writer) error { _, err := w.Write(content); return err })
	through := meta.Index - min(meta.Index, 3)
	if err == nil {
		err = sv.log.Compact(through)
	}
	if err != nil {
		sv.sim.fail("%s: snapshot: %v", sv.id, err)
	}
	sv.core.Compacted(meta, through)
	sv.sim.note("%s compacts to %d", sv.id, meta.Index)
	sv.settle()
}

// restore replaces the state by the current snapshot's.
func (sv *server) restore(meta consensus.SnapshotMeta) {
	r, err := sv.log.OpenSnapshot()
	if err != nil {
		sv.sim.fail("%s: %v", sv.id, err)
	}
	defer r.Close()
	content := make([]byte, r.Size())
	if _, err := r.ReadAt(content, 0); err != nil && err != io.EOF || len(content) != 40 {
		sv.sim.fail("%s: snapshot of %d bytes, %v", sv.id, len(content), err)
	}
	sv.applied, sv.state = meta.Index, binary.LittleEndian.Uint64(content)
	sv.sim.check.restored(sv.id, meta, sv.state)
}

// fill is the driver's part in sending a snapshot: a few bytes at a time here.
func (sv *server) fill(m consensus.Message) consensus.Message {
	want, ok := m.Body.(*consensus.SnapshotChunk)
	if !ok {
		return m
	}
	r, err := sv.log.OpenSnapshot()
	if err != nil {
		sv.sim.fail("%s: %v", sv.id, err)
	}
	defer r.Close()
	chunk := &consensus.SnapshotChunk{Meta: r.Meta(), Offset: want.Offset}
	if chunk.Meta.Index != want.Meta.Index || want.Offset > r.Size() {
		chunk.Offset = 0 // a newer one has taken its place
	}
	chunk.Data = make([]byte, min(16, r.Size()-chunk.Offset))
	if _, err := r.ReadAt(chunk.Data, chunk.Offset); err != nil && err != io.EOF {
		sv.sim.fail("%s: %v", sv.id, err)
	}
	chunk.Done = chunk.Offset+int64(len(chunk.Data)) == r.Size()
	m.Body = chunk
	return m
}

// mix adds an entry to a hash.
func mix(h uint64, e consensus.Entry) uint64 {
	for _, b := range fmt.Appendf(nil, "%d %d %d %x", e.Index, e.Term, e.Kind, e.Data) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// founders makes voters of ids.
func founders(ids []consensus.ServerID) []consensus.Member {
	var members []consensus.Member
	for _, id := range ids {
		members = append(members, consensus.Member{ID: id, Voter: true})
	}
	return members
}
