package scale

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

var (
	floodSize   = flag.Int("scale.flood", 300, "connections of a flood, to each port of each agent")
	floodRounds = flag.Int("scale.rounds", 3, "failovers without the flood, and with it")
)

// TestFlood: very many connections that say nothing, begin and don't end, or drip, to all ports of all agents. The agents' memory stays within a bound, and
// failovers take as long as without.
func TestFlood(t *testing.T) {
	size := *floodSize
	if raced {
		size = min(size, 100)
	}
	_, c := startWith(t, 3, func(o *lab.ClusterOptions) { o.File = []string{"sentinel: {password: sesame}"} })
	before, quiet := memory(t, c), failovers(t, c, *floodRounds)
	var f flood
	for _, a := range c.Agents {
		for _, addr := range []config.Addr{a.Sentinel, a.Peers, a.HTTP} {
			f.start(addr, size)
		}
	}
	defer f.stop()
	if err := lab.Await(patience, "the flood has risen", func(context.Context) error {
		if n := f.made.Load(); n < int64(9*size) {
			return fmt.Errorf("%d connections were made", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	loud := failovers(t, c, *floodRounds)
	after := memory(t, c)
	t.Logf("failovers: median %s, worst %s; under the flood of %d connections to each of 9 ports (%d held at the end, %d made): median %s, worst %s",
		quantile(quiet, .5), quantile(quiet, 1), size, f.held.Load(), f.made.Load(), quantile(loud, .5), quantile(loud, 1))
	for i := range after {
		t.Logf("%s: at most %d MiB of memory, %d MiB before the flood", c.Agents[i].ID, after[i]>>20, before[i]>>20)
		if grown := after[i] - before[i]; grown > 128<<20 && !raced {
			t.Errorf("%s has grown by %d MiB", c.Agents[i].ID, grown>>20)
		}
	}
	// The machine may be busy, and the flood comes from it, too.
	if m := quantile(loud, .5); m > 5*quantile(quiet, .5)+500*time.Millisecond {
		t.Errorf("the flood has failovers take %s", m)
	}
}

// failovers kills the master some times, and gives the times until another one takes writes.
func failovers(t *testing.T, c *lab.Cluster, rounds int) (times []time.Duration) {
	t.Helper()
	clients := map[*lab.Redis]*redis.Client{}
	for _, r := range c.Redis {
		clients[r] = r.Client()
		defer clients[r].Close()
	}
	for range rounds {
		var master *lab.Redis
		err := lab.Await(patience, "there is a master", func(ctx context.Context) error {
			for _, r := range c.Redis {
				if info, err := r.Info(ctx, "replication"); err == nil && info["role"] == "master" {
					master = r
				}
			}
			if master == nil {
				return fmt.Errorf("nobody is")
			}
			return c.AwaitSettled(time.Second, master.Addr)
		})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		master.Kill()
		err = lab.Await(patience, "somebody takes writes", func(ctx context.Context) error {
			for r, client := range clients {
				if r != master && client.Set(ctx, "flood", 1, 0).Err() == nil {
					return nil
				}
			}
			return fmt.Errorf("nobody does")
		})
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(begun))
		if err := master.Start(); err != nil {
			t.Fatal(err)
		}
	}
	return times
}

// memory is the most that each agent has ever had of the machine's.
func memory(t *testing.T, c *lab.Cluster) (peaks []int64) {
	t.Helper()
	for _, a := range c.Agents {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.Pid()))
		if err != nil {
			t.Skip(err) // another system
		}
		_, rest, _ := strings.Cut(string(text), "VmHWM:")
		var kilobytes int64
		if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
			t.Fatal(err)
		}
		peaks = append(peaks, kilobytes<<10)
	}
	return peaks
}

// flood keeps connections open that mean nothing.
type flood struct {
	running    sync.WaitGroup
	stopped    sync.Once
	ctx        context.Context
	cancel     context.CancelFunc
	held, made atomic.Int64
}

// whatTheySay begins a command, a handshake of agents, a request, and one of TLS; none ends. One says nothing.
var whatTheySay = []string{"*3\r\n$8\r\nSENTINEL\r\n$400\r\nx", "\x00\x00\x07\xd0PKT2", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX:", "\x16\x03\x01\x40\x00\x01", ""}

// start has so many connections to an address be open, as far as they are let: who is thrown out comes again.
func (f *flood) start(addr config.Addr, connections int) {
	if f.ctx == nil {
		f.ctx, f.cancel = context.WithCancel(context.Background())
	}
	const callers = 20 // each of which has its share
	for i := range callers {
		share := (connections + callers - 1 - i) / callers
		f.running.Go(func() { f.call(addr, i, share) }) // ends with stop
	}
}

func (f *flood) stop() {
	f.stopped.Do(f.cancel)
	f.running.Wait()
}

// call makes a connection each 50 milliseconds at most: with all callers that is 400 in a second at each port, because the flood comes from the same machine.
func (f *flood) call(addr config.Addr, number, share int) {
	var open []net.Conn
	drip := 0
	defer func() {
		for _, conn := range open {
			_ = conn.Close() // nothing was meant
		}
		f.held.Add(int64(-len(open)))
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := number; ; n++ {
		for range len(open)/20 + 1 { // each drips once in a second or so, and notices at some time that it was thrown out
			if len(open) == 0 {
				break
			}
			drip = (drip + 1) % len(open)
			if _, err := open[drip].Write([]byte("x")); err != nil {
				_ = open[drip].Close() // it is gone
				open = slices.Delete(open, drip, drip+1)
				f.held.Add(-1)
			}
		}
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(f.ctx, "tcp", string(addr)); err == nil && len(open) < share {
			f.made.Add(1)
			f.held.Add(1)
			_, _ = conn.Write([]byte(whatTheySay[n%len(whatTheySay)])) // it may be gone already
			open = append(open, conn)
		} else if err == nil {
			_ = conn.Close() // it was one of those that come and go
		}
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		}
	}
}
