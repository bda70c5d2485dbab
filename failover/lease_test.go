package failover

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"picket/config"
)

const span = 300 * time.Millisecond

func after(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func TestLease_IsCountedFromTheQuestion(t *testing.T) {
	voters := []string{"a", "b", "c"}
	var l Lease
	first := l.Ask(after(0))
	l.Answered(first, "a", voters, span)
	l.Answered(first, "a", voters, span)
	l.Answered(first, "stranger", voters, span)
	if l.Held(after(10)) {
		t.Fatal("held by the word of one voter")
	}
	second := l.Ask(after(75))
	l.Answered(first, "b", voters, span)
	if !l.Held(after(299)) || l.Held(after(300)) {
		t.Error("a majority has answered the round of 0 ms: held until 300 ms, and not longer")
	}
	l.Answered(second, "a", voters, span)
	l.Answered(second, "c", voters, span)
	if !l.Held(after(374)) || l.Held(after(375)) || l.Since() != after(0) {
		t.Errorf("the next round extends it, without a gap: until %v, since %v", l.Until(), l.Since())
	}
	l.Drop()
	l.Answered(second, "b", voters, span)
	if l.Held(after(80)) {
		t.Error("held after it was given up")
	}
	late := l.Ask(after(1000))
	l.Answered(late, "a", voters, span)
	l.Answered(late, "b", voters, span)
	if l.Since() != after(1000) {
		t.Errorf("held since %v, want since the first round after the gap", l.Since())
	}
}

func TestPromises(t *testing.T) {
	ask := Ask{Holder: "a", Boot: 1, Server: oldMaster, Round: 5, Span: span}
	for name, c := range map[string]struct {
		do   func(*Promises)
		at   int
		want string // why it may not vote; empty: it may
	}{
		"nothing promised":             {func(*Promises) {}, 1000, ""},
		"just started":                 {func(*Promises) {}, 314, "just started"},
		"promised":                     {func(p *Promises) { p.Promise(after(1000), ask) }, 1314, "holds the lease"},
		"a promise outlasts the lease": {func(p *Promises) { p.Promise(after(1000), ask) }, 1301, "holds the lease"},
		"it has run out":               {func(p *Promises) { p.Promise(after(1000), ask) }, 1315, ""},
		"of another server":            {func(p *Promises) { b := ask; b.Server = replicaA; p.Promise(after(1000), b) }, 1001, ""},
		"released": {func(p *Promises) {
			p.Promise(after(1000), ask)
			p.Released(after(1000), ask, "dead")
		}, 1001, ""},
		"an older round is released": {func(p *Promises) {
			p.Promise(after(1000), ask)
			old := ask
			old.Round--
			p.Released(after(1000), old, "dead")
		}, 1001, "holds the lease"},
		"an older process releases": {func(p *Promises) {
			p.Promise(after(1000), ask)
			old := ask
			old.Boot = 9
			p.Released(after(1000), old, "dead")
		}, 1001, "holds the lease"},
	} {
		p := NewPromises(start, span)
		c.do(p)
		if made := p.Made(after(c.at), ask.Holder, oldMaster); made.After(after(c.at)) != strings.Contains(c.want, "holds the lease") {
			t.Errorf("%s: promised until %s, want %q", name, made, c.want)
		}
		if _, why := p.Bound(after(c.at), oldMaster); (why == "") != (c.want == "") || !strings.Contains(why, c.want) {
			t.Errorf("%s: %q, want %q", name, why, c.want)
		}
	}
}

func TestPromises_NoneAfterAVoteOrARelease(t *testing.T) {
	p := NewPromises(start, span)
	ask := Ask{Holder: "a", Boot: 1, Server: oldMaster, Round: 5, Span: span}
	p.Vote(after(1000), oldMaster, span)
	if p.Promise(after(1629), ask) == "" {
		t.Error("promised within two leases of a vote")
	}
	if why := p.Promise(after(1630), ask); why != "" {
		t.Errorf("refused later: %s", why)
	}
	p.Released(after(1630), ask, "dead")
	if p.Promise(after(1640), ask) == "" {
		t.Error("a question from before the release is answered")
	}
	if p.LetGo(after(2629), "a", oldMaster) != "dead" || p.LetGo(after(2630), "a", oldMaster) != "" {
		t.Error("the release counts for another time than ReleaseFor")
	}
	ask.Round++
	if why := p.Promise(after(1650), ask); why != "" || p.LetGo(after(1650), "a", oldMaster) != "" {
		t.Errorf("a question from after the release: %q", why)
	}
}

// TestLease_NobodyIsPromotedWhileItIsHeld plays leases, elections and failovers of one master in random order, with messages that are
// late or lost and clocks that differ as much as they may. Raft is played by its promise: one winner a term, by a majority, and a failover
// is committed when a majority has it in its log.
func TestLease_NobodyIsPromotedWhileItIsHeld(t *testing.T) {
	for seed := range uint64(4000) {
		w := newLeaseWorld(seed)
		w.play()
		if w.violation != "" {
			t.Fatalf("seed %d: %s", seed, w.violation)
		}
	}
}

// leaseWorld is five voters; the agent beside the master is the first.
type leaseWorld struct {
	random    *rand.Rand
	clock     [5]float64 // speed
	promises  [5]*Promises
	begun     [5]bool // the failover is in the log
	lease     Lease
	inbox     []leaseMessage
	ms        int
	silent    bool
	voters    []string
	campaign  int // when the latest one began; 0: none
	votes     map[int]bool
	appended  map[int]bool
	promoted  bool
	violation string
}

type leaseMessage struct {
	at int
	do func()
}

func newLeaseWorld(seed uint64) *leaseWorld {
	w := &leaseWorld{random: rand.New(rand.NewPCG(seed, 1)), votes: map[int]bool{}, appended: map[int]bool{}}
	for i := range w.promises {
		w.clock[i] = 1 + (w.random.Float64()-0.5)*0.04
		w.promises[i] = NewPromises(w.now(i), span)
		w.voters = append(w.voters, fmt.Sprint("v", i))
	}
	return w
}

// now is the time on a voter's own clock.
func (w *leaseWorld) now(i int) time.Time {
	return start.Add(time.Duration(float64(w.ms) * w.clock[i] * float64(time.Millisecond)))
}

func (w *leaseWorld) send(do func()) {
	late := 1 + w.random.IntN(8)
	switch w.random.IntN(10) {
	case 0:
		return // lost
	case 1:
		late += w.random.IntN(500)
	}
	w.inbox = append(w.inbox, leaseMessage{w.ms + late, do})
}

func (w *leaseWorld) play() {
	down := 500 + w.random.IntN(1500) // from then on somebody stands for election again and again
	for ; w.ms < 6000 && w.violation == "" && !w.promoted; w.ms++ {
		due := w.inbox
		w.inbox = nil
		for _, m := range due {
			if m.at > w.ms {
				w.inbox = append(w.inbox, m)
			} else {
				m.do()
			}
		}
		if w.ms%75 == 0 {
			if w.random.IntN(8) == 0 {
				w.silent = !w.silent // its server does not answer it, and does again
			}
			if !w.silent {
				w.ask()
			}
		}
		if w.ms >= down && w.random.IntN(200) == 0 {
			w.stand(w.random.IntN(5))
		}
		if w.random.IntN(4000) == 0 {
			i := 1 + w.random.IntN(4)
			w.promises[i] = NewPromises(w.now(i), span) // it was restarted
		}
	}
}

func (w *leaseWorld) ask() {
	n := w.lease.Ask(w.now(0))
	for i := range w.promises {
		w.send(func() {
			a := Ask{Holder: "v0", Boot: 1, Server: oldMaster, Round: n, Span: span}
			if !w.begun[i] && w.promises[i].Promise(w.now(i), a) == "" {
				w.send(func() { w.lease.Answered(n, w.voters[i], w.voters, span) })
			}
		})
	}
}

// stand has a candidate ask for votes; a new election ends the former one.
func (w *leaseWorld) stand(candidate int) {
	w.campaign++
	term, began := w.campaign, w.now(candidate)
	w.votes, w.appended = map[int]bool{}, map[int]bool{}
	for i := range w.promises {
		w.send(func() {
			if _, why := w.promises[i].Bound(w.now(i), oldMaster); why != "" || term != w.campaign {
				return
			}
			w.promises[i].Vote(w.now(i), oldMaster, span)
			w.send(func() {
				if w.votes[i] = true; len(w.votes) == 3 && term == w.campaign {
					w.begin(candidate, term, began)
				}
			})
		})
	}
}

// begin has the winner's failover appended everywhere; a majority makes it committed.
func (w *leaseWorld) begin(candidate, term int, began time.Time) {
	for i := range w.promises {
		w.send(func() {
			if term != w.campaign {
				return
			}
			w.begun[i] = true
			w.send(func() {
				if w.appended[i] = true; len(w.appended) != 3 || term != w.campaign {
					return
				}
				s, k := crashed(func(s *Situation, k *Knowledge) {
					s.Settings.Lease, s.Settings.LeaseLoss = span, config.LeaseStrict
					s.Lessee = Lessee{Agent: "v0", Timely: w.now(candidate).Sub(began) < span}
					k.Began = w.now(candidate)
				})
				w.promote(candidate, term, s, k)
			})
		})
	}
}

func (w *leaseWorld) promote(candidate, term int, s Situation, k Knowledge) {
	if term != w.campaign {
		return
	}
	if s.Now = w.now(candidate); s.Now.Before(s.leased(k, replica(replicaB, 95))) {
		w.inbox = append(w.inbox, leaseMessage{w.ms + 1, func() { w.promote(candidate, term, s, k) }})
		return
	}
	w.promoted = true
	if w.lease.Held(w.now(0)) {
		w.violation = fmt.Sprintf("promoted at %d ms, the lease is held until %v", w.ms, w.lease.Until().Sub(start))
	}
}
