package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// sentinelClient asks an agent's Sentinel port.
func sentinelClient(t *testing.T, a *lab.Agent) *redis.SentinelClient {
	t.Helper()
	c := redis.NewSentinelClient(&redis.Options{Addr: string(a.Sentinel), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// say has an agent do something on its Sentinel port, and gives its answer, or what it says is wrong.
func say(t *testing.T, a *lab.Agent, words ...any) string {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: string(a.Sentinel), MaxRetries: -1, DisableIdentity: true, Protocol: 2})
	defer c.Close()
	answer, err := c.Do(t.Context(), words...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "-" + err.Error()
	}
	return fmt.Sprint(answer)
}

// heard collects what an agent publishes on a channel.
func heard(t *testing.T, a *lab.Agent, channel string) <-chan *redis.Message {
	t.Helper()
	s := sentinelClient(t, a).Subscribe(t.Context(), channel)
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Channel()
}

func next(t *testing.T, messages <-chan *redis.Message) string {
	t.Helper()
	select {
	case m := <-messages:
		return m.Payload
	case <-time.After(patience):
		t.Fatal("nothing is published")
		return ""
	}
}

// replicasOf gives the maps of an agent's replicas.
func replicasOf(t *testing.T, a *lab.Agent) []map[string]string {
	t.Helper()
	replicas, err := sentinelClient(t, a).Replicas(t.Context(), lab.MasterName).Result()
	if err != nil {
		t.Fatal(err)
	}
	return replicas
}

// TestNames_AMasterThatIsListedByItsIPAddress is known once, by its name; clients are told the name, or the IP address where an agent is told to.
func TestNames_AMasterThatIsListedByItsIPAddress(t *testing.T) {
	t.Parallel()
	_, c := start(t, func(o *lab.ClusterOptions) {
		o.Named, o.Settings = "localhost", []string{"switchover: native"}
	})
	byName, byIP := c.Agents[0], c.Agents[1]
	old, port := c.Redis[0], fmt.Sprint(c.Redis[0].Addr.Port())
	if got := say(t, byIP, "SENTINEL", "CONFIG", "GET", "*hostnames"); got != "[resolve-hostnames yes announce-hostnames yes]" {
		t.Errorf("what holds from the start: %s", got)
	}
	if got := say(t, byIP, "SENTINEL", "CONFIG", "SET", "announce-hostnames", "no"); got != "OK" {
		t.Fatal(got)
	}
	for a, host := range map[*lab.Agent]string{byName: "localhost", byIP: "127.0.0.1"} {
		if got := say(t, a, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", lab.MasterName); got != fmt.Sprintf("[%s %s]", host, port) {
			t.Errorf("%s names %s", a.ID, got)
		}
		if m, err := sentinelClient(t, a).Master(t.Context(), lab.MasterName).Result(); err != nil || m["ip"] != host || m["num-slaves"] != "2" {
			t.Errorf("%s: the master is %v, %v", a.ID, m, err)
		}
		for _, r := range replicasOf(t, a) {
			if r["master-host"] != host || r["master-port"] != port || r["ip"] != "127.0.0.1" {
				t.Errorf("%s: a replica is %v", a.ID, r)
			}
		}
		if got := say(t, a, "INFO", "sentinel"); !strings.Contains(got, "address="+host+":"+port) {
			t.Errorf("%s: %s", a.ID, got)
		}
	}
	// A replica that is not to be announced is hidden, and counted.
	hide(t, c.Redis[1], "no")
	await(t, "one replica is hidden", func() bool { return len(replicasOf(t, byName)) == 1 && len(replicasOf(t, byIP)) == 1 })
	if m, err := sentinelClient(t, byName).Master(t.Context(), lab.MasterName).Result(); err != nil || m["num-slaves"] != "2" {
		t.Errorf("the master is %v, %v", m, err)
	}
	hide(t, c.Redis[1], "yes")

	switched := map[*lab.Agent]<-chan *redis.Message{byName: heard(t, byName, "+switch-master"), byIP: heard(t, byIP, "+switch-master")}
	old.Kill()
	to := newMaster(t, c, config.NewAddr("localhost", old.Addr.Port()))
	for a, host := range map[*lab.Agent]string{byName: "localhost", byIP: "127.0.0.1"} {
		want := fmt.Sprintf("mymaster %s %s 127.0.0.1 %d", host, port, to.Addr.Port())
		if got := next(t, switched[a]); got != want {
			t.Errorf("%s tells %q, want %q", a.ID, got, want)
		}
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, to.Addr)
	names := func(a *lab.Agent) (names []string) {
		for _, r := range replicasOf(t, a) {
			names = append(names, r["name"])
		}
		return names
	}
	if got := names(byName); len(got) != 2 || !slices.Contains(got, "localhost:"+port) {
		t.Errorf("the replicas are %v", got)
	}
	if got := names(byIP); len(got) != 2 || !slices.Contains(got, "127.0.0.1:"+port) {
		t.Errorf("the replicas are %v", got)
	}

	// The master lists the replica to which it is to hand over otherwise than the agents know it.
	picket(t, 0, "switchover", lab.MasterName, "--to", "127.0.0.1:"+port, "--agent", string(byName.HTTP))
	await(t, "it is the master again, by its name", func() bool {
		return say(t, byName, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", lab.MasterName) == "[localhost "+port+"]"
	})
}

// hide says whether a replica is to be announced.
func hide(t *testing.T, r *lab.Redis, announced string) {
	t.Helper()
	client := r.Client()
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "replica-announced", announced).Err(); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if err := lab.Await(patience, what, func(context.Context) error {
		if !condition() {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestIPv6 has everything listen on ::1.
func TestIPv6(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip(err)
	} else {
		_ = l.Close()
	}
	_, c := start(t, func(o *lab.ClusterOptions) { o.Loopback = "::1" })
	a, old := c.Agents[1], c.Redis[0]
	for _, r := range replicasOf(t, a) {
		if r["name"] != "[::1]:"+r["port"] || r["ip"] != "::1" || r["master-host"] != "::1" {
			t.Errorf("a replica is %v", r)
		}
	}
	if got := say(t, a, "INFO", "sentinel"); !strings.Contains(got, fmt.Sprintf("address=::1:%d", old.Addr.Port())) {
		t.Error(got)
	}
	if peers, err := sentinelClient(t, a).Sentinels(t.Context(), lab.MasterName).Result(); err != nil || len(peers) != 2 || peers[0]["ip"] != "::1" {
		t.Errorf("the other agents are %v, %v", peers, err)
	}
	switched, client := heard(t, a, "+switch-master"), c.FailoverClient()
	defer client.Close()
	old.Kill()
	to := newMaster(t, c, old.Addr)
	if got, want := next(t, switched), fmt.Sprintf("mymaster ::1 %d ::1 %d", old.Addr.Port(), to.Addr.Port()); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if err := lab.Await(patience, "a client writes to the new master", func(ctx context.Context) error {
		return client.Set(ctx, "written", "there", 0).Err()
	}); err != nil {
		t.Error(err)
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, to.Addr)
}

// TestRenamedCommands goes through a crash and a planned hand-over of servers that know no command that agents send by its own name, as far as a replica can follow
// a master then: it sends PING, AUTH, REPLCONF and PSYNC itself.
func TestRenamedCommands(t *testing.T) {
	t.Parallel()
	for _, way := range []string{config.SwitchoverPause, config.SwitchoverNative} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			_, c := start(t, func(o *lab.ClusterOptions) {
				for _, command := range []string{"CONFIG", "REPLICAOF", "SLAVEOF", "CLIENT", "INFO", "FAILOVER", "SUBSCRIBE", "ROLE"} {
					o.Renames = append(o.Renames, config.Rename{Command: command, As: "secret-" + strings.ToLower(command)})
				}
				o.Settings = []string{"switchover: " + way}
			})
			old := c.Redis[0]
			old.Kill()
			to := newMaster(t, c, old.Addr)
			if err := old.Start(); err != nil {
				t.Fatal(err)
			}
			settle(t, c, to.Addr)
			picket(t, 0, "failover", lab.MasterName, "--agent", string(c.Agents[0].HTTP))
			settle(t, c, newMaster(t, c, to.Addr).Addr)
		})
	}
}
