package sim

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"picket/sentinel/sim/model"
)

var (
	worldSeeds  = flag.Int("world.seeds", 0, "how many new seeds to play")
	worldSeed   = flag.Uint64("world.seed", 0, "play one seed; 0: new ones")
	worldRepeat = flag.Int("world.repeat", 1, "how often to play it")
	worldDebug  = flag.Bool("world.debug", false, "have the agents log everything")
	worldFrom   = flag.Uint64("world.from", 0, "the first seed; 0: by the clock")
	worldMost   = flag.Int("world.most", 1, "how many seeds a worker plays at most")
	worldBug    = flag.String("world.bug", "", "a mistake that a worker makes, in a binary that can")
	worldGood   = flag.Bool("world.good", false, "do not make that mistake, but play in its circumstances")
	worldTorn   = flag.Bool("world.torn", false, "nothing but short partitions, and servers that come back with less than they had")
	worldMild   = flag.Bool("world.mild", false, "only one fault at a time, of which the system must recover at once")
	worldWorker = flag.Bool("world.worker", false, "this is a worker: it plays seeds for another process")
)

// result is what a worker tells.
type result struct {
	Seeds     int
	Virtual   time.Duration
	Counts    Counts
	Seed      uint64 // that failed; 0: none
	Violation string
	Story     string
}

const (
	// batch is how many seeds a worker plays before it is replaced: its memory grows.
	batch = 50
	// maxReports ends a run that would only say the same again and again.
	maxReports = 20
)

// run is seeds that are played side by side, in as many processes as there are processors.
type run struct {
	args  []string // of the workers
	batch int      // seeds for a worker
	most  int      // reports, until no more seeds are played

	mu      sync.Mutex
	next    uint64 // seed
	left    int    // seeds
	sum     result
	reports []result
}

// play plays them all, and has each report told.
func (r *run) play(t *testing.T, tell func(result)) {
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for from, seeds := r.take(); seeds > 0; from, seeds = r.take() {
				one, err := work(append(r.args, fmt.Sprintf("-world.from=%d", from), fmt.Sprintf("-world.most=%d", seeds))...)
				if err != nil {
					t.Error(err)
					return
				}
				if one.Seed != 0 {
					tell(one)
				}
				r.played(seeds, one)
			}
		})
	}
	workers.Wait()
}

// take gives the first of some seeds; none: there are no more.
func (r *run) take() (from uint64, seeds int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reports) >= r.most {
		return 0, 0
	}
	from, seeds = r.next, min(r.batch, r.left)
	r.next, r.left = r.next+uint64(seeds), r.left-seeds
	return from, seeds
}

// played takes in what became of some seeds. After one that failed a worker plays no more: others are played in place of the rest.
func (r *run) played(seeds int, one result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += seeds - one.Seeds
	r.sum.Seeds += one.Seeds
	r.sum.Virtual += one.Virtual
	r.sum.Counts.add(one.Counts)
	if one.Seed != 0 {
		r.reports = append(r.reports, one)
	}
}

// TestSeeds plays -world.seeds seeds: new ones, or those from -world.from on.
func TestSeeds(t *testing.T) {
	if *worldSeed != 0 {
		replay(t)
		return
	}
	if *worldSeeds == 0 {
		t.Skip("make world runs it")
	}
	began := time.Now()
	r := run{batch: batch, most: maxReports, next: *worldFrom, left: *worldSeeds}
	again := ""
	if *worldTorn {
		r.args, again = []string{"-world.torn"}, " -world.torn"
	}
	if r.next == 0 {
		r.next = uint64(began.UnixNano())
	}
	r.play(t, func(one result) {
		t.Errorf("%sseed %d: %s\nplay it again, some times if need be, with: go test ./sentinel/sim -run TestSeeds -world.seed=%d -world.repeat=20%s",
			one.Story, one.Seed, one.Violation, one.Seed, again)
	})
	t.Logf("%d seeds, %.0f a minute, %d reports: %s of virtual time, %+v", r.sum.Seeds, float64(r.sum.Seeds)/time.Since(began).Minutes(),
		len(r.reports), r.sum.Virtual.Round(time.Second), r.sum.Counts)
}

func replay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range *worldRepeat {
			if r := Run(Options{Seed: *worldSeed, Debug: *worldDebug, Shape: shape()}); len(r.Violations) > 0 || *worldDebug {
				t.Fatalf("%s%s", r.Story, strings.Join(r.Violations, "\n"))
			}
		}
	})
}

// work has another process play seeds: one bubble after the other would not do, because go-redis shares timers.
func work(args ...string) (r result, err error) {
	c := exec.Command(os.Args[0], append([]string{"-test.run=^TestWorker$", "-world.worker", "-test.timeout=30m"}, args...)...)
	c.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=800") // there is memory enough, and nobody waits for an answer
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		return r, fmt.Errorf("a worker ended with %w:\n%s%s", err, out.Bytes(), problems.Bytes())
	}
	line, _, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("a worker said %q: %w", out.Bytes(), err)
	}
	return r, nil
}

// TestWorker plays its seeds until one fails, and prints what became of them as its first line.
func TestWorker(t *testing.T) {
	if !*worldWorker {
		t.Skip("other tests start it")
	}
	var r result
	shape := shape()
	synctest.Test(t, func(*testing.T) {
		for seed := *worldFrom; r.Seeds < *worldMost && r.Seed == 0; seed++ {
			one := Run(Options{Seed: seed, Shape: shape})
			r.Seeds++
			r.Virtual += one.Time
			r.Counts.add(one.Counts)
			if len(one.Violations) > 0 {
				r.Seed, r.Violation, r.Story = seed, strings.Join(one.Violations, "\n"), one.Story
			}
		}
	})
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(line))
}

func shape() func(*Shape) {
	switch {
	case *worldMild:
		return mild
	case *worldTorn:
		return torn
	}
	return plant(*worldBug, !*worldGood)
}

func mild(s *Shape) {
	s.Trap, s.Between, s.Chaos, s.Persistence = 0, 4*time.Second, 8*time.Second, model.AOF
	s.Master.Durability.Wait = 0
	s.Faults = map[string]int{"redis-crash": 1, "redis-hang": 1, "agent-kill": 1, "switchover": 1}
}

// torn is where real mistakes have shown dozens of times as often as in a mix of all faults.
func torn(s *Shape) {
	s.Machines, s.Masters = 3, 1
	s.Master.Durability.Wait = min(s.Master.Durability.Wait, 2)
	s.Trap, s.Between, s.Chaos = s.Trap/2, 300*time.Millisecond, 6*time.Second
	if s.Persistence == model.AOF {
		s.Persistence = model.RDB
	}
	s.Faults = map[string]int{"redis-wipe": 2, "redis-restart": 2, "isolate": 2, "cut": 2, "redis-crash": 1}
}

// TestMildSeeds plays what any version must bear.
func TestMildSeeds(t *testing.T) {
	r, err := work("-world.from=1", "-world.most=3", "-world.mild")
	if err != nil {
		t.Fatal(err)
	}
	if r.Seed != 0 {
		t.Fatalf("%sseed %d: %s", r.Story, r.Seed, r.Violation)
	}
	if r.Counts.Switched == 0 || r.Counts.Acknowledged == 0 || r.Counts.Webhooks == 0 {
		t.Errorf("nothing was tried: %+v", r.Counts)
	}
}

func (c *Counts) add(d Counts) {
	c.Faults += d.Faults
	c.Traps += d.Traps
	c.Begun += d.Begun
	c.Switched += d.Switched
	c.Aborted += d.Aborted
	c.Writes += d.Writes
	c.Acknowledged += d.Acknowledged
	c.Durable += d.Durable
	c.Webhooks += d.Webhooks
}
