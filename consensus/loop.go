package consensus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// loop owns the core. It never waits for the disk, the network or the state machine, so that heartbeats are
// answered while they are slow.
func (n *Node) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n.turn(timer.C) {
		for n.core.HasReady() {
			n.carryOut(n.core.Ready())
		}
		n.tell()
		n.settleCampaigns()
		timer.Reset(max(0, n.deadline()-n.now()))
	}
	n.shutDown()
}

// turn takes in one input, and of messages and proposals all that wait; false: stop.
func (n *Node) turn(tick <-chan time.Time) bool {
	select {
	case <-n.stopping:
		return false
	case m := <-n.inbox:
		n.step(m)
		n.stepAll()
	case p := <-n.proposals:
		n.appendAll(p)
	case f := <-n.control:
		f()
	case seq := <-n.persisted:
		n.core.Persisted(n.now(), seq)
	case <-n.progress:
		n.core.Applied(n.applier.applied())
	case <-tick:
		n.stepAll() // when it is this loop that is late, the leader may well have spoken
		n.core.Tick(n.now())
		n.settleDoubt()
	}
	return true
}

// deadline is when the timer must fire.
func (n *Node) deadline() time.Duration {
	if n.doubt.term != 0 {
		return min(n.doubt.due, n.core.Deadline())
	}
	return n.core.Deadline()
}

func (n *Node) stepAll() {
	for range len(n.inbox) {
		n.step(<-n.inbox)
	}
}

func (n *Node) step(m Message) {
	switch body := m.Body.(type) {
	case *ForwardRequest:
		n.acceptForward(m.From, body)
	case *ForwardResponse:
		n.finishForward(m.From, body)
	case *VoteResponse:
		n.noteRefusal(m, body)
		n.core.Step(n.now(), m)
	default:
		n.core.Step(n.now(), m)
	}
	n.tell()
}

// appendAll proposes everything that waits as one batch.
func (n *Node) appendAll(first proposal) {
	batch := []proposal{first}
	for range len(n.proposals) {
		batch = append(batch, <-n.proposals)
	}
	batch = slices.DeleteFunc(batch, func(p proposal) bool { return !n.mayAppend(p) || n.administer(p) })
	if len(batch) == 0 {
		return
	}
	data := make([][]byte, len(batch))
	for i, p := range batch {
		data[i] = p.data
	}
	index, term, err := n.core.Propose(n.now(), data...)
	for i, p := range batch {
		if err != nil {
			p.answer(Result{}, p.retriable(err))
			continue
		}
		n.applier.await(index+Index(i), term, p.answer)
	}
}

// retriable: what this leader does not take because it is handing over is for the next one, unless it is for this term only.
func (p proposal) retriable(err error) error {
	var notLeader *NotLeaderError
	if p.term == 0 && errors.As(err, &notLeader) {
		return fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	return err
}

// mayAppend says whether a proposal goes into this server's log; if not, it is forwarded or answered.
func (n *Node) mayAppend(p proposal) bool {
	leads := n.core.role == Leader
	switch {
	case isClosed(p.gone):
		p.answer(Result{}, ErrDropped) // to nobody, but it makes room
	case leads && (p.term == 0 || p.term == n.core.hard.Term):
		if !n.disk.congested() {
			return true
		}
		p.answer(Result{}, ErrBusy)
	case p.term == 0 && (!p.remote || p.relay && n.core.leader != ""):
		n.forward(p)
	default:
		p.answer(Result{}, &NotLeaderError{Leader: n.core.leader, Term: n.core.hard.Term})
	}
	return false
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// carryOut follows the rules of Ready.
func (n *Node) carryOut(r Ready) {
	if len(r.Entries) > 0 && n.cfg.Appended != nil {
		n.cfg.Appended(r.Entries)
	}
	for _, m := range r.Messages {
		n.send(m)
		n.tellRefusal(m)
	}
	for _, m := range r.AfterPersist {
		n.tellRefusal(m)
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
		n.finishBarrier(read)
	}
}

// tellRefusal tells of a vote that this server does not give.
func (n *Node) tellRefusal(m Message) {
	if vote, ok := m.Body.(*VoteResponse); ok && !vote.PreVote && !vote.Granted {
		n.observe(Event{Kind: EventVoteRefused, Term: m.Term, Peer: m.To, Text: "refused here: " + vote.Refusal})
	}
}

// send lets a message go; a chunk of a snapshot by way of who reads it. The disk's goroutine sends, too.
func (n *Node) send(m Message) {
	if _, ok := m.Body.(*SnapshotChunk); ok {
		n.courier.send(m)
		return
	}
	n.transport.Send(m)
}

// finishBarrier answers a ReadIndex request once this server has applied what it must see.
func (n *Node) finishBarrier(read ReadReady) {
	answer := n.barriers[read.ID]
	delete(n.barriers, read.ID)
	switch {
	case answer == nil: // its caller gave up
	case read.Err != nil:
		answer(read.Err)
	default:
		n.applier.after(read.Index, func() { answer(nil) })
	}
}

// giveUp forgets a request whose caller has left.
func (n *Node) giveUp(id uint64) {
	if f, ok := n.forwards[id]; ok {
		delete(n.forwards, id)
		f.answer(Result{}, ErrUnknown)
	}
	if answer := n.barriers[id]; answer != nil {
		delete(n.barriers, id)
		answer(ErrUnknown)
	}
}

// view is what Observe was last told of.
type view struct {
	term   Term
	vote   ServerID
	role   Role
	leader ServerID
}

func (n *Node) look() view {
	return view{term: n.core.hard.Term, vote: n.core.hard.Vote, role: n.core.role, leader: n.core.leader}
}

// tell follows the core after each step, so that nothing is passed over.
func (n *Node) tell() {
	n.tellMembers()
	was, now := n.seen, n.look()
	if was == now {
		return
	}
	n.seen = now
	rose := now.term > was.term
	if rose {
		n.refusals = nil
		n.observe(Event{Kind: EventTerm, Term: now.term, Reason: n.core.reason})
	}
	if now.vote != "" && (rose || now.vote != was.vote) {
		n.observe(Event{Kind: EventVoted, Term: now.term, Peer: now.vote, Reason: n.core.reason})
	}
	switch {
	case now.leader != "" && (rose || now.leader != was.leader):
		n.observe(Event{Kind: EventLeader, Term: now.term, Peer: now.leader, Reason: n.core.reason})
	case now.leader == "" && was.leader != "":
		n.observe(Event{Kind: EventLeaderLost, Term: now.term, Peer: was.leader})
	}
	if now.leader != was.leader {
		n.loseForwards(func(to ServerID) bool { return to != now.leader })
		n.settleHandovers()
	}
	if was.role == Leader && (now.role != Leader || rose) {
		n.doubt = doubt{term: was.term, due: n.now() + 2*n.cfg.Core.ElectionTimeout}
	}
}

func (n *Node) observe(e Event) {
	if n.cfg.Observe != nil {
		n.cfg.Observe(e)
	}
}

// doubt begins when leadership is lost: what was proposed in its term is for the next leader to commit or to
// overwrite. When that takes too long, its callers are told that the outcome is unknown.
type doubt struct {
	term Term // 0: none
	due  time.Duration
}

func (n *Node) settleDoubt() {
	if n.doubt.term != 0 && n.now() >= n.doubt.due {
		n.applier.giveUp(n.doubt.term)
		n.doubt = doubt{}
	}
}

// campaign is a failure election whose caller waits.
type campaign struct {
	term   Term
	answer func(Term, error)
}

// noteRefusal keeps what a voter says against this candidate.
func (n *Node) noteRefusal(m Message, r *VoteResponse) {
	_, counted := n.core.ballots[m.From]
	if counted || r.PreVote || r.Granted || n.core.role != Candidate || m.Term != n.core.hard.Term {
		return
	}
	n.refusals = append(n.refusals, string(m.From)+": "+r.Refusal)
	n.observe(Event{Kind: EventVoteDenied, Term: m.Term, Peer: m.From, Text: "refused there: " + r.Refusal})
}

// settleCampaigns answers those that are decided.
func (n *Node) settleCampaigns() {
	n.campaigns = slices.DeleteFunc(n.campaigns, func(c campaign) bool {
		won, err := n.decided(c.term)
		switch {
		case err != nil:
			c.answer(0, err)
		case won:
			c.answer(c.term, nil)
		}
		return won || err != nil
	})
}

// decided says whether the election of term t is won, and all of former terms applied, or why it is lost;
// neither: it is going on.
func (n *Node) decided(t Term) (won bool, err error) {
	c := n.core
	switch {
	case c.hard.Term == t && c.role == Leader:
		return n.applier.applied() >= c.lead.first, nil
	case c.hard.Term != t || c.role != Candidate:
		return false, fmt.Errorf("%w: %w", ErrLost, &NotLeaderError{Leader: c.leader, Term: c.hard.Term})
	case c.refused():
		return false, fmt.Errorf("%w: %s", ErrLost, strings.Join(n.refusals, "; "))
	}
	return false, nil
}

// refused says whether so many voters refused that no majority is left.
func (c *Core) refused() bool {
	against := 0
	for _, granted := range c.ballots {
		if !granted {
			against++
		}
	}
	return against > len(c.voters)-majority(len(c.voters))
}

// shutDown ends everything, what depends on others first. Who still waits is answered by done.
func (n *Node) shutDown() {
	_ = n.transport.Close() // nothing more is sent or received; what it held may be lost
	n.workers.Wait()
	if err := n.cfg.Disk.Close(); err != nil && n.err == nil {
		n.err = fmt.Errorf("close the log: %w", err)
	}
	if n.err != nil {
		n.observe(Event{Kind: EventFailed, Term: n.core.hard.Term, Text: n.err.Error()})
	}
	n.last = n.core.Status(n.now())
	close(n.done)
}
