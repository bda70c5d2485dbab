package failover

import (
	"context"
	"fmt"

	"picket/config"
	"picket/monitor"
)

// Divergence is what a server that was a master had written behind the back of the present one. It is lost when the server is made a
// replica.
type Divergence struct {
	Server config.Addr `json:"server"`
	Master config.Addr `json:"master"` // the present one
	Known  bool        `json:"known"`
	Bytes  int64       `json:"bytes"`         // of the replication stream, exact where Known
	Why    string      `json:"why,omitempty"` // it is not known

	ReplID string `json:"repl_id,omitempty"` // where Known: the history
	From   int64  `json:"from,omitempty"`    // offset of the first byte that is lost
	Kept   string `json:"kept,omitempty"`    // the file that holds it, on an agent; empty: none does
	Unkept string `json:"unkept,omitempty"`  // why none does
}

// Same says whether two are about the same loss.
func (d Divergence) Same(other Divergence) bool {
	d.Kept, d.Unkept, other.Kept, other.Unkept = "", "", "", ""
	return d == other
}

// Measure compares a server that was a master, and takes no writes any more, with the present master. It is a pure function. The histories
// part where the present master was promoted: at the end of its second replication id.
func Measure(old, master *monitor.Observation) Divergence {
	d := Divergence{Server: old.Server, Master: master.Server}
	switch {
	case old.ReplID == master.ReplID2:
		d.Known, d.Bytes = true, max(0, old.Offset-(master.Second-1))
		d.ReplID, d.From = old.ReplID, master.Second
		if first := old.Offset - old.Backlog + 1; d.Bytes > 0 && first > d.From {
			d.Unkept = fmt.Sprintf("its backlog begins at offset %d, and offset %d is the first that is lost: enlarge repl-backlog-size", first, d.From)
		}
	case old.ReplID == master.ReplID:
		d.Known = true // it shares the whole history
	default:
		d.Why = "it was restarted since, or its history is another one: nobody can tell what it had written"
	}
	return d
}

// part fences a server that is about to be made a replica although it is a master, and has what it had written noted. That it can't be
// measured does not keep it from following.
func (r *Runner) part(ctx context.Context, master string, a Action) error {
	limit, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	old, _, err := r.redis.Do(limit, master, Action{Kind: Read, Server: a.Server})
	if err != nil || old.Role != "master" {
		return err
	}
	d := Divergence{Server: a.Server, Master: a.Master}
	if old, _, err = r.redis.Do(limit, master, Action{Kind: Fence, Server: a.Server, Quiet: true}); err != nil {
		d.Why = fmt.Sprintf("it could not be fenced: %v", err)
		return r.env.Diverged(ctx, master, d)
	}
	present, _, err := r.redis.Do(limit, master, Action{Kind: Read, Server: a.Master})
	if err != nil {
		return err // nothing may follow it now
	}
	return r.env.Diverged(ctx, master, Measure(old, present))
}
