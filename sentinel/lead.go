package sentinel

import (
	"context"
	"time"

	"picket/consensus"
	"picket/failover"
	"picket/sentinel/state"
)

// rest is how long the leader pauses before it does to a master what it has just done: what fails at once must not be tried again
// in a spin. The pause between repairs doubles, up to longestRest, as long as there is something to repair.
const (
	rest        = 50 * time.Millisecond
	longestRest = 5 * time.Second
)

// reign is one term of this agent as the leader, and what it does meanwhile. It belongs to the judge.
type reign struct {
	term  consensus.Term
	since time.Time
	ready bool // all that was committed in former terms is applied here
	// start runs a goroutine that ends when it is stopped or the reign ends; the agent waits for it.
	start   func(func(context.Context)) (stop context.CancelFunc)
	end     context.CancelFunc            // of all its goroutines
	running map[string]bool               // masters whose failover is run
	ran     map[string]time.Time          // and when a runner returned
	repairs map[string]context.CancelFunc // masters that are being repaired
	pauses  map[string]pausing            // between repairs
	orders  map[string]time.Time          // masters for which no switchover that is due is begun before
}

// pausing is the pause after a repair.
type pausing struct {
	until   time.Time
	repairs int // so far, without an end
}

// rule begins and ends this agent's reign, and starts what a leader has to do.
func (j *judge) rule(ctx context.Context, l look) {
	if j.reign != nil && (l.status.Role != consensus.Leader || l.status.Term != j.reign.term) {
		j.abdicate()
	}
	if l.status.Role != consensus.Leader {
		return
	}
	if j.reign == nil {
		j.accede(ctx, l.status.Term)
	}
	if !j.reign.ready {
		return
	}
	for _, m := range l.masters {
		j.serve(ctx, l, m)
	}
}

// abdicate ends the reign, if there is one. What its goroutines still do is refused by the log.
func (j *judge) abdicate() {
	if j.reign != nil {
		j.reign.end()
		j.reign = nil
	}
}

// accede begins a reign. Nothing is done before all that former leaders committed is known here.
func (j *judge) accede(ctx context.Context, term consensus.Term) {
	ctx, end := context.WithCancel(ctx)
	r := &reign{
		term: term, since: j.a.now(), end: end,
		start: func(f func(context.Context)) context.CancelFunc {
			ctx, stop := context.WithCancel(ctx)
			j.a.workers.Go(func() {
				defer stop()
				f(ctx)
			})
			return stop
		},
		running: map[string]bool{}, ran: map[string]time.Time{},
		repairs: map[string]context.CancelFunc{}, pauses: map[string]pausing{}, orders: map[string]time.Time{},
	}
	j.reign = r
	r.start(func(ctx context.Context) {
		if j.a.node.Barrier(ctx) != nil {
			return // the term is over, or the agent stops
		}
		j.a.post(func(*judge) { r.ready = true })
		r.start(func(ctx context.Context) { j.a.discover(ctx, term) })
		r.start(j.a.webhooks.Run)
	})
}

// serve does what a master needs of its leader: its failover is run, or else what strays from it is repaired.
func (j *judge) serve(ctx context.Context, l look, m *state.Master) {
	r := j.reign
	switch {
	case r.running[m.Name]:
	case m.Failover != nil:
		if stop := r.repairs[m.Name]; stop != nil {
			stop() // a failover does not wait for a server that hangs in a repair
		}
		if l.now.Sub(r.ran[m.Name]) > rest {
			j.run(m.Name)
		}
	case j.switchover(ctx, l, m):
	case r.repairs[m.Name] != nil || l.now.Before(r.pauses[m.Name].until):
	case len(failover.Repair(j.a.situation(l, m, r.term))) == 0:
		delete(r.pauses, m.Name)
	default:
		j.repair(m.Name)
	}
}

// switchover begins one that is due, and says whether it does.
func (j *judge) switchover(ctx context.Context, l look, m *state.Master) bool {
	r := j.reign
	if r.orders[m.Name].After(l.now) {
		return false
	}
	d, ok := j.a.wishes(l, m, j.a.situation(l, m, r.term))
	if !ok {
		return false
	}
	r.orders[m.Name] = l.now.Add(orderPause)
	// It outlives this reign, which the election for it ends, but not the judge.
	j.a.workers.Go(func() { // ends within twice manualTimeout
		err := j.a.fulfil(ctx, m.Name, d)
		j.a.herald.failed(ctx, "begin the switchover", m.Name, err)
		if vetoed(err) {
			j.a.post(func(*judge) { r.orders[m.Name] = j.a.now().Add(vetoPause) })
		}
	})
	return true
}

// orderPause separates tries to begin a switchover that is due.
const orderPause = 5 * time.Second

// vetoPause is for how long a program that has forbidden a switchover, which the settings wish, is not asked again.
const vetoPause = time.Minute

// run takes a failover from where it is to its end, as long as the reign lasts.
func (j *judge) run(master string) {
	r := j.reign
	r.running[master] = true
	r.start(func(ctx context.Context) {
		err := j.a.runner(r.term).Run(ctx, master)
		j.a.herald.failed(ctx, "run the failover", master, err)
		j.a.post(func(*judge) {
			delete(r.running, master)
			r.ran[master] = j.a.now()
		})
	})
}

// repair makes strays follow their master again. The group confirms first that this agent still leads: a deposed leader that
// does not know it yet might take the new master for a stray.
func (j *judge) repair(master string) {
	r := j.reign
	r.repairs[master] = r.start(func(ctx context.Context) {
		err := j.a.node.Barrier(ctx)
		if err == nil {
			err = j.a.runner(r.term).Repair(ctx, master)
		}
		j.a.herald.failed(ctx, "repair", master, err)
		j.a.post(func(*judge) {
			delete(r.repairs, master)
			n := r.pauses[master].repairs
			r.pauses[master] = pausing{until: j.a.now().Add(min(rest<<min(n, 10), longestRest)), repairs: n + 1}
		})
	})
}
