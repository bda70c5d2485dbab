package state

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"picket/consensus"
)

// write applies a command as the entry at index and gives its result as it comes out of a session.
func write(t testing.TB, m *Machine, index uint64, w Write) (uint64, error) {
	t.Helper()
	c := Command{Write: &w}
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return DecodeResult(m.EncodeResult(m.Apply(consensus.Entry{Index: consensus.Index(index), Term: 1, Data: data})))
}

func TestMap_Scripts(t *testing.T) {
	datadriven.Walk(t, "testdata/map", func(t *testing.T, path string) {
		m, index := NewMachine(), uint64(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			now := &m.State().Map
			var key, prefix string
			var from uint64
			d.MaybeScanArgs(t, "key", &key)
			d.MaybeScanArgs(t, "prefix", &prefix)
			d.MaybeScanArgs(t, "from", &from)
			switch d.Cmd {
			case "map":
				return entries(now.List("")) + fmt.Sprintf("revision %d, %d bytes\n", now.Revision, now.Bytes)
			case "list":
				return entries(now.List(prefix))
			case "changes":
				list, err := now.From(from)
				if err != nil {
					return err.Error() + "\n"
				}
				return changes(list)
			}
			w := Write{Key: key, Delete: d.Cmd == "delete"}
			d.MaybeScanArgs(t, "value", &w.Value)
			switch {
			case d.HasArg("absent"):
				w.If.Kind = IfAbsent
			case d.HasArg("at"):
				w.If.Kind = IfRevision
				d.ScanArgs(t, "at", &w.If.Revision)
			case d.HasArg("holds"):
				w.If.Kind = IfValue
				d.MaybeScanArgs(t, "holds", &w.If.Value)
			}
			index++
			before := m.State()
			revision, err := write(t, m, index, w)
			if err != nil {
				if m.State() != before {
					t.Errorf("%s: a refused write changed the state", d.Pos)
				}
				return fmt.Sprintf("refused: %v\n", err)
			}
			return fmt.Sprintf("revision %d\n", revision)
		})
	})
}

func entries(list []*Entry) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s=%s @%d\n", e.Key, e.Value, e.Revision)
	}
	return b.String()
}

func changes(list []Change) string {
	var b strings.Builder
	for _, c := range list {
		if c.Deleted {
			fmt.Fprintf(&b, "%d %s deleted\n", c.Revision, c.Key)
			continue
		}
		fmt.Fprintf(&b, "%d %s=%s\n", c.Revision, c.Key, c.Value)
	}
	return b.String()
}

func TestWrite_Check(t *testing.T) {
	long := strings.Repeat("k", MaxKey)
	for _, tc := range []struct {
		name string
		w    Write
		want error
	}{
		{"the longest", Write{Key: long, Value: strings.Repeat("v", MaxValue)}, nil},
		{"key too long", Write{Key: long + "k"}, ErrInvalid},
		{"value too long", Write{Key: "k", Value: strings.Repeat("v", MaxValue+1)}, ErrInvalid},
		{"key not UTF-8", Write{Key: "\xff"}, ErrInvalid},
		{"value not UTF-8", Write{Key: "k", Value: "\xff"}, ErrInvalid},
		{"condition of tomorrow", Write{Key: "k", If: Condition{Kind: IfValue + 1}}, ErrInvalid},
	} {
		if _, err := write(t, NewMachine(), 1, tc.w); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestMap_IsBounded(t *testing.T) {
	t.Run("keys", func(t *testing.T) {
		m := NewMachine()
		for i := range uint64(maxKeys) {
			if _, err := write(t, m, i+1, Write{Key: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := write(t, m, maxKeys+1, Write{Key: "more"}); !errors.Is(err, ErrFull) {
			t.Errorf("one more key: %v, want %v", err, ErrFull)
		}
		if _, err := write(t, m, maxKeys+2, Write{Key: "7", Value: "changed"}); err != nil {
			t.Errorf("a known key: %v", err)
		}
		if _, err := write(t, m, maxKeys+3, Write{Key: "8", Delete: true}); err != nil {
			t.Errorf("a delete: %v", err)
		}
		if _, err := write(t, m, maxKeys+4, Write{Key: "more"}); err != nil {
			t.Errorf("one more key after a delete: %v", err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		m := NewMachine()
		value := strings.Repeat("v", MaxValue)
		index := uint64(0)
		for {
			index++
			if _, err := write(t, m, index, Write{Key: fmt.Sprint(index), Value: value}); err != nil {
				if !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				break
			}
		}
		now := &m.State().Map
		if now.Bytes > maxMapBytes || now.Bytes < maxMapBytes-2*MaxValue {
			t.Errorf("full at %d bytes", now.Bytes)
		}
		kept := 0
		for _, c := range now.Changes {
			kept += len(c.Key) + len(c.Value)
		}
		if kept > keptChangeBytes || kept < keptChangeBytes-2*MaxValue {
			t.Errorf("%d bytes of changes are kept", kept)
		}
	})
	t.Run("changes", func(t *testing.T) {
		m := NewMachine()
		for i := range uint64(keptChanges + 10) {
			if _, err := write(t, m, i+1, Write{Key: "k"}); err != nil {
				t.Fatal(err)
			}
		}
		now := &m.State().Map
		if len(now.Changes) != keptChanges || now.Compacted != 10 {
			t.Errorf("%d changes are kept, forgotten up to %d", len(now.Changes), now.Compacted)
		}
		if _, err := now.From(10); !errors.Is(err, ErrCompacted) {
			t.Errorf("from 10: %v, want %v", err, ErrCompacted)
		}
		if list, err := now.From(11); err != nil || len(list) != keptChanges {
			t.Errorf("from 11: %d changes, %v", len(list), err)
		}
	})
}

func TestMap_IsLikeItsTwinAndSurvivesSnapshots(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, twin, all := NewMachine(), map[string]Entry{}, []Change(nil)
		old := m.State()
		for index := range uint64(rapid.IntRange(0, 60).Draw(rt, "n")) {
			index++
			w := Write{
				Key: rapid.SampledFrom([]string{"a", "b", "c/d"}).Draw(rt, "key"), Value: rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "value"),
				Delete: rapid.Bool().Draw(rt, "delete"),
				If: Condition{
					Kind:     ConditionKind(rapid.IntRange(0, int(IfValue)).Draw(rt, "kind")),
					Revision: rapid.Uint64Range(0, index).Draw(rt, "at"), Value: rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "holds"),
				},
			}
			want := apart(twin, w, index)
			revision, err := write(t, m, index, w)
			if !errors.Is(err, want) || (err == nil) != (revision == index) {
				rt.Fatalf("%+v: revision %d, %v, want %v", w, revision, err, want)
			}
			if err == nil {
				all = append(all, Change{Key: w.Key, Value: w.Value, Revision: index, Deleted: w.Delete})
			}
			if index%8 == 0 {
				before := snapshot(t, m)
				m = restored(t, before)
				if !bytes.Equal(before, snapshot(t, m)) {
					rt.Fatal("a restored machine has other bytes")
				}
			}
		}
		now := &m.State().Map
		var want []*Entry
		for _, e := range slices.SortedFunc(maps.Values(twin), func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) }) {
			want = append(want, &e)
			if got := now.Get(e.Key); got == nil || *got != e {
				rt.Fatalf("get %s: %+v, want %+v", e.Key, got, e)
			}
		}
		if got := entries(now.List("")); got != entries(want) {
			rt.Fatalf("map:\n%swant:\n%s", got, entries(want))
		}
		if list, err := now.From(1); err != nil || changes(list) != changes(all) {
			rt.Fatalf("changes:\n%swant:\n%s%v", changes(list), changes(all), err)
		}
		if len(old.Map.Entries) != 0 || len(old.Map.Changes) != 0 {
			rt.Fatal("an old state changed")
		}
	})
}

// apart carries a write out on an ordinary map.
func apart(twin map[string]Entry, w Write, index uint64) error {
	e, found := twin[w.Key]
	ok := map[ConditionKind]bool{
		Always: true, IfAbsent: !found, IfRevision: found && e.Revision == w.If.Revision, IfValue: found && e.Value == w.If.Value,
	}
	switch {
	case !ok[w.If.Kind]:
		return ErrConflict
	case w.Delete && !found:
		return ErrAbsent
	case w.Delete:
		delete(twin, w.Key)
	default:
		twin[w.Key] = Entry{w.Key, w.Value, index}
	}
	return nil
}

func TestResult_KeepsWhatKindOfRefusalItWas(t *testing.T) {
	m := NewMachine()
	for _, want := range refusals {
		for _, err := range []error{want, fmt.Errorf("%w: because", want)} {
			if _, got := DecodeResult(m.EncodeResult(err)); !errors.Is(got, want) || got.Error() != err.Error() {
				t.Errorf("%v comes back as %v", err, got)
			}
		}
	}
	if _, got := DecodeResult(m.EncodeResult(errors.New("cut short"))); !errors.Is(got, ErrInvalid) {
		t.Errorf("an unknown error comes back as %v", got)
	}
	if revision, err := DecodeResult(m.EncodeResult(nil)); revision != 0 || err != nil {
		t.Errorf("nothing comes back as %d, %v", revision, err)
	}
	tomorrow, err := encode(outcome{Refusal: 99, Text: "new"})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"empty": nil, "cut": {version}, "of tomorrow": tomorrow} {
		if _, err := DecodeResult(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkWrite_FullMap(b *testing.B) {
	m := NewMachine()
	for i := range uint64(maxKeys) {
		if _, err := write(b, m, i+1, Write{Key: fmt.Sprint(i), Value: "value"}); err != nil {
			b.Fatal(err)
		}
	}
	index := uint64(maxKeys)
	for b.Loop() {
		index++
		if _, err := write(b, m, index, Write{Key: "500", Value: "value"}); err != nil {
			b.Fatal(err)
		}
	}
}
