package model

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// process is one life of a server. Everything in it is guarded by mu, but for what never changes.
type process struct {
	cfg      *Config
	listener net.Listener
	tasks    sync.WaitGroup // its goroutines, but for those of timers that were stopped too late: they look and go

	mu       sync.Mutex
	waiting  []chan struct{} // to enter, in order
	frozen   bool            // by Hang
	sleeping bool            // in DEBUG SLEEP
	dead     bool
	ended    chan struct{} // closed when dead

	random  *rand.Rand
	runID   string
	started time.Time
	disk    disk
	conf    map[string]string // parameters that are not at their default
	set     settings          // the same, understood
	data    dataset
	loading bool
	saving  bool // a snapshot is made
	stats   stats

	clients    map[int64]*client
	lastClient int64
	subscribed map[string]map[*client]bool // channel
	matched    map[string]map[*client]bool // pattern
	toWrite    []*client                   // have something in out
	resume     []*client                   // may go on with what they sent
	waiters    []*client                   // in WAIT
	watchers   map[*client]bool            // have watched keys
	pauses     [pausePurposes]pause
	stopping   *shuttingDown // while replicas catch up; nil: no

	execution // what the current command does
	replication

	cron     *time.Timer // each second
	expirer  *time.Timer // at the next expiry
	nextDue  int64       // when expirer fires, Unix time in ms; 0: it does not
	pauseEnd *time.Timer
	loops    int // of cron; the first is at the start
}

// stats are counters that INFO tells.
type stats struct {
	connections, commands, errors         int64
	syncFull, syncPartialOK, syncNotTaken int64
	expired, hits, misses                 int64
	saves                                 int64
	changes                               int64 // since the last save
	lastSave                              time.Time
}

func newProcess(cfg *Config, d disk, random *rand.Rand) (*process, error) {
	p := &process{
		cfg: cfg, random: random, disk: d, ended: make(chan struct{}), started: time.Now(), clients: map[int64]*client{},
		subscribed: map[string]map[*client]bool{}, matched: map[string]map[*client]bool{}, watchers: map[*client]bool{},
	}
	p.runID = p.newID()
	p.newHistory()
	p.selected = -1
	p.stats.lastSave = p.started
	if err := p.configure(); err != nil {
		return nil, err
	}
	listener, err := cfg.Network.Listen(cfg.Addr)
	if err != nil {
		return nil, err
	}
	p.listener = listener
	p.mu.Lock()
	defer p.release()
	p.boot()
	p.loops = 1
	phase := time.Duration(p.random.Int64N(int64(time.Second)))
	p.cron = p.after(phase, p.everySecond)
	p.tasks.Go(p.accept)
	return p, nil
}

// newID makes a run id or replication id.
func (p *process) newID() string {
	return fmt.Sprintf("%016x%016x%08x", p.random.Uint64(), p.random.Uint64(), p.random.Uint32())
}

// accept takes connections, also while the process hangs: then it is the kernel that does. It ends with the listener.
func (p *process) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		if p.dead {
			p.release()
			_ = conn.Close() // nothing was said
			return
		}
		c := p.newClient(conn)
		p.clients[c.id] = c
		p.stats.connections++
		p.tasks.Go(c.read)
		p.release()
	}
}

// enter waits until the process runs and takes its lock. False: it never will again, and the lock is not taken. Those who had to
// wait are let in one after the other, in the order in which they came.
func (p *process) enter() bool {
	p.mu.Lock()
	if (p.stopped() || len(p.waiting) > 0) && !p.dead {
		turn := make(chan struct{})
		p.waiting = append(p.waiting, turn)
		p.mu.Unlock()
		<-turn // with the lock
	}
	if p.dead {
		p.release()
		return false
	}
	return true
}

// release gives the lock back, or on to the one who has waited longest.
func (p *process) release() {
	if len(p.waiting) == 0 || p.stopped() && !p.dead {
		p.mu.Unlock()
		return
	}
	turn := p.waiting[0]
	p.waiting = p.waiting[1:]
	close(turn)
}

// stopped says whether nothing is executed at the moment.
func (p *process) stopped() bool { return p.frozen || p.sleeping }

// leave does what Redis does before it sleeps, and gives the lock back. What waits for own is written by the caller.
func (p *process) leave(own *client) {
	p.beforeSleep()
	for len(p.resume) > 0 && !p.stopped() {
		c := p.resume[0]
		p.resume = p.resume[1:]
		p.consume(c)
		p.beforeSleep()
	}
	mine := false
	for i, c := range p.toWrite {
		p.toWrite[i] = nil
		c.waiting = false
		switch {
		case c.writing || c.closed:
		case c == own:
			c.writing, mine = true, true
		default:
			c.writing = true
			p.tasks.Go(c.write) // ends when all is written
		}
	}
	p.toWrite = p.toWrite[:0]
	p.release()
	if mine {
		own.write()
	}
}

// beforeSleep finishes what a command left to be done once.
func (p *process) beforeSleep() {
	p.answerWaiters()
	p.advanceFailover()
	p.advanceShutdown()
	if p.askAcks && !p.paused() {
		p.askAcks = false
		p.feed(-1, "REPLCONF", "GETACK", "*")
	}
}

// after calls f with the process entered, unless it has ended by then.
func (p *process) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		if p.enter() {
			f()
			p.leave(nil)
		}
	})
}

func (p *process) alive() bool {
	p.mu.Lock()
	defer p.release()
	return !p.dead
}

// die ends the process: the kernel closes what is open. It is called with mu held.
func (p *process) die() {
	p.dead = true
	close(p.ended)
	_ = p.listener.Close() // nobody could do anything about it
	for _, c := range p.connected() {
		p.disconnect(c)
	}
	p.dropLink()
	for _, t := range []*time.Timer{p.cron, p.expirer, p.pauseEnd} {
		if t != nil {
			t.Stop()
		}
	}
}

// disconnect closes a connection and forgets it.
func (p *process) disconnect(c *client) {
	if c.closed {
		return
	}
	c.closed = true
	if c.conn != nil {
		_ = c.conn.Close() // what is lost by that is lost
	}
	delete(p.clients, c.id)
	p.unsubscribeAll(c)
	p.forgetWatches(c)
	p.unblock(c)
	if p.dead {
		return
	}
	if p.master == c {
		p.masterLost()
	}
	p.removeReplica(c)
	if p.stopping != nil && p.stopping.by == c {
		p.stopping.by = nil
	}
}

// everySecond is Redis's replicationCron, but while a failover goes on it comes ten times a second.
func (p *process) everySecond() {
	p.replicationCron()
	p.syncFile()
	period := time.Second
	if p.failover.state != noFailover {
		period = 100 * time.Millisecond
	}
	p.cron.Reset(period)
}

func (p *process) port() string {
	_, port, _ := net.SplitHostPort(p.cfg.Addr) // it was listened on
	return port
}
