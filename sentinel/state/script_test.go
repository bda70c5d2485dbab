package state

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"picket/config"
	"picket/failover"
	"picket/monitor"
)

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
			before, was := m.State(), snapshot(t, m)
			if err := apply(t, m, index, term, command(t, d, term, before)); err != nil {
				if m.State() != before {
					t.Errorf("%s: a refused command changed the state", d.Pos)
				}
				return fmt.Sprintf("refused: %v\n", err)
			}
			now := snapshot(t, m)
			if !bytes.Equal(now, snapshot(t, restored(t, now))) {
				t.Errorf("%s: the state does not survive a snapshot", d.Pos)
			}
			if m.State() != before && bytes.Equal(now, was) {
				t.Errorf("%s: nothing changes, and whoever waits for changes is woken", d.Pos)
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
	moment := func(key string) monitor.Moment { return monitor.Moment(number(key)) }
	addr := func(key string) config.Addr { return config.Addr(text(key)) }
	epoch := term
	d.MaybeScanArgs(t, "epoch", &epoch)
	step := failover.Step{
		Master: text("master"), Epoch: epoch, At: moment("at"), Cause: failover.Cause(text("cause")), Old: addr("old"),
		Evidence: text("evidence"), Down: moment("down"), Target: addr("target"), RunID: text("runid"), ReplID: text("replid"),
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
		return Command{At: moment("at"), Inquire: &Inquire{text("master"), failover.Inquiry{
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
		return Command{At: moment("at"), Delivery: &d}
	case "pause":
		return Command{At: moment("at"), Pause: &Pause{Master: text("master"), Who: text("who"), Why: text("why"), Until: moment("until")}}
	case "end-pause":
		return Command{At: moment("at"), Resume: &Resume{Master: text("master"), Who: text("who"), Until: moment("until")}}
	case "shadow":
		kinds := map[string]ShadowKind{"decided": ShadowDecided, "switched": ShadowSwitched, "stayed": ShadowStayed}
		return Command{At: moment("at"), Shadow: &Shadow{
			Kind: kinds[text("kind")], Master: text("master"), Old: addr("old"), Target: addr("target"), Why: text("why"),
			Evidence: text("evidence"), Down: moment("down"), Epoch: uint64(number("foreign")), RunID: text("runid"),
		}}
	case "schedule":
		return Command{At: moment("at"), Schedule: &ScheduleSwitchover{text("master"), Schedule{addr("to"), moment("due"), text("who")}}}
	case "cancel":
		return Command{At: moment("at"), Cancel: &CancelSwitchover{text("master"), moment("due"), text("who"), text("why")}}
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
