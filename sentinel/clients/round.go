package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// patience bounds every wait; Redis Sentinel takes a minute or two now and then.
const patience = 2 * time.Minute

// system is what keeps the master available.
type system struct {
	name      string
	dir       string
	reference bool // Picket is compared with it
	start     func(*lab.Lab, lab.ClusterOptions) (group, error)
}

var systems = []system{
	{name: "Picket", dir: "picket", start: func(l *lab.Lab, opts lab.ClusterOptions) (group, error) {
		c, err := l.StartCluster(opts)
		if err != nil {
			return group{}, err
		}
		return group{c, c.Sentinels()}, nil
	}},
	{name: "Redis Sentinel", dir: "sentinel", reference: true, start: func(l *lab.Lab, opts lab.ClusterOptions) (group, error) {
		g, err := l.StartSentinels(opts)
		if err != nil {
			return group{}, err
		}
		return group{g, g.Addrs()}, nil
	}},
}

// group is a running system.
type group struct {
	cluster
	sentinels []string // addresses
}

// cluster is what there is of a system in either case.
type cluster interface {
	Servers() []*lab.Redis
	AwaitSettled(limit time.Duration, master config.Addr) error
}

// fault is what makes the master another one.
type fault int

const (
	handover fault = iota // SENTINEL FAILOVER
	crash                 // kill -9
	faults
)

func (f fault) String() string { return [...]string{"SENTINEL FAILOVER", "kill -9"}[f] }

// result is what the libraries met with one system, by fault and library. It is nil where the system was left out.
type result []map[string]toll

// toll is what a library's program paid in all rounds.
type toll struct {
	gap         time.Duration // the longest without an acknowledged write
	lost, acked int
}

// play has all libraries write to a system while its master changes again and again.
func (p plan) play(ctx context.Context, s system, found []library, out io.Writer) (result, error) {
	dir := filepath.Join(p.dir, s.dir)
	if err := os.Mkdir(dir, 0o700); err != nil { // agents would remember an earlier play
		return nil, fmt.Errorf("%w: choose another --dir", err)
	}
	l := lab.New(dir)
	defer l.Close()
	cooldown := time.Duration(0) // nothing may hold the next failover back
	g, err := s.start(l, lab.ClusterOptions{
		Program: p.picket, DownAfter: time.Second, FailoverTimeout: 10 * time.Second, Cooldown: &cooldown,
	})
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	ships, err := launch(l, found, g.sentinels)
	if err != nil {
		return nil, err
	}
	defer ships.stop() // before the agents
	r := result{{}, {}}
	master := g.Servers()[0]
	for i := range p.rounds {
		for f := range faults {
			fmt.Fprintf(out, "%s, %s %d of %d\n", s.name, f, i+1, p.rounds)
			if master, err = ships.meet(ctx, f, g, master, r[f]); err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
		}
	}
	return r, nil
}

// meet takes the master away, waits until all programs write to another one, and adds up what it has cost each.
func (f fleet) meet(ctx context.Context, what fault, g group, old *lab.Redis, tolls map[string]toll) (*lab.Redis, error) {
	if err := f.writing(ctx, time.Now()); err != nil {
		return nil, err
	}
	begun := time.Now()
	next, err := strike(ctx, what, g, old)
	if err != nil {
		return nil, err
	}
	if what == crash {
		if err := f.writing(ctx, time.Now()); err != nil { // the old one is dead, so these are the next one's
			return nil, err
		}
		if err := old.Start(); err != nil {
			return nil, err
		}
	}
	if err := g.AwaitSettled(patience, next.Addr); err != nil {
		return nil, err
	}
	if err := f.writing(ctx, time.Now()); err != nil { // the old one is a replica
		return nil, err
	}
	return next, f.count(ctx, next, begun, tolls)
}

// strike takes the master away and returns the one that is promoted.
func strike(ctx context.Context, what fault, g group, old *lab.Redis) (*lab.Redis, error) {
	if what == crash {
		old.Kill()
	} else if err := failOver(ctx, g.sentinels[0]); err != nil {
		return nil, err
	}
	var next *lab.Redis
	err := lab.Await(patience, "a replica is promoted", func(ctx context.Context) error {
		for _, r := range g.Servers() {
			if r == old {
				continue
			}
			info, err := r.Info(ctx, "replication")
			if err != nil {
				return err
			}
			if info["role"] == "master" {
				next = r
				return ctx.Err()
			}
		}
		return errors.New("none is")
	})
	return next, err
}

// failOver has the master handed over, as an operator does.
func failOver(ctx context.Context, sentinel string) error {
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel, ReadTimeout: patience, MaxRetries: -1})
	defer client.Close()
	return client.Failover(ctx, lab.MasterName).Err()
}

// count adds what the programs have met since the master was taken away.
func (f fleet) count(ctx context.Context, master *lab.Redis, begun time.Time, tolls map[string]toll) error {
	client := master.Client()
	defer client.Close()
	for _, m := range f {
		acked := m.acked[len(m.acked)-m.since(begun):]
		lost, err := lab.Lost(ctx, client, acked)
		if err != nil {
			return err
		}
		t := tolls[m.library]
		tolls[m.library] = toll{gap: max(t.gap, lab.LongestGap(acked, begun)), lost: t.lost + lost, acked: t.acked + len(acked)}
	}
	return nil
}
