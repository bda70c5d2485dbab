package sentinel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/resp"
	"picket/sentinel/script"
	"picket/sentinel/state"
	"picket/sentinel/webhook"
)

// listener is a herald's outside: what was logged, published and counted.
type listener struct {
	log       bytes.Buffer
	published []string
	counted   []state.EventType
	programs  []string // that were to be run
}

func (l *listener) Committed(e state.Event, _ *failover.Record) {
	l.counted = append(l.counted, e.Type)
}

func newListener() (*listener, *herald) {
	l := &listener{}
	h := &herald{
		problems: map[string]string{},
		log:      zerolog.New(&l.log), cluster: "c", self: "a", machine: state.NewMachine(), metrics: l, queue: make(chan saying, heraldQueue), down: map[config.Addr]bool{},
		door: func(messages ...resp.Message) {
			for _, m := range messages {
				l.published = append(l.published, m.Channel+" "+m.Payload)
			}
		},
	}
	settings := config.Master{NotificationScript: "/notify", ClientReconfigScript: "/reconfigure"}
	h.scripts = scripts{
		add: func(argv ...string) { l.programs = append(l.programs, strings.Join(argv, "|")) },
		settings: func(master string) *config.Master {
			if master != "m" {
				return nil
			}
			return &settings
		},
	}
	return l, h
}

// run lets the herald tell all that it was given.
func (l *listener) run(h *herald) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.run(ctx)
}

// lines gives level and message of what was logged.
func (l *listener) lines(t *testing.T) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(l.log.String()) {
		var fields struct{ Level, Message string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields.Level+" "+fields.Message)
	}
	return lines
}

// failoverTo applies a whole failover from term on, and gives the index of the last entry.
func failoverTo(t *testing.T, m *state.Machine, index, term uint64, from, to config.Addr) uint64 {
	t.Helper()
	for _, step := range []failover.Step{
		{Kind: failover.StepBegin, Old: from, Replicas: []config.Addr{to}, Cause: failover.CauseDown},
		{Kind: failover.StepPromote, Target: to}, {Kind: failover.StepSwitch, Target: to}, {Kind: failover.StepEnd},
	} {
		step.Master, step.Epoch = "m", term
		index++
		commit(t, m, index, term, state.Command{Step: &step})
	}
	return index
}

func commit(t *testing.T, m *state.Machine, index, term uint64, c state.Command) {
	t.Helper()
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if refusal := m.Apply(consensus.Entry{Index: consensus.Index(index), Term: consensus.Term(term), Data: data}); refusal != nil {
		t.Fatal(refusal)
	}
}

func TestHerald_TellsCommittedEventsOnceAndOldSwitchesOnlyIfTheyStillHold(t *testing.T) {
	l, h := newListener()
	commit(t, h.machine, 1, 1, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1"}})
	index := failoverTo(t, h.machine, 1, 2, "h:1", "h:2")
	index = failoverTo(t, h.machine, index, 3, "h:2", "h:1")
	h.old = index // all of this was in the log when the agent started
	l.run(h)
	if got := l.switches(); !slices.Equal(got, []string{"+switch-master m h 2 h 1"}) {
		t.Errorf("told %q, want only the switch that made the present master", got)
	}
	if len(l.counted) > 0 || l.log.Len() > 0 {
		t.Errorf("counted %v, logged %s: it is old news", l.counted, l.log.String())
	}

	failoverTo(t, h.machine, index, 4, "h:1", "h:2")
	l.run(h)
	l.run(h)
	if got := l.switches(); !slices.Equal(got, []string{"+switch-master m h 2 h 1", "+switch-master m h 1 h 2"}) {
		t.Errorf("told %q", got)
	}
	want := []state.EventType{state.FailoverBegun, state.FailoverPromoting, state.FailoverSwitched, state.FailoverEnded}
	if !slices.Equal(l.counted, want) {
		t.Errorf("counted %v, want %v", l.counted, want)
	}
	if got, want := l.lines(t), []string{
		"info failover.begun", "info failover.promoting", "info failover.switched", "info failover.ended",
	}; !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func (l *listener) switches() []string {
	return slices.DeleteFunc(slices.Clone(l.published), func(m string) bool { return !strings.HasPrefix(m, "+switch-master ") })
}

func TestHerald_TellsOfOtherAgentsOnly(t *testing.T) {
	l, h := newListener()
	commit(t, h.machine, 1, 1, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1"}})
	for i, id := range []string{"a", "b"} {
		commit(t, h.machine, uint64(i+2), 1, state.Command{RegisterAgent: &state.Agent{ID: id, Host: "h", SentinelPort: 26379}})
	}
	l.run(h)
	n := 0
	for _, m := range l.published {
		if strings.HasPrefix(m, "+sentinel sentinel ") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("published %q, want one +sentinel", l.published)
	}
}

func TestHerald_TellsChangesAndNothingTwice(t *testing.T) {
	l, h := newListener()
	o := resp.Owner{Name: "m", Master: "h:1", IsMaster: true}
	healthy := monitor.Verdict{Code: monitor.Healthy, Text: "the master answers"}
	dead := monitor.Verdict{Code: monitor.DeadMaster, ObjectivelyDown: true, Text: "it is dead", Quorum: 2, Down: make([]monitor.Opinion, 2)}
	blocker := failover.Blocker{Reason: "cooldown", Text: "it was just now"}
	again := blocker
	h.verdict(o, monitor.Verdict{}, healthy)
	h.verdict(o, healthy, healthy)
	h.verdict(o, healthy, dead)
	h.blocker("m", nil, &blocker)
	h.blocker("m", &blocker, &again)
	h.blocker("m", &again, nil)
	h.blocker("m", nil, &failover.Blocker{Reason: reasonLease, Text: "it is held"})
	h.verdict(o, dead, healthy)
	h.seen(monitor.Event{Kind: monitor.ServerDown, Server: monitor.Server{Addr: "h:9", Evidence: monitor.Refused}})
	h.seen(monitor.Event{Kind: monitor.StallBegun})
	h.consensus(consensus.Event{Kind: consensus.EventLeader, Term: 3, Peer: "b", Reason: []byte("down:m")})
	h.progress(failover.Progress{Master: "m", Kind: failover.ActionFailed, Server: "h:2", Err: errors.New("no")})
	h.delivery(webhook.Report{Kind: webhook.Failed, Attempts: 1, Err: errors.New("no")})
	h.delivery(webhook.Report{Kind: webhook.Failed, Attempts: 3, Err: errors.New("no")})
	h.delivery(webhook.Report{Kind: webhook.Delivered, Attempts: 4})
	h.failed(t.Context(), "repair", "m", errors.New("no"))
	h.failed(t.Context(), "repair", "m", fmt.Errorf("wrapped: %w", &consensus.NotLeaderError{}))
	h.failed(t.Context(), "repair", "m", nil)
	l.run(h)
	want := []string{
		"info the master answers", "warn it is dead", "warn a failover is blocked: it was just now",
		"info a failover is not blocked any more", "info a failover is blocked: it is held", "info the master answers", "warn server is down",
		"warn this agent was late itself: it distrusts what it saw and looks again", "info leader elected", "warn an action failed",
		"warn webhook failed; it is tried again", "debug webhook failed; it is tried again", "info webhook delivered", "warn could not repair",
	}
	if got := l.lines(t); !slices.Equal(got, want) {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{"+odown master m h 1 #quorum 2/2", "-odown master m h 1", "+tilt #tilt mode entered"}; !slices.Equal(l.published, want) {
		t.Errorf("published %q, want %q", l.published, want)
	}
}

// TestHerald_TellsAProblemOnce: an agent of another version says the same some times a second.
func TestHerald_TellsAProblemOnce(t *testing.T) {
	l, h := newListener()
	for range 3 {
		h.peer("b", errors.New("another version"))
	}
	h.peer("c", errors.New("another version"))
	h.peer("b", errors.New("something else"))
	l.run(h)
	if got := l.lines(t); len(got) != 3 {
		t.Errorf("logged %q", got)
	}
}

func TestHerald_HasScriptsRun(t *testing.T) {
	for _, c := range []struct{ agent, role string }{{"a", "leader"}, {"b", "observer"}} {
		l, h := newListener()
		commit(t, h.machine, 1, 1, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1", Quorum: 2}})
		for i, step := range []failover.Step{
			{Kind: failover.StepBegin, Old: "h:1", Replicas: []config.Addr{"[::2]:2"}, Cause: failover.CauseDown, Agent: c.agent},
			{Kind: failover.StepPromote, Target: "[::2]:2"}, {Kind: failover.StepSwitch, Target: "[::2]:2"},
		} {
			step.Master, step.Epoch = "m", 7
			commit(t, h.machine, uint64(i+2), 7, state.Command{Step: &step})
		}
		h.consensus(consensus.Event{Kind: consensus.EventTerm, Term: 8, Reason: reason{forDown, []string{"m", "n"}}.encode()})
		h.consensus(consensus.Event{Kind: consensus.EventTerm, Term: 9})
		h.seen(monitor.Event{Kind: monitor.ServerUp, Server: monitor.Server{Addr: "h:1"}})
		h.seen(monitor.Event{Kind: monitor.ServerReboot, Server: monitor.Server{Addr: "h:1"}})
		h.script(script.Report{Kind: script.Failed, Path: "/notify", Exit: script.Exit{Code: 2}})
		l.run(h)
		want := []string{
			"/notify|+monitor|master m h 1 quorum 2",
			"/notify|+try-failover|master m h 1", "/notify|+elected-leader|master m h 1", "/notify|+failover-state-select-slave|master m h 1",
			"/notify|+selected-slave|slave [::2]:2 ::2 2 @ m h 1",
			"/reconfigure|m|" + c.role + "|start|h|1|::2|2",
			"/notify|+promoted-slave|slave [::2]:2 ::2 2 @ m h 1", "/notify|+failover-state-reconf-slaves|master m h 1",
			"/notify|+switch-master|m h 1 ::2 2",
			"/notify|+new-epoch|8", "/notify|-sdown|slave h:1 h 1 @ m ::2 2",
		}
		if !slices.Equal(l.programs, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.role, strings.Join(l.programs, "\n"), strings.Join(want, "\n"))
		}
		if last := l.published[len(l.published)-1]; last != "-script-error /notify 0 2" {
			t.Errorf("published last: %s", last)
		}
	}
}

func TestHerald_OldSwitchesHaveNoScriptRun(t *testing.T) {
	l, h := newListener()
	commit(t, h.machine, 1, 1, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1"}})
	h.old = failoverTo(t, h.machine, 1, 2, "h:1", "h:2")
	l.run(h)
	if len(l.programs) > 0 || len(l.switches()) != 1 {
		t.Errorf("published %q, to be run: %q", l.published, l.programs)
	}
}

func TestHerald_TellsInTheOrderInWhichItHappened(t *testing.T) {
	l, h := newListener()
	see := func(kind monitor.EventKind) {
		h.seen(monitor.Event{Kind: kind, Server: monitor.Server{Addr: "h:1"}})
	}
	see(monitor.StallBegun)
	commit(t, h.machine, 1, 1, state.Command{AddMaster: &state.AddMaster{Name: "m", Addr: "h:1", Quorum: 2}})
	see(monitor.ServerDown)
	commit(t, h.machine, 2, 1, state.Command{AddReplica: &state.AddReplica{Master: "m", Addr: "h:2", Of: 1}})
	see(monitor.ServerUp)
	l.run(h)
	want := []string{
		"+tilt #tilt mode entered", "+monitor master m h 1 quorum 2", "+sdown master m h 1", "+slave slave h:2 h 2 @ m h 1", "-sdown master m h 1",
	}
	if !slices.Equal(l.published, want) {
		t.Errorf("published %q, want %q", l.published, want)
	}
}

func TestHerald_NeverBlocksAndCountsWhatIsLost(t *testing.T) {
	l, h := newListener()
	for range heraldQueue + 5 {
		h.seen(monitor.Event{Kind: monitor.StallEnded})
	}
	if got := h.dropped.Load(); got != 5 {
		t.Errorf("%d are counted as lost, want 5", got)
	}
	l.run(h)
	if got := len(l.published); got != heraldQueue {
		t.Errorf("%d were told, want %d", got, heraldQueue)
	}
}
