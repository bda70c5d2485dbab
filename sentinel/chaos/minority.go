package main

import (
	"context"
	"time"

	"picket/sentinel/lab"
)

// minority leaves one agent of three, kills the master, and brings a second agent back.
func minority(ctx context.Context, f *field) ([]figure, error) {
	master := f.servers[0]
	plain, safe := f.write(f.clients(), gently), f.write(f.clients(), waiting)
	if err := f.warm(ctx, plain, safe); err != nil {
		return nil, err
	}
	f.guards[1].Kill()
	f.guards[2].Kill()
	start := time.Now()
	master.Kill()
	lab.Pause(ctx, 3*downAfter)
	alone := len(f.roles.since(start))
	back := time.Now()
	if err := f.guards[1].Start(); err != nil {
		return nil, err
	}
	promoted, err := f.roles.await(back)
	if err != nil {
		return nil, err
	}
	written, err := next(ctx, plain, back)
	if err != nil {
		return nil, err
	}
	if err := f.guards[2].Start(); err != nil {
		return nil, err
	}
	if err := master.Process.Start(); err != nil {
		return nil, err
	}
	heir, _, err := f.settle(time.Now())
	if err != nil {
		return nil, err
	}
	all, waited, err := f.account(ctx, heir, plain, safe)
	return []figure{
		count("promotions by the minority", alone).atMost(0),
		took("a majority again: a replica is promoted", promoted.at.Sub(back)),
		took("… and a client, which pauses up to a second between tries, writes", written.Sub(back)).atMost(10_000),
		share("acknowledged writes lost", all.lost, all.acked),
		count("lost although a replica had acknowledged them (WAIT 1)", waited.lost).atMost(0),
	}, err
}
