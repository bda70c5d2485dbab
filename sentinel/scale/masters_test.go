package scale

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/redcon"

	"picket/config"
	"picket/sentinel/lab"
)

// TestMasters_AreListedSoon has one agent watch very many masters, each with a replica.
func TestMasters_AreListedSoon(t *testing.T) {
	masters := 1000
	if raced {
		masters = 100
	}
	l, c := start(t, 1)
	pairs := populate(t, l, masters)
	watch(t, l, c.Agents[0], pairs)
	for _, protocol := range []int{2, 3} {
		client := redis.NewSentinelClient(&redis.Options{
			Addr: string(c.Agents[0].Sentinel), Protocol: protocol, ReadTimeout: patience, MaxRetries: -1,
		})
		defer client.Close()
		var all, one []time.Duration
		for range 20 {
			all = append(all, timed(t, func() error {
				list, err := client.Masters(t.Context()).Result()
				if err == nil && len(list) != masters+1 {
					err = fmt.Errorf("%d masters are listed, want %d", len(list), masters+1)
				}
				return err
			}))
			one = append(one, timed(t, func() error { return client.GetMasterAddrByName(t.Context(), "m7").Err() }))
		}
		t.Logf("RESP%d, %d masters: SENTINEL MASTERS takes %s at best, %s half of the time, %s at most; GET-MASTER-ADDR-BY-NAME %s, %s, %s",
			protocol, masters+1, quantile(all, 0), quantile(all, 0.5), quantile(all, 1), quantile(one, 0), quantile(one, 0.5), quantile(one, 1))
		if took := quantile(all, 0.5); took > patience/3 {
			t.Errorf("SENTINEL MASTERS takes %s", took)
		}
	}
}

func timed(t *testing.T, f func() error) time.Duration {
	t.Helper()
	begun := time.Now()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

// pair is a master and its replica, on one port of two addresses of their own.
type pair struct{ master, replica config.Addr }

// populate starts servers that answer as Redis does when it is watched: so many real ones would need a machine of their own.
func populate(t *testing.T, l *lab.Lab, n int) []pair {
	t.Helper()
	port, err := l.Port()
	if err != nil {
		t.Fatal(err)
	}
	pairs := make([]pair, n)
	for i := range pairs {
		host := func(net int) string { return fmt.Sprintf("127.%d.%d.%d", net, i/250, i%250+1) }
		p := pair{config.NewAddr(host(101), port), config.NewAddr(host(102), port)}
		pairs[i] = p
		id := fmt.Sprintf("%040x", i+1)
		serve(t, p.master, fmt.Sprintf("run_id:%s\r\nrole:master\r\nmaster_replid:%s\r\nmaster_repl_offset:100\r\nconnected_slaves:1\r\n"+
			"slave0:ip=%s,port=%d,state=online,offset=100,lag=0\r\n", id, id, p.replica.Host(), port))
		serve(t, p.replica, fmt.Sprintf("run_id:%s\r\nrole:slave\r\nmaster_host:%s\r\nmaster_port:%d\r\nmaster_link_status:up\r\n"+
			"master_last_io_seconds_ago:0\r\nslave_repl_offset:100\r\nslave_priority:100\r\nmaster_replid:%s\r\n",
			strings.Replace(id, "0", "f", 1), p.master.Host(), port, id))
	}
	return pairs
}

// serve answers as a Redis with this INFO.
func serve(t *testing.T, at config.Addr, info string) {
	t.Helper()
	listener, err := net.Listen("tcp", string(at))
	if err != nil {
		t.Skipf("%v: this machine has not the whole of 127.0.0.0/8", err)
	}
	ended := make(chan error, 1)
	go func() { // ends with the listener
		ended <- redcon.Serve(listener, func(conn redcon.Conn, cmd redcon.Command) { answer(conn, cmd, info) }, nil, nil)
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
}

func answer(conn redcon.Conn, cmd redcon.Command, info string) {
	switch strings.ToLower(string(cmd.Args[0])) {
	case "ping":
		conn.WriteString("PONG")
	case "info":
		conn.WriteBulkString("redis_version:7.0.15\r\nloading:0\r\n" + info)
	case "subscribe":
		conn.WriteArray(3)
		conn.WriteBulkString("subscribe")
		conn.WriteBulk(cmd.Args[1])
		conn.WriteInt(1)
	case "client":
		conn.WriteString("OK")
	default:
		conn.WriteError("ERR unknown command '" + string(cmd.Args[0]) + "'")
	}
}

// watch has an agent watch the masters, as its file says, and waits until it knows all servers and finds all well.
func watch(t *testing.T, l *lab.Lab, a *lab.Agent, pairs []pair) {
	t.Helper()
	var masters strings.Builder
	for i, p := range pairs { // no server is asked ten times a second: this machine has to do all of it, both ways
		fmt.Fprintf(&masters, "  - {name: m%d, address: %q, quorum: 1, down-after: 10s}\n", i, p.master)
	}
	file := filepath.Join(l.Dir, a.ID+".yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a.Kill()
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "masters:\n", "masters:\n"+masters.String(), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewSentinelClient(&redis.Options{Addr: string(a.Sentinel), ReadTimeout: patience, MaxRetries: -1})
	defer client.Close()
	calm := calm{agent: a, client: client, masters: len(pairs) + 1}
	if err := lab.Await(4*patience, "all servers are known and well", calm.reached); err != nil {
		log, _ := os.ReadFile(a.Log) // what there is of it
		t.Fatalf("%v\n%s", err, log[max(0, len(log)-3000):])
	}
}

// calm is when an agent knows its masters, finds them well, and has nothing to note any more.
type calm struct {
	agent   *lab.Agent
	client  *redis.SentinelClient
	masters int
	looked  time.Time // not too often: to look is work for the agent
	commit  uint64
	since   time.Time // nothing was committed
}

var errBusy = errors.New("the agent still notes what it sees")

func (c *calm) reached(ctx context.Context) error {
	if time.Since(c.looked) < 250*time.Millisecond {
		return errBusy
	}
	defer func() { c.looked = time.Now() }()
	list, err := c.client.Masters(ctx).Result()
	if err != nil {
		return err
	}
	for _, one := range list {
		m := one.(map[any]any) // the client speaks RESP3
		if m["flags"] != "master" || m["name"] != lab.MasterName && m["num-slaves"] != "1" {
			return fmt.Errorf("%s is %s and has %s replicas", m["name"], m["flags"], m["num-slaves"])
		}
	}
	if len(list) != c.masters {
		return fmt.Errorf("%d masters are listed", len(list))
	}
	p, err := c.agent.Status(ctx)
	if err != nil {
		return err
	}
	if p.Commit != c.commit {
		c.commit, c.since = p.Commit, time.Now()
	}
	if time.Since(c.since) < time.Second {
		return errBusy
	}
	return nil
}
