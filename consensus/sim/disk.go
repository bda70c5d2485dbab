package sim

import (
	"errors"
	"io"
	"time"

	"picket/consensus"
	"picket/consensus/vfs"
	"picket/consensus/wal"
)

const dir = "/data"

var errDied = errors.New("the process dies here")

// open recovers what the disk holds; false: the machine died again on the way.
func (sv *server) open() (consensus.Recovered, bool) {
	s := sv.sim
	sv.repairDisk()
	relapse := !s.calm && s.chance(s.faults.relapse)
	if relapse {
		sv.failAfter(s.rng.IntN(12), errDied, true)
	}
	log, rec, err := wal.Open(wal.Config{FS: spoiled(sv), Dir: dir, SegmentBytes: 4096, Rand: s.rng.Uint64,
		Identity: wal.Identity{Cluster: "sim", Server: sv.id, Founders: sv.founders}})
	if err != nil && relapse {
		sv.disk.Fail(nil)
		sv.disk.Crash(s.rng)
		s.note("%s dies while it starts", sv.id)
		return consensus.Recovered{}, false
	}
	if err != nil {
		s.fail("%s can't start: %v", sv.id, err)
	}
	sv.disk.Fail(nil)
	sv.log = log
	return rec, true
}

// failAfter makes the disk's call after the next n fail, and, if for good, all that follow.
func (sv *server) failAfter(n int, err error, forGood bool) {
	sv.disk.Fail(func(_, call, _ string) error {
		if call == "read" || call == "size" || call == "close" {
			return nil
		}
		if n--; n == -1 || n < 0 && forGood {
			return err
		}
		return nil
	})
}

// spoilDisk has one of the next calls fail, or space run out. The process finds out when it writes.
func (sv *server) spoilDisk() {
	switch {
	case !sv.runs():
	case sv.sim.rng.IntN(3) == 0:
		sv.disk.Space(sv.sim.rng.Int64N(3000))
	default:
		sv.failAfter(sv.sim.rng.IntN(6), vfs.ErrInjected, false)
	}
}

func (sv *server) repairDisk() {
	if sv.disk != nil {
		sv.disk.Fail(nil)
		sv.disk.Space(-1)
	}
}

// broken ends the process: an error of the disk is final. What was written and not synced may still be there when it starts anew, or the
// machine may go down with it.
func (sv *server) broken(err error) {
	s := sv.sim
	if !errors.Is(err, vfs.ErrInjected) && !errors.Is(err, errNoSpace) {
		s.fail("%s: the log fails without a reason: %v", sv.id, err)
	}
	s.note("%s: %v", sv.id, err)
	sv.repairDisk()
	if s.rng.IntN(2) == 0 {
		sv.disk.Kill()
	} else {
		sv.disk.Crash(s.rng)
	}
	sv.die()
}

// crash kills the machine; torn: in the middle of the write that is due.
func (sv *server) crash(torn bool) {
	s := sv.sim
	if sv.core == nil {
		return
	}
	if torn && len(sv.queue) > 0 {
		sv.failAfter(s.rng.IntN(4), errDied, true)
		_ = sv.save(sv.queue[0]) // whatever became of it
		sv.disk.Fail(nil)
	}
	sv.disk.Crash(s.rng)
	s.note("%s crashes", sv.id)
	sv.die()
}

// die ends the process. The others see their connections break.
func (sv *server) die() {
	s := sv.sim
	s.result.Crashes++
	sv.core, sv.life = nil, sv.life+1
	s.check.died(sv.id)
	for _, id := range s.ids {
		if other := s.servers[id]; other.core != nil {
			other.core.Unreachable(sv.id)
		}
	}
}

// startWrite lets the disk work on the oldest batch.
func (sv *server) startWrite() {
	if sv.writing || len(sv.queue) == 0 {
		return
	}
	sv.writing = true
	delay := time.Duration(sv.sim.rng.ExpFloat64() * float64(200*time.Microsecond))
	if !sv.sim.calm && sv.sim.faults.slowDisk > 0 {
		delay += time.Duration(sv.sim.rng.Int64N(int64(sv.sim.faults.slowDisk)))
	}
	sv.later(delay, sv.finishWrite)
}

func (sv *server) finishWrite() {
	r := sv.queue[0]
	if err := sv.save(r); err != nil {
		if sv.sim.opts.Bug != ErrorIgnored {
			sv.broken(err)
			return
		}
		sv.sim.check.saved(sv.id)
	}
	sv.queue, sv.writing = sv.queue[1:], false
	if r.Install != nil {
		if err := sv.restore(); err != nil {
			sv.broken(err)
			return
		}
		sv.installs--
		sv.core.Applied(sv.applied)
		sv.applyBacklog()
	}
	if sv.sim.opts.Bug != AckBeforeSync {
		sv.sendLater(r)
	}
	sv.core.Persisted(sv.clock(), r.Seq)
	sv.startWrite()
	sv.settle()
}

// save writes one batch with the production log.
func (sv *server) save(r consensus.Ready) error {
	sv.sim.check.saving(sv.id, r)
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
		hard = &consensus.HardState{Term: hard.Term, Admitted: hard.Admitted, Founding: hard.Founding, Commit: hard.Commit}
	}
	if err := sv.log.Save(hard, r.Entries); err != nil {
		return err
	}
	sv.sim.check.saved(sv.id)
	return nil
}

// compact takes a snapshot of what is applied and lets the log forget.
func (sv *server) compact() {
	if !sv.runs() || len(sv.queue) > 0 || sv.applied <= sv.core.Status(sv.clock()).Snapshot {
		return
	}
	meta := consensus.SnapshotMeta{Index: sv.applied, Term: sv.term, Configuration: sv.config}
	content := sv.machine.encode()
	if sv.sim.opts.Bug == SessionsForgotten {
		content = (&machine{values: sv.machine.values, hash: sv.machine.hash}).encode()
	}
	err := sv.log.WriteSnapshot(meta, func(w io.Writer) error { _, err := w.Write(content); return err })
	through := meta.Index - min(meta.Index, consensus.Index(sv.sim.rng.IntN(6)))
	if err == nil {
		err = sv.log.Compact(through)
	}
	if err != nil {
		sv.broken(err)
		return
	}
	sv.core.Compacted(meta, through)
	sv.sim.note("%s takes a snapshot at %d", sv.id, meta.Index)
	sv.settle()
}

// restore replaces the state by the current snapshot's.
func (sv *server) restore() error {
	content, meta, err := sv.read()
	if err != nil {
		return err
	}
	m, err := decodeMachine(content)
	if err != nil {
		sv.sim.fail("%s: the snapshot at %d makes no sense: %v", sv.id, meta.Index, err)
	}
	sv.applied, sv.term, sv.config, sv.machine = meta.Index, meta.Term, meta.Configuration, m
	sv.sim.check.restored(sv.id, meta, content)
	return nil
}

func (sv *server) read() ([]byte, consensus.SnapshotMeta, error) {
	r, err := sv.log.OpenSnapshot()
	if err != nil {
		return nil, consensus.SnapshotMeta{}, err
	}
	defer r.Close()
	content := make([]byte, r.Size())
	if _, err := r.ReadAt(content, 0); err != nil && err != io.EOF {
		return nil, consensus.SnapshotMeta{}, err
	}
	return content, r.Meta(), nil
}

func (sv *server) sendLater(r consensus.Ready) {
	for _, m := range r.AfterPersist {
		sv.send(m)
	}
}

// send lets a message go. Into a snapshot's chunk it puts what stands at the offset of the pinned snapshot, as the node's courier does:
// a transfer that begins takes the current one.
func (sv *server) send(m consensus.Message) {
	if want, ok := m.Body.(*consensus.SnapshotChunk); ok {
		pin := sv.pins[m.To]
		offset := want.Offset
		if pin == nil || offset == 0 || offset > pin.Size() {
			var err error
			if pin, err = sv.log.OpenSnapshot(); err != nil {
				sv.sim.note("%s: %v", sv.id, err) // the core asks again
				return
			}
			sv.pins[m.To], offset = pin, 0
		}
		chunk := &consensus.SnapshotChunk{Meta: pin.Meta(), Offset: offset}
		chunk.Data = make([]byte, min(1+sv.sim.rng.Int64N(120), pin.Size()-offset))
		if _, err := pin.ReadAt(chunk.Data, offset); err != nil && err != io.EOF {
			sv.sim.fail("%s: %v", sv.id, err)
		}
		chunk.Done = offset+int64(len(chunk.Data)) == pin.Size()
		m.Body = chunk
	}
	sv.sim.send(m)
}
