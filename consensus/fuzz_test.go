package consensus_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"picket/consensus"
)

// everyBody has one message of each kind, with all fields set.
func everyBody() []consensus.Body {
	configuration := consensus.NewConfiguration(
		consensus.Member{ID: "n1", Address: "h:1", Incarnation: 7, Voter: true}, consensus.Member{ID: "n2", Address: "h:2"})
	return []consensus.Body{
		&consensus.VoteRequest{LastIndex: 1, LastTerm: 2, PreVote: true, Transfer: true, Reason: []byte("m")},
		&consensus.VoteResponse{PreVote: true, Granted: true, Refusal: "no", Blank: true, Founding: 5, Asker: 6},
		&consensus.AppendRequest{PrevIndex: 3, PrevTerm: 2, Commit: 1, Round: 9, Entries: []consensus.Entry{
			{Term: 2, Index: 4, Kind: consensus.EntryCommand, Data: []byte("x")},
			{Term: 2, Index: 5, Kind: consensus.EntryConfiguration, Data: consensus.EncodeConfiguration(configuration)}}},
		&consensus.AppendResponse{Match: 1, Round: 2, Rejected: true, PrevIndex: 3, HintIndex: 4, HintTerm: 5, Admitted: true},
		&consensus.SnapshotChunk{Meta: consensus.SnapshotMeta{Index: 9, Term: 2, Configuration: configuration}, Offset: 5,
			Data: []byte("y"), Done: true},
		&consensus.SnapshotResponse{Index: 1, Offset: 2, Installed: true, Admitted: true},
		&consensus.ReadIndexRequest{ID: 1},
		&consensus.ReadIndexResponse{ID: 1, Index: 2},
		&consensus.ForwardRequest{ID: 1, Data: []byte("z"), Heir: "n2",
			Change: &consensus.Change{Kind: consensus.AddLearner, Member: consensus.Member{ID: "n3", Address: "h:3", Incarnation: 8}}},
		&consensus.ForwardResponse{ID: 1, Index: 2, Term: 3, Error: "e", Outcome: consensus.Refused},
		&consensus.Gossip{Data: []byte("g")},
		&consensus.TimeoutNow{},
	}
}

func everyMessage(t testing.TB) (messages []consensus.Message, encoded [][]byte) {
	t.Helper()
	for _, body := range everyBody() {
		m := consensus.Message{From: "n2", To: "n1", Term: 7, Incarnation: 3, Body: body}
		data, err := consensus.EncodeMessage(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		messages, encoded = append(messages, m), append(encoded, data)
	}
	return messages, encoded
}

func TestMessage_EveryKindSurvivesTheWire(t *testing.T) {
	messages, encoded := everyMessage(t)
	kinds := map[byte]bool{}
	for i, want := range messages {
		if got, err := consensus.DecodeMessage(encoded[i]); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v arrives as %+v: %v", want.Body, got.Body, err)
		}
		for cut := range encoded[i] {
			if m, err := consensus.DecodeMessage(encoded[i][:cut]); err == nil {
				t.Errorf("%d of %d bytes of %T decode to %+v", cut, len(encoded[i]), want.Body, m)
			}
		}
		if _, err := consensus.DecodeMessage(append(encoded[i], 0)); err == nil {
			t.Errorf("%T decodes with a byte left over", want.Body)
		}
		kinds[encoded[i][1]] = true
	}
	if _, err := consensus.DecodeMessage([]byte{encoded[0][0], byte(len(kinds)), 0x90, 0x90}); err == nil {
		t.Errorf("there are more kinds than the %d that are tested", len(kinds))
	}
}

// FuzzDecodeMessage: what decodes means the same when it is sent on, and what is claimed costs nothing.
func FuzzDecodeMessage(f *testing.F) {
	_, encoded := everyMessage(f)
	for _, data := range encoded {
		f.Add(data)
	}
	huge := []byte{0xdd, 0xff, 0xff, 0xff, 0xff} // an array of four thousand million
	f.Add(append(bytes.Clone(encoded[2][:len(encoded[2])-40]), huge...))
	f.Add(append([]byte{encoded[2][0], encoded[2][1], 0x94, 0xa1, 'a', 0xa1, 'b', 1, 1, 0x95, 1, 1, 1, 1}, huge...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := consensus.DecodeMessage(data)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(200*len(data)+16<<20) {
			t.Fatalf("%d bytes of a message made for %d in memory", len(data), used)
		}
		if err != nil {
			return
		}
		again, err := consensus.EncodeMessage(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := consensus.DecodeMessage(again); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v became %+v on the wire: %v", m, got, err)
		}
	})
}

// FuzzStep gives a server messages from a member that says anything. The server need not obey, but it must
// not fall over.
func FuzzStep(f *testing.F) {
	_, encoded := everyMessage(f)
	for _, data := range encoded {
		f.Add(data, encoded[2], uint16(100))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, pause uint16) {
		c := newCore(t)
		now := time.Duration(0)
		for _, data := range [][]byte{first, second, first} {
			if m, err := consensus.DecodeMessage(data); err == nil {
				c.Step(now, m)
			}
			now += time.Duration(pause) * time.Millisecond
			c.Tick(now)
			for c.HasReady() {
				c.Persisted(now, c.Ready().Seq)
			}
		}
	})
}

func newCore(t *testing.T) *consensus.Core {
	t.Helper()
	members := consensus.NewConfiguration(consensus.Member{ID: "n1", Incarnation: 1, Voter: true},
		consensus.Member{ID: "n2", Incarnation: 3, Voter: true}, consensus.Member{ID: "n3", Incarnation: 4, Voter: true})
	c, err := consensus.NewCore(consensus.CoreConfig{ID: "n1", ElectionTimeout: 150 * time.Millisecond, HeartbeatInterval: 30 * time.Millisecond,
		MaxAppendBytes: 1 << 10, MaxInflight: 4, Rand: rand.New(rand.NewPCG(1, 1))},
		consensus.Recovered{Incarnation: 1, HardState: consensus.HardState{Term: 6, Admitted: true},
			Snapshot: consensus.SnapshotMeta{Configuration: members},
			Entries:  []consensus.Entry{{Term: 1, Index: 1}, {Term: 2, Index: 2, Kind: consensus.EntryCommand}, {Term: 2, Index: 3}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
