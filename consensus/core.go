package consensus

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// CoreConfig holds what never changes while a core lives.
type CoreConfig struct {
	ID ServerID
	// ElectionTimeout: a follower that hears no leader for a random time in [T, 2T) starts an election;
	// a leader that hears no majority for T steps down. Elections that come to nothing make the next ones longer: a sync
	// may take as long as some four of them.
	ElectionTimeout time.Duration
	// HeartbeatInterval: how often an idle leader speaks; at most ElectionTimeout/3.
	HeartbeatInterval time.Duration
	// MaxAppendBytes bounds the entries of one AppendRequest; MaxInflight the requests not yet answered
	// by one follower.
	MaxAppendBytes int
	MaxInflight    int
	// MaxLogBytes: a leader whose log in memory is larger takes no proposals, and a follower no entries, until a snapshot has made
	// room. 0: endless, for servers that take no snapshots.
	MaxLogBytes int64
	// Rand is the only source of randomness.
	Rand *rand.Rand
	// Veto is asked before a vote is given (to others and to oneself) in an election with a reason. A non-empty
	// answer refuses, and says why. nil: never. It must not block.
	Veto func(candidate ServerID, reason []byte) string
}

// Validate names what is wrong with the configuration.
func (c CoreConfig) Validate() error {
	switch {
	case c.ID == "":
		return errors.New("consensus: the server has no id")
	case c.HeartbeatInterval <= 0 || c.ElectionTimeout < 3*c.HeartbeatInterval:
		return fmt.Errorf("consensus: heartbeat interval %s must be positive and at most a third of the election timeout %s",
			c.HeartbeatInterval, c.ElectionTimeout)
	case c.MaxAppendBytes <= 0 || c.MaxInflight <= 0:
		return fmt.Errorf("consensus: append limits %d bytes, %d in flight must be positive", c.MaxAppendBytes, c.MaxInflight)
	case c.Rand == nil:
		return errors.New("consensus: no source of randomness")
	}
	return nil
}

// Recovered is what a disk holds at start.
type Recovered struct {
	Incarnation uint64 // of the disk; not 0
	HardState   HardState
	Snapshot    SnapshotMeta // Index 0: none, but Configuration holds the bootstrap membership
	Entries     []Entry      // contiguous, from Snapshot.Index+1 or earlier
}

// Core is Raft for one server, without I/O. It is not safe for concurrent use. Times are monotonic
// durations since an arbitrary start of the process.
type Core struct {
	cfg         CoreConfig
	incarnation uint64        // of the disk
	now         time.Duration // of the last call

	// What the disk holds, or will once the batches under way are written.
	hard HardState
	log  *raftLog

	role   Role
	leader ServerID
	reason []byte // what the election of this term was for; known to the winner and its voters
	led    Term   // the latest of which this server knew the leader; at the start, the one that it recovered
	commit Index  // log.base <= commit <= log.last()

	config   Configuration // in force: the latest in the log, committed or not
	configAt Index         // its index; at most commit: it is committed
	voters   []ServerID    // of config
	founding founding      // until this server is admitted

	electionDue time.Duration // followers and candidates: when to start an election
	contact     time.Duration // when the leader was last heard; valid while leader is another server
	ballots     map[ServerID]bool
	lead        *leadership // of this server; nil unless role is Leader

	disk      diskProgress
	applied   Index // as the driver reports
	handed    Index // committed entries up to here were given out to be applied
	receiving *reception
	reads     readQueue
	out       outbox
}

// diskProgress follows batches from Ready to Persisted.
type diskProgress struct {
	seq     uint64    // of the last Ready that held anything
	saving  Index     // entries up to here were handed to the disk
	stable  Index     // entries up to here are durable, and are the ones in the log
	hard    HardState // durable
	pending []batch   // handed out, not yet reported
}

// batch is what one Ready asked the disk to write.
type batch struct {
	seq   uint64
	hard  *HardState
	last  Index // of its entries that are still in the log; 0: none
	reset Index // snapshot that it installs; 0: none
}

// outbox gathers the next Ready.
type outbox struct {
	now, later []Message
	chunk      *SnapshotChunk
	install    *SnapshotMeta
	keepLog    bool
	answers    []ReadReady
}

// NewCore starts as a follower of the recovered term.
func NewCore(cfg CoreConfig, rec Recovered, now time.Duration) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log, err := newLog(rec)
	if err != nil {
		return nil, err
	}
	c := &Core{cfg: cfg, now: now, incarnation: rec.Incarnation, hard: rec.HardState.promises(), led: rec.HardState.Term, log: log,
		commit: max(rec.Snapshot.Index, min(rec.HardState.Commit, log.last()))}
	c.disk = diskProgress{saving: log.last(), stable: log.last(), hard: c.hard}
	c.applied, c.handed = rec.Snapshot.Index, rec.Snapshot.Index
	c.reconfigure()
	c.maybeFound()
	c.armElection()
	return c, nil
}

// Tick lets time pass. It must be called no later than Deadline; more often is harmless.
func (c *Core) Tick(now time.Duration) {
	c.advance(now)
	c.expireReads()
	if c.role == Leader {
		c.tickLeader()
	} else if c.now >= c.electionDue {
		c.startPreVote()
	}
}

// advance keeps time monotonic even if the caller's is not.
func (c *Core) advance(now time.Duration) { c.now = max(c.now, now) }

// Deadline is when the next Tick is due.
func (c *Core) Deadline() time.Duration {
	due := c.electionDue
	if c.role == Leader {
		due = min(c.lead.heartbeatDue, c.lead.quorumDue)
	}
	return c.reads.deadline(due)
}

// Step takes in a message from another server. What makes no sense is ignored: peers are not trusted to be correct,
// only to be members.
func (c *Core) Step(now time.Duration, m Message) {
	c.advance(now)
	if m.To != c.cfg.ID || m.From == c.cfg.ID || m.Term > maxTerm {
		return
	}
	switch body := m.Body.(type) {
	case *VoteRequest:
		c.handleVoteRequest(m, body)
		return
	case *VoteResponse:
		c.handleVoteResponse(m, body)
		return
	}
	if m.Term < c.hard.Term {
		c.answerOldTerm(m)
		return
	}
	if m.Term > c.hard.Term {
		c.becomeFollower(m.Term, "")
	}
	switch body := m.Body.(type) {
	case *AppendRequest:
		c.handleAppend(m, body)
	case *AppendResponse:
		c.handleAppendResponse(m, body)
	case *SnapshotChunk:
		c.handleChunk(m, body)
	case *SnapshotResponse:
		c.handleSnapshotResponse(m, body)
	case *ReadIndexRequest:
		c.handleReadRequest(m, body)
	case *ReadIndexResponse:
		c.handleReadResponse(body)
	case *TimeoutNow:
		c.handleTimeoutNow(m)
	}
}

// maxTerm is further than any group gets; a peer that names a later term would leave no room for another election.
const maxTerm = 1 << 62

// answerOldTerm tells a deposed leader of the newer term, so that a server that is ahead of its group is not stuck
// outside it.
func (c *Core) answerOldTerm(m Message) {
	switch body := m.Body.(type) {
	case *AppendRequest:
		c.send(m.From, &AppendResponse{Rejected: true, PrevIndex: body.PrevIndex, Round: body.Round})
	case *SnapshotChunk:
		c.send(m.From, &AppendResponse{Rejected: true})
	}
}

// becomeFollower enters a term, or steps back within the current one. It is the only place where a vote is forgotten, and only
// because the term rises.
func (c *Core) becomeFollower(t Term, leader ServerID) {
	if t < c.hard.Term {
		panic(fmt.Sprintf("consensus: term falls from %d to %d", c.hard.Term, t))
	}
	if t > c.hard.Term {
		c.hard = HardState{Term: t, Admitted: c.hard.Admitted, Founding: c.hard.Founding}
		c.reason = nil
	}
	if planted(VoteReset) {
		c.hard.Vote = ""
	}
	if c.role == Leader {
		c.armElection() // its own timer stood still while it led
	}
	c.role, c.leader, c.ballots, c.lead = Follower, leader, nil, nil
	if leader != "" {
		c.led = t
	}
	c.failReads()
}

// hear notes that the leader of this term spoke. Who follows it has no vote left in the term: a disk that was lost may have
// given it already.
func (c *Core) hear(leader ServerID) {
	if c.role != Follower || c.leader != leader {
		c.becomeFollower(c.hard.Term, leader)
	}
	if c.hard.Vote != leader {
		c.reason = nil // it is what another candidate stood for
	}
	if c.hard.Vote == "" {
		c.hard.Vote = leader
	}
	c.contact = c.now
	c.armElection()
}

// maxPatience bounds by how many bits an election may be longer than the first one.
const maxPatience = 2

// armElection draws a new timeout from [T, 2T). An election takes two writes to disk, one after the other, the candidate's and a voter's: on
// disks that are busy it may never end in that time. So T is doubled for each term that had no leader but the first, as far as this server knows: disks may take
// as long as some four election timeouts.
func (c *Core) armElection() {
	t := c.cfg.ElectionTimeout
	if c.hard.Term > c.led {
		t <<= min(c.hard.Term-c.led-1, maxPatience)
	}
	c.electionDue = c.now + t + time.Duration(c.cfg.Rand.Int64N(int64(t)))
}

// send queues a message that claims nothing but, by its term, the hard state. It may leave at once if that is
// durable.
func (c *Core) send(to ServerID, body Body) {
	m := c.message(to, c.hard.Term, body)
	if c.hard == c.disk.hard {
		c.out.now = append(c.out.now, m)
	} else {
		c.out.later = append(c.out.later, m)
	}
}

// sendLater queues a message that claims what the next batches write.
func (c *Core) sendLater(to ServerID, body Body) {
	c.out.later = append(c.out.later, c.message(to, c.hard.Term, body))
}

func (c *Core) message(to ServerID, t Term, body Body) Message {
	return Message{From: c.cfg.ID, To: to, Term: t, Incarnation: c.incarnation, Body: body}
}

// Propose appends commands on the leader, in one batch, and returns the first index and the term; *NotLeaderError
// elsewhere.
func (c *Core) Propose(now time.Duration, data ...[]byte) (Index, Term, error) {
	c.advance(now)
	if err := c.mayAppend(); err != nil {
		return 0, 0, err
	}
	if c.full() {
		return 0, 0, ErrBusy
	}
	first := c.log.last() + 1
	for _, d := range data {
		c.appendOwn(EntryCommand, d)
	}
	return first, c.hard.Term, nil
}

// mayAppend says why this server takes nothing new into the log: it does not lead, or is handing its leadership over.
func (c *Core) mayAppend() error {
	switch {
	case c.role != Leader:
		return &NotLeaderError{Leader: c.leader, Term: c.hard.Term}
	case c.lead.transfer.to != "":
		return &NotLeaderError{Term: c.hard.Term} // soon
	}
	return nil
}

// full says whether the log in memory must not grow: the state machine or the snapshots are too far behind.
func (c *Core) full() bool { return c.cfg.MaxLogBytes > 0 && c.log.bytes > c.cfg.MaxLogBytes }

func (c *Core) appendOwn(kind EntryKind, data []byte) {
	c.log.append([]Entry{{Term: c.hard.Term, Index: c.log.last() + 1, Kind: kind, Data: data}})
	if kind == EntryConfiguration {
		c.reconfigure()
	}
}

// HasReady says whether Ready would hold any work.
func (c *Core) HasReady() bool {
	c.fillOutbox()
	return len(c.out.now) > 0 || len(c.out.later) > 0 || c.out.chunk != nil || c.out.install != nil ||
		len(c.out.answers) > 0 || c.disk.saving < c.log.last() || c.hardToSave() != nil || c.handed < c.commit
}

// fillOutbox lets a leader speak: it batches what was proposed since the last Ready.
func (c *Core) fillOutbox() {
	if c.role == Leader {
		if c.lead.unbound {
			c.bindMembers()
		}
		c.startReadRound()
		for _, id := range c.lead.ids {
			c.replicate(id)
		}
		c.continueTransfer()
	}
}

// hardToSave is the hard state if the disk was not asked to write it yet.
func (c *Core) hardToSave() *HardState {
	asked := c.disk.hard
	for _, b := range c.disk.pending {
		if b.hard != nil {
			asked = *b.hard
		}
	}
	if asked == c.hard {
		return nil
	}
	hard := c.hard
	return &hard
}

// Ready takes the pending work out of the core.
func (c *Core) Ready() Ready {
	c.fillOutbox()
	r := Ready{
		Chunk: c.out.chunk, Install: c.out.install, KeepLog: c.out.keepLog,
		Messages: c.out.now, AfterPersist: c.out.later, Reads: c.out.answers,
	}
	if c.disk.saving < c.log.last() {
		r.Entries = c.log.slice(c.disk.saving+1, c.log.last())
	}
	if r.HardState = c.hardToSave(); r.HardState == nil && len(r.Entries) > 0 {
		hard := c.hard
		r.HardState = &hard
	}
	if r.HardState != nil {
		r.HardState.Commit = c.commit
	}
	if c.handed < c.commit {
		r.Committed = c.log.slice(c.handed+1, c.commit)
		c.handed = c.commit
	}
	c.out = outbox{}
	c.disk.seq++
	r.Seq = c.disk.seq
	c.noteBatch(r)
	return r
}

func (c *Core) noteBatch(r Ready) {
	b := batch{seq: r.Seq}
	if r.HardState != nil {
		hard := r.HardState.promises()
		b.hard = &hard
	}
	if n := len(r.Entries); n > 0 {
		b.last = r.Entries[n-1].Index
		c.disk.saving = b.last
	}
	if r.Install != nil {
		b.reset = r.Install.Index
	}
	if b.hard != nil || b.last != 0 || b.reset != 0 {
		c.disk.pending = append(c.disk.pending, b)
	}
}

// unsave: what batches under way write from i on is not in the log any more, even if the same index and term come back.
func (c *Core) unsave(i Index) {
	for n := range c.disk.pending {
		c.disk.pending[n].last = min(c.disk.pending[n].last, i-1)
	}
	c.disk.saving, c.disk.stable = min(c.disk.saving, i-1), min(c.disk.stable, i-1)
}

// Persisted reports that all batches up to seq are durable.
func (c *Core) Persisted(now time.Duration, seq uint64) {
	c.advance(now)
	for len(c.disk.pending) > 0 && c.disk.pending[0].seq <= seq {
		b := c.disk.pending[0]
		c.disk.pending = c.disk.pending[1:]
		if b.hard != nil {
			if b.hard.Vote != "" && c.leader == "" && (b.hard.Term != c.disk.hard.Term || b.hard.Vote != c.disk.hard.Vote) {
				c.armElection() // the candidate has waited for this disk, and not yet for others'
			}
			c.disk.hard = *b.hard
		}
		c.disk.stable = max(c.disk.stable, b.last, b.reset)
	}
	switch c.role {
	case Candidate:
		c.countOwnVote()
	case Leader:
		c.advanceCommit()
	}
}

// Applied reports that the state machine has applied all up to i.
func (c *Core) Applied(i Index) { c.applied = max(c.applied, i) }

// Compacted reports that a snapshot at meta is durable and the log may forget entries up to through,
// which is at most meta.Index (a trailing part is kept for followers that are a little behind).
func (c *Core) Compacted(meta SnapshotMeta, through Index) {
	if meta.Index < c.log.snapshot.Index {
		return // a newer one was installed meanwhile
	}
	c.log.compact(meta, min(through, c.disk.stable))
}

// Status describes the core now.
func (c *Core) Status(now time.Duration) Status {
	c.advance(now)
	s := Status{
		ID: c.cfg.ID, Role: c.role, Term: c.hard.Term, Leader: c.leader,
		Commit: c.commit, Applied: c.applied, Last: c.log.last(), Snapshot: c.log.snapshot.Index,
		Members: slices.Clone(c.config.Members), Admitted: c.hard.Admitted, Reason: slices.Clone(c.reason),
		Contact: map[ServerID]time.Duration{}, Match: map[ServerID]Index{},
	}
	switch {
	case c.role == Leader:
		for id, p := range c.lead.followers {
			s.Match[id] = p.match
			if p.heard > 0 {
				s.Contact[id] = c.now - p.heard
			}
		}
	case c.leader != "":
		s.Contact[c.leader] = c.now - c.contact
	}
	return s
}
