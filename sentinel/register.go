package sentinel

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/state"
)

// unregistered lists what the leader has to make known about the processes of a master's group. A replica that its master lists may soon
// acknowledge writes, so it counts among those that must be asked from then on; it counts as an answer when it has caught up with what
// was written before its process was seen first. Whatever a former process at the address had acknowledged is in it then:
// a master that was restarted, and on which nobody has agreed yet, may have lost that itself.
func unregistered(m *state.Master, view monitor.View, verdict monitor.Verdict, gone dropped) []failover.Process {
	master := view.Servers[m.Addr]
	if m.Failover != nil && m.Failover.Phase < failover.Switched || master.State != monitor.Up || master.Last == nil ||
		master.Last.Role != "master" || verdict.Code != monitor.Healthy && verdict.Code != monitor.LoadingMaster {
		return nil
	}
	var list []failover.Process
	agreed := m.RunID() == master.Last.RunID
	if agreed && m.ReplID() != master.Last.ReplID || !agreed && (m.RunID() == "" || resumes(m, master, view)) {
		list = append(list, failover.Process{Addr: m.Addr, RunID: master.Last.RunID, ReplID: master.Last.ReplID})
	}
	for _, r := range master.Last.Replicas {
		if r.Server.Port() != 0 && m.Process(r.Server) == nil && !master.Last.At.Before(gone.at[r.Server]) {
			list = append(list, failover.Process{Addr: r.Server})
		}
	}
	for _, p := range m.Registered() {
		if r := view.Servers[p.Addr]; agreed && caughtUp(r, master, m.Addr) && r.Last.RunID != p.RunID {
			list = append(list, failover.Process{Addr: p.Addr, RunID: r.Last.RunID})
		}
	}
	return list
}

// dropped is when servers were forgotten: a master's list from before does not make them known again. It belongs to one goroutine.
type dropped struct {
	known map[config.Addr]bool
	at    map[config.Addr]time.Time
}

func newDropped() dropped { return dropped{map[config.Addr]bool{}, map[config.Addr]time.Time{}} }

// follow notes what is known now.
func (d dropped) follow(masters []*state.Master, now time.Time) {
	known := map[config.Addr]bool{}
	for _, m := range masters {
		for _, p := range m.Processes {
			known[p.Addr] = true
		}
	}
	for a := range d.known {
		if !known[a] {
			d.at[a] = now
		}
	}
	clear(d.known)
	maps.Copy(d.known, known)
	maps.DeleteFunc(d.at, func(_ config.Addr, at time.Time) bool { return now.Sub(at) > time.Minute })
}

// resumePatience is how long a master that was restarted waits for replicas that can't be compared with it.
const resumePatience = 10 * time.Second

// resumes says whether a new process may go on as the master: no replica that might hold more than it is out of sight. With data, it
// waits for them only so long; without, until they are back or forgotten.
func resumes(m *state.Master, master monitor.Server, view monitor.View) bool {
	known := slices.Clone(m.Replicas) // also a former master that was not made a replica yet
	for _, p := range m.Registered() {
		known = append(known, p.Addr)
	}
	for _, a := range known {
		// What was seen of a replica before the master was restarted may lack what it was sent last.
		if r := view.Servers[a]; r.State != monitor.Up || r.Last == nil || r.Last.Loading || !r.Last.At.After(master.RunSince) {
			return master.Last.Keys > 0 && view.Now.Sub(master.RunSince) > resumePatience
		}
	}
	return true
}

// compare looks at masters with replicas that are yet to be registered, and after that at these, and puts what they said into the
// view: what a replica holds is compared with what its master had before. The looks that come once a second may come in the other
// order for ever.
func (a *Agent) compare(ctx context.Context, masters []*state.Master, view monitor.View) {
	ctx, cancel := context.WithTimeout(ctx, discoverEvery)
	defer cancel()
	var mu sync.Mutex // guards said
	said := map[config.Addr]*monitor.Observation{}
	var group errgroup.Group // one for each master; the time limit ends them
	group.SetLimit(proposals)
	for _, m := range masters {
		replicas := unproven(m, view)
		if len(replicas) == 0 {
			continue
		}
		group.Go(func() error {
			before, err := a.monitor.Refresh(ctx, m.Addr)
			if err != nil {
				return nil // it is known to be down
			}
			for _, r := range replicas {
				if now := a.reach(ctx, r, before.Offset); now != nil {
					mu.Lock()
					said[m.Addr], said[r] = before, now
					mu.Unlock()
				}
			}
			return nil
		})
	}
	_ = group.Wait() // never fails
	for addr, o := range said {
		if s := view.Servers[addr]; s.Last != nil && s.Last.RunID == o.RunID { // else it is not known yet since when that process is there
			s.Last = o
			view.Servers[addr] = s
		}
	}
}

// reachTries is how often a replica is looked at: while clients write, it needs a moment to hold what the master had.
const reachTries = 5

// reach looks at a replica until it holds so much. It gives the last look; nil: it does not answer.
func (a *Agent) reach(ctx context.Context, replica config.Addr, offset int64) *monitor.Observation {
	for n := 0; ; n++ {
		o, err := a.monitor.Refresh(ctx, replica)
		if err != nil {
			return nil
		}
		if o.Offset >= offset || n == reachTries {
			return o
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// unproven lists the replicas that are yet to be registered, and answer.
func unproven(m *state.Master, view monitor.View) []config.Addr {
	var list []config.Addr
	for _, p := range m.Registered() {
		if r := view.Servers[p.Addr]; r.State == monitor.Up && r.Last != nil && r.Last.RunID != p.RunID {
			list = append(list, p.Addr)
		}
	}
	return list
}

// caughtUp says whether a replica holds all that its master had when the replica's process was there already.
func caughtUp(r, master monitor.Server, at config.Addr) bool {
	return r.State == monitor.Up && r.Last != nil && r.Last.Role == "slave" && r.Last.Master == at && r.Last.LinkUp && !r.Last.Syncing &&
		!r.Last.Loading && r.Last.ReplID == master.Last.ReplID && r.Last.Offset >= master.Last.Offset &&
		master.Last.At.After(r.RunSince) && r.Last.At.After(master.Last.At)
}
