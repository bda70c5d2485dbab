package main

import (
	"context"
	"time"
)

// crash kills the master under load, and starts it again when a client writes.
func crash(ctx context.Context, f *field) ([]figure, error) {
	var gaps, returns spans
	plain, safe := f.write(f.clients(), gently), f.write(f.clients(), waiting)
	master := f.servers[0]
	for range f.pace.crashes {
		if err := f.warm(ctx, plain, safe); err != nil {
			return nil, err
		}
		start := time.Now()
		master.Kill()
		written, err := next(ctx, plain, time.Now().Add(inFlight))
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, written.Sub(start))
		start = time.Now()
		if err := master.Process.Start(); err != nil {
			return nil, err
		}
		heir, settled, err := f.settle(start)
		if err != nil {
			return nil, err
		}
		master, returns = heir, append(returns, settled)
	}
	all, waited, err := f.account(ctx, master, plain, safe)
	return []figure{
		took("a client writes again, median", gaps.quantile(0.5)),
		took("a client writes again, worst", gaps.quantile(1)).atMost(5000),
		took("the killed master is back as a replica, worst", returns.quantile(1)),
		share("acknowledged writes lost", all.lost, all.acked),
		count("lost although a replica had acknowledged them (WAIT 1)", waited.lost).atMost(0),
	}, err
}
