package failover

import (
	"context"
	"maps"
	"sync"
	"time"

	"picket/config"
	"picket/monitor"
)

// Env is what a Runner needs of its surroundings.
type Env interface {
	// Now is the clock of the Situation.
	Now() time.Time
	// Situation is the picture now; ok is false when this agent does not lead (the runner then ends).
	Situation(master string) (s Situation, ok bool)
	// Commit has a step committed in the epoch it names and applied here; an error means that it may or may
	// not be, and the runner must look at the Situation again before it acts.
	Commit(ctx context.Context, s Step) error
	// Register has a server made known as one that may acknowledge writes, before it is told to follow.
	Register(ctx context.Context, master string, server config.Addr) error
	// Diverged has it kept, as far as that goes, and made known what a server had written that is about to be made a replica. It may take some
	// seconds.
	Diverged(ctx context.Context, master string, d Divergence) error
	// Changed is closed when the situation of the master differs from the one at the call.
	Changed(master string) <-chan struct{}
	// Report is told of progress that is not in the log (a replica cut, a blocker), for events and logs.
	Report(Progress)
}

// Progress is something that a runner did or could not do.
type Progress struct {
	Master  string
	Kind    ProgressKind
	Server  config.Addr
	Blocker *Blocker
	Err     error
}

// ProgressKind says what a Progress tells.
type ProgressKind uint8

const (
	ServerCut        ProgressKind = iota // a replica is detached and read
	ServerPromoted                       // ROLE confirms
	RepointSent                          // a replica was told to follow the new master
	RepointSyncing                       // it follows, the link is not up yet
	RepointDone                          // its link is up
	ConvertedToSlave                     // an old or rogue master was told to follow the master
	Reattached                           // a replica of the wrong master was told to follow the right one
	Blocked
	ActionFailed
	GateOpened   // the agreed master was started as a replica of nobody, and is the master again
	FenceRemoved // from a master that no agent is beside
)

// actionLimit bounds one action: a server that takes longer hangs, and is tried again or left out.
const actionLimit = 2 * time.Second

// Runner carries failovers and repairs out, for one leader in one term.
type Runner struct {
	env   Env
	redis Redis
}

// NewRunner makes a runner.
func NewRunner(env Env, redis Redis) *Runner { return &Runner{env: env, redis: redis} }

// finished is an action that has come to its end.
type finished struct {
	action Action
	began  time.Time
	seen   *monitor.Observation
	remark string
	err    error
}

// Run takes the failover of a master from the phase that it is in to its end. It returns nil when it has ended, or when this agent
// does not lead any more; the context's error when that ends first.
func (r *Runner) Run(ctx context.Context, master string) error {
	ctx, cancel := context.WithCancel(ctx)
	var actions sync.WaitGroup
	defer actions.Wait()
	defer cancel()

	k := newKnowledge(r.env.Now())
	if s, _ := r.env.Situation(master); s.Record != nil {
		k.old = s.Record.Old
	}
	results := make(chan finished)
	var blocked *Blocker
	for ctx.Err() == nil {
		changed := r.env.Changed(master)
		s, leads := r.env.Situation(master)
		if !leads {
			return nil
		}
		k.arrive(s)
		move := Next(s, k)
		if move.Done {
			return nil
		}
		if move.Blocker != nil && (blocked == nil || *blocked != *move.Blocker) {
			r.env.Report(Progress{Master: master, Kind: Blocked, Blocker: move.Blocker})
		}
		blocked = move.Blocker
		if move.Commit != nil {
			if r.commit(ctx, *move.Commit) {
				if move.Commit.Kind == StepRepoint {
					r.env.Report(Progress{Master: master, Kind: RepointDone, Server: move.Commit.Replica})
				}
				r.afterwards(ctx, master, move.Actions)
				continue
			}
			// It may be in the log all the same. The situation tells, when something has changed or after a while.
			move.Until = s.Now.Add(retryAfter)
		}
		for _, a := range move.Actions {
			k.Busy[a.Server] = true
			actions.Go(func() { r.act(ctx, master, a, results) }) // ends within some times actionLimit
		}
		r.wait(ctx, changed, move.Until, results, master, &k)
	}
	return ctx.Err()
}

// commit says whether the step is certainly in the log.
func (r *Runner) commit(ctx context.Context, s Step) bool {
	ctx, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	if err := r.env.Commit(ctx, s); err != nil {
		r.env.Report(Progress{Master: s.Master, Kind: ActionFailed, Err: err})
		return false
	}
	return true
}

// arrive notes that a new step is in the log, whoever heard of that: what comes next is something else, need not wait, and is given its own time.
func (k *Knowledge) arrive(s Situation) {
	r := s.Record
	if r == nil {
		return
	}
	at := place{r.Phase, r.Epoch, len(r.Repointed)}
	if before := k.place; at != before && before.phase != 0 {
		k.Since, k.Tried = s.Now, map[config.Addr]Attempt{}
		if at.phase != before.phase && at.phase == Switched {
			// What was read in the phases before says nothing about who follows the new master.
			heir := k.Seen[r.Target]
			k.Seen = map[config.Addr]*monitor.Observation{}
			if heir != nil {
				k.Seen[r.Target] = heir
			}
		}
	}
	k.place = at
}

// afterLimit bounds what is done after a step: whoever waits for the end of a failover waits for it, too.
const afterLimit = 200 * time.Millisecond

// afterwards does what may be done only when a step is in the log.
func (r *Runner) afterwards(ctx context.Context, master string, actions []Action) {
	ctx, cancel := context.WithTimeout(ctx, afterLimit)
	defer cancel()
	for _, a := range actions {
		_, _ = r.do(ctx, master, a) // that it failed is reported
	}
}

func (r *Runner) act(ctx context.Context, master string, a Action, results chan<- finished) {
	began := r.env.Now()
	seen, remark, err := r.prepared(ctx, master, a)
	select {
	case results <- finished{a, began, seen, remark, err}:
	case <-ctx.Done():
	}
}

// prepared does what comes before an action, and then the action.
func (r *Runner) prepared(ctx context.Context, master string, a Action) (seen *monitor.Observation, remark string, err error) {
	if err := r.prepare(ctx, master, a); err != nil {
		return nil, "", err
	}
	limit, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	return r.redis.Do(limit, master, a)
}

// prepare makes a server known before it can acknowledge writes, for which it must be asked at the next failover; and notes what it loses.
func (r *Runner) prepare(ctx context.Context, master string, a Action) error {
	if a.Kind != Follow {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	if err := r.env.Register(limit, master, a.Server); err != nil {
		return err
	}
	if a.Clean {
		return nil
	}
	return r.part(ctx, master, a)
}

// wait returns when something may be different.
func (r *Runner) wait(ctx context.Context, changed <-chan struct{}, until time.Time, results <-chan finished, master string, k *Knowledge) {
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(until.Sub(r.env.Now()))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case f := <-results:
		r.learn(f, master, k)
	case <-due:
	case <-ctx.Done():
	}
}

// learn adds an action's outcome to what is known.
func (r *Runner) learn(f finished, master string, k *Knowledge) {
	now := r.env.Now()
	a := f.action
	delete(k.Busy, a.Server)
	k.Tried[a.Server] = Attempt{At: now, Err: f.err}
	if f.remark != "" {
		k.remark(a.Server, f.remark)
	}
	if f.err != nil {
		delete(k.Seen, a.Server) // look again before anything is done to it
		delete(k.Read, a.Server)
		k.Released = k.Released || a.Kind == Recall // a hand-over that is given up waits for no server
		r.env.Report(Progress{Master: master, Kind: ActionFailed, Server: a.Server, Err: f.err})
		return
	}
	switch a.Kind {
	case Cut:
		if len(k.Read) == 0 {
			k.FirstRead = now
		}
		k.Read[a.Server] = f.seen
		r.env.Report(Progress{Master: master, Kind: ServerCut, Server: a.Server})
	case Hold:
		k.HeldAt, k.Held = f.began, []*monitor.Observation{f.seen} // the pause may run from then on
	case HandOver:
		k.HeldAt, k.Held = f.began, nil
	case Fence:
		k.hold(f.seen)
	case Recall:
		k.Released = true
	case Persist:
		k.Persisted = true
	case Read:
		if a.Server == k.old {
			k.hold(f.seen)
		} else {
			r.follows(f, master, k)
		}
		k.Seen[a.Server] = f.seen
	case Promote:
		k.Promoted, k.Seen[a.Server] = true, f.seen
		r.env.Report(Progress{Master: master, Kind: ServerPromoted, Server: a.Server})
	case Follow:
		k.Told[a.Server], k.Seen[a.Server] = true, f.seen
		r.env.Report(Progress{Master: master, Kind: a.Note, Server: a.Server})
	}
}

// hold notes what the old master said.
func (k *Knowledge) hold(o *monitor.Observation) {
	k.Held = append(k.Held[max(0, len(k.Held)-1):], o)
}

// follows reports the first sight of a replica that follows the new master, its link not yet up.
func (r *Runner) follows(f finished, master string, k *Knowledge) {
	before := k.Seen[f.action.Server]
	if k.Told[f.action.Server] && before != nil && f.seen.Role == "slave" && f.seen.Master != before.Master {
		r.env.Report(Progress{Master: master, Kind: RepointSyncing, Server: f.action.Server})
	}
}

func newKnowledge(now time.Time) Knowledge {
	return Knowledge{
		Began: now, Since: now, Busy: map[config.Addr]bool{}, Tried: map[config.Addr]Attempt{},
		Read: map[config.Addr]*monitor.Observation{}, Seen: map[config.Addr]*monitor.Observation{}, Told: map[config.Addr]bool{},
	}
}

// Repair carries out what Repair finds, once, after another look: what the monitor saw may be older than what was done
// about it.
func (r *Runner) Repair(ctx context.Context, master string) error {
	s, leads := r.env.Situation(master)
	if !leads {
		return nil
	}
	s = r.lookAgain(ctx, master, s)
	var group sync.WaitGroup
	for _, a := range Repair(s) {
		group.Go(func() { // ends within some times actionLimit
			if _, err := r.do(ctx, master, a); err == nil {
				r.env.Report(Progress{Master: master, Kind: a.Note, Server: a.Server})
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// do is one action of a repair; its failure is reported.
func (r *Runner) do(ctx context.Context, master string, a Action) (*monitor.Observation, error) {
	o, _, err := r.prepared(ctx, master, a)
	if err != nil {
		r.env.Report(Progress{Master: master, Kind: ActionFailed, Server: a.Server, Err: err})
	}
	return o, err
}

// lookAgain reads the master and the strays. A server that does not answer now is left out.
func (r *Runner) lookAgain(ctx context.Context, master string, s Situation) Situation {
	servers := maps.Clone(s.View.Servers)
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, a := range append(Repair(s), Action{Server: s.Master}) {
		group.Go(func() { // ends within actionLimit
			o, err := r.do(ctx, master, Action{Kind: Read, Server: a.Server})
			mu.Lock()
			defer mu.Unlock()
			server := servers[a.Server]
			if server.Last = o; err != nil {
				server.State = monitor.Unknown
			}
			servers[a.Server] = server
		})
	}
	group.Wait()
	s.View.Servers, s.Now = servers, r.env.Now()
	return s
}
