package sentinel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Switchover implements api.Orders: it hands a healthy master over, now or later.
func (a *Agent) Switchover(ctx context.Context, o api.SwitchoverOrder) error {
	o.To = a.names.Known(o.To)
	if o.At.IsZero() {
		return a.order(ctx, o.Master, wish{to: o.To, healthy: true, by: "ordered by " + o.Who, ignoreHooks: o.IgnoreHooks})
	}
	if a.machine.State().Master(o.Master) == nil {
		return picture.ErrUnknownMaster
	}
	return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Schedule: &state.ScheduleSwitchover{
		Master: o.Master, Schedule: state.Schedule{To: o.To, At: monitor.MomentOf(o.At), Who: o.Who},
	}})
}

// CancelSwitchover implements api.Orders.
func (a *Agent) CancelSwitchover(ctx context.Context, master, who string) error {
	if a.machine.State().Master(master) == nil {
		return picture.ErrUnknownMaster
	}
	return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Cancel: &state.CancelSwitchover{Master: master, Who: who}})
}

// Force implements api.Orders: a failover of any master, whatever writes are lost if the order says so. One that waits for replicas goes
// on without them.
func (a *Agent) Force(ctx context.Context, o api.FailoverOrder) error {
	m := a.machine.State().Master(o.Master)
	if m != nil && m.Failover != nil && m.Failover.Phase == failover.Begun && o.AllowDataLoss {
		return a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), AllowLoss: &state.AllowLoss{
			Master: o.Master, Failover: m.Failover.ID, Who: o.Who,
		}})
	}
	return a.order(ctx, o.Master, wish{allowLoss: o.AllowDataLoss, by: "ordered by " + o.Who, ignoreHooks: o.IgnoreHooks})
}

// due is a switchover that the leader begins by itself: because somebody ordered it for now, or for the settings' sake.
type due struct {
	wish  wish
	order *state.Schedule // nil: for the settings' sake
}

// wishes gives the switchover that a master is due for; ok is false if there is none.
func (a *Agent) wishes(l look, m *state.Master, s failover.Situation) (d due, ok bool) {
	if order := m.Scheduled; order != nil && monitor.MomentOf(l.now) >= order.At {
		return due{wish{to: order.To, healthy: true, by: "ordered for now by " + order.Who}, order}, true
	}
	if to, why := failover.Preferred(s, m.Last); to != "" {
		return due{wish: wish{to: to, healthy: true, by: "preferred: " + why}}, true
	}
	return due{}, false
}

// fulfil begins a switchover that is due. One that is refused is not tried again: an order is taken back, and the settings wait for the end of
// a cool-down.
func (a *Agent) fulfil(ctx context.Context, master string, d due) error {
	err := a.order(ctx, master, d.wish)
	if err == nil || d.order == nil || ctx.Err() != nil || !refused(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, manualTimeout)
	defer cancel()
	return errors.Join(err, a.propose(ctx, 0, state.Command{At: monitor.MomentOf(a.now()), Cancel: &state.CancelSwitchover{
		Master: master, At: d.order.At, Why: err.Error(),
	}}))
}

// refused says whether trying again now would be of no use.
func refused(err error) bool {
	var blocked *blockedError
	return errors.As(err, &blocked) || errors.Is(err, picture.ErrNoReplica) || errors.Is(err, picture.ErrUnknownMaster)
}

// onStopTimeout bounds the hand-over of a master whose Redis is about to be stopped, too.
const onStopTimeout = 10 * time.Second

// leave hands the master beside this agent over before both are stopped, as the configuration has it.
func (a *Agent) leave() {
	m := a.machine.State().Owner(a.local())
	if a.current().OnStop != config.StopSwitchover || a.cfg.Local == "" || m == nil || m.Addr != a.local() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), onStopTimeout)
	defer cancel()
	a.herald.failed(context.Background(), "hand the master over before stopping", m.Name, a.handAway(ctx, m.Name))
}

// handAway has a master handed over from the Redis beside this agent, and waits for the end of that. A failover that runs already may do it as well.
func (a *Agent) handAway(ctx context.Context, master string) error {
	for {
		ordered := a.order(ctx, master, wish{healthy: true, by: "its host is stopped"})
		if ordered != nil && !errors.Is(ordered, picture.ErrInProgress) {
			return ordered
		}
		m, err := a.over(ctx, master)
		switch {
		case err != nil:
			return err
		case m == nil || m.Addr != a.local():
			return nil // there is nothing to hand over any more
		case ordered == nil:
			return fmt.Errorf("the hand-over was given up: %s", m.Last.Why)
		}
	}
}

// over waits until no failover of a master runs; nil: the master is not known any more.
func (a *Agent) over(ctx context.Context, master string) (*state.Master, error) {
	for {
		changed := a.machine.Changed()
		m := a.machine.State().Master(master)
		if m == nil || m.Failover == nil {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("the hand-over has not ended: %w", ctx.Err())
		}
	}
}
