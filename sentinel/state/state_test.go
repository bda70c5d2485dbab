package state

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
)

// apply encodes a command and applies it as the entry at (index, term).
func apply(t testing.TB, m *Machine, index, term uint64, c Command) error {
	t.Helper()
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	result := m.Apply(consensus.Entry{Index: consensus.Index(index), Term: consensus.Term(term), Kind: consensus.EntryCommand, Data: data})
	refusal, _ := result.(error)
	return refusal
}

func snapshot(t testing.TB, m *Machine) []byte {
	t.Helper()
	write, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func restored(t testing.TB, data []byte) *Machine {
	t.Helper()
	m := NewMachine()
	if err := m.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return m
}

// draw makes commands of all kinds over a few names, most of which make no sense at any one time.
func draw(t *rapid.T, term uint64, s *State) Command {
	names := []string{"a", "b"}
	addrs := []config.Addr{"h:1", "h:2", "h:3", "h:4"}
	addr := func(label string) config.Addr { return rapid.SampledFrom(addrs).Draw(t, label) }
	name := rapid.SampledFrom(names).Draw(t, "name")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return Command{AddMaster: &AddMaster{Name: name, Addr: addr("addr")}}
	case 1, 2:
		return Command{AddReplica: &AddReplica{Master: name, Addr: addr("addr"), Of: added(s, name)}}
	case 3:
		return Command{RegisterAgent: &Agent{ID: name, Boot: rapid.Uint64Range(0, 2).Draw(t, "boot")}}
	case 4:
		return Command{AdvanceCursor: &Cursor{Endpoint: name, ID: rapid.Uint64Range(0, 50).Draw(t, "id")}}
	case 5:
		id := rapid.Uint64Range(0, 50)
		return Command{At: 1, Delivery: &Delivery{
			Kind: DeliveryKind(rapid.IntRange(0, int(deliveryKinds)-1).Draw(t, "delivery")), Endpoint: name, ID: id.Draw(t, "delivered"), Lane: name,
			Ahead: []Ahead{{name, id.Draw(t, "ahead")}},
		}}
	}
	switch rapid.IntRange(0, 12).Draw(t, "settings") {
	case 0:
		return Command{Monitor: &AddMaster{Name: name, Addr: addr("addr"), Quorum: 2}}
	case 1:
		return Command{Remove: name}
	case 2:
		value := rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "value")
		return Command{Set: &SetOptions{name, []Option{{rapid.SampledFrom([]string{"x", "y"}).Draw(t, "option"), value}}}}
	case 3:
		return Command{Reset: &Reset{name, []failover.Process{{Addr: addr("gone"), RunID: "run"}}}}
	}
	switch process := (failover.Process{Addr: addr("process"), RunID: rapid.SampledFrom([]string{"", "run"}).Draw(t, "runid")}); rapid.IntRange(0, 16).Draw(t, "other") {
	case 0:
		return Command{Register: &Register{name, process}}
	case 1:
		return Command{Forget: &Register{name, process}}
	case 2:
		return Command{Diverged: &Diverged{name, failover.Divergence{Server: addr("server"), Known: true, Bytes: 1}}}
	case 3:
		return Command{Schedule: &ScheduleSwitchover{Master: name, Schedule: Schedule{At: 1, Who: "w"}}}
	case 4:
		return Command{Cancel: &CancelSwitchover{Master: name, Who: "w"}}
	case 5:
		return Command{AllowLoss: &AllowLoss{Master: name, Failover: rapid.Uint64Range(1, 20).Draw(t, "allowed"), Who: "w"}}
	case 6:
		return Command{ForgetAgent: name}
	case 7:
		return Command{Write: &Write{Key: name, Value: "v"}}
	case 8:
		return Command{Inquire: &Inquire{name, failover.Inquiry{Agent: "w", Epoch: term, Vetoed: rapid.Bool().Draw(t, "vetoed"), Why: "y"}}}
	}
	paused := rapid.SampledFrom([]string{"", "a"}).Draw(t, "paused")
	switch rapid.IntRange(0, 11).Draw(t, "guardrail") {
	case 0:
		return Command{Pause: &Pause{Master: paused, Who: "w", Until: monitor.Moment(rapid.Int64Range(0, 2).Draw(t, "until"))}}
	case 1:
		return Command{Resume: &Resume{Master: paused, Until: monitor.Moment(rapid.Int64Range(0, 2).Draw(t, "until"))}}
	case 3, 4, 5:
		return Command{Shadow: &Shadow{
			Kind: ShadowKind(rapid.IntRange(0, 4).Draw(t, "shadow")), Master: name, Old: addr("old"), Target: addr("target"),
			Epoch: rapid.Uint64Range(0, 5).Draw(t, "foreign"),
		}}
	case 2:
		return Command{Acknowledge: &Acknowledgement{Master: name, Failover: rapid.Uint64Range(1, 20).Draw(t, "failover"), Who: "w"}}
	}
	return Command{Step: &failover.Step{
		Kind: failover.StepKind(rapid.IntRange(0, 8).Draw(t, "step")), Master: name, Epoch: term - uint64(rapid.IntRange(0, 1).Draw(t, "late")),
		Cause: failover.CauseDown, Old: addr("old"), Target: addr("target"), Replica: addr("replica"), Replicas: addrs,
		RunID: "run", ReplID: "replication",
	}}
}

func TestDeterminism_SnapshotAndSuffixEqualFullReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first, second := NewMachine(), NewMachine()
		term := uint64(1)
		n := rapid.IntRange(0, 60).Draw(rt, "n")
		cut := rapid.IntRange(0, n).Draw(rt, "cut")
		masters, newest := map[named]config.Addr{}, map[string]uint64{}
		for i := range n {
			if i == cut {
				second = restored(t, snapshot(t, second))
			}
			term += uint64(rapid.IntRange(0, 1).Draw(rt, "term"))
			c := draw(rt, term, first.State())
			err1, err2 := apply(t, first, uint64(i+1), term, c), apply(t, second, uint64(i+1), term, c)
			if fmt.Sprint(err1) != fmt.Sprint(err2) {
				rt.Fatalf("results differ: %v, %v", err1, err2)
			}
			if !bytes.Equal(snapshot(t, first), snapshot(t, second)) {
				rt.Fatalf("states differ after command %d", i+1)
			}
			for _, m := range first.State().Masters {
				was, known := masters[named{m.Name, m.Epoch}]
				if masters[named{m.Name, m.Epoch}] = m.Addr; m.Epoch > 0 && known && was != m.Addr {
					rt.Fatalf("the master of %s in epoch %d is %s, and was %s", m.Name, m.Epoch, m.Addr, was)
				}
				if m.Epoch > 0 && m.Epoch < newest[m.Name] {
					rt.Fatalf("the epoch of %s falls from %d to %d", m.Name, newest[m.Name], m.Epoch)
				}
				newest[m.Name] = max(newest[m.Name], m.Epoch)
			}
		}
	})
}

func TestMachine_OldStatesStayAsTheyWere(t *testing.T) {
	m := NewMachine()
	changed := m.Changed()
	if err := apply(t, m, 1, 1, Command{AddMaster: &AddMaster{Name: "m", Addr: "h:1"}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("a change was not told")
	}
	old := m.State()
	want := show(old) + events(old.Events)
	for i, c := range []Command{
		{AddReplica: &AddReplica{Master: "m", Addr: "h:2", Of: 1}},
		{AddMaster: &AddMaster{Name: "a", Addr: "h:5"}},
		{RegisterAgent: &Agent{ID: "x"}},
		{AdvanceCursor: &Cursor{Endpoint: "e", ID: 1}},
		{Pause: &Pause{Who: "w", Until: 1}},
		{Pause: &Pause{Master: "m", Who: "w", Until: 1}},
		{Resume: &Resume{}},
		{Shadow: &Shadow{Kind: ShadowDecided, Master: "m", Old: "h:1", Target: "h:2"}},
		{Step: &failover.Step{Kind: failover.StepBegin, Master: "m", Epoch: 2, Old: "h:1", Replicas: []config.Addr{"h:2"}, Cause: failover.CauseDown}},
	} {
		if err := apply(t, m, uint64(i+2), 2, c); err != nil {
			t.Fatal(err)
		}
	}
	if got := show(old) + events(old.Events); got != want {
		t.Errorf("an old state changed:\n%s\nwant\n%s", got, want)
	}
}
