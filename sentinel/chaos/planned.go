package main

import (
	"context"
	"time"

	"picket/sentinel/lab"
)

// connections write during a planned failover, each as fast as it is answered.
const connections = 8

// planned has a healthy master failed over, again and again, as an operator does with SENTINEL FAILOVER.
func planned(ctx context.Context, f *field) ([]figure, error) {
	var all tally
	var gaps spans
	full, err := lab.FullSyncs(ctx, f.servers)
	if err != nil {
		return nil, err
	}
	master := f.servers[0]
	for range f.pace.planned {
		var load []*lab.Writer
		for range connections {
			load = append(load, f.write(f.clients(), lab.WriterOptions{}))
		}
		if err := f.warm(ctx, load...); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := f.order(); err != nil {
			return nil, err
		}
		if _, err := f.roles.await(start); err != nil {
			return nil, err
		}
		if _, err := demoted(master, start); err != nil {
			return nil, err
		}
		lab.Pause(ctx, f.pace.calm)
		for _, w := range load {
			w.Stop()
			gaps = append(gaps, lab.LongestGap(w.Acked(), start))
		}
		if master, _, err = f.settle(start); err != nil {
			return nil, err
		}
		round, _, err := f.account(ctx, master, load...)
		if err != nil {
			return nil, err
		}
		all.acked, all.lost = all.acked+round.acked, all.lost+round.lost
		if err := empty(ctx, master); err != nil {
			return nil, err
		}
	}
	again, err := lab.FullSyncs(ctx, f.servers)
	return []figure{
		took("longest wait of a connection, median", gaps.quantile(0.5)),
		took("longest wait of a connection, 99 %", gaps.quantile(0.99)),
		took("longest wait of a connection, worst", gaps.quantile(1)),
		count("acknowledged writes", all.acked),
		count("acknowledged writes lost", all.lost).atMost(0),
		share("acknowledged writes lost, of all", all.lost, all.acked),
		count("full resyncs", again-full).atMost(0),
	}, err
}

// order asks for a failover by the Sentinel protocol, which both systems speak. Sentinel refuses for a while after the last one.
func (f *field) order() error {
	client := f.sentinel(0)
	defer client.Close()
	return lab.Await(patience, "a failover may be ordered", func(ctx context.Context) error {
		return client.Failover(ctx, lab.MasterName).Err()
	})
}

// empty makes room for the next round.
func empty(ctx context.Context, master *lab.Redis) error {
	client := master.Client()
	defer client.Close()
	return client.FlushAll(ctx).Err()
}
