package consensus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestScripts plays testdata/scripts: the worked examples of the overview of Raft that this package implements, figures of the
// paper, and bugs that others have shipped. An entry is written term_index, as there.
//
//	nodes 5                   n1 … n5, with empty logs and disks that write at once
//	recover                   the same, with logs: one line for each node, "n1 term=1 1_1 1_2"
//	elect n5                  n5 campaigns, and everything is delivered
//	campaign n5               the same, but nothing is delivered
//	down n1 n2, up n1 n2      cut off from the network, and back
//	propose n1 x=1 y=2        on the leader, delivered; with hold, only appended
//	deliver                   everything, until nothing is under way
//	step n1>n3                the oldest message from n1 to n3
//	drop n1>n3                loses all that is under way there
//	keep n1>n3, replay        a copy of the oldest message there, and its delivery
//	pass 400ms                lets time pass for all, in steps, and delivers; with hold, only the first
//	read n1                   a linearizable read point
//	compact n1                n1 takes a snapshot of all that it has applied
//	blank n1 n2 n3            founders whose disks are empty
//	join n4                   a new server with an empty disk, whose file names all others
//	wipe n2, restart n2       the process begins anew, without its disk, or with it
//	knock n4                  a server whose election timeout is over; with hold, nothing is delivered
//	change n1 add n4          on the leader: add, promote, remove; with hold, nothing is delivered
//	transfer n1 n2            on the leader
//	logs, get n1 x, status, members   show
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		p := &play{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			p.t = t
			return p.command(d)
		})
	})
}

// play is a group under a script's control.
type play struct {
	t     *testing.T
	now   time.Duration
	ids   []ServerID
	found Configuration // the founding one
	nodes map[ServerID]*actor
	wire  []Message
	kept  Message
	reads map[uint64]string
	next  uint64

	booted uint64 // processes that were started
}

// actor is one node: its core, and a state machine of variables.
type actor struct {
	core  *Core
	down  bool
	vars  map[string]string
	snaps map[Index]map[string]string
}

func (p *play) command(d *datadriven.TestData) string {
	var words []string
	for _, a := range d.CmdArgs {
		words = append(words, a.String())
	}
	switch d.Cmd {
	case "nodes":
		n, err := strconv.Atoi(words[0])
		if err != nil {
			d.Fatalf(p.t, "%v", err)
		}
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf("n%d", i+1))
		}
		p.build(d, lines)
	case "recover":
		p.build(d, strings.Split(strings.TrimSpace(d.Input), "\n"))
	case "blank":
		lines := make([]string, len(words))
		for i, w := range words {
			lines[i] = w + " blank"
		}
		p.build(d, lines)
	case "join":
		p.join(ServerID(words[0]))
	case "wipe":
		p.reboot(ServerID(words[0]), Recovered{Snapshot: SnapshotMeta{Configuration: p.found}})
	case "restart":
		c := p.nodes[ServerID(words[0])].core
		p.reboot(ServerID(words[0]), Recovered{Incarnation: c.incarnation, HardState: c.hard, Snapshot: c.log.snapshot, Entries: c.log.entries})
	case "knock":
		c := p.nodes[ServerID(words[0])].core
		p.now = max(p.now, c.electionDue)
		if c.Tick(p.now); slices.Contains(words, "hold") {
			p.collect()
		} else {
			p.deliver()
		}
	case "change":
		return p.change(words)
	case "transfer":
		if err := p.nodes[ServerID(words[0])].core.Transfer(p.now, ServerID(words[1])); err != nil {
			return err.Error() + "\n"
		}
		p.deliver()
	case "members":
		return p.members()
	case "elect", "campaign":
		if _, err := p.nodes[ServerID(words[0])].core.Campaign(p.now, []byte("script")); err != nil {
			return err.Error() + "\n"
		}
		if d.Cmd == "elect" {
			p.deliver()
		}
		p.collect()
		return p.status()
	case "down", "up":
		for _, w := range words {
			p.nodes[ServerID(w)].down = d.Cmd == "down"
		}
		p.deliver()
	case "propose":
		return p.propose(words)
	case "deliver":
		p.deliver()
	case "step", "drop", "keep":
		p.single(d.Cmd, words[0])
	case "replay":
		p.hand(p.kept)
		p.deliver()
	case "pass":
		limit, err := time.ParseDuration(words[0])
		if err != nil {
			d.Fatalf(p.t, "%v", err)
		}
		p.pass(limit, slices.Contains(words, "hold"))
	case "read":
		p.next++
		p.nodes[ServerID(words[0])].core.ReadIndex(p.now, p.next)
		p.collect()
		if !slices.Contains(words, "hold") {
			p.deliver()
		}
		return p.answer(p.next)
	case "answer":
		return p.answer(p.next)
	case "compact":
		p.compact(ServerID(words[0]))
	case "logs":
		return p.logs()
	case "get":
		return fmt.Sprintf("%s=%s\n", words[1], p.nodes[ServerID(words[0])].vars[words[1]])
	case "status":
		return p.status()
	default:
		d.Fatalf(p.t, "unknown command %s", d.Cmd)
	}
	return ""
}

func (p *play) answer(id uint64) string {
	if text, ok := p.reads[id]; ok {
		return text + "\n"
	}
	return "waits\n"
}

// build starts nodes from lines "n1 term=1 1_1 1_2".
func (p *play) build(d *datadriven.TestData, lines []string) {
	p.ids, p.nodes, p.wire, p.reads = nil, map[ServerID]*actor{}, nil, map[uint64]string{}
	p.now = time.Millisecond // a progress at time 0 was never heard
	for _, line := range lines {
		p.ids = append(p.ids, ServerID(strings.Fields(line)[0]))
	}
	var founders []Member
	for i, id := range p.ids {
		m := Member{ID: id, Address: string(id), Voter: true}
		if d.Cmd != "blank" {
			m.Incarnation = uint64(i + 1) // of a group that has met
		}
		founders = append(founders, m)
	}
	p.found, p.booted = NewConfiguration(founders...), 0
	for i, line := range lines {
		rec := Recovered{Snapshot: SnapshotMeta{Configuration: p.found}, HardState: HardState{Admitted: true}}
		for _, field := range strings.Fields(line)[1:] {
			var e Entry
			if field == "blank" {
				rec.HardState.Admitted = false
				continue
			}
			if _, err := fmt.Sscanf(field, "term=%d", &rec.HardState.Term); err == nil {
				continue
			}
			if _, err := fmt.Sscanf(field, "%d_%d", &e.Term, &e.Index); err != nil {
				d.Fatalf(p.t, "%q: %v", field, err)
			}
			e.Kind, e.Data = EntryCommand, []byte(field)
			rec.Entries = append(rec.Entries, e)
		}
		p.reboot(p.ids[i], rec)
	}
}

// reboot starts a process anew from what its disk holds; without an incarnation, that is a new disk.
func (p *play) reboot(id ServerID, rec Recovered) {
	if p.booted++; rec.Incarnation == 0 {
		rec.Incarnation = p.booted
	}
	core, err := NewCore(CoreConfig{ID: id, ElectionTimeout: 300 * time.Millisecond, HeartbeatInterval: 50 * time.Millisecond,
		MaxAppendBytes: 1, MaxInflight: 8, Rand: rand.New(rand.NewPCG(p.booted-1, 3))}, rec, p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	p.nodes[id] = &actor{core: core, vars: map[string]string{}, snaps: map[Index]map[string]string{}}
}

func (p *play) join(id ServerID) {
	p.ids = append(p.ids, id)
	founders := p.found
	for _, other := range p.ids {
		founders = founders.with(Member{ID: other, Address: string(other), Voter: true})
	}
	p.reboot(id, Recovered{Snapshot: SnapshotMeta{Configuration: founders}})
}

func (p *play) change(words []string) string {
	kind := map[string]ChangeKind{"add": AddLearner, "promote": Promote, "remove": Remove}[words[1]]
	member := Member{ID: ServerID(words[2]), Address: words[2]}
	if a := p.nodes[member.ID]; a != nil && kind == AddLearner {
		member.Incarnation = a.core.incarnation
	}
	i, t, err := p.nodes[ServerID(words[0])].core.Reconfigure(p.now, Change{Kind: kind, Member: member})
	if err != nil {
		return err.Error() + "\n"
	}
	p.collect()
	if !slices.Contains(words, "hold") {
		p.deliver()
	}
	return fmt.Sprintf("%d_%d\n", t, i)
}

// members shows each node's configuration: learners in brackets, a star where it may not vote.
func (p *play) members() string {
	var out strings.Builder
	for _, id := range p.ids {
		c := p.nodes[id].core
		var names []string
		for _, m := range c.config.Members {
			if m.Voter {
				names = append(names, string(m.ID))
			} else {
				names = append(names, "("+string(m.ID)+")")
			}
		}
		star, state := "", "committed"
		if !c.hard.Admitted {
			star = "*"
		}
		if c.configAt > c.commit {
			state = "not committed"
		}
		fmt.Fprintf(&out, "%s%s %s from %d, %s\n", id, star, strings.Join(names, " "), c.configAt, state)
	}
	return out.String()
}

// collect takes the work out of every core; the disks write at once.
func (p *play) collect() {
	for again := true; again; {
		again = false
		for _, id := range p.ids {
			a := p.nodes[id]
			for a.core.HasReady() {
				again = true
				r := a.core.Ready()
				p.wire = append(p.wire, p.fill(a, r.Messages)...)
				a.core.Persisted(p.now, r.Seq)
				p.wire = append(p.wire, p.fill(a, r.AfterPersist)...)
				p.apply(a, r)
			}
		}
	}
}

func (p *play) apply(a *actor, r Ready) {
	if r.Install != nil {
		for _, other := range p.nodes {
			if snap := other.snaps[r.Install.Index]; snap != nil {
				a.vars = map[string]string{}
				for k, v := range snap {
					a.vars[k] = v
				}
			}
		}
	}
	for _, e := range r.Committed {
		if k, v, ok := strings.Cut(string(e.Data), "="); ok {
			a.vars[k] = v
		}
		a.core.Applied(e.Index)
	}
	for _, read := range r.Reads {
		if read.Err != nil {
			p.reads[read.ID] = "refused: " + read.Err.Error()
		} else {
			p.reads[read.ID] = fmt.Sprintf("confirmed at %d", read.Index)
		}
	}
}

// fill makes a snapshot one byte long.
func (p *play) fill(_ *actor, ms []Message) []Message {
	for i, m := range ms {
		if chunk, ok := m.Body.(*SnapshotChunk); ok {
			ms[i].Body = &SnapshotChunk{Meta: chunk.Meta, Offset: chunk.Offset, Data: []byte{1}, Done: true}
		}
	}
	return ms
}

// deliver hands over what is under way, oldest first, until nothing is.
func (p *play) deliver() {
	p.collect()
	for range 10_000 {
		if len(p.wire) == 0 {
			return
		}
		m := p.wire[0]
		p.wire = p.wire[1:]
		p.hand(m)
	}
	p.t.Fatal("the group does not come to rest")
}

func (p *play) hand(m Message) {
	if p.nodes[m.To] == nil || p.nodes[m.From].down || p.nodes[m.To].down {
		return
	}
	p.nodes[m.To].core.Step(p.now, m)
	p.collect()
}

// single delivers the oldest message of a link, or keeps a copy of it, or drops all of them.
func (p *play) single(command, link string) {
	p.collect()
	from, to, _ := strings.Cut(link, ">")
	on := func(m Message) bool { return m.From == ServerID(from) && m.To == ServerID(to) }
	if command == "drop" {
		p.wire = slices.DeleteFunc(p.wire, on)
		return
	}
	i := slices.IndexFunc(p.wire, on)
	if i < 0 {
		p.t.Fatalf("nothing is under way on %s", link)
	}
	if command == "keep" {
		p.kept = p.wire[i]
		return
	}
	m := p.wire[i]
	p.wire = slices.Delete(p.wire, i, i+1)
	p.hand(m)
}

func (p *play) pass(limit time.Duration, hold bool) {
	for end := p.now + limit; p.now < end; {
		p.now += 5 * time.Millisecond
		for _, id := range p.ids {
			if a := p.nodes[id]; a.core.Deadline() <= p.now {
				a.core.Tick(p.now)
			}
		}
		if p.collect(); !hold {
			p.deliver()
		}
	}
}

func (p *play) propose(words []string) string {
	a := p.nodes[ServerID(words[0])]
	hold := slices.Contains(words, "hold")
	for _, w := range words[1:] {
		if w == "hold" {
			continue
		}
		i, t, err := a.core.Propose(p.now, []byte(w))
		if err != nil {
			return err.Error() + "\n"
		}
		if !hold {
			p.deliver()
			if a.core.commit < i {
				return fmt.Sprintf("%d_%d is not committed\n", t, i)
			}
		}
	}
	p.collect()
	return ""
}

func (p *play) compact(id ServerID) {
	a := p.nodes[id]
	term, _ := a.core.log.term(a.core.applied)
	config, _ := a.core.log.configurationAt(a.core.applied)
	meta := SnapshotMeta{Index: a.core.applied, Term: term, Configuration: config}
	a.snaps[meta.Index] = map[string]string{}
	for k, v := range a.vars {
		a.snaps[meta.Index][k] = v
	}
	a.core.Compacted(meta, meta.Index)
}

func (p *play) logs() string {
	var out strings.Builder
	for _, id := range p.ids {
		c := p.nodes[id].core
		var entries []string
		for _, e := range c.log.entries {
			entries = append(entries, fmt.Sprintf("%d_%d", e.Term, e.Index))
		}
		begin := ""
		if c.log.base > 0 {
			begin = fmt.Sprintf("snapshot %d ", c.log.base)
		}
		fmt.Fprintf(&out, "%s %s[%s] commit %d\n", id, begin, strings.Join(entries, ","), c.commit)
	}
	return out.String()
}

func (p *play) status() string {
	var out strings.Builder
	for _, id := range p.ids {
		s := p.nodes[id].core.Status(p.now)
		fmt.Fprintf(&out, "%s %s term %d leader %s\n", id, s.Role, s.Term, orNobody(s.Leader))
	}
	return out.String()
}

func orNobody(id ServerID) ServerID {
	if id == "" {
		return "?"
	}
	return id
}
