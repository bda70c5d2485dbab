package state

import (
	"fmt"
	"strings"
	"testing"

	"picket/config"
	"picket/failover"
)

// TestRecall finds the failovers of two masters: of one both have ended, of the other one runs.
func TestRecall(t *testing.T) {
	m, index, term := NewMachine(), uint64(0), uint64(1)
	do := func(c Command) {
		t.Helper()
		index++
		if err := apply(t, m, index, term, c); err != nil {
			t.Fatal(err)
		}
	}
	step := func(s failover.Step) {
		t.Helper()
		s.Epoch = term
		do(Command{Step: &s})
	}
	begin := func(master string, old config.Addr) {
		t.Helper()
		term++
		step(failover.Step{Kind: failover.StepBegin, Master: master, Old: old, Cause: failover.CauseDown})
	}
	do(Command{AddMaster: &AddMaster{Name: "a", Addr: "h:1"}})
	do(Command{AddMaster: &AddMaster{Name: "b", Addr: "h:2"}})
	begin("a", "h:1") // 3
	step(failover.Step{Kind: failover.StepAbort, Master: "a", Why: "first"})
	begin("b", "h:2") // 5
	begin("a", "h:1") // 6
	step(failover.Step{Kind: failover.StepAbort, Master: "a", Why: "second"})
	s := m.State()
	for _, tc := range []struct {
		master string
		limit  int
		want   string
	}{{"", 9, "6second 5 3first"}, {"a", 9, "6second 3first"}, {"b", 9, "5"}, {"", 2, "6second 5"}, {"c", 9, ""}} {
		var got []string
		for _, r := range s.History(tc.master, tc.limit) {
			got = append(got, fmt.Sprint(r.ID, r.Why))
		}
		if text := strings.Join(got, " "); text != tc.want {
			t.Errorf("the latest %d of %q are %q, want %q", tc.limit, tc.master, text, tc.want)
		}
	}
	if latest := s.History("a", 1); len(latest) != 1 || latest[0] != s.Master("a").Last {
		t.Error("of the latest one not all is known")
	}
	for id, want := range map[uint64]*failover.Record{1: nil, 5: s.Master("b").Failover, 6: s.Master("a").Last, 7: s.Master("a").Last} {
		if got := s.Record(*s.Event(id)); got != want {
			t.Errorf("event %d belongs to %+v, want %+v", id, got, want)
		}
	}
	// Of an older one, and of one whose master is removed, the events tell.
	do(Command{Remove: "a"})
	for id, want := range map[uint64]string{3: "3first", 4: "3first", 7: "6second"} {
		if r := m.State().Record(*s.Event(id)); r == nil || fmt.Sprint(r.ID, r.Why) != want {
			t.Errorf("event %d belongs to %+v, want %s", id, r, want)
		}
	}
}
