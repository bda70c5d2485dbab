package sim

import (
	"context"
	"time"

	"picket/sentinel/api"
)

// operator does what people have to do: where the agents refuse to go on because replicas are missing that may hold what was waited for, and
// nothing changes any more, somebody must accept the loss.
type operator struct {
	world *world
	since time.Time // of the first refusal that was seen; zero: none
	asked time.Time // the last time that the loss was accepted
}

const (
	operatorPatience = 10 * time.Second
	operatorPause    = 3 * time.Second
)

// look has a look at the first group, the only one whose writes are waited for.
func (o *operator) look() {
	for _, m := range o.world.machines {
		a := m.agent.Load()
		if a == nil || !a.Alive() {
			continue
		}
		for _, master := range a.Picture().Masters {
			if master.Name == masterName(0) && master.Blocker != nil && master.Blocker.Reason == "quorum-missing" && o.since.IsZero() {
				o.since = time.Now()
			}
		}
	}
	if now := time.Now(); !o.since.IsZero() && now.Sub(o.since) > operatorPatience && now.Sub(o.asked) > operatorPause {
		o.asked = now
		o.accept()
	}
}

// accept has any agent go on.
func (o *operator) accept() {
	w := o.world
	w.checks.durable.forgive()
	a := w.machines[w.random.IntN(len(w.machines))].agent.Load()
	ctx, cancel := context.WithTimeout(context.Background(), operatorPause)
	defer cancel()
	err := a.Force(ctx, api.FailoverOrder{Master: masterName(0), AllowDataLoss: true, Who: "the simulation"})
	w.story.tell("sim", "an operator has accepted the loss: %v", err)
}
