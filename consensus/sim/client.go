package sim

import (
	"fmt"
	"time"

	"picket/consensus"
	"picket/consensus/linear"
)

const (
	clients      = 5
	keys         = 3
	keyLife      = 2 * time.Second        // a set of keys is used for so long: long histories of one key are hard to check
	thinkTime    = 30 * time.Millisecond  // on average, between operations
	answerTime   = 300 * time.Millisecond // then the client asks again, perhaps another server
	giveUpChance = 0.02                   // of a client that got no answer, each time
)

// client asks one thing at a time. It follows hints to the leader, and asks again with the same sequence number until it is answered, or,
// rarely, gives up: then the operation may be carried out at any time, or never.
type client struct {
	sim      *Sim
	id       int
	op       linear.Operation
	sequence int // of op; it grows with each
	asked    int // attempts at op; 0: no operation is under way
	hint     consensus.ServerID
	seen     linear.Cell // what it last read
}

// request is an attempt at an operation.
type request struct {
	client   *client
	sequence int // of the operation
	sent     int // the sequence number that the command carries
	attempt  int
	op       linear.Operation
}

// think lets the client begin its next operation after a while.
func (c *client) think() {
	c.asked = 0
	c.sim.after(time.Duration(c.sim.rng.ExpFloat64()*float64(thinkTime)), func() {
		if !c.sim.over {
			c.begin()
		}
	})
}

func (c *client) begin() {
	s := c.sim
	c.sequence++
	c.op = linear.Operation{
		Client: c.id, Key: fmt.Sprintf("k%d.%d", s.now/keyLife, s.rng.IntN(keys)), Value: fmt.Sprintf("v%d.%d", c.id, c.sequence),
		Expect: c.seen, Call: int64(s.now),
		Kind: []linear.Kind{linear.Get, linear.Get, linear.Put, linear.CAS, linear.Delete}[s.rng.IntN(5)],
	}
	c.ask()
}

// ask makes one attempt and sees later whether it was answered.
func (c *client) ask() {
	s := c.sim
	c.asked++
	to := c.hint
	if to == "" || s.chance(0.2) {
		to = s.anybody()
	}
	r := request{client: c, sequence: c.sequence, sent: c.sequence, attempt: c.asked, op: c.op}
	if s.opts.Bug == SequenceReused {
		r.sent = c.sequence*1000 + c.asked
	}
	s.call(func() { s.servers[to].request(r) })
	s.after(answerTime, func() { c.again(r) })
}

// anybody is mostly a member, and sometimes a server that is none, or none yet.
func (s *Sim) anybody() consensus.ServerID {
	if members := s.check.config.Members; len(members) > 0 && s.chance(0.7) {
		return members[s.rng.IntN(len(members))].ID
	}
	return s.ids[s.rng.IntN(len(s.ids))]
}

// again follows an attempt that was not answered, or told to ask elsewhere.
func (c *client) again(r request) {
	switch {
	case c.sequence != r.sequence || c.asked != r.attempt:
	case !c.sim.calm && c.sim.chance(giveUpChance):
		c.op.Unknown = true
		c.sim.check.told(c.op)
		c.think()
	default:
		c.hint = ""
		c.ask()
	}
}

// answered takes in an answer; err: it certainly did nothing, and hint leads.
func (c *client) answered(r request, result string, hint consensus.ServerID, err bool) {
	switch {
	case c.sequence != r.sequence || c.asked == 0:
		return
	case err:
		if c.asked == r.attempt && hint != "" && hint != c.hint {
			c.hint = hint
			c.ask()
		}
		return
	}
	c.op.Return = int64(c.sim.now)
	switch c.op.Kind {
	case linear.Get:
		c.op.Read = decodeCell(result)
		c.seen = c.op.Read
	default:
		c.op.Done = result == "true"
	}
	c.sim.check.told(c.op)
	c.think()
}

// encodeCell and decodeCell are how a read's answer travels.
func encodeCell(value string, present bool) string {
	if !present {
		return ""
	}
	return "=" + value
}

func decodeCell(text string) linear.Cell {
	if text == "" {
		return linear.Cell{}
	}
	return linear.Holding(text[1:])
}
