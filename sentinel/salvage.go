package sentinel

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"picket/failover"
	"picket/failover/salvage"
)

const (
	// keepLimit bounds the time in which what is lost is kept: so long the former master waits until it follows. It takes no writes.
	keepLimit = 5 * time.Second
	// divergedLimit bounds the commit of what is lost.
	divergedLimit = 2 * time.Second
)

// SalvageDir is where an agent with this data directory keeps what former masters had written.
func SalvageDir(dataDir string) string { return filepath.Join(dataDir, "salvage") }

// keep has a file written of what a former master is about to lose, if it can be, and says where it is, or why there is none. That there is none
// keeps nobody from going on.
func (a *Agent) keep(ctx context.Context, master string, d failover.Divergence) failover.Divergence {
	m := a.machine.State().Master(master)
	switch {
	case m == nil || !d.Known || d.Bytes == 0 || d.Unkept != "":
		return d
	case m.Diverged != nil && m.Diverged.Same(d) && m.DivergedIn == m.Epoch:
		return d // an earlier try has seen to it
	case a.current().Salvage.MaxBytes == 0:
		d.Unkept = "salvage.max-bytes is 0"
		return d
	}
	ctx, cancel := context.WithTimeout(ctx, keepLimit)
	defer cancel()
	_, name, err := a.keeper.Keep(ctx, salvage.Lost{
		Master: master, Server: d.Server, Epoch: m.Epoch, ReplID: d.ReplID, From: d.From, To: d.From + d.Bytes - 1,
	})
	if err != nil {
		d.Unkept = err.Error()
	} else {
		d.Kept = fmt.Sprintf("%s:%s", a.cfg.Agent.ID, filepath.Join(SalvageDir(a.cfg.Agent.DataDir), name))
	}
	return d
}
