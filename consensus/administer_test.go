package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"picket/consensus"
	"picket/consensus/vfs"
)

// join starts a new server with an empty disk, whose file names all others, and has it ask the group to let it in.
func (g *group) join(id consensus.ServerID) {
	g.t.Helper()
	g.ids = append(g.ids, id)
	g.disks[id] = vfs.NewMem()
	g.start(id)
	g.change(id, consensus.Change{Kind: consensus.AddLearner, Member: consensus.Member{ID: id, Address: string(id)}})
	g.promote(id)
}

// promote has a new server ask for its vote, until it has caught up.
func (g *group) promote(id consensus.ServerID) {
	g.t.Helper()
	g.await(string(id)+" is a voter", func() bool {
		_, err := g.nodes[id].Change(g.t.Context(), consensus.Change{Kind: consensus.Promote, Member: consensus.Member{ID: id}})
		if err != nil && !errors.Is(err, consensus.ErrRefused) {
			g.t.Fatalf("%s can't become a voter: %v", id, err)
		}
		return err == nil
	})
}

func (g *group) change(by consensus.ServerID, change consensus.Change) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := g.nodes[by].Change(ctx, change); err != nil {
		g.t.Fatalf("%s: %s %s: %v", by, change.Kind, change.Member.ID, err)
	}
}

// remove takes a server out for good.
func (g *group) remove(by, id consensus.ServerID) {
	g.t.Helper()
	g.change(by, consensus.Change{Kind: consensus.Remove, Member: consensus.Member{ID: id}})
	g.stop(id)
	g.ids = slices.DeleteFunc(g.ids, func(other consensus.ServerID) bool { return other == id })
}

// The file of a new server may name nobody who leads: the others know who does.
func TestNode_NewServerIsLetInByWayOfAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		leader := g.leader()
		known := g.other(leader)
		g.net.partition(func(from, to consensus.ServerID) bool {
			return from == "n4" && to != known || to == "n4" && from != known
		})
		g.ids = append(g.ids, "n4")
		g.disks["n4"] = vfs.NewMem()
		g.start("n4")
		let := func() bool {
			_, member := consensus.Configuration{Members: g.nodes[leader].Status().Members}.Member("n4")
			return member
		}
		for range 5 { // who gives up asks again
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := g.nodes["n4"].Change(ctx, consensus.Change{Kind: consensus.AddLearner, Member: consensus.Member{ID: "n4", Address: "n4"}})
			cancel()
			if let() {
				break
			}
			t.Logf("not yet: %v", err)
		}
		if !let() {
			t.Fatal("n4 was not let in")
		}
		g.net.heal()
		g.stop("n4") // to be connected with all
		g.start("n4")
		g.promote("n4")
	})
}

func TestNode_NewServerJoinsAndVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 20, 5 })
		for i := range 50 {
			g.put(g.leader(), fmt.Sprint("key", i), "x")
		}
		g.join("n4") // by snapshot
		if got := g.read("n4", "key7"); got != "x" {
			t.Errorf("the new server reads %q", got)
		}
		g.join("n5")
		if got := g.nodes[g.leader()].Status().Voters(); len(got) != 5 {
			t.Errorf("the voters are %v", got)
		}
		g.stop("n1")
		g.stop("n2")
		g.put(g.leader(), "x", "three of five")
		g.start("n1")
		g.start("n2")
		for _, id := range g.ids {
			if got := g.read(id, "x"); got != "three of five" {
				t.Errorf("%s reads %q", id, got)
			}
		}
	})
}

// Every server is replaced, each while it leads.
func TestNode_EveryServerIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 20, 5 })
		for i := range 3 {
			old := g.ids[0]
			if err := g.nodes[g.leader()].Transfer(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			g.put(g.leader(), "x", fmt.Sprint(i))
			g.join(consensus.ServerID(fmt.Sprint("new", i)))
			g.remove(g.other(old), old)
			if got := g.read(g.leader(), "x"); got != fmt.Sprint(i) {
				t.Fatalf("x = %s after replacement %d", got, i)
			}
		}
		status := g.nodes[g.leader()].Status()
		if got := fmt.Sprint(status.Voters()); got != "[new0 new1 new2]" {
			t.Errorf("the voters are %s", got)
		}
	})
}

// A server whose disk was lost stays outside until it was removed.
func TestNode_WipedDiskDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		g.put(g.leader(), "x", "1")
		lost := g.other(g.leader())
		g.await("the group knows its disk", func() bool {
			for _, m := range g.nodes[g.leader()].Status().Members {
				if m.ID == lost {
					return m.Incarnation == g.nodes[lost].Incarnation()
				}
			}
			return false
		})
		g.stop(lost)
		g.disks[lost] = vfs.NewMem()
		g.start(lost)
		me := consensus.Member{ID: lost, Address: string(lost), Incarnation: g.nodes[lost].Incarnation()}
		_, err := g.nodes[lost].Change(t.Context(), consensus.Change{Member: me})
		if !errors.Is(err, consensus.ErrRefused) || !strings.Contains(err.Error(), "another disk") {
			t.Errorf("it asks to be let in: %v", err)
		}
		if g.nodes[lost].Status().Admitted {
			t.Error("it may vote")
		}
		g.change(g.leader(), consensus.Change{Kind: consensus.Remove, Member: me})
		g.change(lost, consensus.Change{Kind: consensus.AddLearner, Member: me})
		g.promote(lost)
		if got := g.read(lost, "x"); got != "1" || !g.nodes[lost].Status().Admitted {
			t.Errorf("it reads %q, and may vote: %v", got, g.nodes[lost].Status().Admitted)
		}
	})
}

func TestNode_Transfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		for range 3 { // also to itself
			for _, to := range g.ids {
				by := g.other(g.leader())
				if err := g.nodes[by].Transfer(t.Context(), to); err != nil {
					t.Fatal(err)
				}
				if got := g.leader(); got != to {
					t.Fatalf("%s leads, want %s", got, to)
				}
				g.put(by, "x", string(to))
			}
		}
		if err := g.nodes["n1"].Transfer(t.Context(), "n9"); !errors.Is(err, consensus.ErrRefused) {
			t.Errorf("to a stranger: %v", err)
		}
		old := g.leader()
		if err := g.nodes[old].HandOver(t.Context()); err != nil || g.leader() == old {
			t.Errorf("%s hands over: %v, %s leads", old, err, g.leader())
		}
		if err := g.nodes[old].HandOver(t.Context()); err != nil {
			t.Errorf("a follower hands over: %v", err)
		}
	})
}

func TestNode_CommittedIsAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, func(c *consensus.NodeConfig) { c.SnapshotEntries, c.TrailingEntries = 20, 5 })
		follower := g.nodes[g.other(g.leader())]
		got := make(chan []consensus.Entry, 1)
		next := follower.Status().Last + 1
		go func() {
			entries, err := follower.Committed(t.Context(), next, 1)
			if err != nil {
				t.Error(err)
			}
			got <- entries
		}()
		synctest.Wait()
		g.put(g.leader(), "x", "1")
		if entries := <-got; len(entries) != 1 || entries[0].Index != next || string(entries[0].Data) != string(put("x", "1")) {
			t.Errorf("entries from %d: %+v", next, entries)
		}
		for i := range 50 {
			g.put(g.leader(), "x", fmt.Sprint(i))
		}
		g.await("old entries are compacted", func() bool {
			_, err := follower.Committed(t.Context(), 1, 10)
			return errors.Is(err, consensus.ErrCompacted)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := follower.Committed(ctx, 1000, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("entries that nobody wrote: %v", err)
		}
	})
}

// While the leadership is handed over, proposals wait for the next leader.
func TestNode_ProposalsDuringATransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 3, nil)
		old := g.leader()
		var writers sync.WaitGroup
		stop := make(chan struct{})
		for w := range 8 {
			writers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := g.nodes[old].Propose(t.Context(), put("k", fmt.Sprint(w, i))); err != nil && !errors.Is(err, consensus.ErrUnknown) {
						t.Error(err)
						return
					}
				}
			})
		}
		written := func(more consensus.Index) func() bool {
			from := g.nodes[old].Status().Commit
			return func() bool { return g.nodes[old].Status().Commit >= from+more }
		}
		g.await("all write", written(100))
		if err := g.nodes[old].Transfer(t.Context(), g.other(old)); err != nil {
			t.Error(err)
		}
		g.await("all write on", written(100))
		close(stop)
		writers.Wait()
	})
}
