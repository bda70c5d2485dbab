package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"picket/sentinel/lab"
)

// alarm does what looks like a failure, and is none.
func alarm(ctx context.Context, f *field) ([]figure, error) {
	plain := f.write(f.clients(), gently)
	if err := f.warm(ctx, plain); err != nil {
		return nil, err
	}
	var figures []figure
	for _, a := range []struct {
		what   string
		happen func(context.Context) error
	}{
		{fmt.Sprintf("failovers when the master stops for 60 %% of down-after, %d times", f.pace.stalls), f.stall},
		{"failovers while the CPUs are starved", f.starve},
		{"failovers when all agents freeze for 3 s", f.freeze},
	} {
		start := time.Now()
		if err := a.happen(ctx); err != nil {
			return figures, err
		}
		lab.Pause(ctx, 2*downAfter) // what was set off shows
		figures = append(figures, count(a.what, len(f.roles.since(start))).atMost(0))
	}
	master, _, err := f.settle(time.Now())
	if err != nil {
		return figures, err
	}
	all, _, err := f.account(ctx, master, plain)
	return append(figures, count("acknowledged writes lost", all.lost).atMost(0)), err
}

// stall stops the first master again and again, for less than down-after.
func (f *field) stall(ctx context.Context) error {
	for range f.pace.stalls {
		if err := f.servers[0].Freeze(); err != nil {
			return err
		}
		lab.Pause(ctx, downAfter*6/10)
		if err := f.servers[0].Thaw(); err != nil {
			return err
		}
		lab.Pause(ctx, downAfter*4/10)
	}
	return ctx.Err()
}

// starve has two busy loops for each CPU.
func (f *field) starve(ctx context.Context) error {
	var loops []*lab.Process
	defer func() {
		for _, l := range loops {
			l.Kill()
		}
	}()
	for n := range 2 * runtime.NumCPU() {
		loop := f.lab.Command(fmt.Sprintf("loop-%d", n), "sh", "-c", "while :; do :; done")
		if err := loop.Start(); err != nil {
			return err
		}
		loops = append(loops, loop)
	}
	lab.Pause(ctx, f.pace.starved)
	return ctx.Err()
}

// freeze stops all agents for three seconds.
func (f *field) freeze(ctx context.Context) error {
	for _, g := range f.guards {
		if err := g.Freeze(); err != nil {
			return err
		}
	}
	lab.Pause(ctx, 3*time.Second)
	for _, g := range f.guards {
		if err := g.Thaw(); err != nil {
			return err
		}
	}
	return ctx.Err()
}
