package state

import (
	"cmp"
	"slices"

	"picket/failover"
	"picket/monitor"
)

// Recall gives the failover that had begun last at a time, as far as the history reaches; nil: there was none, or it is forgotten. Of the latest
// one all is known, of older ones what their events tell.
func (s *State) Recall(m *Master, at monitor.Moment) *failover.Record {
	for _, r := range []*failover.Record{m.Failover, m.Last} {
		if r != nil && r.BegunAt <= at {
			return r
		}
	}
	for i, e := range slices.Backward(s.Events) {
		if e.Type == FailoverBegun && e.Master == m.Name && e.At <= at {
			return retold(s.Events[i:])
		}
	}
	return nil
}

// Record gives the failover that an event belongs to, as it is now; nil: none, or it is forgotten.
func (s *State) Record(e Event) *failover.Record {
	if e.Data.Failover == 0 {
		return nil
	}
	if m := s.Master(e.Master); m != nil {
		for _, r := range []*failover.Record{m.Failover, m.Last} {
			if r != nil && r.ID == e.Data.Failover {
				return r
			}
		}
	}
	for i, begun := range s.Events {
		if begun.Type == FailoverBegun && begun.ID == e.Data.Failover {
			return retold(s.Events[i:])
		}
	}
	return nil
}

// retold makes a record from the events of a failover; the first one is its begin.
func retold(events []Event) *failover.Record {
	begun := events[0]
	r := &failover.Record{
		ID: begun.Data.Failover, Master: begun.Master, Epoch: begun.Epoch, Phase: failover.Begun, Cause: failover.Cause(begun.Data.Cause),
		Old: begun.Data.From, Replicas: begun.Data.Replicas, Evidence: begun.Data.Evidence, Leaders: []uint64{begun.Epoch}, BegunAt: begun.At,
	}
	for _, e := range events[1:] {
		if e.Data.Failover != r.ID || e.Master != r.Master {
			continue
		}
		switch e.Type {
		case FailoverResumed:
			r.Epoch, r.Leaders = e.Epoch, append(r.Leaders, e.Epoch)
		case FailoverPromoting:
			r.Phase, r.PromoteAt, r.Target, r.Offset, r.Chosen = failover.Promoting, e.At, e.Data.To, e.Data.Offset, e.Data.Why
		case FailoverSwitched:
			r.Phase, r.SwitchAt = failover.Switched, e.At
			if e.Data.ElapsedMS > 0 {
				r.DownAt = e.At - monitor.Moment(monitor.FromMillis(e.Data.ElapsedMS))
			}
		case FailoverRepointed:
			r.Repointed, r.RepointAt = append(r.Repointed, e.Data.Replica), append(r.RepointAt, e.At)
		case FailoverEnded, FailoverAborted:
			r.Phase, r.Outcome, r.EndAt, r.Why = failover.Ended, failover.Done, e.At, e.Data.Why
			if e.Type == FailoverAborted {
				r.Outcome = failover.Aborted
			}
			return r
		}
	}
	return r
}

// History gives the failovers of a master or, without a name, of all, at most limit, the newest first: those that run, and those that the history
// still tells of. Of the latest of each master all is known, of older ones what their events tell.
func (s *State) History(master string, limit int) []*failover.Record {
	var list []*failover.Record
	known := map[uint64]bool{}
	for i := range s.Masters {
		m := &s.Masters[i]
		for _, r := range []*failover.Record{m.Failover, m.Last} {
			if r != nil && (master == "" || m.Name == master) {
				list, known[r.ID] = append(list, r), true
			}
		}
	}
	for i, e := range slices.Backward(s.Events) {
		if e.Type == FailoverBegun && (master == "" || e.Master == master) && !known[e.Data.Failover] {
			list, known[e.Data.Failover] = append(list, retold(s.Events[i:])), true
		}
	}
	slices.SortFunc(list, func(a, b *failover.Record) int { return cmp.Compare(b.ID, a.ID) })
	return list[:min(limit, len(list))]
}
