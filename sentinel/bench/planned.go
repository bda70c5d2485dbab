package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
)

// writers is how many connections write during a planned failover, each as fast as it is answered.
const writers = 8

// before and after are how long they write around it.
const before, after = 200 * time.Millisecond, 400 * time.Millisecond

// planned hands the healthy master over under full load.
func (s *system) planned(ctx context.Context) (round, error) {
	var r round
	var load []*lab.Writer
	for i := range writers {
		w := lab.StartWriter(s.client(), fmt.Sprintf("planned-%d-%d", time.Now().UnixNano(), i), lab.WriterOptions{})
		defer w.Stop()
		load = append(load, w)
	}
	lab.Pause(ctx, before)
	full, err := lab.FullSyncs(ctx, s.cluster.Servers())
	if err != nil {
		return r, err
	}
	old, start := s.master, time.Now()
	if err := order(ctx, s.sentinels()[0]); err != nil {
		return r, err
	}
	err = lab.Await(patience, "the old master is a replica", func(ctx context.Context) (err error) {
		if s.master, err = s.promoted(ctx, old.Addr); err != nil {
			return err
		}
		return old.Follows(ctx, s.master.Addr)
	})
	if err != nil {
		return r, err
	}
	r.rejoin = time.Since(start)
	lab.Pause(ctx, after)
	for _, w := range load {
		w.Stop()
		r.gaps = append(r.gaps, lab.LongestGap(w.Acked(), start))
	}
	r.gap = slices.Max(r.gaps)
	for _, w := range load {
		if err := s.count(ctx, w, &r); err != nil {
			return r, err
		}
	}
	if err := s.cluster.AwaitSettled(patience, s.master.Addr); err != nil {
		return r, err
	}
	now, err := lab.FullSyncs(ctx, s.cluster.Servers())
	r.full = now - full
	if err != nil {
		return r, err
	}
	return r, errors.Join(s.checkEpoch(ctx, &r), s.empty(ctx))
}

// order asks for a failover by the Sentinel protocol, which both systems speak.
func order(ctx context.Context, sentinel string) error {
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel, MaxRetries: -1, DisableIdentity: true, ReadTimeout: 15 * time.Second})
	defer client.Close()
	return lab.Await(patience, "a failover may be ordered", func(context.Context) error {
		return client.Failover(ctx, lab.MasterName).Err() // Sentinel says NOGOODSLAVE for a while after the last one
	})
}

// empty makes room for the next round.
func (s *system) empty(ctx context.Context) error {
	client := s.master.Client()
	defer client.Close()
	return client.FlushAll(ctx).Err()
}
