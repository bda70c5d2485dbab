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
		pause(ctx, f.pace.calm) // agents look at each server once a second while all is well
		master.Kill()
		pause(ctx, time.Duration(n%10)*10*time.Millisecond)
		restarted := time.Now()
		err := master.Process.Start()
		if err == nil {
			master, _, err = f.settleAfter(ctx, restarted)
		}
		shrunk := false
		for _, w := range watches {
			shrunk = w.close() < keys || shrunk
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

// settleAfter waits for one topology that stays for a second: the first look may be from before anybody noticed the restart.
func (f *field) settleAfter(ctx context.Context, since time.Time) (*lab.Redis, time.Duration, error) {
	pause(ctx, time.Second)
	return f.settle(since)
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
	stop  context.CancelFunc
	least chan int // the fewest, when it has stopped
}

func watchSize(r *lab.Redis) *sizes {
	ctx, stop := context.WithCancel(context.Background())
	s := &sizes{stop: stop, least: make(chan int, 1)}
	go func() { // asks until close
		client := r.Client()
		defer client.Close()
		least := keys
		for ctx.Err() == nil {
			if n, err := client.DBSize(ctx).Result(); err == nil {
				least = min(least, int(n))
			}
			pause(ctx, askEvery)
		}
		s.least <- least
	}()
	return s
}

// close gives the fewest keys that were seen.
func (s *sizes) close() int {
	s.stop()
	return <-s.least
}
