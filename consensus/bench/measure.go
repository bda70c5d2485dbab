package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// commandBytes is the size of every command.
const commandBytes = 100

// load is what so many proposers achieve.
type load struct {
	PerSecond float64
	P50, P99  time.Duration
	Allocs    float64 // of the whole process, for each commit: three nodes, driver and proposers
	Bytes     float64
	CPU       time.Duration
}

// measureLoad has proposers work for a while.
func measureLoad(ctx context.Context, c cluster, proposers int, d time.Duration) (load, error) {
	leader, err := awaitLeader(ctx, c, -1)
	if err != nil {
		return load{}, err
	}
	run := func(d time.Duration) ([]time.Duration, error) {
		var mu sync.Mutex
		var all []time.Duration
		var failed error
		var workers sync.WaitGroup
		end := time.Now().Add(d)
		for range proposers {
			workers.Go(func() {
				command := make([]byte, commandBytes)
				var mine []time.Duration
				var err error
				for now := time.Now(); err == nil && now.Before(end); {
					err = c.propose(ctx, leader, command)
					then := time.Now()
					mine = append(mine, then.Sub(now))
					now = then
				}
				mu.Lock()
				defer mu.Unlock()
				all, failed = append(all, mine...), errors.Join(failed, err)
			})
		}
		workers.Wait()
		return all, failed
	}
	if _, err := run(d / 5); err != nil { // to warm up
		return load{}, err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	latencies, err := run(d)
	if err != nil {
		return load{}, err
	}
	elapsed, used := time.Since(start), cpuTime()-cpu
	runtime.ReadMemStats(&after)
	n := float64(len(latencies))
	slices.Sort(latencies)
	return load{
		PerSecond: n / elapsed.Seconds(), P50: quantile(latencies, 0.5), P99: quantile(latencies, 0.99),
		Allocs: float64(after.Mallocs-before.Mallocs) / n, Bytes: float64(after.TotalAlloc-before.TotalAlloc) / n,
		CPU: time.Duration(float64(used) / n),
	}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quantile of sorted values.
func quantile[T any](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// median of values in any order.
func median[T int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return quantile(sorted, 0.5)
}

// stopPatience is a hundred election timeouts.
const stopPatience = 100 * electionTimeout

// stopLeader measures from the leader's end to another leader, and to a command that it has committed.
func stopLeader(ctx context.Context, c cluster) (elected, writable time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	old, err := awaitLeader(ctx, c, -1)
	if err != nil {
		return 0, 0, err
	}
	stopped := make(chan error, 1)
	start := time.Now()
	go func() { stopped <- c.stop(old) }() // it may take a moment to end; the others see it at once
	next, err := awaitLeader(ctx, c, old)
	if err != nil {
		return 0, 0, err
	}
	elected = time.Since(start)
	for {
		if err := c.propose(ctx, next, make([]byte, commandBytes)); err == nil {
			break
		}
		if next, err = awaitLeader(ctx, c, old); err != nil {
			return 0, 0, err
		}
	}
	writable = time.Since(start)
	select {
	case err = <-stopped:
	case <-ctx.Done():
		err = fmt.Errorf("wait for the old leader's end: %w", errTimeout)
	}
	if err != nil {
		return 0, 0, err
	}
	if err := c.start(old); err != nil {
		return 0, 0, err
	}
	return elected, writable, awaitCaughtUp(ctx, c, old)
}

// catchUp measures how long a follower takes that is so many commands behind.
func catchUp(ctx context.Context, c cluster, n int64) (time.Duration, error) {
	leader, err := awaitLeader(ctx, c, -1)
	if err != nil {
		return 0, err
	}
	follower := 0
	if leader == 0 {
		follower = 1
	}
	if err := c.stop(follower); err != nil {
		return 0, err
	}
	if err := proposeMany(ctx, c, leader, n); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := c.start(follower); err != nil {
		return 0, err
	}
	err = awaitCaughtUp(ctx, c, follower)
	return time.Since(start), err
}

func proposeMany(ctx context.Context, c cluster, leader int, n int64) error {
	var left atomic.Int64
	left.Store(n)
	var mu sync.Mutex
	var failed error
	var workers sync.WaitGroup
	for range 256 {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				if err := c.propose(ctx, leader, make([]byte, commandBytes)); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
		})
	}
	workers.Wait()
	return failed
}

var errTimeout = errors.New("it did not happen in time")

// awaitLeader waits for a leader that is another node than one.
func awaitLeader(ctx context.Context, c cluster, not int) (int, error) {
	for ctx.Err() == nil {
		if leader := c.leader(); leader >= 0 && leader != not {
			return leader, nil
		}
		pause(ctx, 200*time.Microsecond)
	}
	return -1, fmt.Errorf("wait for a leader: %w", errTimeout)
}

// awaitCaughtUp waits until a node has applied all that the leader has.
func awaitCaughtUp(ctx context.Context, c cluster, node int) error {
	leader, err := awaitLeader(ctx, c, node)
	if err != nil {
		return err
	}
	return awaitApplied(ctx, c, node, c.applied(leader))
}

func awaitApplied(ctx context.Context, c cluster, node int, n int64) error {
	for ctx.Err() == nil {
		if c.applied(node) >= n {
			return nil
		}
		pause(ctx, time.Millisecond)
	}
	return fmt.Errorf("wait for %d commands to be applied, of which there are %d: %w", n, c.applied(node), errTimeout)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// patience bounds what is done with one cluster.
const patience = 10 * time.Minute

// within runs f on a new cluster in a directory of its own.
func within(ctx context.Context, dir string, ct contender, n int, f func(context.Context, cluster) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own, err := os.MkdirTemp(dir, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
	c, err := ct.start(own, n)
	if err != nil {
		return fmt.Errorf("start %s: %w", ct.name, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, err := awaitLeader(ctx, c, -1); err != nil {
		return err
	}
	return f(ctx, c)
}
