package consensus

import (
	"testing"

	"pgregory.net/rapid"
)

// TestReached compares with a slow twin: the largest value that more than half have.
func TestReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Uint64Range(0, 9), 1, 9).Draw(t, "values")
		want := uint64(0)
		for _, v := range values {
			n := 0
			for _, other := range values {
				if other >= v {
					n++
				}
			}
			if 2*n > len(values) {
				want = max(want, v)
			}
		}
		if got := reached(values); got != want {
			t.Fatalf("%v: %d, want %d", values, got, want)
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	for _, body := range []Body{
		&VoteRequest{LastIndex: 1, Reason: []byte("m")}, &AppendRequest{PrevIndex: 3, Entries: []Entry{{Term: 1, Index: 4, Data: []byte("x")}}},
		&SnapshotChunk{Meta: SnapshotMeta{Index: 9, Configuration: NewConfiguration(Member{ID: "n1", Voter: true})}, Data: []byte("y")}, &Gossip{},
	} {
		data, err := EncodeMessage(nil, &Message{From: "a", To: "b", Term: 7, Body: body})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeMessage(data)
		if err != nil {
			return
		}
		again, err := EncodeMessage(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeMessage(again); err != nil {
			t.Fatalf("%+v does not survive the wire: %v", m, err)
		}
	})
}
