package sim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"picket/consensus"
)

// Options of a run. The planted bugs show that the checkers see them.
type Options struct {
	Seed  uint64
	Trace func(line string) // told of every event; nil: nobody
	Bug   Bug               // made outside the core: see planted.go
	// Shape changes the faults that the seed has drawn, and the number of servers, for a bug that needs special circumstances; nil:
	// they stay.
	Shape func(f *faults, servers *int)
}

// Result of a run.
type Result struct {
	Violation string // empty: none
	Hash      uint64 // of all events, in order
	Time      time.Duration
	Events    int
	Commits   int
	Elections int
	Crashes   int
	Changes   int // of the membership
	Answers   int // to clients
	Servers   int
}

// Sim is one world.
type Sim struct {
	opts    Options
	rng     *rand.Rand
	faults  faults
	calm    bool // the faults have stopped
	over    bool // clients begin nothing new
	now     time.Duration
	queue   events
	number  uint64
	ids     []consensus.ServerID
	servers map[consensus.ServerID]*server
	clients []*client
	cut     map[[2]consensus.ServerID]bool // from, to
	lost    consensus.ServerID             // whose disk is lost and not replaced yet; empty: nobody's
	check   *checker
	result  Result
	hash    interface {
		Write([]byte) (int, error)
		Sum64() uint64
	}
	reads uint64
}

// event happens at a time; those of the same time in the order in which they were scheduled.
type event struct {
	at     time.Duration
	number uint64
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

const (
	chaosTime = 6 * time.Second       // of faults
	chaosTick = 10 * time.Millisecond // between throws of the dice
	calmTime  = 20 * time.Second      // in which the group must have become live
	spares    = 3                     // servers that may join
)

// violation ends a run.
type violation string

// Run plays a seed to its end.
func Run(opts Options) (result Result) {
	s := &Sim{
		opts: opts, rng: rand.New(rand.NewPCG(opts.Seed, 0x9e3779b97f4a7c15)), servers: map[consensus.ServerID]*server{},
		cut: map[[2]consensus.ServerID]bool{}, hash: fnv.New64a(),
	}
	defer func() {
		if broken := recover(); broken != nil {
			text, mine := broken.(violation)
			if !mine {
				text = violation(fmt.Sprintf("panic: %v", broken))
			}
			s.note("violation: %s", text)
			s.result.Violation = string(text)
		}
		s.result.Hash, s.result.Time = s.hash.Sum64(), s.now
		result = s.result
	}()
	s.build()
	s.chaos()
	s.heal()
	s.check.end()
	return s.result
}

func (s *Sim) build() {
	n := []int{1, 2, 3, 3, 3, 4, 5, 5, 7}[s.rng.IntN(9)]
	s.faults = drawFaults(s.rng)
	if s.opts.Shape != nil {
		s.opts.Shape(&s.faults, &n)
	}
	var first []consensus.ServerID
	for i := range n + spares {
		id := consensus.ServerID(fmt.Sprintf("n%d", i+1))
		s.ids = append(s.ids, id)
		if i < n {
			first = append(first, id)
		}
	}
	s.result.Servers = n
	s.check = newChecker(s)
	for i, id := range s.ids {
		s.servers[id] = newServer(s, id)
		if i < n {
			s.servers[id].found(founders(first))
		}
	}
	for i := range clients {
		c := &client{sim: s, id: i + 1}
		s.clients = append(s.clients, c)
		c.think()
	}
}

// chaos runs with faults and with clients.
func (s *Sim) chaos() {
	var tick func()
	tick = func() {
		if s.now < chaosTime {
			s.throwDice()
			s.after(chaosTick, tick)
		}
	}
	s.after(chaosTick, tick)
	s.until(chaosTime)
}

// heal stops the faults; the group must then elect a leader, answer every client, and agree.
func (s *Sim) heal() {
	s.calm = true
	clear(s.cut)
	for _, id := range s.ids {
		sv := s.servers[id]
		sv.repairDisk()
		if sv.core == nil && sv.disk != nil {
			sv.boot()
		}
		sv.thaw()
	}
	end, before := s.now+calmTime, s.result.Answers
	for s.now < end {
		s.until(s.now + 100*time.Millisecond)
		s.over = s.result.Answers > before+20
		if s.over && s.agreed() {
			return
		}
	}
	s.fail("no progress: %d answers in %s without faults; %s", s.result.Answers-before, calmTime, s.describe())
}

// agreed: nobody waits for an answer, and every member has applied the whole history, but the one whose disk is lost.
func (s *Sim) agreed() bool {
	for _, c := range s.clients {
		if c.asked > 0 {
			return false
		}
	}
	for _, m := range s.check.config.Members {
		if m.ID != s.lost && s.servers[m.ID].applied != consensus.Index(len(s.check.history)) {
			return false
		}
	}
	return true
}

func (s *Sim) describe() (text string) {
	text = fmt.Sprintf("%d entries of history, members %v, lost %q ", len(s.check.history), s.check.config.Members, s.lost)
	for _, c := range s.clients {
		if c.asked > 0 {
			text += fmt.Sprintf("client %d waits for %s, asked %d times ", c.id, c.op, c.asked)
		}
	}
	for _, id := range s.ids {
		if sv := s.servers[id]; sv.core != nil {
			st := sv.core.Status(sv.clock())
			text += fmt.Sprintf("[%s %s term %d leader %s commit %d applied %d last %d of %v, admitted %t] ", id, st.Role, st.Term, st.Leader,
				st.Commit, sv.applied, st.Last, st.Voters(), st.Admitted)
		}
	}
	return text
}

// until runs all events up to a time.
func (s *Sim) until(t time.Duration) {
	for len(s.queue) > 0 && s.queue[0].at <= t {
		e := heap.Pop(&s.queue).(event)
		s.now = e.at
		s.result.Events++
		e.do()
	}
	s.now = t
}

func (s *Sim) after(d time.Duration, do func()) {
	s.number++
	heap.Push(&s.queue, event{at: s.now + d, number: s.number, do: do})
}

func (s *Sim) chance(p float64) bool { return s.rng.Float64() < p }

func (s *Sim) pick() *server { return s.servers[s.ids[s.rng.IntN(len(s.ids))]] }

// note adds to the run's hash, and to its trace if there is one.
func (s *Sim) note(format string, args ...any) {
	line := fmt.Sprintf("%12s  %s\n", s.now, fmt.Sprintf(format, args...))
	_, _ = s.hash.Write([]byte(line)) // a hash does not fail
	if s.opts.Trace != nil {
		s.opts.Trace(line)
	}
}

func (s *Sim) fail(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }
