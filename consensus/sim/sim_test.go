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
	simFrom = flag.Uint64("sim.from", 1, "the first seed; 0: by the clock")
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

// TestSeeds runs the seeds that failed before and then those from -sim.from on for -sim.time, on all cores. One in a hundred is run twice: it must
// be the same run.
func TestSeeds(t *testing.T) {
	if *simSeed != 0 {
		replay(t, *simSeed)
		return
	}
	for _, seed := range failedBefore(t) {
		if r := Run(Options{Seed: seed}); r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
	}
	var next, seeds, events, commits, elections, crashes, changes, answers atomic.Int64
	if next.Store(int64(*simFrom)); *simFrom == 0 {
		next.Store(time.Now().UnixNano())
	}
	deadline := time.Now().Add(*simTime)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for time.Now().Before(deadline) && !t.Failed() {
				seed := uint64(next.Add(1)) - 1
				r := Run(Options{Seed: seed})
				if r.Violation != "" {
					t.Errorf("seed %d, %d servers: %s\nreplay it with: go test ./consensus/sim -run TestSeeds -v -sim.seed=%d, "+
						"and add it to testdata/seeds.txt", seed, r.Servers, r.Violation, seed)
				}
				if seed%100 == 0 {
					if again := Run(Options{Seed: seed}); again.Hash != r.Hash {
						t.Errorf("seed %d runs differently the second time", seed)
					}
				}
				seeds.Add(1)
				for sum, n := range map[*atomic.Int64]int{
					&events: r.Events, &commits: r.Commits, &elections: r.Elections, &crashes: r.Crashes, &changes: r.Changes, &answers: r.Answers,
				} {
					sum.Add(int64(n))
				}
			}
		})
	}
	workers.Wait()
	perHour := float64(seeds.Load()) / simTime.Hours() / float64(runtime.GOMAXPROCS(0))
	t.Logf("%d seeds (%.0f per hour and core): %d events, %d commits, %d elections, %d crashes, %d changes of the membership, "+
		"%d answers to clients; no violation: %v", seeds.Load(), perHour, events.Load(), commits.Load(), elections.Load(), crashes.Load(),
		changes.Load(), answers.Load(), !t.Failed())
}

func replay(t *testing.T, seed uint64) {
	r := Run(Options{Seed: seed, Trace: func(line string) { fmt.Print(line) }})
	if r.Violation != "" {
		t.Errorf("seed %d: %s", seed, r.Violation)
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
