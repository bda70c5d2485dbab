package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
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
		told := crowd.listen(len("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n"))
		handOver(t, c.Agents[1].Sentinel) // the first agent may have no room for one more client
		last, err := told()
		if err != nil {
			t.Fatal(err)
		}
		took := last.Sub(switched(t, c.Agents[0]))
		t.Logf("the last of %d subscribers is told %s after the proposal of the switch", subscribers, took)
		if took > patience/2 {
			t.Errorf("the last of %d subscribers was told after %s", subscribers, took)
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

// readers share the crowd. Thousands of them, woken one by one, would take as much of this machine as the agent; real clients have machines of their own.
const readers = 4

// listen has one message read from everybody, of at least so many bytes. The function that it returns waits for the last, and says when that was.
func (c crowd) listen(least int) func() (time.Time, error) {
	var listening errgroup.Group
	for some := range slices.Chunk(c, (len(c)+readers-1)/readers) {
		listening.Go(func() error {
			message := make([]byte, 512)
			for _, conn := range some {
				if err := conn.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
					return err
				}
				n, err := io.ReadAtLeast(conn, message, least)
				if err != nil {
					return err
				}
				if !strings.Contains(string(message[:n]), lab.MasterName+" ") {
					return fmt.Errorf("got %q", message[:n])
				}
			}
			return nil
		})
	}
	return func() (time.Time, error) {
		err := listening.Wait()
		return time.Now(), err
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
				at = e.At.Time()
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
