package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// fault is what is done to a master.
type fault int

const (
	crash   fault = iota // kill -9; restarted after the failover
	hang                 // SIGSTOP; woken after the failover
	planned              // none: it is handed over
	faults
)

func (f fault) String() string { return [...]string{"crash", "hang", "switchover"}[f] }

// waited says what a round's gap is.
var waited = [...]string{"writing again after", "writing again after", "longest wait of 8 writers"}

// system is one of the systems that are measured.
type system struct {
	name      string
	cluster   cluster
	client    func() *redis.Client
	sentinels func() []string                       // Sentinel ports
	epoch     func(context.Context) (uint64, error) // nil: has none to compare
	master    *lab.Redis
	last      uint64 // epoch after the last failover
	rounds    [faults][]round
}

// round is one measured failover.
type round struct {
	gap         time.Duration   // from the fault to the next acknowledged write
	rejoin      time.Duration   // from the old master's return until it is a replica with its link up
	gaps        []time.Duration // of a switchover: each writer's longest time without an acknowledged write
	full        int             // of a switchover: full resyncs
	lost, acked int
	note        string
}

// patience bounds every wait; Redis Sentinel takes a minute or two now and then.
const patience = 3 * time.Minute

// inFlight is how long a reply that left before the fault may stand in a socket.
const inFlight = 5 * time.Millisecond

// round does the fault to the master under a writing client and waits until all is well again.
func (s *system) round(ctx context.Context, f fault) (round, error) {
	if f == planned {
		return s.planned(ctx)
	}
	writer := lab.NewWriter(s.client(), fmt.Sprintf("%s-%d", f, time.Now().UnixNano()))
	defer writer.Stop()
	if err := lab.Await(10*time.Second, "the client writes", func(context.Context) error {
		if n := len(writer.Acked()); n < 100 {
			return fmt.Errorf("%d writes are acknowledged", n)
		}
		return ctx.Err()
	}); err != nil {
		return round{}, err
	}
	var r round
	start := time.Now()
	if err := s.strike(f); err != nil {
		return r, err
	}
	limit, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	next, err := writer.FirstAfter(limit, time.Now().Add(inFlight))
	if err != nil {
		return r, err
	}
	r.gap = next.Sub(start)
	old := s.master
	// A connection may be closed just then: clients are disconnected when a server changes its role.
	if err := lab.Await(10*time.Second, "one server is the master", func(ctx context.Context) (err error) {
		s.master, err = s.promoted(ctx, old.Addr)
		return err
	}); err != nil {
		return r, err
	}
	if r.rejoin, err = s.bringBack(f, old); err != nil {
		return r, err
	}
	writer.Stop()
	if err := s.count(limit, writer, &r); err != nil {
		return r, err
	}
	if err := s.cluster.AwaitSettled(patience, s.master.Addr); err != nil {
		return r, err
	}
	return r, s.checkEpoch(limit, &r)
}

func (s *system) strike(f fault) error {
	if f == hang {
		return s.master.Freeze()
	}
	s.master.Kill()
	return nil
}

// promoted finds the one running server that is a master now.
func (s *system) promoted(ctx context.Context, old config.Addr) (*lab.Redis, error) {
	var found *lab.Redis
	for _, r := range s.cluster.Servers() {
		if r.Addr == old {
			continue
		}
		info, err := r.Info(ctx, "replication")
		if err != nil {
			return nil, err
		}
		if info["role"] == "master" {
			if found != nil {
				return nil, fmt.Errorf("both %s and %s are masters", found.Addr, r.Addr)
			}
			found = r
		}
	}
	if found == nil {
		return nil, fmt.Errorf("writes are acknowledged, but no replica of %s is a master", old)
	}
	return found, nil
}

func (s *system) bringBack(f fault, old *lab.Redis) (time.Duration, error) {
	back := old.Process.Start
	if f == hang {
		back = old.Thaw
	}
	start := time.Now()
	if err := back(); err != nil {
		return 0, err
	}
	err := lab.Await(patience, "the old master is a replica", func(ctx context.Context) error {
		return old.Follows(ctx, s.master.Addr)
	})
	return time.Since(start), err
}

func (s *system) count(ctx context.Context, writer *lab.Writer, r *round) error {
	client := s.master.Client()
	defer client.Close()
	acked := writer.Acked()
	lost, err := lab.Lost(ctx, client, acked)
	r.acked, r.lost = r.acked+len(acked), r.lost+lost
	return err
}

// checkEpoch demands that each failover ran in a term of its own.
func (s *system) checkEpoch(ctx context.Context, r *round) error {
	if s.epoch == nil {
		return nil
	}
	epoch, err := s.epoch(ctx)
	if err != nil {
		return err
	}
	if epoch <= s.last {
		return fmt.Errorf("the failover ran in epoch %d, not in one of its own: the one before ran in %d", epoch, s.last)
	}
	s.last = epoch
	r.note = fmt.Sprintf(", epoch %d on every agent", epoch)
	return nil
}
