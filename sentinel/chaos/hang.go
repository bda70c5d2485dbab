package main

import (
	"context"
	"errors"
	"time"

	"picket/sentinel/lab"
)

// hang stops the master, and wakes it after the failover. One client clings to it.
func hang(ctx context.Context, f *field) ([]figure, error) {
	master := f.servers[0]
	plain, safe := f.write(f.clients(), gently), f.write(f.clients(), waiting)
	clinging, clingingSafe := f.cling(master, gently), f.cling(master, waiting)
	if err := f.warm(ctx, plain, safe, clinging, clingingSafe); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := master.Freeze(); err != nil {
		return nil, err
	}
	written, err := next(ctx, plain, time.Now().Add(inFlight))
	if err != nil {
		return nil, err
	}
	lab.Pause(ctx, f.pace.hang-time.Since(start))
	woken := time.Now()
	if err := master.Thaw(); err != nil {
		return nil, err
	}
	replica, err := demoted(master, woken)
	if err != nil {
		return nil, err
	}
	heir, _, err := f.settle(woken)
	if err != nil {
		return nil, err
	}
	all, waited, err := f.account(ctx, heir, plain, safe, clinging, clingingSafe)
	return []figure{
		took("a client writes again", written.Sub(start)).atMost(10_000),
		took("the woken master is a replica", replica),
		count("writes that the woken master acknowledged", ackedAfter(clinging, woken)+ackedAfter(clingingSafe, woken)),
		share("acknowledged writes lost", all.lost, all.acked),
		count("lost although a replica had acknowledged them (WAIT 1)", waited.lost).atMost(0),
	}, err
}

var errMaster = errors.New("it says that it is a master")

// demoted waits until a server says that it is a replica.
func demoted(server *lab.Redis, since time.Time) (time.Duration, error) {
	client := server.Client()
	defer client.Close()
	err := lab.Await(patience, "the old master is a replica", func(ctx context.Context) error {
		role, err := client.Do(ctx, "ROLE").Slice()
		if err == nil && role[0] != "slave" {
			err = errMaster
		}
		return err
	})
	return time.Since(since), err
}
