package sentinel

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/sentinel/state"
)

// voter is an agent that does not run, and what it has been told by the log and by its peers.
type voter struct {
	*Agent
	t     *testing.T
	index consensus.Index
}

// newVoter knows one master at h:1 with a replica at h:2, and started long ago.
func newVoter(t *testing.T) *voter {
	t.Helper()
	m := config.DefaultMaster()
	m.Name, m.Address, m.Lease, m.LeaseLoss = master, "h:1", 300*time.Millisecond, config.LeaseStrict
	a, err := New(&config.Config{Cluster: "c", Agent: config.Agent{ID: "a"}, Masters: []config.Master{m}}, Host{}, zerolog.Nop(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.redis.Close() }) // it has no connection
	a.ledger.promises = failover.NewPromises(time.Now().Add(-time.Minute), m.Lease)
	a.peers.follow([]consensus.Member{{ID: "a", Voter: true}, {ID: "b", Voter: true}, {ID: "c", Voter: true}})
	v := &voter{Agent: a, t: t}
	v.commit(state.Command{AddMaster: &state.AddMaster{Name: master, Addr: "h:1", Quorum: 2}})
	v.commit(state.Command{AddReplica: &state.AddReplica{Master: master, Addr: "h:2", Of: 1}})
	return v
}

// append puts a command into the voter's log, and commit applies it as well.
func (v *voter) append(c state.Command) consensus.Entry {
	v.t.Helper()
	data, err := c.Encode()
	if err != nil {
		v.t.Fatal(err)
	}
	v.index++
	term := consensus.Term(1)
	if c.Step != nil {
		term = consensus.Term(c.Step.Epoch)
	}
	entry := consensus.Entry{Index: v.index, Term: term, Kind: consensus.EntryCommand, Data: data}
	v.ledger.appended([]consensus.Entry{entry})
	return entry
}

func (v *voter) commit(c state.Command) {
	v.t.Helper()
	entry := v.append(c)
	if err, refused := v.machine.Apply(entry).(error); refused {
		v.t.Fatal(err)
	}
	v.status.Store(&consensus.Status{Applied: entry.Index})
}

func step(kind failover.StepKind, adjust func(*failover.Step)) state.Command {
	s := failover.Step{Kind: kind, Master: master, Epoch: 2, Old: "h:1", Target: "h:2", Cause: failover.CauseDown}
	if adjust != nil {
		adjust(&s)
	}
	return state.Command{Step: &s}
}

func (v *voter) asked(round uint64) note {
	_, electorate := v.peers.voters()
	return note{Kind: noteAsk, Server: "h:1", Boot: 1, Round: round, Span: 300 * time.Millisecond, Electorate: electorate}
}

// TestPromise_NoneWhileAnotherOneMayBePromoted: but a hand-over fences the master first, and needs its lease until the switch.
func TestPromise_NoneWhileAnotherOneMayBePromoted(t *testing.T) {
	handOver := func(s *failover.Step) { s.Cause, s.HandOver = failover.CauseManual, true }
	byHand := func(s *failover.Step) { s.Cause = failover.CauseManual }
	for name, c := range map[string]struct {
		committed []state.Command
		appended  []state.Command
		want      bool
	}{
		"all is well":                          {nil, nil, true},
		"a failover is in the log":             {nil, []state.Command{step(failover.StepBegin, nil)}, false},
		"it is committed":                      {[]state.Command{step(failover.StepBegin, nil)}, nil, false},
		"by hand, of one that is down":         {[]state.Command{step(failover.StepBegin, byHand)}, nil, false},
		"a hand-over is in the log":            {nil, []state.Command{step(failover.StepBegin, handOver)}, true},
		"it is committed, and waits":           {[]state.Command{step(failover.StepBegin, handOver)}, nil, true},
		"its target is chosen":                 {[]state.Command{step(failover.StepBegin, handOver), step(failover.StepPromote, handOver)}, nil, true},
		"it was given up, and a failover came": {[]state.Command{step(failover.StepBegin, handOver), step(failover.StepAbort, nil)}, []state.Command{step(failover.StepBegin, nil)}, false},
	} {
		v := newVoter(t)
		for _, one := range c.committed {
			v.commit(one)
		}
		for _, one := range c.appended {
			v.append(one)
		}
		if got := v.promise("b", v.asked(1)); got != c.want {
			t.Errorf("%s: promised %v, want %v", name, got, c.want)
		}
	}
}

func TestReleased_OnlyMasters(t *testing.T) {
	v := newVoter(t)
	for i := range 100 {
		v.released("b", note{Server: config.Addr(fmt.Sprint("h:", i)), Boot: 1, Why: "a test"})
	}
	for _, server := range []config.Addr{"h:1", "h:2", "h:50"} {
		if why := v.ledger.promises.LetGo(v.now(), "b", server); (why != "") != (server == "h:1") {
			t.Errorf("%s: %q", server, why)
		}
	}
}
