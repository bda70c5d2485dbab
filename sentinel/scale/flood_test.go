package scale

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"picket/sentinel/lab"
)

var (
	floodSize   = flag.Int("scale.flood", 300, "connections of a flood, to each port of each agent")
	floodPace   = flag.Int("scale.pace", 1000, "new connections of the flood in a second, at most, to all ports together")
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
	before := memory(t, c)
	quiet := measure(t, c)
	var ports []string
	for _, a := range c.Agents {
		ports = append(ports, string(a.Sentinel), string(a.Peers), string(a.HTTP))
	}
	f := startFlood(t, size, *floodPace, ports)
	risen := func(context.Context) error {
		if _, made, err := f.count(); err != nil || made < len(ports)*size {
			return fmt.Errorf("%d connections were made (error: %v)", made, err)
		}
		return nil
	}
	if err := lab.Await(patience+time.Duration(len(ports)*size / *floodPace)*2*time.Second, "the flood has risen", risen); err != nil {
		t.Fatal(err)
	}
	_, began, _ := f.count()
	loud := measure(t, c)
	open, made, err := f.count()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("without: %s", quiet)
	t.Logf("under a flood of %d connections to 9 ports, %d of which were open at the end; %d were made while it was measured, %d in all: %s",
		len(ports)*size, open, made-began, made, loud)
	for i, after := range memory(t, c) {
		t.Logf("%s: at most %d MiB of memory, %d MiB before the flood", c.Agents[i].ID, after>>20, before[i]>>20)
		if grown := after - before[i]; grown > 128<<20 && !raced {
			t.Errorf("%s has grown by %d MiB", c.Agents[i].ID, grown>>20)
		}
	}
	// The machine may be busy, and the flood comes from it, too.
	if m := quantile(loud.times, .5); m > 5*quantile(quiet.times, .5)+500*time.Millisecond {
		t.Errorf("the flood has failovers take %s", m)
	}
}

// figures are of some failovers.
type figures struct {
	times     []time.Duration
	elections uint64
	cpu       float64 // of a processor, that an agent used meanwhile
}

func (f figures) String() string {
	return fmt.Sprintf("%d failovers, median %s, worst %s, %d elections, %.0f %% of a processor for each agent", len(f.times),
		quantile(f.times, .5), quantile(f.times, 1), f.elections, 100*f.cpu)
}

func measure(t *testing.T, c *lab.Cluster) (f figures) {
	t.Helper()
	first, used, begun := epoch(t, c), cpu(t, c), time.Now()
	f.times = failovers(t, c, *floodRounds)
	took := time.Since(begun)
	for i, u := range cpu(t, c) {
		f.cpu += (u - used[i]).Seconds() / took.Seconds() / float64(len(used))
	}
	f.elections = epoch(t, c) - first
	return f
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

// cpu is how much of a processor each agent has used so far.
func cpu(t *testing.T, c *lab.Cluster) (used []time.Duration) {
	t.Helper()
	for _, a := range c.Agents {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.Pid()))
		if err != nil {
			t.Skip(err) // another system
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		const tick = 10 * time.Millisecond // the kernel's, for programs
		var sum time.Duration
		for _, field := range fields[11:13] { // in user mode, and in the kernel
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(n) * tick
		}
		used = append(used, sum)
	}
	return used
}

// epoch is the group's. The flood may leave no room to ask for it at once.
func epoch(t *testing.T, c *lab.Cluster) (now uint64) {
	t.Helper()
	err := lab.Await(patience, "an agent tells its epoch", func(ctx context.Context) error {
		p, err := c.Agents[0].Status(ctx)
		now = p.Epoch
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// flood is a process that keeps connections open that mean nothing. It has the lowest priority, so that what is measured are the agents.
type flood struct {
	program *exec.Cmd
	orders  io.WriteCloser
	said    *bufio.Scanner
}

// floodEnv has the test's own program be the flood: connections to each port, new ones in a second to all, and the ports.
const floodEnv = "PICKET_TEST_FLOOD"

func startFlood(t *testing.T, connections, pace int, ports []string) *flood {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &flood{program: exec.Command("nice", "-n", "19", self)}
	f.program.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", floodEnv, connections, pace, strings.Join(ports, " ")))
	f.program.Stderr = os.Stderr
	out, err := f.program.StdoutPipe()
	if err == nil {
		f.orders, err = f.program.StdinPipe()
	}
	if err == nil {
		err = f.program.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.said = bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = f.orders.Close() // it ends by this
		_ = f.program.Wait() // how it ended says nothing
	})
	return f
}

// count asks how many connections are open, and how many were made.
func (f *flood) count() (open, made int, err error) {
	if _, err = fmt.Fprintln(f.orders); err != nil {
		return 0, 0, err
	}
	if !f.said.Scan() {
		return 0, 0, fmt.Errorf("the flood has ended: %v", f.said.Err())
	}
	_, err = fmt.Sscan(f.said.Text(), &open, &made)
	return open, made, err
}

// runFlood is the process. It ends with its standard input, each line of which is a question.
func runFlood(setting string) error {
	words := strings.Fields(setting)
	connections, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	pace, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	var open, made atomic.Int64
	limiter := rate.NewLimiter(rate.Limit(pace), 1)
	for _, addr := range words[2:] {
		go pester(addr, connections, limiter, &open, &made) // ends with the process
	}
	for questions := bufio.NewScanner(os.Stdin); questions.Scan(); {
		fmt.Println(open.Load(), made.Load())
	}
	return nil
}

// whatTheySay begins a command, a handshake of agents, a request, and one of TLS; none ends. One says nothing.
var whatTheySay = []string{"*3\r\n$8\r\nSENTINEL\r\n$400\r\nx", "\x00\x00\x07\xd0PKT2", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX:", "\x16\x03\x01\x40\x00\x01", ""}

// pester keeps connections to a port open: who is thrown out comes again.
func pester(addr string, connections int, limiter *rate.Limiter, open, made *atomic.Int64) {
	room := make(chan struct{}, connections)
	for n := 0; ; n++ {
		room <- struct{}{}
		_ = limiter.Wait(context.Background()) // nothing ends it
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			<-room
			continue
		}
		made.Add(1)
		open.Add(1)
		go func() { // ends with the connection
			drip(conn, whatTheySay[n%len(whatTheySay)])
			open.Add(-1)
			<-room
		}()
	}
}

// drip says something, and then a byte each five seconds, until the connection ends.
func drip(conn net.Conn, first string) {
	defer conn.Close()
	said := []byte(first)
	for {
		if _, err := conn.Write(said); err != nil {
			return
		}
		said = []byte("x")
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // an error shows at the read
		if _, err := io.Copy(io.Discard, conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}
