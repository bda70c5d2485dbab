package main

import (
	"context"
	"time"
)

// both kills the master together with the agent that would lead its failover.
func both(ctx context.Context, f *field) ([]figure, error) {
	master := f.servers[0]
	plain, safe := f.write(f.clients(), gently), f.write(f.clients(), waiting)
	if err := f.warm(ctx, plain, safe); err != nil {
		return nil, err
	}
	leader, err := f.leader(ctx)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	f.guards[leader].Kill()
	master.Kill()
	written, err := next(ctx, plain, time.Now().Add(inFlight))
	if err != nil {
		return nil, err
	}
	if err := f.guards[leader].Start(); err != nil {
		return nil, err
	}
	if err := master.Process.Start(); err != nil {
		return nil, err
	}
	heir, settled, err := f.settle(time.Now())
	if err != nil {
		return nil, err
	}
	all, waited, err := f.account(ctx, heir, plain, safe)
	return []figure{
		took("a client writes again", written.Sub(start)).atMost(10_000),
		took("both are back: one topology on which all agree", settled),
		share("acknowledged writes lost", all.lost, all.acked),
		count("lost although a replica had acknowledged them (WAIT 1)", waited.lost).atMost(0),
	}, err
}
