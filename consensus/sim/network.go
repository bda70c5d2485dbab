package sim

import (
	"time"

	"picket/consensus"
)

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
		s.after(s.delay(), func() { s.deliver(m.To, data) })
	}
}

// delay of one message.
func (s *Sim) delay() time.Duration {
	delay := time.Duration(s.rng.ExpFloat64() * float64(500*time.Microsecond))
	if s.calm {
		return delay
	}
	delay += time.Duration(s.rng.Int64N(int64(s.faults.slowest)))
	if s.chance(s.faults.ancient) {
		delay += time.Duration(s.rng.Int64N(int64(2 * time.Second)))
	}
	return delay
}

func (s *Sim) deliver(to consensus.ServerID, data []byte) {
	m, err := consensus.DecodeMessage(data)
	if err != nil {
		s.fail("decode: %v", err)
	}
	if sv := s.servers[to]; sv != nil {
		sv.receive(m)
	}
}

// call carries what a client says, or what it is told; it may be lost.
func (s *Sim) call(do func()) {
	if s.calm || !s.chance(s.faults.loss) {
		s.after(s.delay(), do)
	}
}
