package main

import (
	"context"
	"fmt"
	"time"

	"picket/sentinel/lab"
)

// keys that must survive.
const keys = 1000

// wipe kills a master without persistence and starts it again at once, so that it comes back empty before anybody misses it.
func wipe(ctx context.Context, f *field) ([]figure, error) {
	master := f.servers[0]
	wiped, lost := 0, 0
	for n := range f.pace.wipes {
		if err := fill(ctx, master); err != nil {
			return nil, err
		}
		if _, _, err := f.settle(time.Now()); err != nil {
			return nil, err
		}
		var watches []*sizes
		for _, r := range f.servers {
			if r != master {
				watches = append(watches, watchSize(r))
			}
		}
		lab.Pause(ctx, f.pace.calm) // agents look at each server once a second while all is well
		master.Kill()
		lab.Pause(ctx, time.Duration(n%10)*10*time.Millisecond)
		restarted := time.Now()
		err := master.Process.Start()
		if err == nil {
			lab.Pause(ctx, time.Second) // what agreed at once may be from before anybody noticed
			master, _, err = f.settle(restarted)
		}
		shrunk := false
		for _, w := range watches {
			shrunk = w.close() || shrunk
		}
		if err != nil {
			return nil, err
		}
		if shrunk {
			wiped++
		}
		size, err := sizeOf(ctx, master)
		if err != nil {
			return nil, err
		}
		if size < keys {
			lost++
		}
	}
	return []figure{
		count("restarts", f.pace.wipes),
		count("… at which a replica lost keys", wiped).atMost(0),
		count("… after which the master lacks keys", lost).atMost(0),
	}, ctx.Err()
}

func fill(ctx context.Context, master *lab.Redis) error {
	client := master.Client()
	defer client.Close()
	pipe := client.Pipeline()
	for n := range keys {
		pipe.Set(ctx, fmt.Sprintf("kept:%d", n), n, 0)
	}
	_, err := pipe.Exec(ctx)
	return err
}

func sizeOf(ctx context.Context, r *lab.Redis) (int, error) {
	client := r.Client()
	defer client.Close()
	n, err := client.DBSize(ctx).Result()
	return int(n), err
}

// sizes follows how many keys a server has.
type sizes struct {
	stop   context.CancelFunc
	shrunk chan bool // the answer, when it has stopped
}

func watchSize(r *lab.Redis) *sizes {
	ctx, stop := context.WithCancel(context.Background())
	s := &sizes{stop: stop, shrunk: make(chan bool, 1)}
	go func() { // asks until close
		client := r.Client()
		defer client.Close()
		most, shrunk := int64(0), false
		for ctx.Err() == nil {
			if n, err := client.DBSize(ctx).Result(); err == nil {
				most, shrunk = max(most, n), shrunk || n < most
			}
			lab.Pause(ctx, askEvery)
		}
		s.shrunk <- shrunk
	}()
	return s
}

// close says whether there were ever fewer keys than before.
func (s *sizes) close() bool {
	s.stop()
	return <-s.shrunk
}
