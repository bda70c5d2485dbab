package consensus

import (
	"math/rand/v2"
	"testing"
	"time"
)

// three is a core of n3, in a group of three that has met.
func three(t *testing.T, adjust func(*CoreConfig, *Recovered)) *Core {
	t.Helper()
	cfg := CoreConfig{ID: "n3", ElectionTimeout: 300 * time.Millisecond, HeartbeatInterval: 50 * time.Millisecond,
		MaxAppendBytes: 1000, MaxInflight: 8, Rand: rand.New(rand.NewPCG(1, 3))}
	rec := Recovered{Incarnation: 3, HardState: HardState{Term: 1, Vote: "n1", Admitted: true},
		Snapshot: SnapshotMeta{Configuration: NewConfiguration(Member{ID: "n1", Incarnation: 1, Voter: true},
			Member{ID: "n2", Incarnation: 2, Voter: true}, Member{ID: "n3", Incarnation: 3, Voter: true})}}
	if adjust != nil {
		adjust(&cfg, &rec)
	}
	c, err := NewCore(cfg, rec, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Core) hearAppend(from ServerID, t Term, r *AppendRequest) Ready {
	c.Step(1, Message{From: from, To: c.cfg.ID, Term: t, Incarnation: uint64(from[1] - '0'), Body: r})
	return c.Ready()
}

func entry(t Term, i Index) Entry {
	return Entry{Term: t, Index: i, Kind: EntryCommand, Data: []byte("x")}
}

// A batch that was overwritten proves nothing, even when its last entry comes back: the disk holds [2_1] here, while [1_1,1_2] is on its
// way to it for the second time.
func TestPersisted_OverwrittenBatchWhoseEndComesBack(t *testing.T) {
	c := three(t, nil)
	c.hearAppend("n1", 1, &AppendRequest{Entries: []Entry{entry(1, 1), entry(1, 2)}})
	c.hearAppend("n2", 2, &AppendRequest{Entries: []Entry{entry(2, 1)}})
	third := c.hearAppend("n1", 3, &AppendRequest{PrevIndex: 2, PrevTerm: 1}) // is rejected, but raises the term
	c.hearAppend("n1", 3, &AppendRequest{Entries: []Entry{entry(1, 1), entry(1, 2)}})
	c.Persisted(1, third.Seq)
	r := c.hearAppend("n1", 3, &AppendRequest{Entries: []Entry{entry(1, 1), entry(1, 2)}}) // once more
	for _, m := range r.Messages {
		t.Errorf("before that is written, this leaves: %+v", m.Body)
	}
}

// After a restart nobody knows what is committed. A log that is full by then must take in what a new leader begins with, or it will be
// full for ever.
func TestMaxLogBytes_LeavesRoomForANewLeader(t *testing.T) {
	var log []Entry
	for i := range Index(20) {
		log = append(log, entry(1, i+1))
	}
	c := three(t, func(cfg *CoreConfig, rec *Recovered) { cfg.MaxLogBytes, rec.Entries = 100, log })
	noop := Entry{Term: 2, Index: 21, Kind: EntryNoop}
	r := c.hearAppend("n1", 2, &AppendRequest{PrevIndex: 20, PrevTerm: 1, Entries: []Entry{noop}})
	if len(r.Entries) != 1 {
		t.Errorf("the no-op is not taken: %+v", r)
	}
	r = c.hearAppend("n1", 2, &AppendRequest{PrevIndex: 21, PrevTerm: 2, Entries: []Entry{entry(2, 22)}})
	if len(r.Entries) != 0 || len(r.Messages)+len(r.AfterPersist) != 0 {
		t.Errorf("a command is taken by a full log: %+v", r)
	}
	c.commit = 21
	if c.Compacted(SnapshotMeta{Index: 21, Term: 2, Configuration: c.config}, 21); c.full() {
		t.Error("a snapshot makes no room")
	}
}
