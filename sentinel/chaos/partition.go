package main

import (
	"context"
	"time"

	"picket/sentinel/lab"
)

// partition cuts the master's host off, with a client on it that never stops writing, while another one outside follows.
func partition(ctx context.Context, f *field) ([]figure, error) {
	master := f.servers[0]
	inside := f.cling(master, gently)
	outside, safe := f.writeAcross(f.clients(), gently), f.writeAcross(f.clients(), waiting)
	if err := f.warm(ctx, inside, outside, safe); err != nil {
		return nil, err
	}
	cut := time.Now()
	if err := f.network.Unplug(master.Host); err != nil {
		return nil, err
	}
	promoted, err := f.roles.await(cut)
	if err != nil {
		return nil, err
	}
	written, err := next(ctx, outside, promoted.at)
	if err != nil {
		return nil, err
	}
	lab.Pause(ctx, f.pace.cut-time.Since(cut))
	healed := time.Now()
	if err := f.network.Heal(); err != nil {
		return nil, err
	}
	heir, settled, err := f.settle(healed)
	if err != nil {
		return nil, err
	}
	mine, _, err := f.account(ctx, heir, inside)
	if err != nil {
		return nil, err
	}
	others, waited, err := f.account(ctx, heir, outside, safe)
	return []figure{
		took("a replica is promoted", promoted.at.Sub(cut)),
		took("the client outside writes again", written.Sub(cut)).atMost(15_000),
		count("acknowledged by the old master after the promotion", sentAfter(inside, promoted.at)).atMost(0),
		count("acknowledged writes lost", mine.lost+others.lost),
		share("acknowledged writes of the client inside that are lost", mine.lost, mine.acked),
		share("acknowledged writes of all that are lost", mine.lost+others.lost, mine.acked+others.acked),
		count("lost although a replica had acknowledged them (WAIT 1)", waited.lost).atMost(0),
		took("healed: one topology on which all agree", settled),
	}, err
}
