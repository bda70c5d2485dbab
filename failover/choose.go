package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"picket/config"
	"picket/monitor"
)

// choice is the result of looking at the replicas that were cut and read.
type choice struct {
	best    *monitor.Observation // nil: none will do
	why     string
	refused map[config.Addr]string
}

// choose picks the replica that holds the most of the old master's history. Ties go to the lower priority, as with Sentinel, to the
// old master's zone, and to the lower address. It is a pure function.
func choose(s Situation, read []*monitor.Observation) choice {
	c := choice{refused: map[config.Addr]string{}}
	history, known := s.Record.OldReplID, true
	if history == "" {
		history, known = commonHistory(read), false
	}
	var fit []*monitor.Observation
	for _, o := range read {
		if why := unfit(o, history); why != "" {
			c.refused[o.Server] = why
		} else {
			fit = append(fit, o)
		}
	}
	if len(fit) == 0 {
		return c
	}
	zone := s.Zone[s.Record.Old]
	slices.SortFunc(fit, func(a, b *monitor.Observation) int {
		return cmp.Or(
			cmp.Compare(b.Offset, a.Offset),
			cmp.Compare(a.Priority, b.Priority),
			cmp.Compare(away(s.Zone[a.Server], zone), away(s.Zone[b.Server], zone)),
			cmp.Compare(a.Server, b.Server),
		)
	})
	c.best = fit[0]
	c.why = fmt.Sprintf("it holds the most, offset %d, of %d replicas read", c.best.Offset, len(read))
	if len(fit) > 1 && fit[1].Offset == fit[0].Offset {
		c.why = fmt.Sprintf("%d replicas hold the same, offset %d; it comes first by priority, zone and address", countAt(fit), c.best.Offset)
	}
	if !known {
		c.why += "; the old master's history was never seen, so that of most replicas counts"
	}
	return c
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

// unfit says why a replica must not become the master; empty: it may.
func unfit(o *monitor.Observation, history string) string {
	switch {
	case o.Role != "slave":
		return "it is not a replica"
	case o.Priority == 0:
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

// commonHistory is the replication id of most of the replicas, of the farthest one where they are equally many.
func commonHistory(read []*monitor.Observation) string {
	count, most := map[string]int{}, map[string]int64{}
	for _, o := range read {
		count[o.ReplID]++
		most[o.ReplID] = max(most[o.ReplID], o.Offset)
	}
	best := ""
	for _, o := range read {
		id := o.ReplID
		if best == "" || cmp.Or(cmp.Compare(count[id], count[best]), cmp.Compare(most[id], most[best]), cmp.Compare(best, id)) > 0 {
			best = id
		}
	}
	return best
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
