package consensus

import (
	"errors"
	"fmt"
	"time"
)

// loop owns the core. It never waits for the disk or the state machine, so that heartbeats are answered while they are slow.
func (n *Node) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n.turn(timer) {
		for n.core.HasReady() {
			n.carryOut(n.core.Ready())
		}
		n.settle()
		timer.Reset(max(0, n.core.Deadline()-n.now()))
	}
	n.shutDown()
}

// turn takes in one input, and of messages and proposals all that wait; false: stop.
func (n *Node) turn(timer *time.Timer) bool {
	select {
	case <-n.stopping:
		return false
	case m := <-n.inbox:
		n.step(m)
		for range len(n.inbox) {
			n.step(<-n.inbox)
		}
	case p := <-n.proposals:
		n.appendAll(p)
	case f := <-n.control:
		f()
	case seq := <-n.persisted:
		n.core.Persisted(n.now(), seq)
	case <-n.progress:
		n.core.Applied(n.applier.applied())
	case <-timer.C:
		n.core.Tick(n.now())
	}
	return true
}

func (n *Node) step(m Message) {
	switch body := m.Body.(type) {
	case *ForwardRequest:
		n.acceptForward(m.From, body)
	case *ForwardResponse:
		n.finishForward(body)
	default:
		if r, ok := m.Body.(*VoteResponse); ok && !r.PreVote && r.Refusal != "" && n.core.role == Candidate {
			n.observe(Event{Kind: EventVoteRefused, Term: m.Term, Peer: m.From, Text: r.Refusal})
		}
		n.core.Step(n.now(), m)
	}
}

// appendAll proposes everything that waits as one batch.
func (n *Node) appendAll(first proposal) {
	batch := []proposal{first}
	for range len(n.proposals) {
		batch = append(batch, <-n.proposals)
	}
	data := make([][]byte, 0, len(batch))
	accepted := batch[:0]
	for _, p := range batch {
		if p.term != 0 && (n.core.role != Leader || p.term != n.core.hard.Term) {
			p.answer(Result{}, &NotLeaderError{Leader: n.core.leader, Term: n.core.hard.Term})
			continue
		}
		accepted = append(accepted, p)
		data = append(data, p.data)
	}
	index, term, err := n.core.Propose(n.now(), data...)
	for i, p := range accepted {
		if err != nil {
			p.answer(Result{}, err)
			continue
		}
		n.applier.await(index+Index(i), term, p.answer)
	}
}

// carryOut follows the rules of Ready.
func (n *Node) carryOut(r Ready) {
	for _, m := range r.Messages {
		n.transport.Send(n.fill(m))
	}
	for i, m := range r.AfterPersist {
		r.AfterPersist[i] = n.fill(m)
	}
	var installed chan struct{}
	if r.Install != nil {
		installed = make(chan struct{})
		n.applier.install(*r.Install, installed)
	}
	if r.HardState != nil || len(r.Entries) > 0 || r.Chunk != nil || r.Install != nil || len(r.AfterPersist) > 0 {
		n.disk.write(work{ready: r, installed: installed})
	}
	if len(r.Committed) > 0 {
		n.applier.apply(r.Committed)
	}
	for _, read := range r.Reads {
		b := n.barriers[read.ID]
		switch {
		case b == nil: // its caller gave up
		case read.Err != nil:
			delete(n.barriers, read.ID)
			b.answer(read.Err)
		default:
			b.index = max(read.Index, 1)
		}
	}
}

// chunkBytes is small, because heartbeats share the connection.
const chunkBytes = 256 << 10

// fill reads the chunk that the core asks for from the snapshot that is pinned for the follower. When it can't be read the chunk
// is sent empty, and asked for again.
func (n *Node) fill(m Message) Message {
	want, ok := m.Body.(*SnapshotChunk)
	if !ok {
		return m
	}
	if want.Offset == 0 {
		n.unpin(m.To)
	}
	r := n.streams[m.To]
	if r == nil {
		var err error
		if r, err = n.cfg.Disk.OpenSnapshot(); err != nil {
			n.fail(fmt.Errorf("send a snapshot: %w", err))
			return m
		}
		n.streams[m.To] = r
	}
	chunk := &SnapshotChunk{Meta: r.Meta(), Offset: want.Offset}
	size := min(chunkBytes, r.Size()-want.Offset)
	if want.Meta.Index > chunk.Meta.Index || size < 0 { // a newer snapshot has taken its place: begin with that one
		n.unpin(m.To)
		chunk.Offset = 0
		return n.fill(Message{From: m.From, To: m.To, Term: m.Term, Body: chunk})
	}
	chunk.Data = make([]byte, size)
	if _, err := r.ReadAt(chunk.Data, chunk.Offset); err != nil && size > 0 {
		n.fail(fmt.Errorf("read a snapshot: %w", err))
	}
	chunk.Done = chunk.Offset+size == r.Size()
	m.Body = chunk
	return m
}

func (n *Node) unpin(id ServerID) {
	if r := n.streams[id]; r != nil {
		_ = r.Close() // opened for reading only
		delete(n.streams, id)
	}
}

// settle answers what has been decided, and tells what has changed.
func (n *Node) settle() {
	n.tell()
	n.settleCampaigns()
	applied := n.applier.applied()
	for id, b := range n.barriers {
		if b.index != 0 && b.index <= applied {
			delete(n.barriers, id)
			b.answer(nil)
		}
	}
	for id, f := range n.forwards {
		switch {
		case f.index != 0 && f.index <= applied:
			delete(n.forwards, id)
			f.answer(Result{Index: f.index, Term: f.term}, nil, false)
		case f.index == 0 && n.core.leader != f.to:
			delete(n.forwards, id)
			f.answer(Result{}, fmt.Errorf("%w: the leader changed", ErrUnknown), false)
		}
	}
}

func (n *Node) settleCampaigns() {
	open := n.campaigns[:0]
	for _, c := range n.campaigns {
		switch {
		case n.core.hard.Term == c.term && n.core.role == Leader:
			if n.applier.applied() < n.core.lead.first {
				open = append(open, c)
				continue
			}
			c.answer(c.term, nil)
		case n.core.hard.Term == c.term && n.core.role == Candidate:
			open = append(open, c)
		default:
			c.answer(0, ErrLost)
		}
	}
	n.campaigns = open
}

// tell compares the core with what Observe was last told.
func (n *Node) tell() {
	was, c := n.seen, n.core
	n.seen.Term, n.seen.Leader, n.seen.Role, n.seen.Reason = c.hard.Term, c.leader, c.role, c.reason
	if c.hard.Term > was.Term {
		n.observe(Event{Kind: EventTerm, Term: c.hard.Term, Reason: c.reason})
	}
	if c.hard.Vote != "" && (c.hard.Term > was.Term || c.hard.Vote != n.votedFor) {
		n.observe(Event{Kind: EventVoted, Term: c.hard.Term, Peer: c.hard.Vote, Reason: c.reason})
	}
	n.votedFor = c.hard.Vote
	switch {
	case c.leader != "" && (c.leader != was.Leader || c.hard.Term > was.Term):
		n.observe(Event{Kind: EventLeader, Term: c.hard.Term, Peer: c.leader, Reason: c.reason})
	case c.leader == "" && was.Leader != "":
		n.observe(Event{Kind: EventLeaderLost, Term: c.hard.Term, Peer: was.Leader})
	}
	if was.Role == Leader && c.role != Leader {
		for id := range n.streams {
			n.unpin(id)
		}
	}
}

func (n *Node) observe(e Event) {
	if n.cfg.Observe != nil {
		n.cfg.Observe(e)
	}
}

// forward sends a proposal to the leader. Only a proposal that certainly was not appended is tried again.
func (n *Node) forward(id uint64, f *forward) {
	f.to = n.core.leader
	if f.to == "" || f.to == n.cfg.Core.ID {
		f.answer(Result{}, ErrNoLeader, true)
		return
	}
	n.forwards[id] = f
	n.transport.Send(Message{From: n.cfg.Core.ID, To: f.to, Term: n.core.hard.Term, Body: &ForwardRequest{ID: id, Data: f.data}})
}

// acceptForward proposes for a follower. The answer leaves when the entry is applied here.
func (n *Node) acceptForward(from ServerID, r *ForwardRequest) {
	respond := func(result Result, err error) {
		body := &ForwardResponse{ID: r.ID, Index: result.Index, Term: result.Term}
		if err != nil {
			var notLeader *NotLeaderError
			body.Error = err.Error()
			body.Lost = errors.As(err, &notLeader) || errors.Is(err, ErrDropped) || errors.Is(err, ErrBusy)
		}
		n.transport.Send(Message{From: n.cfg.Core.ID, To: from, Body: body})
	}
	if n.pending.Add(1) > maxProposals || len(r.Data) > maxCommand {
		n.pending.Add(-1)
		respond(Result{}, ErrBusy)
		return
	}
	n.appendAll(proposal{data: r.Data, answer: func(result Result, err error) {
		n.pending.Add(-1)
		respond(result, err)
	}})
}

func (n *Node) finishForward(r *ForwardResponse) {
	f := n.forwards[r.ID]
	switch {
	case f == nil: // its caller gave up
	case r.Error != "":
		delete(n.forwards, r.ID)
		f.answer(Result{}, errors.New(r.Error), r.Lost)
	default:
		f.index, f.term = r.Index, r.Term
	}
}

// shutDown ends everything in the order in which it depends on each other, and answers every caller.
func (n *Node) shutDown() {
	_ = n.transport.Close() // nothing more is sent or received; what it held may be lost
	n.workers.Wait()
	for id := range n.streams {
		n.unpin(id)
	}
	if err := n.cfg.Disk.Close(); err != nil && n.err == nil {
		n.err = fmt.Errorf("close the log: %w", err)
	}
	if n.err != nil {
		n.observe(Event{Kind: EventFailed, Term: n.core.hard.Term, Text: n.err.Error()})
	}
	close(n.done) // every caller that still waits is answered by this
}
