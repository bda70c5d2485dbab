// Package demo is `picket demo`: three Redis servers and three agents on loopback, a client that writes, a master
// that is killed, and the story of what happened then, in milliseconds.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"picket/config"
	"picket/sentinel/cli"
	"picket/sentinel/lab"
)

// Options of the demonstration.
type Options struct {
	Program string // the picket binary that runs the agents
	Once    bool   // end after the failover instead of waiting for ctx
	Keep    bool   // leave the directory with logs and configuration
	Out     io.Writer
}

// Run shows one failover. It returns an error if the cluster did not fail over; processes and
// files are gone when it returns.
func Run(ctx context.Context, opts Options) (err error) {
	if _, err := lab.FindRedis(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "picket-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demonstration: %w", err)
	}
	if opts.Keep {
		defer fmt.Fprintf(opts.Out, "\nLogs and configuration are in %s.\n", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	l := lab.New(dir)
	defer l.Close() // before the directory goes
	return (&show{Options: opts, lab: l, dir: dir}).run(ctx)
}

// show is one running demonstration.
type show struct {
	Options
	lab     *lab.Lab
	dir     string
	cluster *lab.Cluster
}

func (s *show) run(ctx context.Context) error {
	fmt.Fprintf(s.Out, "Three Redis servers and three agents start on loopback, below %s.\n\n", s.dir)
	cluster, err := s.lab.StartCluster(lab.ClusterOptions{
		Program: s.Program, DownAfter: time.Second, LogLevel: "info",
	})
	if err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	s.cluster = cluster
	if err := s.showStatus(ctx, cluster.Agents[0]); err != nil {
		return err
	}
	if err := s.failover(ctx); err != nil {
		return err
	}
	if s.Once {
		return nil
	}
	s.showDoors()
	<-ctx.Done()
	return nil
}

func (s *show) showStatus(ctx context.Context, agent *lab.Agent) error {
	p, err := agent.Status(ctx)
	if err != nil {
		return err
	}
	return cli.Status(s.Out, p)
}

// failover kills the master under a writing client and tells the story.
func (s *show) failover(ctx context.Context) error {
	writer := lab.NewWriter(s.cluster.FailoverClient(), "demo")
	defer writer.Stop()
	if err := lab.Await(5*time.Second, "the client writes", func(context.Context) error {
		if n := len(writer.Acked()); n < 300 {
			return fmt.Errorf("%d writes are acknowledged", n)
		}
		return ctx.Err()
	}); err != nil {
		return err
	}
	tale, err := listen(ctx, s.cluster)
	if err != nil {
		return err
	}
	defer tale.close()

	old := s.cluster.Redis[0]
	fmt.Fprintf(s.Out, "\nA go-redis client writes; %d writes are acknowledged. kill -9 of the master %s:\n\n",
		len(writer.Acked()), old.Addr)
	limit, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tale.killed = time.Now()
	old.Kill()
	dead := time.Now()
	next, err := writer.FirstAfter(limit, dead)
	if err != nil {
		return fmt.Errorf("the cluster did not fail over: %w", err)
	}
	tale.writing = next
	master, err := tale.await(limit)
	if err != nil {
		return fmt.Errorf("the cluster did not fail over: %w", err)
	}
	tale.restarted = time.Now()
	if err := s.bringBack(old, master); err != nil {
		return err
	}
	tale.back = time.Now()
	tale.write(s.Out, old.Addr, master)
	return s.countLost(limit, writer, master)
}

// bringBack restarts the old master and waits until it is a replica.
func (s *show) bringBack(old *lab.Redis, master config.Addr) error {
	if err := old.Start(); err != nil {
		return err
	}
	if err := lab.Await(10*time.Second, "the old master is a replica", func(ctx context.Context) error {
		return old.Follows(ctx, master)
	}); err != nil {
		return err
	}
	return nil
}

func (s *show) countLost(ctx context.Context, writer *lab.Writer, master config.Addr) error {
	writer.Stop()
	client := s.cluster.At(master).Client()
	defer client.Close()
	acked := writer.Acked()
	lost, err := lab.Lost(ctx, client, acked)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "\nAcknowledged writes lost: %d of %d.\n\n", lost, len(acked))
	if err := s.cluster.AwaitSettled(10*time.Second, master); err != nil {
		return err
	}
	return s.showStatus(ctx, s.cluster.Agents[0])
}

// showDoors says what can be tried while everything runs.
func (s *show) showDoors() {
	a := s.cluster.Agents[0]
	fmt.Fprintf(s.Out, `
Everything goes on running. Look at it in a browser: http://%s/

Try, in another terminal:

  redis-cli -p %d sentinel masters
  redis-cli -p %d psubscribe '*'
  curl http://%s/v1/status
  kill -9 %d        # the process of one more server

Ctrl-C ends it all and leaves nothing behind.
`, a.HTTP, a.Sentinel.Port(), a.Sentinel.Port(), a.HTTP, s.cluster.Redis[1].Pid())
}
