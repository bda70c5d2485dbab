package resp

import (
	"fmt"
	"slices"
	"testing"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/script"
	"picket/sentinel/state"
)

const (
	oldMaster = config.Addr("10.0.0.1:6379")
	newMaster = config.Addr("10.0.0.2:6380")
	other     = config.Addr("[fd00::3]:6379")
)

func check(t *testing.T, what string, got []Message, want ...Message) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestFromCommitted(t *testing.T) {
	old := "master cache 10.0.0.1 6379"
	target := "slave 10.0.0.2:6380 10.0.0.2 6380 @ cache 10.0.0.1 6379"
	for _, c := range []struct {
		kind state.EventType
		data state.EventData
		want []Message
	}{
		{state.MasterAdded, state.EventData{To: oldMaster, Quorum: 2}, []Message{{"+monitor", old + " quorum 2"}}},
		{state.ReplicaAdded, state.EventData{From: oldMaster, Replica: other},
			[]Message{{"+slave", "slave [fd00::3]:6379 fd00::3 6379 @ cache 10.0.0.1 6379"}}},
		{state.AgentRegistered, state.EventData{Agent: "b"}, nil},
		{state.FailoverBegun, state.EventData{From: oldMaster},
			[]Message{{"+elected-leader", old}, {"+failover-state-select-slave", old}}},
		{state.FailoverResumed, state.EventData{From: oldMaster}, []Message{{"+elected-leader", old}}},
		{state.FailoverPromoting, state.EventData{From: oldMaster, To: newMaster}, []Message{
			{"+selected-slave", target}, {"+failover-state-send-slaveof-noone", target}, {"+failover-state-wait-promotion", target},
		}},
		{state.FailoverSwitched, state.EventData{From: oldMaster, To: newMaster, Replicas: []config.Addr{oldMaster, other}}, []Message{
			{"+promoted-slave", target}, {"+failover-state-reconf-slaves", old},
			{"+switch-master", "cache 10.0.0.1 6379 10.0.0.2 6380"},
			{"+slave", "slave 10.0.0.1:6379 10.0.0.1 6379 @ cache 10.0.0.2 6380"},
			{"+slave", "slave [fd00::3]:6379 fd00::3 6379 @ cache 10.0.0.2 6380"},
		}},
		{state.FailoverRepointed, state.EventData{From: oldMaster, To: newMaster, Replica: other},
			[]Message{{"+slave-reconf-done", "slave [fd00::3]:6379 fd00::3 6379 @ cache 10.0.0.2 6380"}}},
		{state.FailoverEnded, state.EventData{From: oldMaster, To: newMaster}, []Message{{"+failover-end", "master cache 10.0.0.2 6380"}}},
		{state.FailoverEnded, state.EventData{From: oldMaster, To: newMaster, Reason: failover.ReasonTimeout},
			[]Message{{"+failover-end-for-timeout", "master cache 10.0.0.2 6380"}, {"+failover-end", "master cache 10.0.0.2 6380"}}},
		{state.FailoverAborted, state.EventData{From: oldMaster}, []Message{{"-failover-abort-no-good-slave", old}}},
		{state.FailoverAborted, state.EventData{From: oldMaster, To: newMaster}, []Message{{"-failover-abort-slave-timeout", old}}},
	} {
		check(t, string(c.kind), FromCommitted(state.Event{Type: c.kind, Master: "cache", Data: c.data}, Update{}), c.want...)
	}
}

func TestFromCommitted_SwitchLedByAnotherAgent(t *testing.T) {
	e := state.Event{Type: state.FailoverSwitched, Master: "cache", Data: state.EventData{
		From: oldMaster, To: newMaster, Replicas: []config.Addr{oldMaster, other},
	}}
	u := Update{From: &Speaker{"abcd", "[fd00::9]:26379"}, Down: []config.Addr{oldMaster}}
	got := FromCommitted(e, u)
	check(t, "the end", got[len(got)-1:], Message{"+sdown", "slave 10.0.0.1:6379 10.0.0.1 6379 @ cache 10.0.0.2 6380"})
	check(t, "whose word it is", got[2:4], Message{"+config-update-from", "sentinel abcd fd00::9 26379 @ cache 10.0.0.1 6379"},
		Message{"+switch-master", "cache 10.0.0.1 6379 10.0.0.2 6380"})
}

func TestOfAgents(t *testing.T) {
	o := Owner{"cache", oldMaster, true}
	who := Speaker{"abcd", "10.0.1.2:26379"}
	registered := func(before config.Addr) state.Event {
		return state.Event{Type: state.AgentRegistered, Data: state.EventData{Agent: "b", Host: "10.0.1.2", Port: 26379, From: before}}
	}
	id := func(s consensus.ServerID) string { return "id-of-" + string(s) }
	const agent, master = "sentinel abcd 10.0.1.2 26379 @ cache 10.0.0.1 6379", "master cache 10.0.0.1 6379"
	for _, c := range []struct {
		what string
		got  []Message
		want []Message
	}{
		{"new", FromRegistered(registered(""), who, []Owner{o}), []Message{{"+sentinel", agent}}},
		{"moved", FromRegistered(registered("10.0.1.9:26379"), who, []Owner{o}),
			[]Message{{"+sentinel-address-switch", master + " ip 10.0.1.2 port 26379 for abcd"}}},
		{"moved, of several masters", FromRegistered(registered("10.0.1.9:26379"), who, []Owner{o, {Name: "jobs", Master: "10.0.0.2:6379", IsMaster: true}, {Name: "x"}}),
			[]Message{
				{"+sentinel-address-switch", master + " ip 10.0.1.2 port 26379 for abcd"},
				{"+sentinel-address-update", agent + " 2 additional matching instances"},
			}},
		{"in another zone", FromRegistered(registered("10.0.1.2:26379"), who, []Owner{o}), nil},
		{"displaced", FromDisplaced(who, []Owner{o, {Name: "x"}}), []Message{{"+sentinel-invalid-addr", agent}}},
		{"silent", FromSilence(who, o, true), []Message{{"+sdown", agent}}},
		{"heard", FromSilence(who, o, false), []Message{{"-sdown", agent}}},
		{"attempt", Attempt(o), []Message{{"+try-failover", master}}},
		{"defeat", NotElected(o), []Message{{"-failover-abort-not-elected", master}}},
		{"term", FromConsensus(consensus.Event{Kind: consensus.EventTerm, Term: 9}, id), []Message{{"+new-epoch", "9"}}},
		{"vote", FromConsensus(consensus.Event{Kind: consensus.EventVoted, Term: 9, Peer: "b"}, id), []Message{{"+vote-for-leader", "id-of-b 9"}}},
		{"leader", FromConsensus(consensus.Event{Kind: consensus.EventLeader, Term: 9, Peer: "b"}, id), nil},
		{"script", FromScript(script.Report{Kind: script.Failed, Path: "/s", Exit: script.Exit{Signal: 9}}), []Message{{"-script-error", "/s 9 0"}}},
		{"slow script", FromScript(script.Report{Kind: script.TimedOut, Path: "/s", PID: 77}), []Message{{"-script-timeout", "/s 77"}}},
		{"good script", FromScript(script.Report{Kind: script.Ended, Path: "/s"}), nil},
	} {
		check(t, c.what, c.got, c.want...)
	}
}

func TestFromMonitor(t *testing.T) {
	asMaster := Owner{"cache", oldMaster, true}
	asReplica := Owner{Name: "cache", Master: oldMaster}
	m, r := "master cache 10.0.0.1 6379", "slave 10.0.0.2:6380 10.0.0.2 6380 @ cache 10.0.0.1 6379"
	reports := func(addr config.Addr, role string) monitor.Server {
		return monitor.Server{Addr: addr, Last: &monitor.Observation{Role: role}}
	}
	for _, c := range []struct {
		kind   monitor.EventKind
		server monitor.Server
		owner  Owner
		want   []Message
	}{
		{monitor.ServerDown, monitor.Server{Addr: oldMaster}, asMaster, []Message{{"+sdown", m}}},
		{monitor.ServerDown, monitor.Server{Addr: newMaster}, asReplica, []Message{{"+sdown", r}}},
		{monitor.ServerDown, monitor.Server{Addr: other}, Owner{}, nil},
		{monitor.ServerUp, monitor.Server{Addr: oldMaster}, asMaster, []Message{{"-sdown", m}}},
		{monitor.ServerReboot, monitor.Server{Addr: oldMaster}, asMaster, []Message{{"+reboot", m}}},
		{monitor.RoleChanged, reports(oldMaster, "master"), asMaster, []Message{{"+role-change", m + " new reported role is master"}}},
		{monitor.RoleChanged, reports(oldMaster, "slave"), asMaster, []Message{{"-role-change", m + " new reported role is slave"}}},
		{monitor.RoleChanged, reports(newMaster, "slave"), asReplica, []Message{{"+role-change", r + " new reported role is slave"}}},
		{monitor.RoleChanged, reports(newMaster, "master"), asReplica, []Message{{"-role-change", r + " new reported role is master"}}},
		{monitor.RoleChanged, monitor.Server{Addr: newMaster}, asReplica, nil},
		{monitor.StallBegun, monitor.Server{}, Owner{}, []Message{{"+tilt", "#tilt mode entered"}}},
		{monitor.StallEnded, monitor.Server{}, Owner{}, []Message{{"-tilt", "#tilt mode exited"}}},
	} {
		check(t, fmt.Sprint(c.kind, c.owner), FromMonitor(monitor.Event{Kind: c.kind, Server: c.server}, c.owner), c.want...)
	}
}

func TestFromVerdict(t *testing.T) {
	o := Owner{"cache", oldMaster, true}
	up := monitor.Verdict{Quorum: 2}
	down := monitor.Verdict{ObjectivelyDown: true, Quorum: 2, Down: make([]monitor.Opinion, 3)}
	check(t, "down", FromVerdict(o, up, down), Message{"+odown", "master cache 10.0.0.1 6379 #quorum 3/2"})
	check(t, "up", FromVerdict(o, down, up), Message{"-odown", "master cache 10.0.0.1 6379"})
	check(t, "still down", FromVerdict(o, down, down))
	check(t, "still up", FromVerdict(o, up, up))
}

func TestFromProgress(t *testing.T) {
	for kind, channel := range map[failover.ProgressKind]string{
		failover.RepointSent: "+slave-reconf-sent", failover.RepointSyncing: "+slave-reconf-inprog",
		failover.ConvertedToSlave: "+convert-to-slave", failover.Reattached: "+fix-slave-config",
	} {
		check(t, channel, FromProgress(failover.Progress{Master: "cache", Kind: kind, Server: newMaster}, Owner{Name: "cache", Master: oldMaster}),
			Message{channel, "slave 10.0.0.2:6380 10.0.0.2 6380 @ cache 10.0.0.1 6379"})
	}
	for _, kind := range []failover.ProgressKind{failover.ServerCut, failover.ServerPromoted, failover.RepointDone, failover.Blocked, failover.ActionFailed} {
		check(t, fmt.Sprint(kind), FromProgress(failover.Progress{Kind: kind, Server: newMaster}, Owner{}))
	}
}
