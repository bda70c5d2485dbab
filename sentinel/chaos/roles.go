package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"picket/sentinel/lab"
)

// roles follows what each server says it is, asking every millisecond, from the server's own host.
type roles struct {
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu         sync.Mutex
	promotions []promotion // in the order in which they were seen
}

// promotion is a replica's becoming a master.
type promotion struct {
	server *lab.Redis
	at     time.Time // when its first word of it was here, hence not before it was true
}

func watchRoles(servers []*lab.Redis) *roles {
	ctx, stop := context.WithCancel(context.Background())
	r := &roles{stop: stop}
	for _, server := range servers {
		r.wg.Go(func() { r.follow(ctx, server) }) // asks one server, until close
	}
	return r
}

func (r *roles) close() {
	r.stop()
	r.wg.Wait()
}

const (
	askEvery = time.Millisecond
	askAgain = 5 * time.Millisecond // besides, where nobody answers
)

func (r *roles) follow(ctx context.Context, server *lab.Redis) {
	client := server.Client()
	defer client.Close()
	replica, silent := false, false
	for ctx.Err() == nil {
		role, err := client.Do(ctx, "ROLE").Slice()
		switch {
		case err != nil && silent:
			lab.Pause(ctx, askAgain)
		case err != nil: // a promotion ends connections, and just then the answer matters
			silent = true
			continue
		case role[0] == "slave":
			replica = true
		case replica:
			replica = false
			r.add(promotion{server: server, at: time.Now()})
		}
		silent = err != nil
		lab.Pause(ctx, askEvery)
	}
}

func (r *roles) add(p promotion) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.promotions = append(r.promotions, p)
}

// since lists the promotions that were seen after t.
func (r *roles) since(t time.Time) []promotion {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []promotion
	for _, p := range r.promotions {
		if p.at.After(t) {
			found = append(found, p)
		}
	}
	return found
}

// await waits for the first promotion after t.
func (r *roles) await(t time.Time) (promotion, error) {
	var first promotion
	err := lab.Await(patience, "a replica is promoted", func(context.Context) error {
		found := r.since(t)
		if len(found) == 0 {
			return fmt.Errorf("none was in %.1f s", time.Since(t).Seconds())
		}
		first = found[0]
		return nil
	})
	return first, err
}
