package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"picket/consensus"
	"picket/consensus/vfs"
)

func TestNode_PutOnAnyServerGetOnAnyServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		for i, id := range g.ids {
			g.put(id, "x", fmt.Sprint(i))
			for _, reader := range g.ids {
				if got := g.read(reader, "x"); got != fmt.Sprint(i) {
					t.Errorf("x = %s on %s after put(x) = %d on %s (leader %s)", got, reader, i, id, leader)
				}
			}
		}
	})
}

func TestNode_ResultOfApplyReachesTheProposer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		follower := g.other(leader)
		for i, by := range []consensus.ServerID{leader, leader, follower, follower, leader} {
			want := ""
			if i > 0 {
				want = fmt.Sprint("v", i-1)
			}
			r, err := g.nodes[by].Propose(t.Context(), put("x", fmt.Sprint("v", i)))
			if err != nil || r.Value != want || r.Term != g.nodes[leader].Status().Term {
				t.Errorf("proposal %d, by %s where %s leads: %+v, %v; want value %q", i, by, leader, r, err, want)
			}
		}
	})
}

func TestNode_LeaderStopsAndTheGroupGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		old := g.leader()
		g.put(old, "x", "1")
		g.stop(old)
		g.leader()
		g.put(g.other(old), "x", "2")
		g.start(old)
		if got := g.read(old, "x"); got != "2" {
			t.Errorf("the restarted server reads %q", got)
		}
	})
}

func TestNode_WholeGroupRestartsFromDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 20, 5 })
		leader := g.leader()
		for i := range 50 {
			g.put(leader, fmt.Sprint("key", i), fmt.Sprint(i))
		}
		want, term := g.states[leader].values(), g.nodes[leader].Status().Term
		for _, id := range g.ids {
			g.stop(id)
		}
		for _, id := range g.ids {
			g.start(id)
		}
		leader = g.leader()
		g.read(leader, "key0")
		if got := g.states[leader].values(); !maps.Equal(got, want) {
			t.Errorf("after the restart: %v, want %v", got, want)
		}
		if now := g.nodes[leader].Status().Term; now <= term {
			t.Errorf("term %d after term %d", now, term)
		}
	})
}

func TestNode_CutOffLeaderStepsDownAndAnswersNoStaleRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		old := g.leader()
		g.put(old, "x", "1")
		g.net.isolate(old)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := g.nodes[old].Barrier(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a leader that is cut off answers a read: %v", err)
		}
		if s := g.nodes[old].Status(); s.Role == consensus.Leader {
			t.Error("a leader that is cut off still leads after 2 s")
		}
		g.put(g.other(old), "x", "2")
		g.net.heal()
		if got := g.read(old, "x"); got != "2" {
			t.Errorf("after healing it reads %q", got)
		}
	})
}

// A leader that stands still while another is elected and then goes on must not answer from what it
// remembers: the answers to its heartbeats that are still in its queue came before the read.
func TestNode_PausedLeaderAnswersNoStaleRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause := make(chan struct{})
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			c.Observe = func(e consensus.Event) {
				if e.Kind == consensus.EventConnected && e.Peer == "pause" {
					<-pause
				}
			}
		})
		old := g.leader()
		g.put(old, "x", "1")
		paused := g.nodes[old]
		delete(g.nodes, old) // it can't tell its status meanwhile
		go paused.Connected("pause")
		synctest.Wait()
		read := make(chan string, 1)
		go func() {
			if err := paused.Barrier(t.Context()); err != nil {
				t.Error(err)
			}
			read <- g.states[old].get("x")
		}()
		time.Sleep(2 * time.Second)
		g.put(g.leader(), "x", "2")
		g.nodes[old] = paused
		close(pause)
		if got := <-read; got != "2" {
			t.Errorf("the leader that was paused reads %q", got)
		}
	})
}

func TestNode_ProposalsOfACutOffLeader(t *testing.T) {
	for name, c := range map[string]struct {
		apart time.Duration
		want  error
	}{
		"overwritten when it heals soon":    {800 * time.Millisecond, consensus.ErrDropped},
		"unknown when it stays apart":       {5 * time.Second, consensus.ErrUnknown},
		"committed when nobody else led it": {100 * time.Millisecond, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, 3, nil)
				old := g.leader()
				term := g.nodes[old].Status().Term
				g.net.isolate(old)
				answered := make(chan error, 1)
				start := time.Now()
				go func() {
					_, err := g.nodes[old].ProposeAt(t.Context(), term, put("x", "old"))
					answered <- err
				}()
				time.Sleep(c.apart)
				if c.apart > 500*time.Millisecond {
					g.put(g.other(old), "x", "new")
				}
				g.net.heal()
				if err := <-answered; !errors.Is(err, c.want) {
					t.Errorf("after %s: %v, want %v", time.Since(start), err, c.want)
				}
				if got := g.read(old, "x"); (got == "old") != (c.want == nil) {
					t.Errorf("x = %q", got)
				}
			})
		})
	}
}

// Many clients on all servers, while leaders come and go: what was acknowledged is there, once; what was
// refused for certain is not there.
func TestNode_EachProposalIsAnsweredTruthfully(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 50, 10 })
		g.leader()
		var clients sync.WaitGroup
		outcomes := sync.Map{} // command -> error
		for i := range 12 {
			node := g.nodes[g.ids[i%3]]
			clients.Go(func() {
				for j := range 40 {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					command := put(fmt.Sprint("client", i), fmt.Sprint(j))
					_, err := node.Propose(ctx, command)
					cancel()
					outcomes.Store(string(command), err)
					time.Sleep(time.Duration(i+1) * 7 * time.Millisecond)
				}
			})
		}
		for range 5 {
			time.Sleep(700 * time.Millisecond)
			g.net.isolate(g.leader())
			time.Sleep(900 * time.Millisecond)
			g.net.heal()
		}
		clients.Wait()
		g.read(g.leader(), "")
		state, succeeded := g.states[g.leader()], 0
		outcomes.Range(func(command, err any) bool {
			times := state.times([]byte(command.(string)))
			switch e, _ := err.(error); {
			case e == nil:
				succeeded++
				if times != 1 {
					t.Errorf("%s was acknowledged and applied %d times", command, times)
				}
			case errors.Is(e, consensus.ErrNoLeader) && times != 0:
				t.Errorf("%s was refused (%v) and applied", command, e)
			case times > 1:
				t.Errorf("%s (%v) was applied %d times", command, e, times)
			}
			return true
		})
		if succeeded < 100 {
			t.Errorf("only %d proposals succeeded", succeeded)
		}
	})
}

func TestNode_LaggingFollowerGetsASnapshot(t *testing.T) {
	for name, lost := range map[string]func(consensus.Message) bool{
		"nothing is lost": nil,
		"every third message of it is lost": func() func(consensus.Message) bool {
			var n atomic.Int64
			return func(m consensus.Message) bool {
				switch m.Body.(type) {
				case *consensus.SnapshotChunk, *consensus.SnapshotResponse:
					return n.Add(1)%3 == 0
				}
				return false
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 20, 5 })
				leader := g.leader()
				behind := g.other(leader)
				g.stop(behind)
				large := strings.Repeat("v", 100_000) // 700 kB in all: three chunks
				for i := range 100 {
					g.put(leader, fmt.Sprint("key", i%7), fmt.Sprint(i, large))
				}
				g.net.lose(lost)
				g.start(behind)
				for i := range 50 { // newer snapshots are taken during the transfer
					g.put(leader, "meanwhile", fmt.Sprint(i))
				}
				want := fmt.Sprint(99, large)
				if got := g.read(behind, "key1"); got != want {
					t.Errorf("key1 has %d bytes after catching up by snapshot", len(got))
				}
				if s := g.nodes[behind].Status(); s.Snapshot == 0 {
					t.Error("it holds no snapshot")
				}
				// What came by snapshot is also there after a restart.
				g.stop(behind)
				g.start(behind)
				if got := g.read(behind, "key1"); got != want {
					t.Errorf("key1 has %d bytes after the restart", len(got))
				}
			})
		})
	}
}

// What was known to be committed when something was last written is known after a restart, without a leader.
func TestNode_RestartedAloneKnowsWhatWasAgreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		for i := range 5 {
			g.put(leader, fmt.Sprint("key", i), "x")
		}
		one := g.other(leader)
		for _, id := range g.ids {
			g.stop(id)
		}
		g.start(one)
		synctest.Wait()
		if got := g.states[one].get("key3"); got != "x" {
			t.Errorf("key3 is %q; %+v", got, g.nodes[one].Status())
		}
		if s := g.nodes[one].Status(); s.Leader != "" || s.Commit < 4 {
			t.Errorf("alone: %+v", s)
		}
	})
}

func TestNode_SlowDiskDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		term := g.nodes[leader].Status().Term
		for _, id := range []consensus.ServerID{g.other(leader), leader} {
			var sync atomic.Int64 // how long each lasts
			sync.Store(int64(2 * time.Second))
			g.disks[id].Fail(func(_, call, _ string) error {
				if call == "sync" {
					time.Sleep(time.Duration(sync.Load()))
				}
				return nil
			})
			for i := range 20 {
				start := time.Now()
				g.put(leader, "x", fmt.Sprint(i))
				if took := time.Since(start); took > 10*time.Millisecond {
					t.Fatalf("with %s's disk slow, proposal %d took %s", id, i, took)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if s := g.nodes[id].Status(); s.Term != term || s.Leader != leader {
				t.Errorf("%s's slow disk led to %+v", id, s)
			}
			sync.Store(0)
			time.Sleep(3 * time.Second) // until it has caught up
		}
	})
}

func TestNode_DiskErrorIsFatalAndAnswersEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Int64
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			c.Observe = func(e consensus.Event) {
				if e.Kind == consensus.EventFailed {
					failed.Add(1)
				}
			}
		})
		leader := g.leader()
		g.net.isolate(leader) // else the others commit without its disk
		g.disks[leader].Fail(func(_, call, _ string) error {
			if call == "sync" {
				return vfs.ErrInjected
			}
			return nil
		})
		if _, err := g.nodes[leader].Propose(t.Context(), put("x", "1")); !errors.Is(err, consensus.ErrStopped) {
			t.Errorf("a proposal on a broken disk: %v", err)
		}
		if err := g.nodes[leader].Err(); !errors.Is(err, vfs.ErrInjected) || failed.Load() != 1 {
			t.Errorf("the node stopped with %v, after %d events", err, failed.Load())
		}
		if s := g.nodes[leader].Status(); s.ID != leader {
			t.Errorf("its last status: %+v", s)
		}
		g.stop(leader)
		g.net.heal()
		g.leader()
		g.put(g.other(leader), "x", "2")
	})
}

func TestNode_StopAnswersWaitingCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		follower := g.other(leader)
		g.net.partition(func(_, _ consensus.ServerID) bool { return true })
		answers := make(chan error, 6)
		for _, id := range []consensus.ServerID{leader, follower} {
			n := g.nodes[id]
			go func() { _, err := n.Propose(context.Background(), put("x", "1")); answers <- err }()
			go func() { answers <- n.Barrier(context.Background()) }()
		}
		go func() { _, err := g.nodes[follower].Campaign(context.Background(), []byte("m")); answers <- err }()
		synctest.Wait()
		for _, id := range g.ids {
			g.stop(id)
		}
		for range 5 {
			if err := <-answers; err == nil {
				t.Error("a caller was told of success without a majority")
			}
		}
	})
}

func TestNode_CallersWhoseContextEndsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		follower := g.other(g.leader())
		g.net.partition(func(_, _ consensus.ServerID) bool { return true })
		var callers sync.WaitGroup
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			var busy atomic.Int64
			for range 5000 {
				callers.Go(func() {
					if _, err := g.nodes[follower].Propose(ctx, put("x", "1")); errors.Is(err, consensus.ErrBusy) {
						busy.Add(1)
					}
				})
			}
			callers.Wait()
			cancel()
			synctest.Wait()
			if busy.Load() != 5000-4096 {
				t.Errorf("%d of 5000 are told that the node is busy", busy.Load())
			}
		}
	})
}

func TestNode_LostLeaderOfAForwardedProposalIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		follower := g.other(leader)
		g.net.lose(func(m consensus.Message) bool { _, ok := m.Body.(*consensus.ForwardResponse); return ok })
		answered := make(chan error, 1)
		go func() { _, err := g.nodes[follower].Propose(context.Background(), put("x", "1")); answered <- err }()
		time.Sleep(time.Second)
		start := time.Now()
		g.stop(leader)
		if err := <-answered; !errors.Is(err, consensus.ErrUnknown) || time.Since(start) > time.Millisecond {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if got := g.read(follower, "x"); got != "1" {
			t.Errorf("x = %q: the proposal was committed before", got)
		}
	})
}

func TestNode_EventsTellTheStoryInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		story := map[consensus.ServerID][]string{}
		names := map[consensus.EventKind]string{consensus.EventTerm: "term", consensus.EventVoted: "voted",
			consensus.EventLeader: "leader", consensus.EventLeaderLost: "lost"}
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			c.Observe = func(e consensus.Event) {
				mu.Lock()
				defer mu.Unlock()
				if names[e.Kind] != "" {
					story[c.Core.ID] = append(story[c.Core.ID], fmt.Sprint(names[e.Kind], " ", e.Term, " ", e.Peer))
				}
			}
		})
		old := g.leader()
		candidate := g.other(old)
		term := g.nodes[old].Status().Term
		mu.Lock()
		clear(story)
		mu.Unlock()
		if _, err := g.nodes[candidate].Campaign(t.Context(), []byte("m")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		want := fmt.Sprintf("[term %d  voted %[1]d %[2]s lost %[1]d %[3]s leader %[1]d %[2]s]", term+1, candidate, old)
		for _, id := range g.ids {
			if got := fmt.Sprint(story[id]); got != want {
				t.Errorf("%s was told %s, want %s", id, got, want)
			}
		}
	})
}

// The answer to a proposal of a server's earlier life comes late: it says nothing of the proposals of this life.
func TestNode_LateAnswersAreNotTakenForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		follower := g.other(leader)
		late := make(chan consensus.Message, 1)
		g.net.lose(func(m consensus.Message) bool {
			_, answer := m.Body.(*consensus.ForwardResponse)
			if answer {
				late <- m
			}
			return answer
		})
		go func() { _, _ = g.nodes[follower].Propose(context.Background(), put("x", "1")) }() // ends with the node
		answer := <-late
		g.stop(follower)
		g.start(follower)
		time.Sleep(200 * time.Millisecond) // until it knows the leader and has applied what there is
		g.net.partition(func(_, _ consensus.ServerID) bool { return true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answered := make(chan error, 1)
		go func() { _, err := g.nodes[follower].Propose(ctx, put("x", "2")); answered <- err }()
		synctest.Wait()
		g.nodes[follower].Receive(answer)
		if err := <-answered; err == nil {
			t.Error("a proposal that reached nobody was answered with success")
		}
	})
}

// dated is a state machine that does not know some command, which the others carry out.
type dated struct {
	*registers
	behind func() bool
}

func (s dated) Apply(e consensus.Entry) any {
	if s.behind() && string(e.Data) == string(put("new", "1")) {
		return &consensus.FatalError{Err: errTooNew}
	}
	return s.registers.Apply(e)
}

var errTooNew = errors.New("of a newer version")

func TestNode_StopsRatherThanApplyLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var old atomic.Value // the server that does not know it
		g := newGroup(t, 3, func(c *consensus.NodeConfig) {
			id := c.Core.ID
			c.StateMachine = dated{c.StateMachine.(*registers), func() bool { return old.Load() == id }}
		})
		leader := g.leader()
		follower := g.other(leader)
		old.Store(follower)
		g.put(leader, "old", "1")
		g.put(leader, "new", "1")
		<-g.nodes[follower].Done()
		if err := g.nodes[follower].Err(); !errors.Is(err, errTooNew) {
			t.Errorf("it stopped with %v", err)
		}
		if values := g.states[follower].values(); values["old"] != "1" || values["new"] != "" {
			t.Errorf("it holds %v", values)
		}
		g.stop(follower)
		g.put(leader, "x", "2")
	})
}
