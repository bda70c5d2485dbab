package sim

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simTime = flag.Duration("sim.time", 3*time.Second, "how long to run seeds")
	simSeed = flag.Uint64("sim.seed", 0, "replay one seed and print its trace; 0: none")
)

// failedBefore reads the seeds that have ever failed: they run first.
func failedBefore(t *testing.T) []uint64 {
	t.Helper()
	file, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var seeds []uint64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		field, _, _ := strings.Cut(lines.Text(), "#")
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		seed, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// TestSeeds runs the seeds that failed before and then new ones for -sim.time, on all cores. One in a hundred is run twice: it must
// be the same run.
func TestSeeds(t *testing.T) {
	if *simSeed != 0 {
		replay(t, *simSeed, NoBug)
		return
	}
	for _, seed := range failedBefore(t) {
		if r := Run(Options{Seed: seed}); r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
	}
	base := uint64(time.Now().UnixNano())
	var next, seeds, events, commits, elections, crashes atomic.Int64
	deadline := time.Now().Add(*simTime)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for time.Now().Before(deadline) && !t.Failed() {
				n := next.Add(1)
				seed := base + uint64(n)
				r := Run(Options{Seed: seed})
				if r.Violation != "" {
					t.Errorf("seed %d, %d servers: %s\nreplay it with: go test ./consensus/sim -run TestSeeds -v -sim.seed=%d, "+
						"and add it to testdata/seeds.txt", seed, r.Servers, r.Violation, seed)
				}
				if n%100 == 0 {
					if again := Run(Options{Seed: seed}); again.Hash != r.Hash {
						t.Errorf("seed %d runs differently the second time", seed)
					}
				}
				seeds.Add(1)
				events.Add(int64(r.Events))
				commits.Add(int64(r.Commits))
				elections.Add(int64(r.Elections))
				crashes.Add(int64(r.Crashes))
			}
		})
	}
	workers.Wait()
	perHour := float64(seeds.Load()) / simTime.Hours() / float64(runtime.GOMAXPROCS(0))
	t.Logf("%d seeds (%.0f per hour and core): %d events, %d commits, %d elections, %d crashes, no violation: %v",
		seeds.Load(), perHour, events.Load(), commits.Load(), elections.Load(), crashes.Load(), !t.Failed())
}

func replay(t *testing.T, seed uint64, bug Bug) {
	r := Run(Options{Seed: seed, Bug: bug, Trace: func(line string) { fmt.Print(line) }})
	if r.Violation != "" {
		t.Errorf("seed %d: %s", seed, r.Violation)
	}
}

// TestPlantedBugs shows that the checkers see mistakes: a simulator that finds nothing proves nothing until it has found these.
func TestPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		name   string
		bug    Bug
		budget uint64 // seeds
	}{
		{"vote not persisted", VoteForgotten, 3000},
		{"acknowledged before the sync", AckBeforeSync, 20},
		{"failed sync ignored", SyncIgnored, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			if racing && c.budget > 100 {
				t.Skip("needs many seeds: `make sim` runs it, without the race detector")
			}
			t.Parallel()
			for seed := uint64(1); seed <= c.budget; seed++ {
				if r := Run(Options{Seed: seed, Bug: c.bug}); r.Violation != "" {
					t.Logf("caught after %d seeds: %s", seed, r.Violation)
					return
				}
			}
			t.Errorf("not caught in %d seeds", c.budget)
		})
	}
}

func TestRun_IsTheSameEachTime(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, b := Run(Options{Seed: seed}), Run(Options{Seed: seed})
		if a != b {
			t.Errorf("seed %d: %+v, then %+v", seed, a, b)
		}
	}
}
