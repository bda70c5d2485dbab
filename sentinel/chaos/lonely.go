package main

import (
	"context"
	"time"

	"picket/sentinel/lab"
)

// abandon kills two of three agents, not the master's, and looks for a while at who still writes.
func abandon(ctx context.Context, f *field) (plain *lab.Writer, left, back time.Time, err error) {
	plain = f.write(f.clients(), gently)
	if err := f.warm(ctx, plain); err != nil {
		return nil, left, back, err
	}
	left = time.Now()
	f.guards[1].Kill()
	f.guards[2].Kill()
	lab.Pause(ctx, 5*downAfter)
	back = time.Now()
	if err := f.guards[1].Start(); err != nil {
		return nil, left, back, err
	}
	return plain, left, back, f.guards[2].Start()
}

// lonely is the default policy: a master whose replicas all follow goes on.
func lonely(ctx context.Context, f *field) ([]figure, error) {
	plain, left, back, err := abandon(ctx, f)
	if err != nil {
		return nil, err
	}
	gap := longest(plain, left, back)
	master, _, err := f.settle(back)
	if err != nil {
		return nil, err
	}
	all, _, err := f.account(ctx, master, plain)
	return []figure{
		took("longest wait of a client while one agent is left", gap).atMost(1000),
		count("promotions", len(f.roles.since(left))).atMost(0),
		count("acknowledged writes lost", all.lost).atMost(0),
	}, err
}

// stopWithin is how soon after the loss of the majority a strict master must refuse writes: its lease, and twice that for a busy
// machine.
const stopWithin = time.Second

// lonelyStrict is the policy by which the lease is all that counts.
func lonelyStrict(ctx context.Context, f *field) ([]figure, error) {
	plain, left, back, err := abandon(ctx, f)
	if err != nil {
		return nil, err
	}
	late := 0
	var last time.Time
	for _, a := range plain.Acked() {
		if a.Sent.After(left.Add(stopWithin)) && a.Sent.Before(back) {
			late++
		}
		if a.At.Before(back) {
			last = a.At
		}
	}
	written, err := next(ctx, plain, back)
	if err != nil {
		return nil, err
	}
	master, _, err := f.settle(back)
	if err != nil {
		return nil, err
	}
	all, _, err := f.account(ctx, master, plain)
	return []figure{
		took("the master takes writes after the majority is lost", max(0, last.Sub(left))),
		count("acknowledged later than a second", late).atMost(0),
		took("a majority again: a client writes", written.Sub(back)).atMost(10_000),
		count("promotions", len(f.roles.since(left))).atMost(0),
		count("acknowledged writes lost", all.lost).atMost(0),
	}, err
}
