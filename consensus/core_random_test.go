package consensus

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// world is a small group on virtual time whose network loses, delays, doubles and reorders, and whose servers crash between
// Ready and Persisted. The full simulator is in consensus/sim; this one keeps the core honest while it is being changed.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Duration
	ids     []ServerID
	servers map[ServerID]*server
	wire    []flying
	leaders map[Term]ServerID
	history []Entry // committed, as first applied anywhere
	faults  bool
	nextID  uint64
	acked   Index // highest index acknowledged to a client
	reads   map[uint64]Index
}

type flying struct {
	at time.Duration
	m  Message
}

type server struct {
	core    *Core
	image   Recovered // durable
	batches []Ready   // under way
	applied Index
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), servers: map[ServerID]*server{}, leaders: map[Term]ServerID{},
		faults: true, reads: map[uint64]Index{}}
	for i := range n {
		w.ids = append(w.ids, ServerID(fmt.Sprintf("n%d", i+1)))
	}
	for _, id := range w.ids {
		s := &server{image: Recovered{Snapshot: SnapshotMeta{Configuration: Configuration{Voters: w.ids}}}}
		w.servers[id] = s
		w.boot(id)
	}
	return w
}

func (w *world) boot(id ServerID) {
	s := w.servers[id]
	cfg := CoreConfig{ID: id, ElectionTimeout: 300 * time.Millisecond, HeartbeatInterval: 50 * time.Millisecond,
		MaxAppendBytes: 30, MaxInflight: 4, Rand: rand.New(rand.NewPCG(w.rng.Uint64(), 2))}
	rec := s.image
	rec.Entries = append([]Entry(nil), rec.Entries...)
	core, err := NewCore(cfg, rec, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	s.core, s.batches, s.applied = core, nil, rec.Snapshot.Index
}

func (w *world) send(ms []Message) {
	for _, m := range ms {
		buf, err := EncodeMessage(nil, &m)
		if err != nil {
			w.t.Fatal(err)
		}
		if w.faults && w.rng.IntN(10) == 0 {
			continue
		}
		for range 1 + w.rng.IntN(20)/19 {
			decoded, err := DecodeMessage(buf)
			if err != nil {
				w.t.Fatal(err)
			}
			delay := time.Duration(w.rng.Int64N(int64(3 * time.Millisecond)))
			if w.faults && w.rng.IntN(30) == 0 {
				delay *= 300
			}
			w.wire = append(w.wire, flying{w.now + delay, decoded})
		}
	}
}

func (w *world) drain(id ServerID) {
	s := w.servers[id]
	for s.core.HasReady() {
		r := s.core.Ready()
		w.send(w.fill(id, r.Messages))
		s.batches = append(s.batches, r)
		if r.Install != nil {
			s.applied = r.Install.Index
		}
		for _, e := range r.Committed {
			w.apply(id, e)
		}
		for _, read := range r.Reads {
			if read.Err == nil && read.Index < w.reads[read.ID] {
				w.t.Fatalf("read %d at index %d misses an acknowledged write at %d", read.ID, read.Index, w.reads[read.ID])
			}
		}
	}
	if st := s.core.Status(w.now); st.Role == Leader {
		if other, ok := w.leaders[st.Term]; ok && other != id {
			w.t.Fatalf("term %d has two leaders: %s and %s", st.Term, other, id)
		}
		if _, ok := w.leaders[st.Term]; !ok {
			w.leaders[st.Term] = id
			for _, e := range w.history {
				if e.Index > s.core.log.base && !s.core.log.has(e.Index, e.Term) {
					w.t.Fatalf("leader %s of term %d lacks committed entry %d of term %d", id, st.Term, e.Index, e.Term)
				}
			}
		}
	}
}

// fill is what the driver does to chunks: here a snapshot is 3 bytes, sent one at a time.
func (w *world) fill(id ServerID, ms []Message) []Message {
	for i, m := range ms {
		if chunk, ok := m.Body.(*SnapshotChunk); ok {
			c := *chunk
			c.Meta = w.servers[id].core.log.snapshot
			c.Data, c.Done = []byte{1}, c.Offset >= 2
			ms[i].Body = &c
		}
	}
	return ms
}

func (w *world) apply(id ServerID, e Entry) {
	s := w.servers[id]
	if e.Index != s.applied+1 {
		w.t.Fatalf("%s applies %d after %d", id, e.Index, s.applied)
	}
	s.applied = e.Index
	s.core.Applied(e.Index)
	if int(e.Index) <= len(w.history) {
		if have := w.history[e.Index-1]; have.Term != e.Term || string(have.Data) != string(e.Data) {
			w.t.Fatalf("%s applies %v at %d, another applied %v", id, e, e.Index, have)
		}
		return
	}
	w.history = append(w.history, e)
	w.acked = e.Index
}

// persist completes the oldest batch.
func (w *world) persist(id ServerID) {
	s := w.servers[id]
	if len(s.batches) == 0 {
		return
	}
	r := s.batches[0]
	s.batches = s.batches[1:]
	w.write(s, r)
	w.send(w.fill(id, r.AfterPersist))
	s.core.Persisted(w.now, r.Seq)
}

func (w *world) write(s *server, r Ready) {
	if r.HardState != nil {
		s.image.HardState = *r.HardState
	}
	if r.Install != nil {
		s.image.Snapshot = *r.Install
		kept := []Entry(nil)
		for i, e := range s.image.Entries {
			if e.Index == r.Install.Index && e.Term == r.Install.Term {
				kept = append(kept, s.image.Entries[i+1:]...)
			}
		}
		s.image.Entries = kept
	}
	for _, e := range r.Entries {
		for len(s.image.Entries) > 0 && s.image.Entries[len(s.image.Entries)-1].Index >= e.Index {
			s.image.Entries = s.image.Entries[:len(s.image.Entries)-1]
		}
		s.image.Entries = append(s.image.Entries, e)
	}
}

func (w *world) step() {
	id := w.ids[w.rng.IntN(len(w.ids))]
	s := w.servers[id]
	switch dice := w.rng.IntN(1000); {
	case dice < 2 && w.faults:
		w.boot(id)
	case dice < 60:
		_, _, _ = s.core.Propose(w.now, []byte(fmt.Sprint(w.rng.IntN(1000))))
	case dice < 62 && w.faults:
		_, _ = s.core.Campaign(w.now, []byte("m"))
	case dice < 80:
		w.nextID++
		w.reads[w.nextID] = w.acked
		s.core.ReadIndex(w.now, w.nextID)
	case dice < 90 && s.applied > s.image.Snapshot.Index && s.core.disk.stable >= s.applied:
		w.compact(s)
	case dice < 500:
		w.persist(id)
	default:
		w.deliver()
	}
	w.drain(id)
}

func (w *world) compact(s *server) {
	meta := SnapshotMeta{Index: s.applied, Term: w.history[s.applied-1].Term, Configuration: Configuration{Voters: w.ids}}
	if len(s.batches) > 0 {
		return
	}
	s.image.Snapshot = meta
	s.core.Compacted(meta, meta.Index-min(meta.Index, 2))
}

func (w *world) deliver() {
	w.now += time.Duration(w.rng.Int64N(int64(400 * time.Microsecond)))
	for i := 0; i < len(w.wire); i++ {
		if f := w.wire[i]; f.at <= w.now {
			w.wire[i] = w.wire[len(w.wire)-1]
			w.wire = w.wire[:len(w.wire)-1]
			w.servers[f.m.To].core.Step(w.now, f.m)
			w.drain(f.m.To)
			break
		}
	}
	for _, id := range w.ids {
		if s := w.servers[id]; s.core.Deadline() <= w.now {
			s.core.Tick(w.now)
			w.drain(id)
		}
	}
}

func TestCore_RandomFaults(t *testing.T) {
	for seed := range uint64(60) {
		n := []int{1, 2, 3, 3, 5, 4}[seed%6]
		w := newWorld(t, seed, n)
		for range 20000 {
			w.step()
		}
		committed := len(w.history)
		w.faults = false
		for range 30000 {
			w.step()
			for _, id := range w.ids {
				w.persist(id)
			}
		}
		if len(w.history) <= committed {
			t.Errorf("seed %d, %d servers: nothing was committed after the faults stopped (%d before)", seed, n, committed)
			for _, id := range w.ids {
				t.Logf("%+v", w.servers[id].core.Status(w.now))
				if l := w.servers[id].core.lead; l != nil {
					for f, p := range l.followers {
						t.Logf("%s %+v base %d", f, *p, w.servers[id].core.log.base)
					}
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
