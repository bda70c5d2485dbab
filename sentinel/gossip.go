package sentinel

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"picket/consensus"
	"picket/monitor"
)

// gossip is what agents tell each other outside the log: it may be lost, and is repeated.
type gossip struct {
	Term     uint64
	Role     uint8 // consensus.Role
	Version  string
	Opinions []monitor.Opinion
	Commit   uint64
	Foreign  []monitor.Foreign // coordinators that this agent heard
	Notes    []note            // on leases
	Stands   []byte            // for election, for this reason
}

const (
	gossipVersion = 1
	// maxOpinions of one message; more go into several. A message of that size stays far below the transport's limit.
	maxOpinions = 256
	maxGossip   = 1 << 20
	maxNotes    = 16
)

var gossipHandle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{WriteExt: true}
	h.StructToArray = true // no names on the wire: fields may only be added at the end
	h.RawToString = true
	h.MaxInitLen = 1 << 12
	return h
}()

func (g *gossip) encode() ([]byte, error) {
	out := []byte{}
	if err := codec.NewEncoderBytes(&out, gossipHandle).Encode(g); err != nil {
		return nil, fmt.Errorf("encode gossip: %w", err)
	}
	return append([]byte{gossipVersion}, out...), nil
}

// decodeGossip reads what a peer says. Whatever name its opinions carry, they are the peer's.
func decodeGossip(from consensus.ServerID, data []byte) (gossip, error) {
	if len(data) == 0 || len(data) > maxGossip || data[0] != gossipVersion {
		return gossip{}, fmt.Errorf("decode gossip: it is not of version %d: run the same version on all agents", gossipVersion)
	}
	var g gossip
	if err := codec.NewDecoderBytes(data[1:], gossipHandle).Decode(&g); err != nil {
		return gossip{}, fmt.Errorf("decode gossip: %w", err)
	}
	for _, n := range g.Notes {
		if err := n.check(); err != nil {
			return gossip{}, err
		}
	}
	if len(g.Opinions) > maxOpinions || len(g.Foreign) > maxOpinions || len(g.Notes) > maxNotes || g.Role > uint8(consensus.Leader) {
		return gossip{}, errors.New("decode gossip: out of bounds")
	}
	for i := range g.Opinions {
		g.Opinions[i].Agent = string(from)
	}
	return g, nil
}

// peers is what this agent knows of the others by gossip and by the state of its connections.
type peers struct {
	mu    sync.Mutex
	known map[consensus.ServerID]peer // members, and guests that are connected
	// Of the configuration in force, which counts from when it is in the log:
	votes      []consensus.ServerID // sorted
	electorate uint64               // identifies them
}

// peer is another agent.
type peer struct {
	member    bool // not only a guest
	voter     bool
	connected bool      // messages to it are likely to arrive
	back      time.Time // while not connected: when it was heard again first; zero: not yet
	heard     time.Time // zero: never
	role      consensus.Role
	term      uint64
	version   string
	commit    uint64
}

func newPeers() *peers { return &peers{known: map[consensus.ServerID]peer{}} }

// follow notes who the members are. Who is none any more, and not connected, is forgotten.
func (p *peers) follow(members []consensus.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.votes = (consensus.Configuration{Members: members}).Voters()
	p.electorate = electorateOf(p.votes)
	was := p.known
	p.known = make(map[consensus.ServerID]peer, len(members))
	for id, q := range was {
		if q.member, q.voter = false, false; q.connected {
			p.known[id] = q
		}
	}
	for _, m := range members {
		q := was[m.ID]
		q.member, q.voter = true, m.Voter
		p.known[m.ID] = q
	}
}

// voters lists who votes, and what identifies them.
func (p *peers) voters() ([]consensus.ServerID, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.votes, p.electorate
}

// update changes what is known of a peer.
func (p *peers) update(id consensus.ServerID, change func(*peer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.known[id]
	if change(&q); q.member || q.connected {
		p.known[id] = q
	} else {
		delete(p.known, id)
	}
}

// reconnects is the time within which the connection to a peer that is back is back too.
const reconnects = 300 * time.Millisecond

// heard notes what a peer said. There is one connection for each direction, and the loss of either counts as the loss of the peer; one
// that goes on speaking was lost in the other direction only, and can be reached.
// It says whether the peer's opinion counts.
func (p *peers) heard(id consensus.ServerID, g gossip, now time.Time) (counts bool) {
	p.update(id, func(q *peer) {
		counts = q.voter
		if q.back.IsZero() {
			q.back = now
		}
		q.connected = q.connected || now.Sub(q.back) > reconnects
		q.heard, q.role, q.term, q.version = now, consensus.Role(g.Role), g.Term, g.Version
		q.commit = g.Commit
	})
	return counts
}

// reach notes that the connection to a peer was made or broken, and says whether that is news.
func (p *peers) reach(id consensus.ServerID, connected bool) (news bool) {
	p.update(id, func(q *peer) {
		news = q.connected != connected
		q.connected, q.back = connected, time.Time{}
	})
	return news
}

// all copies what is known.
func (p *peers) all() map[consensus.ServerID]peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[consensus.ServerID]peer, len(p.known))
	for id, q := range p.known {
		all[id] = q
	}
	return all
}

// share sends this agent's opinions to all peers. It is called from the monitor's goroutine, and never blocks: what does not fit
// into a peer's queue is lost and repeated later.
func (a *Agent) share(opinions []monitor.Opinion) {
	status := a.status.Load()
	foreign := a.monitor.Foreign()
	for first := true; first || len(opinions) > 0; first = false { // without a server to speak of, that this agent is there
		part := opinions[:min(len(opinions), maxOpinions)]
		opinions = opinions[len(part):]
		// A heartbeat has room for all of them: there is one for each server at most, as with opinions.
		some := min(len(foreign), maxOpinions)
		a.say(status, gossip{Opinions: part, Foreign: foreign[:some]})
		foreign = foreign[some:]
	}
}

// say tells all peers something.
func (a *Agent) say(status *consensus.Status, g gossip) {
	data := a.spoken(status, g)
	for _, m := range status.Members {
		if m.ID != status.ID {
			a.node.Gossip(m.ID, data)
		}
	}
}

// whisper tells one peer something about a lease.
func (a *Agent) whisper(n note, to consensus.ServerID) {
	a.node.Gossip(to, a.spoken(a.status.Load(), gossip{Notes: []note{n}}))
}

// spoken is what is to be said, with what every message says of its sender.
func (a *Agent) spoken(status *consensus.Status, g gossip) []byte {
	g.Term, g.Role, g.Version, g.Commit = uint64(status.Term), uint8(status.Role), a.version, uint64(status.Commit)
	data, err := g.encode()
	if err != nil {
		panic(fmt.Sprintf("sentinel: %v", err)) // our own structs can be encoded
	}
	return data
}

// onGossip takes in what a peer says. It is called from the transport's goroutines. What comes before there is a node to answer with is lost.
func (a *Agent) onGossip(from consensus.ServerID, data []byte) {
	if !a.joined.Load() {
		return
	}
	g, err := decodeGossip(from, data)
	if err != nil {
		a.herald.peer(string(from), err)
		return
	}
	if !a.peers.heard(from, g, a.now()) {
		return
	}
	// An agent that lets go of its lease says so before it says that its Redis is down.
	for _, n := range g.Notes {
		a.noted(from, n)
	}
	if len(g.Stands) > 0 {
		a.stands(from, electedFor(g.Stands), stands, a.cfg.Agent.ElectionTimeout)
	}
	a.monitor.Heard(g.Opinions)
	a.monitor.HeardForeign(g.Foreign)
}

// stands notes that a peer stands for election, or how far it has come: it is given its time.
func (a *Agent) stands(peer consensus.ServerID, r reason, to stage, limit time.Duration) {
	now := a.now()
	a.offer(func(j *judge) {
		known := slices.DeleteFunc(r.masters, func(name string) bool { _, known := j.now.masters[name]; return !known })
		j.agenda.claimed(peer, known, to, now, limit)
	})
}
