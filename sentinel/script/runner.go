package script

import (
	"context"
	"sync"
	"time"
)

// Config of a runner.
type Config struct {
	Start func(argv []string) (Process, error) // nil: a process of this host
	// Report is told what becomes of each program. It must not block.
	Report func(Report)
}

// ReportKind says what a Report tells.
type ReportKind uint8

const (
	Started ReportKind = iota
	Ended              // an attempt; unless Failed follows, it was the last one or there will be another
	Failed             // there will be no other attempt
	TimedOut
	Dropped // it waited, and had to make room
)

// Report is what became of a program.
type Report struct {
	Kind ReportKind
	Path string
	PID  int
	Exit Exit // of Ended and Failed
}

// stopTime is how long programs that run may go on when the runner is to stop.
const stopTime = 5 * time.Second

// Runner runs programs, each as its own process.
type Runner struct {
	cfg   Config
	wake  chan struct{}
	ended chan ending

	mu    sync.Mutex
	queue queue
}

// ending is the end of an attempt.
type ending struct {
	job  *job
	pid  int
	exit Exit
}

// NewRunner makes one that starts nothing before Run.
func NewRunner(cfg Config) *Runner {
	if cfg.Start == nil {
		cfg.Start = start
	}
	return &Runner{cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan ending, maxRunning)}
}

// Add has a program run as soon as may be: argv is its path, relative to the working directory or absolute, and its arguments.
func (r *Runner) Add(argv ...string) {
	r.mu.Lock()
	dropped := r.queue.add(argv)
	r.mu.Unlock()
	if dropped != nil {
		r.cfg.Report(Report{Kind: Dropped, Path: dropped.argv[0]})
	}
	select {
	case r.wake <- struct{}{}:
	default: // it looks anyway
	}
}

// Run runs what is added until ctx ends. Then it starts what may still start at once, and returns when nothing runs any more: after
// stopTime whatever does is killed.
func (r *Runner) Run(ctx context.Context) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for {
		r.start(&waiting)
		r.killLate()
		select {
		case <-ctx.Done():
			r.start(&waiting)
			r.finish()
			return
		case <-r.wake:
		case <-r.alarm():
		case e := <-r.ended:
			r.settle(e)
		}
	}
}

// start starts all that may be; waiting counts the goroutines that wait for a process each, and end with it.
func (r *Runner) start(waiting *sync.WaitGroup) {
	for {
		r.mu.Lock()
		j := r.queue.next(time.Now())
		r.mu.Unlock()
		if j == nil {
			return
		}
		process, err := r.cfg.Start(j.argv)
		if err != nil {
			r.settle(ending{job: j, exit: unstarted(err)})
			continue
		}
		r.mu.Lock()
		j.process = process
		r.mu.Unlock()
		r.cfg.Report(Report{Kind: Started, Path: j.argv[0], PID: process.PID()})
		waiting.Go(func() { r.ended <- ending{j, process.PID(), process.Wait()} })
	}
}

// killLate kills what has run for too long.
func (r *Runner) killLate() {
	for {
		r.mu.Lock()
		j := r.queue.late(time.Now())
		r.mu.Unlock()
		if j == nil {
			return
		}
		r.cfg.Report(Report{Kind: TimedOut, Path: j.argv[0], PID: j.process.PID()})
		j.process.Kill()
	}
}

// alarm fires when there is something to do; nil: nothing will be.
func (r *Runner) alarm() <-chan time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.queue.due()
	if !ok {
		return nil
	}
	return time.After(time.Until(at))
}

func (r *Runner) settle(e ending) {
	r.mu.Lock()
	again := r.queue.ended(e.job, e.exit, time.Now())
	r.mu.Unlock()
	report := Report{Kind: Ended, Path: e.job.argv[0], PID: e.pid, Exit: e.exit}
	r.cfg.Report(report)
	if !again && !e.exit.success() {
		report.Kind = Failed
		r.cfg.Report(report)
	}
}

// finish waits for what runs.
func (r *Runner) finish() {
	patience := time.After(stopTime)
	for {
		if running, _ := r.Counts(); running == 0 {
			return
		}
		select {
		case e := <-r.ended:
			r.settle(e)
		case <-patience:
			r.killAll()
		}
	}
}

func (r *Runner) killAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range r.queue.jobs {
		if j.process != nil {
			j.process.Kill()
		}
	}
}

// Pending is a program that runs, or waits to be run.
type Pending struct {
	Argv     []string
	Running  bool
	PID      int           // 0: it does not run
	For      time.Duration // that it has been running, or will wait at least
	Attempts int           // begun
}

// Pending lists what runs and waits, in the order in which it was added.
func (r *Runner) Pending() []Pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Pending, 0, len(r.queue.jobs))
	for _, j := range r.queue.jobs {
		p := Pending{Argv: j.argv, Running: j.running, Attempts: j.attempts}
		switch {
		case j.running:
			p.For = time.Since(j.at)
		case !j.at.IsZero():
			p.For = max(0, time.Until(j.at))
		}
		if j.process != nil {
			p.PID = j.process.PID()
		}
		list = append(list, p)
	}
	return list
}

// Counts says how many programs run, and how many there are with those that wait.
func (r *Runner) Counts() (running, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.running, len(r.queue.jobs)
}
