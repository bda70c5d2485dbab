package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// plan is what one run measures.
type plan struct {
	dir       string
	rounds    int
	duration  time.Duration // of one load
	proposers []int
	sizes     []int // of clusters, beside three
	stops     int   // of leaders, in each round
	behind    int64 // commands
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	p := plan{rounds: 3, duration: 2 * time.Second, proposers: []int{1, 16, 64, 256}, sizes: []int{5, 7}, stops: 4, behind: 100_000}
	flag.StringVar(&p.dir, "dir", os.TempDir(), "where the logs are written; a disk that syncs")
	flag.IntVar(&p.rounds, "rounds", p.rounds, "how often each measurement is taken, by turns")
	flag.DurationVar(&p.duration, "duration", p.duration, "of one load")
	flag.Int64Var(&p.behind, "behind", p.behind, "how many commands a follower has to catch up with")
	short := flag.Bool("short", false, "one short round, which proves only that everything can be measured")
	out := flag.String("json", "", "file for the figures")
	pictures := flag.String("svg", "", "directory for the pictures")
	flag.Parse()
	if *short {
		p = plan{dir: p.dir, rounds: 1, duration: 500 * time.Millisecond, proposers: []int{1, 64}, stops: 1, behind: 5_000}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	r, err := p.measure(ctx)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if *out != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = os.WriteFile(*out, append(data, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	if *pictures != "" {
		return r.draw(*pictures)
	}
	return nil
}

// measure takes every measurement in each round, all contenders by turns, so that what else the machine does hits all of them.
func (p plan) measure(ctx context.Context) (*report, error) {
	r := newReport(p)
	for round := range p.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, p.rounds)
		for _, ct := range contenders {
			err := within(ctx, p.dir, ct, 3, func(ctx context.Context, c cluster) error {
				for _, n := range p.proposers {
					l, err := measureLoad(ctx, c, n, p.duration)
					if err != nil {
						return fmt.Errorf("%d proposers: %w", n, err)
					}
					r.Loads[ct.name][n] = append(r.Loads[ct.name][n], l)
				}
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ct.name, err)
			}
		}
		for _, ct := range contenders {
			if err := p.others(ctx, r, ct); err != nil {
				return nil, fmt.Errorf("%s: %w", ct.name, err)
			}
		}
	}
	return r, nil
}

// others are the measurements that need a cluster of their own.
func (p plan) others(ctx context.Context, r *report, ct contender) error {
	err := within(ctx, p.dir, ct, 3, func(ctx context.Context, c cluster) error {
		for range p.stops {
			elected, writable, err := stopLeader(ctx, c)
			if errors.Is(err, errTimeout) {
				fmt.Fprintf(os.Stderr, "%s: nobody leads %s after the leader was stopped; the round goes on without this measurement\n",
					ct.name, stopPatience)
				return nil
			}
			if err != nil {
				return fmt.Errorf("stop the leader: %w", err)
			}
			r.Elected[ct.name] = append(r.Elected[ct.name], elected)
			r.Writable[ct.name] = append(r.Writable[ct.name], writable)
		}
		if ours, ok := c.(*picketCluster); ok {
			return r.failureElections(ctx, ours)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = within(ctx, p.dir, ct, 3, func(ctx context.Context, c cluster) error {
		d, err := catchUp(ctx, c, p.behind)
		r.CatchUp[ct.name] = append(r.CatchUp[ct.name], d)
		return err
	})
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	for _, n := range p.sizes {
		err := within(ctx, p.dir, ct, n, func(ctx context.Context, c cluster) error {
			l, err := measureLoad(ctx, c, 64, p.duration)
			r.Sizes[ct.name][n] = append(r.Sizes[ct.name][n], l.PerSecond)
			return err
		})
		if err != nil {
			return fmt.Errorf("%d nodes: %w", n, err)
		}
	}
	return nil
}

// failureElections: a follower stands although the leader lives, and commits a first entry in its term. Nobody else has that.
func (r *report) failureElections(ctx context.Context, c *picketCluster) error {
	for range 10 {
		leader, err := awaitLeader(ctx, c, -1)
		if err != nil {
			return err
		}
		follower := (leader + 1) % len(c.members)
		if err := c.node(follower).Barrier(ctx); err != nil { // its log must be good enough
			return err
		}
		start := time.Now()
		if err := c.campaign(ctx, follower); err != nil {
			return fmt.Errorf("a failure election: %w", err)
		}
		r.Campaign = append(r.Campaign, time.Since(start))
	}
	return nil
}
