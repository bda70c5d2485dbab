package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// planted is a mistake, and how many seeds the checkers may need to see it.
type planted struct {
	name   string
	bug    Bug
	core   uint8 // a consensus.Bug; 0: none
	budget uint64
	shape  func(f *faults, servers *int)
}

// around are the mistakes outside the core.
var around = []planted{
	{"the vote is not written", VoteForgotten, 0, 4000, func(f *faults, n *int) {
		f.crash, f.campaign, f.slowDisk, *n = 0.2, 0.3, 2*time.Millisecond, 3
	}},
	{"messages leave before the sync", AckBeforeSync, 0, 20, nil},
	{"a failed write is taken for a success", ErrorIgnored, 0, 100, func(f *faults, _ *int) { f.badDisk = 0.05 }},
	{"directories are not synced", NamesForgotten, 0, 100, func(f *faults, _ *int) { f.crash, f.compact = 0.1, 0.3 }},
	{"a retry is a new command", SequenceReused, 0, 50, func(f *faults, _ *int) { f.loss = 0.3 }},
	{"snapshots forget the sessions", SessionsForgotten, 0, 50, func(f *faults, _ *int) { f.compact, f.crash = 0.3, 0.05 }},
}

// TestPlantedBugs shows that the checkers see mistakes: a simulator that finds nothing proves nothing until it has found these. With
// the tag "planted" it knows mistakes in the core, too; `make planted` prints all.
func TestPlantedBugs(t *testing.T) {
	for _, b := range append(around, inCore...) {
		t.Run(b.name, func(t *testing.T) {
			if racing && b.budget > 100 {
				t.Skip("needs many seeds: `make sim` runs it, without the race detector")
			}
			undo := plant(b.core)
			seed, r := b.hunt()
			undo()
			if r.Violation == "" {
				t.Fatalf("not caught in %d seeds", b.budget)
			}
			t.Logf("caught after %d seeds (of %d), %s and %d events: %s", seed, b.budget, r.Time, r.Events, firstLine(r.Violation))
			if r := Run(Options{Seed: seed, Shape: b.shape}); r.Violation != "" {
				t.Errorf("the same seed fails without the mistake: %s", r.Violation)
			}
		})
	}
}

// hunt gives the smallest seed that catches the bug, and how; all cores look for it.
func (b planted) hunt() (uint64, Result) {
	var next atomic.Uint64
	var mu sync.Mutex
	var caught Result
	first := b.budget + 1
	var hunters sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		hunters.Go(func() {
			for {
				seed := next.Add(1)
				mu.Lock()
				done := seed > b.budget || seed > first
				mu.Unlock()
				if done {
					return
				}
				r := Run(Options{Seed: seed, Bug: b.bug, Shape: b.shape})
				mu.Lock()
				if r.Violation != "" && seed < first {
					first, caught = seed, r
				}
				mu.Unlock()
			}
		})
	}
	hunters.Wait()
	return first, caught
}

func firstLine(text string) string {
	for i, r := range text {
		if r == '\n' || i > 160 {
			return text[:i]
		}
	}
	return text
}
