package sentinel

import (
	"context"
	"fmt"
	"time"

	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Pause implements api.Guardrails.
func (a *Agent) Pause(ctx context.Context, o api.PauseOrder) error {
	if o.Master != "" && a.machine.State().Master(o.Master) == nil {
		return picture.ErrUnknownMaster
	}
	now := a.now()
	return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(now), Pause: &state.Pause{
		Master: o.Master, Who: o.Who, Why: o.Why, Until: monitor.MomentOf(now.Add(time.Duration(o.For))),
	}})
}

// Resume implements api.Guardrails.
func (a *Agent) Resume(ctx context.Context, master, who string) error {
	if master != "" && a.machine.State().Master(master) == nil {
		return picture.ErrUnknownMaster
	}
	return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Resume: &state.Resume{Master: master, Who: who}})
}

// Acknowledge implements api.Guardrails. What is acknowledged is the last failover that the group knows, not only this agent.
func (a *Agent) Acknowledge(ctx context.Context, master, who string) (api.Acknowledged, error) {
	if err := a.node.Barrier(ctx); err != nil {
		return api.Acknowledged{}, err
	}
	m := a.machine.State().Master(master)
	switch {
	case m == nil:
		return api.Acknowledged{}, picture.ErrUnknownMaster
	case m.Last == nil:
		return api.Acknowledged{}, fmt.Errorf("%w: no failover of %s has ended yet", state.ErrStale, master)
	}
	acknowledged := api.Acknowledged{Master: master, Failover: m.Last.ID}
	return acknowledged, a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Acknowledge: &state.Acknowledgement{
		Master: master, Failover: m.Last.ID, Who: who,
	}})
}
