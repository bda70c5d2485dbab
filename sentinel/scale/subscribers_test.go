package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"picket/config"
	"picket/sentinel/lab"
	"picket/sentinel/state"
)

// TestSubscribers_AreToldOfASwitch has very many clients of one agent wait for +switch-master.
func TestSubscribers_AreToldOfASwitch(t *testing.T) {
	subscribers, rounds := 10_000, 3
	if raced {
		subscribers, rounds = 1000, 1
	}
	_, c := start(t, 3)
	crowd := gather(t, c.Agents[0].Sentinel, subscribers)
	for range rounds {
		at := crowd.listen(len("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n"))
		handOver(t, c.Agents[1].Sentinel) // the first agent may have no room for one more client
		times, err := at()
		if err != nil {
			t.Fatal(err)
		}
		committed := switched(t, c.Agents[0])
		var taken []time.Duration
		for _, told := range times {
			taken = append(taken, told.Sub(committed))
		}
		t.Logf("%d subscribers, from the proposal of the switch: the first is told after %s, half of them after %s, the last after %s",
			subscribers, quantile(taken, 0), quantile(taken, 0.5), quantile(taken, 1))
		if last := quantile(taken, 1); last > patience/2 {
			t.Errorf("the last of %d subscribers was told after %s", subscribers, last)
		}
	}
}

// crowd is clients that subscribe to +switch-master.
type crowd []net.Conn

// gather connects clients and has them subscribe.
func gather(t *testing.T, agent config.Addr, n int) crowd {
	t.Helper()
	conns := make(crowd, n)
	t.Cleanup(func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
	confirmed := "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
	var group errgroup.Group
	group.SetLimit(16)
	for i := range conns {
		group.Go(func() error {
			conn, err := net.DialTimeout("tcp", string(agent), patience)
			if err != nil {
				return err
			}
			conns[i] = conn
			if _, err = io.WriteString(conn, "SUBSCRIBE +switch-master\r\n"); err != nil {
				return err
			}
			got := make([]byte, len(confirmed))
			if _, err = io.ReadFull(conn, got); err == nil && string(got) != confirmed {
				err = fmt.Errorf("got %q", got)
			}
			return err
		})
	}
	switch err := group.Wait(); {
	case errors.Is(err, syscall.EMFILE):
		t.Skipf("%v: allow more open files (ulimit -n)", err)
	case err != nil:
		t.Fatal(err)
	}
	return conns
}

// listen has everybody read one message, of at least so many bytes. The function that it returns waits for the last, and gives the times.
func (c crowd) listen(least int) func() ([]time.Time, error) {
	times := make([]time.Time, len(c))
	errs := make([]error, len(c))
	var listening sync.WaitGroup
	for i, conn := range c {
		listening.Go(func() {
			message := make([]byte, 512)
			if errs[i] = conn.SetReadDeadline(time.Now().Add(2 * patience)); errs[i] != nil {
				return
			}
			n, err := io.ReadAtLeast(conn, message, least)
			times[i] = time.Now()
			if err == nil && !strings.Contains(string(message[:n]), lab.MasterName+" ") {
				err = fmt.Errorf("got %q", message[:n])
			}
			errs[i] = err
		})
	}
	return func() ([]time.Time, error) {
		listening.Wait()
		return times, errors.Join(errs...)
	}
}

// handOver has the master handed over.
func handOver(t *testing.T, agent config.Addr) {
	t.Helper()
	client := redis.NewSentinelClient(&redis.Options{Addr: string(agent), ReadTimeout: patience, MaxRetries: -1})
	defer client.Close()
	err := lab.Await(patience, "the master is handed over", func(ctx context.Context) error { // the last failover may still be running
		return client.Failover(ctx, lab.MasterName).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// switched gives when the last switch was proposed, which is shortly before it was committed.
func switched(t *testing.T, a *lab.Agent) time.Time {
	t.Helper()
	var at time.Time
	err := lab.Await(patience, "the switch is among the events", func(ctx context.Context) error {
		p, err := a.Status(ctx)
		if err != nil {
			return err
		}
		for _, e := range p.Events {
			if e.Type == state.FailoverSwitched {
				at = time.Unix(0, e.At)
			}
		}
		if at.IsZero() {
			return os.ErrNotExist
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}
