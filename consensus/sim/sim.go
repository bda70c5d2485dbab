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
	Bug   Bug
}

// Bug is a mistake that is made on purpose.
type Bug uint8

const (
	NoBug         Bug = iota
	VoteForgotten     // the vote is not written; found by what follows from it
	AckBeforeSync     // messages leave before the batch that they depend on is written
	SyncIgnored       // a failed sync is taken for a success
)

// Result of a run.
type Result struct {
	Violation string // empty: none
	Hash      uint64 // of all events, in order
	Events    int
	Commits   int
	Elections int
	Crashes   int
	Servers   int
}

// faults is how bad the world is in one run: drawn by the seed, because a mix of everything hides bugs.
type faults struct {
	loss, double, ancient float64 // of messages: lost; delivered twice; kept back for long
	slowest               time.Duration
	crash, tear           float64 // per tick of chaos: crash a server; in the middle of a write
	cut, pause            float64 // per tick of chaos: change the partition; freeze a server
	disk                  time.Duration
	drift                 bool
	campaign              float64
	compact               float64
}

func drawFaults(rng *rand.Rand) faults {
	maybe := func(most float64) float64 {
		if rng.IntN(2) == 0 {
			return 0
		}
		return rng.Float64() * most
	}
	return faults{
		loss: maybe(0.3), double: maybe(0.2), ancient: maybe(0.05),
		slowest: time.Duration(1+rng.IntN(40)) * time.Millisecond,
		crash:   maybe(0.1), tear: rng.Float64(), cut: maybe(0.1), pause: maybe(0.05),
		disk:  time.Duration(rng.IntN(20_000)) * time.Microsecond,
		drift: rng.IntN(2) == 0, campaign: maybe(0.1), compact: maybe(0.3),
	}
}

// Sim is one world.
type Sim struct {
	opts    Options
	rng     *rand.Rand
	faults  faults
	calm    bool // the faults have stopped
	now     time.Duration
	queue   events
	number  uint64
	ids     []consensus.ServerID
	servers map[consensus.ServerID]*server
	cut     map[[2]consensus.ServerID]bool // from, to
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
		s.result.Hash = s.hash.Sum64()
		result = s.result
	}()
	s.build()
	s.chaos()
	s.heal()
	return s.result
}

func (s *Sim) build() {
	n := []int{1, 2, 3, 3, 3, 4, 5, 5, 7}[s.rng.IntN(9)]
	s.faults = drawFaults(s.rng)
	if s.opts.Bug == VoteForgotten { // it shows only where crashes and elections meet
		s.faults.crash, s.faults.campaign, s.faults.disk = 0.2, 0.3, 2*time.Millisecond
	}
	for i := range n {
		s.ids = append(s.ids, consensus.ServerID(fmt.Sprintf("n%d", i+1)))
	}
	s.result.Servers = n
	s.check = newChecker(s)
	for _, id := range s.ids {
		s.servers[id] = newServer(s, id)
		s.servers[id].boot()
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

// heal stops the faults; the group must then elect a leader, commit, and agree.
func (s *Sim) heal() {
	s.calm = true
	clear(s.cut)
	for _, id := range s.ids {
		sv := s.servers[id]
		if sv.core == nil {
			sv.boot()
		}
		sv.thaw()
	}
	end := s.now + calmTime
	before := len(s.check.history)
	for s.now < end {
		s.until(s.now + 100*time.Millisecond)
		s.propose()
		if len(s.check.history) > before+10 && s.agreed() {
			return
		}
	}
	s.fail("no progress: %d commits in %s without faults; %s", len(s.check.history)-before, calmTime, s.describe())
}

func (s *Sim) agreed() bool {
	for _, id := range s.ids {
		if s.servers[id].applied != consensus.Index(len(s.check.history)) {
			return false
		}
	}
	return true
}

func (s *Sim) describe() (text string) {
	for _, id := range s.ids {
		if sv := s.servers[id]; sv.core != nil {
			st := sv.core.Status(sv.clock())
			text += fmt.Sprintf("[%s %s term %d leader %s commit %d applied %d last %d] ", id, st.Role, st.Term, st.Leader, st.Commit,
				sv.applied, st.Last)
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

// throwDice lets something happen.
func (s *Sim) throwDice() {
	f := s.faults
	if s.chance(f.crash) {
		s.pick().crash(s.chance(f.tear))
	}
	if s.chance(f.pause) {
		sv := s.pick()
		sv.freeze()
		s.after(time.Duration(s.rng.Int64N(int64(time.Second))), sv.thaw)
	}
	if s.chance(f.cut) {
		s.partition()
	}
	if s.chance(f.campaign) {
		s.pick().campaign()
	}
	if s.chance(f.compact) {
		s.pick().compact()
	}
	if s.chance(0.5) {
		s.propose()
	}
	if s.chance(0.2) {
		s.pick().read()
	}
	for _, id := range s.ids {
		if sv := s.servers[id]; sv.core == nil && s.chance(0.05) {
			sv.boot()
		}
	}
}

// propose hands commands to whoever thinks that it leads.
func (s *Sim) propose() {
	for _, id := range s.ids {
		s.servers[id].propose(1 + s.rng.IntN(3))
	}
}

// partition heals everything, or cuts some directions.
func (s *Sim) partition() {
	clear(s.cut)
	if s.rng.IntN(3) == 0 {
		s.note("network: whole")
		return
	}
	side := map[consensus.ServerID]bool{}
	for _, id := range s.ids {
		side[id] = s.rng.IntN(2) == 0
	}
	oneWay := s.rng.IntN(3) == 0
	for _, a := range s.ids {
		for _, b := range s.ids {
			if side[a] && !side[b] || !oneWay && side[a] != side[b] {
				s.cut[[2]consensus.ServerID{a, b}] = true
			}
		}
	}
	s.note("network: %d directions are cut", len(s.cut))
}

// send puts a message on the wire, encoded.
func (s *Sim) send(m consensus.Message) {
	s.check.claims(m)
	data, err := consensus.EncodeMessage(nil, &m)
	if err != nil {
		s.fail("encode: %v", err)
	}
	s.note("send %s>%s term %d %T %+v", m.From, m.To, m.Term, m.Body, m.Body)
	copies := 1
	if !s.calm {
		switch {
		case s.cut[[2]consensus.ServerID{m.From, m.To}] || s.chance(s.faults.loss):
			return
		case s.chance(s.faults.double):
			copies = 2
		}
	}
	for range copies {
		delay := time.Duration(s.rng.ExpFloat64() * float64(500*time.Microsecond))
		if !s.calm {
			delay += time.Duration(s.rng.Int64N(int64(s.faults.slowest)))
			if s.chance(s.faults.ancient) {
				delay += time.Duration(s.rng.Int64N(int64(2 * time.Second)))
			}
		}
		s.after(delay, func() { s.deliver(m.To, data) })
	}
}

func (s *Sim) deliver(to consensus.ServerID, data []byte) {
	m, err := consensus.DecodeMessage(data)
	if err != nil {
		s.fail("decode: %v", err)
	}
	s.servers[to].receive(m)
}

// note adds to the run's hash, and to its trace if there is one.
func (s *Sim) note(format string, args ...any) {
	line := fmt.Sprintf("%12s  %s\n", s.now, fmt.Sprintf(format, args...))
	_, _ = s.hash.Write([]byte(line)) // a hash does not fail
	if s.opts.Trace != nil {
		s.opts.Trace(line)
	}
}

func (s *Sim) fail(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }
