// Command bench measures failovers of Picket and of Redis Sentinel side by side: real processes on loopback, the same
// settings, the same go-redis client, rounds taken in turns, so that whatever else the machine does hurts both.
// It prints medians and ratios; absolute times depend on the machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"picket/config"
	"picket/sentinel/lab"
)

func main() { lab.Main("bench", run) }

// plan is what the command line asks for.
type plan struct {
	picket         string
	crashes, hangs int
	switchovers    int
	downAfter      time.Duration
	alone          bool
	keep           bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&p.picket, "picket", "bin/picket", "the binary to measure")
	flags.IntVar(&p.crashes, "crashes", 30, "masters to kill")
	flags.IntVar(&p.hangs, "hangs", 5, "masters to freeze")
	flags.IntVar(&p.switchovers, "switchovers", 20, "healthy masters to hand over under full load")
	flags.DurationVar(&p.downAfter, "down-after", time.Second, "down-after of both systems")
	flags.BoolVar(&p.alone, "alone", false, "measure Picket only")
	flags.BoolVar(&p.keep, "keep", false, "leave the directory with logs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "picket-bench-")
	if err != nil {
		return err
	}
	if p.keep {
		fmt.Fprintln(out, "logs:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	l := lab.New(dir)
	defer l.Close()
	systems, err := p.start(l)
	if err != nil {
		return err
	}
	if err := p.measure(ctx, out, systems); err != nil {
		return err
	}
	report(out, p, systems)
	return nil
}

// cluster is what the bench needs of a system under measurement.
type cluster interface {
	Servers() []*lab.Redis
	AwaitSettled(limit time.Duration, master config.Addr) error
}

func (p plan) start(l *lab.Lab) ([]*system, error) {
	// Each master is killed soon after the last failover, so nothing may hold the next one back.
	cooldown := time.Duration(0)
	opts := lab.ClusterOptions{
		Program: p.picket, DownAfter: p.downAfter, FailoverTimeout: 10 * time.Second, Cooldown: &cooldown, LogLevel: "info",
	}
	c, err := l.StartCluster(opts)
	if err != nil {
		return nil, fmt.Errorf("start Picket: %w", err)
	}
	systems := []*system{{name: "Picket", cluster: c, client: c.FailoverClient, sentinels: c.Sentinels, epoch: epochOf(c), master: c.Redis[0]}}
	if p.alone {
		return systems, nil
	}
	g, err := l.StartSentinels(opts)
	if err != nil {
		return nil, fmt.Errorf("start Redis Sentinel: %w", err)
	}
	return append(systems, &system{name: "Redis Sentinel", cluster: g, client: g.FailoverClient, sentinels: g.Addrs, master: g.Redis[0]}), nil
}

// measure takes the rounds in turns.
func (p plan) measure(ctx context.Context, out io.Writer, systems []*system) error {
	for _, kind := range []struct {
		fault fault
		n     int
	}{{crash, p.crashes}, {hang, p.hangs}, {planned, p.switchovers}} {
		for i := range kind.n {
			for _, s := range systems {
				r, err := s.round(ctx, kind.fault)
				if err != nil {
					return fmt.Errorf("%s, %s %d: %w", s.name, kind.fault, i+1, err)
				}
				fmt.Fprintf(out, "%-15s %s %2d: %s %6.1f ms, old master a replica after %7.1f ms, "+
					"%d of %d acknowledged writes lost%s\n", s.name, kind.fault, i+1, waited[kind.fault], ms(r.gap), ms(r.rejoin), r.lost, r.acked, r.note)
				s.rounds[kind.fault] = append(s.rounds[kind.fault], r)
			}
		}
	}
	return nil
}

// epochOf gives the epoch that all agents agree on.
func epochOf(c *lab.Cluster) func(context.Context) (uint64, error) {
	return func(ctx context.Context) (uint64, error) {
		p, err := c.Agents[0].Status(ctx)
		if err != nil {
			return 0, err
		}
		if len(p.Masters) == 0 {
			return 0, errors.New("no master")
		}
		return p.Masters[0].Epoch, nil
	}
}
