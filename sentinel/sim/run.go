package sim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Options of a run.
type Options struct {
	Seed  uint64
	Debug bool // the agents log everything
	// Shape changes what the seed has drawn, for a mistake that needs special circumstances; nil: it stays.
	Shape func(*Shape)
}

// Report is what became of a run.
type Report struct {
	Violations []string // none: the promises hold
	Story      string   // everything that happened, one line each
	Counts     Counts
	Time       time.Duration // virtual
}

// Counts say how much a run has tried.
type Counts struct {
	Faults, Traps                 int
	Begun, Switched, Aborted      int // failovers
	Writes, Acknowledged, Durable int // durable: as many replicas as durability.wait asks for acknowledged it
	Webhooks                      int
}

// Run plays a seed to its end. It must be called in a synctest bubble.
func Run(opts Options) Report {
	random := rand.New(rand.NewPCG(opts.Seed, 0x7069636b6574))
	shape := draw(random)
	if opts.Shape != nil {
		opts.Shape(&shape)
	}
	w := newWorld(opts, shape, random)
	w.story.tell("sim", "seed %d: %+v", opts.Seed, shape)
	if w.boot() {
		w.chaos()
		w.heal()
		w.settle()
	}
	w.end()
	return Report{Violations: w.violations, Story: w.story.String(), Counts: w.counts, Time: time.Since(w.story.start)}
}

// violate notes that a promise was broken.
func (w *world) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.story.tell("CHECK", "%s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, text)
}
