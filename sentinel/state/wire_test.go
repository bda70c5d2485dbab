package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"picket/config"
	"picket/consensus"
	"picket/failover"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden pins the format: what an agent of today writes, one of tomorrow must read. The first files are of the time
// before the map, before pauses, and before dead letters.
func TestGolden(t *testing.T) {
	m := NewMachine()
	replicas := []config.Addr{"h:2", "h:3"}
	for i, c := range []Command{
		{At: 1, AddMaster: &AddMaster{Name: "m", Addr: "h:1", Quorum: 2}},
		{At: 2, AddReplica: &AddReplica{Master: "m", Addr: "h:2", Of: 1}},
		{At: 3, AddReplica: &AddReplica{Master: "m", Addr: "h:3", Of: 1}},
		{At: 4, RegisterAgent: &Agent{ID: "x", Host: "h", SentinelPort: 26379, Peer: "h:26380", Local: "h:1", Zone: "z", Boot: 7}},
		{At: 5, Step: &failover.Step{Kind: failover.StepBegin, Master: "m", Epoch: 3, At: 5, Cause: failover.CauseDown, Old: "h:1",
			Replicas: replicas, Evidence: "refused", Down: 4}},
		{At: 6, Step: &failover.Step{Kind: failover.StepPromote, Master: "m", Epoch: 3, At: 6, Target: "h:2", RunID: "r", ReplID: "i",
			Offset: 9, Why: "it holds the most"}},
		{At: 7, Step: &failover.Step{Kind: failover.StepSwitch, Master: "m", Epoch: 3, At: 7, Target: "h:2"}},
		{At: 8, AdvanceCursor: &Cursor{Endpoint: "ops", ID: 5}},
	} {
		term := uint64(3)
		if c.Step == nil {
			term = 2
		}
		if err := apply(t, m, uint64(i+1), term, c); err != nil {
			t.Fatal(err)
		}
	}
	if old, err := os.ReadFile(filepath.Join("testdata", "snapshot.v1.golden")); err != nil {
		t.Error(err)
	} else if got, want := show(restored(t, old).State()), show(ofOld(m.State())); got != want {
		t.Errorf("restored from before the map:\n%s\nwant\n%s", got, want)
	}
	for i, w := range []Write{{Key: "a", Value: "1"}, {Key: "b/c", Value: "2"}, {Key: "a", Delete: true}} {
		if _, err := write(t, m, uint64(i+9), w); err != nil {
			t.Fatal(err)
		}
	}
	if old, err := os.ReadFile(filepath.Join("testdata", "snapshot.v1.map.golden")); err != nil {
		t.Error(err)
	} else if got, want := show(restored(t, old).State()), show(ofOld(m.State())); got != want {
		t.Errorf("restored from before pauses:\n%s\nwant\n%s", got, want)
	}
	if err := apply(t, m, 12, 3, Command{At: 12, Pause: &Pause{Master: "m", Who: "w", Why: "y", Until: 99}}); err != nil {
		t.Fatal(err)
	}
	if old, err := os.ReadFile(filepath.Join("testdata", "snapshot.v1.told.golden")); err != nil {
		t.Error(err)
	} else if got, want := show(restored(t, old).State()), show(m.State()); got != want {
		t.Errorf("restored from before dead letters:\n%s\nwant\n%s", got, want)
	}
	for i, d := range []Delivery{
		{Kind: DeliveryDied, Endpoint: "ops", ID: 12, Lane: "m", Attempts: 3, Error: "refused"}, {Kind: DeliveryGone, Endpoint: "ops", Target: "f"},
	} {
		if err := apply(t, m, uint64(13+i), 3, Command{At: 13, Delivery: &d}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join("testdata", "snapshot.v1.now.golden")
	if *update {
		if err := os.WriteFile(path, snapshot(t, m), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(snapshot(t, m), golden) {
		t.Error("the snapshot's bytes differ from the golden file's: a change of the format needs a new version")
	}
	if got, want := show(restored(t, golden).State()), show(m.State()); got != want {
		t.Errorf("restored:\n%s\nwant\n%s", got, want)
	}
}

// TestEncode_JSONHasNoSay: names and options that are for JSON must not become the log's.
func TestEncode_JSONHasNoSay(t *testing.T) {
	for want, value := range map[string]any{
		"99 a1 6d a1 68 c3 01 a0 a0 00 a0 a0": &Diverged{"m", failover.Divergence{Server: "h", Known: true, Bytes: 1}}, // there is one Master
		"94 a1 61 a0 a0 05":                   &failover.Witness{Agent: "a", Since: 5},
		// A list that is empty is not left out …
		"dc 00 25 00 a0 00 00 a0 a0 a0 90 a0 a0 a0 a0 00 a0 c0 c0 00 00 00 00 00 a0 a0 c2 a0 00 c0 a0 a0 c2 c2 c0 a0 a0 c0 c0 00": &failover.Record{
			Replicas: []config.Addr{},
		},
	} {
		if got, err := encode(value); err != nil || fmt.Sprintf("% x", got[1:]) != want {
			t.Errorf("%+v: % x (%v), want %s", value, got[1:], err, want)
		}
	}
	// … but for an event's.
	empty, err := encode(&EventData{Replicas: []config.Addr{}, Changes: []Option{}})
	if none, _ := encode(&EventData{}); err != nil || !bytes.Equal(empty, none) {
		t.Errorf("% x (%v), want % x", empty, err, none)
	}
}

// ofOld is the state as it was before processes were registered, and before it was kept when masters were made known.
func ofOld(s *State) *State {
	old := *s
	old.Masters, old.Events = slices.Clone(s.Masters), slices.Clone(s.Events)
	for i := range old.Masters {
		m := &old.Masters[i]
		m.Processes, m.Since, m.Added = nil, 0, 0
	}
	for i := range old.Events {
		old.Events[i].Epoch = 3
	}
	return &old
}

func TestRestore_RefusesWhatItCannotRead(t *testing.T) {
	whole := snapshot(t, NewMachine())
	for name, data := range map[string][]byte{
		"empty": {}, "cut": whole[:len(whole)-1], "longer": append(slices.Clone(whole), 0), "other version": {99},
	} {
		m := NewMachine()
		before := m.State()
		if err := m.Restore(bytes.NewReader(data)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if m.State() != before {
			t.Errorf("%s: the state changed", name)
		}
	}
	if err := NewMachine().Restore(failing{}); !errors.Is(err, errFailing) {
		t.Errorf("error %v, want the reader's", err)
	}
}

var errFailing = errors.New("failing")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

func FuzzCommand(f *testing.F) {
	for _, c := range []Command{
		{AddMaster: &AddMaster{Name: "b", Addr: "h:9"}},
		{AddReplica: &AddReplica{Master: "m", Addr: "h:2", Of: 1}},
		{RegisterAgent: &Agent{ID: "x"}},
		{AdvanceCursor: &Cursor{Endpoint: "e", ID: 1}},
		{Step: &failover.Step{Kind: failover.StepBegin, Master: "m", Epoch: 2, Old: "h:1", Replicas: []config.Addr{"h:2"}}},
		{Write: &Write{Key: "k", Value: "v", If: Condition{Kind: IfAbsent}}},
		{Pause: &Pause{Who: "w", Until: 1}},
		{Resume: &Resume{Master: "m"}},
		{Acknowledge: &Acknowledgement{Master: "m", Failover: 1, Who: "w"}},
		{Diverged: &Diverged{"m", failover.Divergence{Server: "h:2", Known: true, Bytes: 1}}},
		{Schedule: &ScheduleSwitchover{Master: "m", Schedule: Schedule{To: "h:2", At: 1, Who: "w"}}},
		{Cancel: &CancelSwitchover{Master: "m", Who: "w"}},
		{AllowLoss: &AllowLoss{Master: "m", Failover: 1, Who: "w"}},
		{ForgetAgent: "x"},
		{Monitor: &AddMaster{Name: "n", Addr: "h:5", Quorum: 2}},
		{Remove: "m"},
		{Set: &SetOptions{"m", []Option{{"quorum", "1"}}}},
		{Reset: &Reset{"m", []failover.Process{{Addr: "h:2"}}}},
		{Register: &Register{"m", failover.Process{Addr: "h:1", RunID: "r"}}},
		{Forget: &Register{"m", failover.Process{Addr: "h:2", RunID: "r"}}},
		{Shadow: &Shadow{Kind: ShadowDecided, Master: "m", Old: "h:1", Target: "h:2"}},
		{Delivery: &Delivery{Kind: DeliveryDied, Endpoint: "e", ID: 1, Lane: "m", Error: "refused"}},
	} {
		data, err := c.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMachine()
		if err := apply(t, m, 1, 1, Command{AddMaster: &AddMaster{Name: "m", Addr: "h:1"}}); err != nil {
			t.Fatal(err)
		}
		before := m.State()
		if _, refused := m.Apply(consensus.Entry{Index: 2, Term: 2, Data: data}).(error); refused && m.State() != before {
			t.Error("a refused command changed the state")
		}
		restored(t, snapshot(t, m))
	})
}

// TestApply_NewerVersion: an agent of an older version must not go on as if nothing had been decided.
func TestApply_NewerVersion(t *testing.T) {
	data, err := (&Command{Remove: "m"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := fields(data); n != kinds {
		t.Fatalf("a command has %d fields, want %d", n, kinds)
	}
	more := slices.Clone(data)
	binary.BigEndian.PutUint16(more[2:], uint16(kinds+2))
	const null, empty, something = 0xc0, 0xa0, 0x01
	m := NewMachine()
	if err := apply(t, m, 1, 1, Command{AddMaster: &AddMaster{Name: "m", Addr: "h:1"}}); err != nil {
		t.Fatal(err)
	}
	// What every version knows is carried out, whoever wrote it.
	if result := m.Apply(consensus.Entry{Index: 2, Term: 1, Data: append(slices.Clone(more), null, empty)}); result != nil || m.State().Master("m") != nil {
		t.Errorf("a removal that a newer version wrote: %v", result)
	}
	another := slices.Clone(data)
	another[0] = version + 1
	delivery, err := (&Command{Delivery: &Delivery{Kind: deliveryKinds}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"more kinds": append(more, null, something), "another format": another, "a new kind": delivery} {
		m := NewMachine()
		result := m.Apply(consensus.Entry{Index: 1, Term: 1, Data: data})
		if fatal := (*consensus.FatalError)(nil); !errors.As(result.(error), &fatal) || !errors.Is(fatal, ErrNewer) {
			t.Errorf("%s: %v", name, result)
		}
	}
}
