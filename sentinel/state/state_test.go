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
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"picket/config"
	"picket/consensus"
	"picket/failover"
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

// TestScripts runs command sequences and shows what each makes: an event, a refusal, or nothing.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		m, index := NewMachine(), uint64(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "state" {
				return show(m.State())
			}
			index++
			term := uint64(1)
			d.MaybeScanArgs(t, "term", &term)
			before := m.State()
			if err := apply(t, m, index, term, command(t, d, term, before)); err != nil {
				if m.State() != before {
					t.Errorf("%s: a refused command changed the state", d.Pos)
				}
				return fmt.Sprintf("refused: %v\n", err)
			}
			if !bytes.Equal(snapshot(t, m), snapshot(t, restored(t, snapshot(t, m)))) {
				t.Errorf("%s: the state does not survive a snapshot", d.Pos)
			}
			return events(m.State().After(index-1, 10))
		})
	})
}

// added says which master bears a name now.
func added(s *State, name string) uint64 {
	if m := s.Master(name); m != nil {
		return m.Added
	}
	return 0
}

func command(t *testing.T, d *datadriven.TestData, term uint64, s *State) Command {
	text := func(key string) (s string) { d.MaybeScanArgs(t, key, &s); return s }
	number := func(key string) (n int64) { d.MaybeScanArgs(t, key, &n); return n }
	addr := func(key string) config.Addr { return config.Addr(text(key)) }
	epoch := term
	d.MaybeScanArgs(t, "epoch", &epoch)
	step := failover.Step{
		Master: text("master"), Epoch: epoch, At: number("at"), Cause: failover.Cause(text("cause")), Old: addr("old"),
		Evidence: text("evidence"), Down: number("down"), Target: addr("target"), RunID: text("runid"), ReplID: text("replid"),
		Offset: number("offset"), Why: text("why"), Replica: addr("replica"), HandOver: d.HasArg("hand-over"),
	}
	if list := text("replicas"); list != "" {
		for a := range strings.SplitSeq(list, "+") {
			step.Replicas = append(step.Replicas, config.Addr(a))
		}
	}
	kinds := map[string]failover.StepKind{
		"begin": failover.StepBegin, "resume": failover.StepResume, "promote": failover.StepPromote, "switch": failover.StepSwitch,
		"repoint": failover.StepRepoint, "end": failover.StepEnd, "abort": failover.StepAbort,
	}
	if kind, ok := kinds[d.Cmd]; ok {
		step.Kind = kind
		return Command{At: step.At, Step: &step}
	}
	switch d.Cmd {
	case "add-master":
		return Command{AddMaster: &AddMaster{Name: text("name"), Addr: addr("addr"), Quorum: 2}}
	case "forget-agent":
		return Command{ForgetAgent: text("id")}
	case "add-replica":
		of := added(s, text("master"))
		d.MaybeScanArgs(t, "of", &of)
		return Command{AddReplica: &AddReplica{Master: text("master"), Addr: addr("addr"), Of: of}}
	case "register":
		return Command{RegisterAgent: &Agent{ID: text("id"), Host: text("host"), SentinelPort: 26379, Boot: uint64(number("boot"))}}
	case "register-process":
		return Command{Register: &Register{text("master"), failover.Process{Addr: addr("addr"), RunID: text("runid"), ReplID: text("replid")}}}
	case "forget-replica":
		return Command{Forget: &Register{text("master"), failover.Process{Addr: addr("addr"), RunID: text("runid")}}}
	case "move-replica":
		return Command{Move: &MoveReplica{text("master"), addr("from"), addr("to"), text("runid")}}
	case "inquire":
		return Command{At: number("at"), Inquire: &Inquire{text("master"), failover.Inquiry{
			Agent: text("agent"), Epoch: epoch, For: 2 * time.Second, Vetoed: d.HasArg("no"), Why: text("why"),
		}}}
	case "advance":
		return Command{AdvanceCursor: &Cursor{Endpoint: text("endpoint"), ID: uint64(number("id"))}}
	case "delivery":
		d := Delivery{
			Kind: deliveries[text("kind")], Endpoint: text("endpoint"), Of: uint64(number("of")), ID: uint64(number("id")), Lane: text("lane"),
			Attempts: int(number("attempts")), Error: text("error"), Target: text("target"), Who: text("who"),
		}
		if lane := text("ahead"); lane != "" {
			d.Ahead = []Ahead{{lane, uint64(number("to"))}}
		}
		return Command{At: number("at"), Delivery: &d}
	case "pause":
		return Command{At: number("at"), Pause: &Pause{Master: text("master"), Who: text("who"), Why: text("why"), Until: number("until")}}
	case "end-pause":
		return Command{At: number("at"), Resume: &Resume{Master: text("master"), Who: text("who"), Until: number("until")}}
	case "shadow":
		kinds := map[string]ShadowKind{"decided": ShadowDecided, "switched": ShadowSwitched, "stayed": ShadowStayed}
		return Command{At: number("at"), Shadow: &Shadow{
			Kind: kinds[text("kind")], Master: text("master"), Old: addr("old"), Target: addr("target"), Why: text("why"),
			Evidence: text("evidence"), Down: number("down"), Epoch: uint64(number("foreign")), RunID: text("runid"),
		}}
	case "schedule":
		return Command{At: number("at"), Schedule: &ScheduleSwitchover{text("master"), Schedule{addr("to"), number("due"), text("who")}}}
	case "cancel":
		return Command{At: number("at"), Cancel: &CancelSwitchover{text("master"), number("due"), text("who"), text("why")}}
	case "acknowledge":
		return Command{Acknowledge: &Acknowledgement{Master: text("master"), Failover: uint64(number("failover")), Who: text("who")}}
	case "monitor":
		return Command{Monitor: &AddMaster{Name: text("name"), Addr: addr("addr"), Quorum: int(number("quorum"))}}
	case "remove":
		return Command{Remove: text("name")}
	case "set":
		return Command{Set: &SetOptions{text("master"), []Option{{text("option"), text("value")}}}}
	case "reset":
		return Command{Reset: &Reset{text("master"), []failover.Process{{Addr: addr("gone"), RunID: text("runid")}}}}
	case "nothing":
		return Command{}
	}
	t.Fatalf("%s: unknown directive %q", d.Pos, d.Cmd)
	return Command{}
}

var deliveries = map[string]DeliveryKind{
	"told": DeliveryTold, "died": DeliveryDied, "gone": DeliveryGone, "enabled": DeliveryEnabled, "again": DeliveryAgain, "again-all": DeliveryAgainAll,
	"rewound": DeliveryRewound, "settled": DeliverySettled, "failed": DeliveryFailed, "gap-told": DeliveryGapTold, "forgotten": DeliveryForgotten,
	"removed": DeliveryRemoved,
}

func events(list []Event) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "event %d %s master=%s epoch=%d at=%d %s\n", e.ID, e.Type, e.Master, e.Epoch, e.At, data(e.Data))
	}
	if b.Len() == 0 {
		return "no event\n"
	}
	return b.String()
}

// data shows the fields that are set.
func data(d EventData) string {
	var parts []string
	add := func(name string, value any, set bool) {
		if set {
			parts = append(parts, fmt.Sprintf("%s=%v", name, value))
		}
	}
	add("failover", d.Failover, d.Failover != 0)
	add("cause", d.Cause, d.Cause != "")
	add("evidence", d.Evidence, d.Evidence != "")
	add("from", d.From, d.From != "")
	add("to", d.To, d.To != "")
	add("replica", d.Replica, d.Replica != "")
	add("replicas", d.Replicas, len(d.Replicas) > 0)
	add("quorum", d.Quorum, d.Quorum != 0)
	add("agent", d.Agent, d.Agent != "")
	add("host", d.Host, d.Host != "")
	add("port", d.Port, d.Port != 0)
	add("offset", d.Offset, d.Offset != 0)
	add("why", d.Why, d.Why != "")
	add("who", d.Who, d.Who != "")
	add("until", d.Until, d.Until != "")
	add("imagined", d.Imagined, d.Imagined != "")
	add("ahead", d.AheadMS, d.AheadMS != 0)
	add("changes", d.Changes, len(d.Changes) > 0)
	add("elapsed", d.ElapsedMS, d.ElapsedMS != 0)
	add("endpoint", d.Endpoint, d.Endpoint != "")
	add("event", fmt.Sprintf("%d/%s", d.Event, d.EventType), d.Event != 0)
	add("dropped", d.Dropped, d.Dropped != 0)
	add("letters", d.Letters, d.Letters != 0)
	return strings.Join(parts, " ")
}

func show(s *State) string {
	var b strings.Builder
	for _, m := range s.Masters {
		fmt.Fprintf(&b, "master %s %s epoch=%d replicas=%v", m.Name, m.Addr, m.Epoch, m.Replicas)
		for _, p := range m.Processes {
			fmt.Fprintf(&b, " process=%s/%s", p.Addr, p.RunID)
			if p.ReplID != "" {
				fmt.Fprintf(&b, "/%s", p.ReplID)
			}
		}
		if m.Failover != nil {
			fmt.Fprintf(&b, " running=%d/%d", m.Failover.ID, m.Failover.Phase)
		}
		if m.Last != nil {
			fmt.Fprintf(&b, " last=%d/%s", m.Last.ID, m.Last.Outcome)
		}
		if m.Monitored != "" || len(m.Options) > 0 {
			fmt.Fprintf(&b, " monitored=%s since=%d options=%v", m.Monitored, m.Since, m.Options)
		}
		if q := m.Inquiry; q != nil {
			fmt.Fprintf(&b, " inquiry of %s in %d at %d for %s vetoed=%v why=%q times=%d", q.Agent, q.Epoch, q.At, q.For, q.Vetoed, q.Why, q.Times)
		}
		if m.Acknowledged != 0 {
			fmt.Fprintf(&b, " acknowledged=%d", m.Acknowledged)
		}
		if m.Shadow != nil {
			fmt.Fprintf(&b, " shadow=%+v", *m.Shadow)
		}
		fmt.Fprintln(&b)
	}
	for _, name := range s.Removed {
		fmt.Fprintf(&b, "removed %s\n", name)
	}
	for _, a := range s.Agents {
		fmt.Fprintf(&b, "agent %s %s:%d boot=%d\n", a.ID, a.Host, a.SentinelPort, a.Boot)
	}
	for _, c := range s.Cursors {
		fmt.Fprintf(&b, "cursor %s %d%s\n", c.Endpoint, c.ID, more(c))
	}
	for _, p := range s.Pauses {
		fmt.Fprintf(&b, "pause %q %d-%d by %s: %s\n", p.Master, p.Since, p.Until, p.Who, p.Why)
	}
	if s.Map.Revision != 0 {
		fmt.Fprintf(&b, "map at %d, forgotten up to %d\n%s%s", s.Map.Revision, s.Map.Compacted, entries(s.Map.Entries), changes(s.Map.Changes))
	}
	return b.String()
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
		return Command{Pause: &Pause{Master: paused, Who: "w", Until: rapid.Int64Range(0, 2).Draw(t, "until")}}
	case 1:
		return Command{Resume: &Resume{Master: paused, Until: rapid.Int64Range(0, 2).Draw(t, "until")}}
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

// named is a name in an epoch: there is one master of it, whatever was removed and made known again in between.
type named struct {
	name  string
	epoch uint64
}

func TestHistory_IsBoundedAndKeepsWhatNobodyWasTold(t *testing.T) {
	m := NewMachine()
	index := uint64(0)
	do := func(c Command) {
		t.Helper()
		index++
		if err := apply(t, m, index, 1, c); err != nil {
			t.Fatal(err)
		}
	}
	register := func(n int) {
		for range n {
			do(Command{RegisterAgent: &Agent{ID: "a", Host: fmt.Sprint(index)}})
		}
	}
	register(keptEvents + 10)
	if got := len(m.State().Events); got != keptEvents {
		t.Errorf("%d events without endpoints, want %d", got, keptEvents)
	}
	if got := m.State().Forgotten; got != 10 {
		t.Errorf("forgotten up to %d, want 10", got)
	}
	told := index
	do(Command{AdvanceCursor: &Cursor{Endpoint: "ops", ID: told}})
	register(keptEvents + 500)
	if first := m.State().Events[0].ID; first > told+2 {
		t.Errorf("event %d is the oldest, but the endpoint was told up to %d only", first, told)
	}
	do(Command{AdvanceCursor: &Cursor{Endpoint: "ops", ID: index}})
	if got := len(m.State().Events); got != keptEvents {
		t.Errorf("%d events after the endpoint was told, want %d", got, keptEvents)
	}
	told = index
	register(maxEvents)
	if gap := m.State().Cursor("ops").Gap; gap != nil {
		t.Errorf("there is a gap already: %+v", *gap)
	}
	register(3)
	if got := len(m.State().Events); got != maxEvents {
		t.Errorf("%d events while the endpoint is gone, want %d", got, maxEvents)
	}
	want := Gap{After: told - 1, UpTo: told + 3, Events: 3}
	if gap := m.State().Cursor("ops").Gap; gap == nil || *gap != want {
		t.Errorf("gap %+v, want %+v", gap, want)
	}
	// What is told while the gap grows is a part of it.
	register(2)
	do(Command{Delivery: &Delivery{Kind: DeliveryGapTold, Endpoint: "ops", ID: told + 3}})
	want = Gap{After: told + 3, UpTo: told + 5, Events: 2}
	if gap := m.State().Cursor("ops").Gap; gap == nil || *gap != want {
		t.Errorf("gap %+v, want %+v", gap, want)
	}
	do(Command{Delivery: &Delivery{Kind: DeliveryGapTold, Endpoint: "ops", ID: told + 5}})
	if gap := m.State().Cursor("ops").Gap; gap != nil {
		t.Errorf("it was told of the gap %+v", *gap)
	}
	// Nothing is kept for one that may never want more.
	do(Command{Delivery: &Delivery{Kind: DeliveryGone, Endpoint: "ops"}})
	if got := len(m.State().Events); got != keptEvents {
		t.Errorf("%d events for an endpoint that is disabled, want %d", got, keptEvents)
	}
	if gap := m.State().Cursor("ops").Gap; gap == nil || gap.UpTo != m.State().Forgotten {
		t.Errorf("gap %+v, forgotten up to %d", gap, m.State().Forgotten)
	}
}

// TestDeadLetters_AreBounded shows that the oldest is lost when there are too many, and that others hear of it.
func TestDeadLetters_AreBounded(t *testing.T) {
	m := NewMachine()
	index := uint64(0)
	do := func(c Command) error {
		index++
		return apply(t, m, index, 1, c)
	}
	if err := do(Command{AdvanceCursor: &Cursor{Endpoint: "ops"}}); err != nil {
		t.Fatal(err)
	}
	for i := range MaxDead + 2 {
		if err := do(Command{RegisterAgent: &Agent{ID: "a", Host: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
		if err := do(Command{Delivery: &Delivery{
			Kind: DeliveryDied, Endpoint: "ops", ID: index, Lane: "", Error: strings.Repeat("é", maxError),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	c := m.State().Cursor("ops")
	if len(c.Dead) != MaxDead || c.Dropped != 2 || c.Dead[0].Event.ID != 6 {
		t.Errorf("%d letters, %d dropped, the oldest of event %d", len(c.Dead), c.Dropped, c.Dead[0].Event.ID)
	}
	if e := c.Dead[0].Error; len(e) > maxError || !utf8.ValidString(e) {
		t.Errorf("an error of %d bytes: %q", len(e), e)
	}
	if e := m.State().Event(index); e == nil || e.Type != WebhookDead || e.Data.Dropped != 4 {
		t.Errorf("the last event is %+v", e)
	}
	if err := do(Command{RegisterAgent: &Agent{ID: "a", Host: "new"}}); err != nil {
		t.Fatal(err)
	}
	if err := do(Command{Delivery: &Delivery{Kind: DeliveryAgain, Endpoint: "ops", ID: index}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a letter too many is asked for: %v", err)
	}
}

// TestAhead_IsBounded shows that an endpoint can't have the state hold more lanes than there may be.
func TestAhead_IsBounded(t *testing.T) {
	m := NewMachine()
	if err := apply(t, m, 1, 1, Command{AdvanceCursor: &Cursor{Endpoint: "ops"}}); err != nil {
		t.Fatal(err)
	}
	tell := func(lanes int) error {
		var ahead []Ahead
		for i := range lanes {
			ahead = append(ahead, Ahead{fmt.Sprint("m", i), 9})
		}
		return apply(t, m, 2, 1, Command{Delivery: &Delivery{Kind: DeliveryTold, Endpoint: "ops", Ahead: ahead}})
	}
	if err := tell(MaxAhead + 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("too many lanes: %v", err)
	}
	if err := tell(MaxAhead); err != nil {
		t.Error(err)
	}
}

func TestAfter_GivesEventsInOrderFromAnyID(t *testing.T) {
	m := NewMachine()
	for i := range uint64(5) {
		if err := apply(t, m, (i+1)*10, 1, Command{RegisterAgent: &Agent{ID: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		id    uint64
		limit int
		want  []uint64
	}{
		{0, 10, []uint64{10, 20, 30, 40, 50}}, {10, 2, []uint64{20, 30}}, {15, 1, []uint64{20}}, {50, 10, nil}, {49, 0, nil},
	} {
		var got []uint64
		for _, e := range m.State().After(tc.id, tc.limit) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("After(%d, %d) = %v, want %v", tc.id, tc.limit, got, tc.want)
		}
	}
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

// more shows what a cursor holds beside its position.
func more(c Cursor) string {
	var b strings.Builder
	for _, a := range c.Ahead {
		fmt.Fprintf(&b, " %s=%d", a.Lane, a.ID)
	}
	if c.Disabled != nil {
		fmt.Fprintf(&b, " disabled=%+v", *c.Disabled)
	}
	for _, l := range c.Dead {
		fmt.Fprintf(&b, " dead=%d(%s)/%d/%s/again=%d", l.Event.ID, l.Event.Type, l.Attempts, l.Error, l.Again)
	}
	if c.Dropped != 0 {
		fmt.Fprintf(&b, " dropped=%d", c.Dropped)
	}
	if c.Gap != nil {
		fmt.Fprintf(&b, " gap=%+v", *c.Gap)
	}
	if c.Rewound != 0 {
		fmt.Fprintf(&b, " rewound=%d", c.Rewound)
	}
	return b.String()
}
