package failover

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/config"
	"picket/monitor"
)

// choice is the result of looking at the replicas that were cut and read.
type choice struct {
	best    *monitor.Observation // nil: none will do
	fit     []*monitor.Observation
	why     string
	refused map[config.Addr]string
	foreign bool // none of them holds the old master's history
}

// choose picks the replica that holds the most of the old master's history. Ties go to the lower priority, as with Sentinel, to the
// old master's zone, and to the lower address. It is a pure function.
func choose(s Situation, read []*monitor.Observation) choice {
	if s.Record.OldReplID == "" {
		c := chooseOf(s, read, commonHistory(read))
		c.why += "; the old master's history was never seen, so that of most replicas counts"
		return c
	}
	return chooseOf(s, read, s.Record.OldReplID)
}

// settle picks one although none holds the old master's history: there is nothing else left.
func settle(s Situation, read []*monitor.Observation) choice {
	c := chooseOf(s, read, commonHistory(read))
	c.foreign = true
	c.why += "; nobody holds the old master's history any more, so that of most replicas counts"
	return c
}

// chooseOf picks among those of one history.
func chooseOf(s Situation, read []*monitor.Observation, history string) choice {
	c := choice{refused: map[config.Addr]string{}}
	var fit []*monitor.Observation
	for _, o := range read {
		if why := unfit(o, history, o.Server == s.Record.Want); why != "" {
			c.refused[o.Server] = why
		} else {
			fit = append(fit, o)
		}
	}
	if len(fit) == 0 {
		return c
	}
	byPriority := s.Settings.Prefer == config.PreferPriority && s.Settings.Durability.Wait == 0 || planted(PriorityFirst)
	slices.SortFunc(fit, func(a, b *monitor.Observation) int {
		first := 0
		if byPriority {
			first = cmp.Compare(a.Priority, b.Priority)
		}
		return cmp.Or(first, cmp.Compare(b.Offset, a.Offset), s.prefer(a, b))
	})
	c.best, c.fit = fit[0], fit
	c.why = fmt.Sprintf("it holds the most, offset %d, of %d replicas read", c.best.Offset, len(read))
	if byPriority {
		c.why = fmt.Sprintf("its priority %d comes first, as prefer says; it holds offset %d", c.best.Priority, c.best.Offset)
	} else if len(fit) > 1 && fit[1].Offset == fit[0].Offset {
		c.why = fmt.Sprintf("%d replicas hold the same, offset %d; it comes first by priority, zone and address", countAt(fit), c.best.Offset)
	}
	return c
}

// prefer orders replicas that hold the same.
func (s Situation) prefer(a, b *monitor.Observation) int {
	home := s.Zone[s.Record.Old]
	return cmp.Or(
		cmp.Compare(a.Priority, b.Priority),
		cmp.Compare(away(s.Zone[a.Server], home), away(s.Zone[b.Server], home)),
		cmp.Compare(a.Server, b.Server),
	)
}

const reasonMissing = "quorum-missing"

// missing says whether a write for which a client's WAIT k returned k may be on none of the replicas that were cut and read: k of the
// N registered ones had it, so any N - k + 1 of them include one that does. One that was restarted since has forgotten what it held in
// memory, and is no answer.
func (s Situation) missing(c choice) *Blocker {
	k := s.Settings.Durability.Wait
	if k == 0 || planted(QuorumIgnored) {
		return nil
	}
	answers := 0
	var absent []string
	for _, p := range s.Registered {
		i := slices.IndexFunc(c.fit, func(o *monitor.Observation) bool { return o.Server == p.Addr })
		switch {
		case i < 0:
			absent = append(absent, fmt.Sprintf("%s: %s", p.Addr, c.refused[p.Addr]))
		case c.foreign:
			absent = append(absent, fmt.Sprintf("%s: it does not hold the old master's history any more", p.Addr))
		case p.RunID == c.fit[i].RunID || planted(RestartedCounts):
			answers++
		case p.RunID == "":
			absent = append(absent, fmt.Sprintf("%s: it had not caught up yet", p.Addr))
		default:
			absent = append(absent, fmt.Sprintf("%s: it was restarted", p.Addr))
		}
	}
	need := max(1, len(s.Registered)-k+1)
	if answers >= need {
		return nil
	}
	return &Blocker{
		Reason: reasonMissing,
		Text: fmt.Sprintf("%d of %d replicas must answer for durability.wait %d, and %d do: %s", need, len(s.Registered), k, answers,
			strings.Join(absent, "; ")),
		Remedy: "start the missing replicas, or accept the loss: picket failover " + s.Settings.Name + " --allow-data-loss",
	}
}

// hollow refuses to promote a replica that is known to lag and holds nothing at all, when another server was seen to hold something: it would
// follow, and be emptied.
func (s Situation) hollow(c choice, read []*monitor.Observation) *Blocker {
	if c.best == nil {
		return nil
	}
	whole := !c.foreign && s.Record.OldOffset > 0 && c.best.Offset >= s.Record.OldOffset // FLUSHALL is no loss
	if c.best.Keys > 0 || whole || s.Settings.EmptyMaster == config.EmptyAccept {
		return nil
	}
	for _, a := range append(s.candidates(), s.Record.Old) {
		last := s.View.Servers[a].Last
		if i := slices.IndexFunc(read, func(o *monitor.Observation) bool { return o.Server == a }); i >= 0 {
			last = read[i]
		}
		if last != nil && last.Keys > 0 {
			b := noCandidate(fmt.Sprintf("%s holds nothing, and %s was seen with %d keys", c.best.Server, a, last.Keys))
			b.Remedy += "; or accept the loss: picket failover " + s.Settings.Name + " --allow-data-loss"
			return b
		}
	}
	return nil
}

func countAt(fit []*monitor.Observation) int {
	n := 0
	for _, o := range fit {
		if o.Offset == fit[0].Offset {
			n++
		}
	}
	return n
}

func away(zone, home string) int {
	if home != "" && zone == home {
		return 0
	}
	return 1
}

// unfit says why a replica must not become the master; empty: it may. One that somebody has named may have any priority.
func unfit(o *monitor.Observation, history string, named bool) string {
	switch {
	case o.Role != "slave":
		return "it is not a replica"
	case o.Priority == 0 && !named:
		return "its replica-priority is 0"
	case o.Loading:
		return "it still loads its data"
	case o.Syncing:
		return "it was in the middle of a full resync"
	case o.ReplID == history, o.ReplID2 == history && o.Offset <= o.Second:
		return ""
	}
	// A replica that has never been in sync has a history of its own.
	return "it holds another master's data, or none"
}

// Promotable says whether a replica, as it was seen last, could take the place of a master that fails now.
func Promotable(replica monitor.Server, master *monitor.Observation) bool {
	o := replica.Last
	return replica.State == monitor.Up && o != nil && master != nil && o.Disk == "" && unfit(o, master.ReplID, false) == ""
}

// commonHistory is the replication id of most of the replicas, of the farthest one where they are equally many. Those that hold nothing
// count only among themselves: one that was restarted without its data has a history of its own, too.
func commonHistory(read []*monitor.Observation) string {
	count, most, data := map[string]int{}, map[string]int64{}, map[string]int{}
	for _, o := range read {
		count[o.ReplID]++
		most[o.ReplID] = max(most[o.ReplID], o.Offset)
		if o.Keys > 0 {
			data[o.ReplID] = 1
		}
	}
	best := ""
	for _, o := range read {
		id := o.ReplID
		if best == "" || cmp.Or(cmp.Compare(data[id], data[best]), cmp.Compare(count[id], count[best]), cmp.Compare(most[id], most[best]),
			cmp.Compare(best, id)) > 0 {
			best = id
		}
	}
	return best
}

// maxCandidates bounds what is kept of a choice.
const maxCandidates = 32

// candidates tells what was read of whom, the best first.
func (c choice) candidates() []Candidate {
	var list []Candidate
	for _, o := range c.fit {
		list = append(list, Candidate{Server: o.Server, Offset: o.Offset, ReadAt: monitor.MomentOf(o.At)})
	}
	for _, server := range slices.Sorted(maps.Keys(c.refused)) {
		list = append(list, Candidate{Server: server, Unfit: c.refused[server]})
	}
	return list[:min(len(list), maxCandidates)]
}

// list tells why nobody was chosen, by server.
func (c choice) list() string {
	var parts []string
	for server, why := range c.refused {
		parts = append(parts, fmt.Sprintf("%s: %s", server, why))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
