package resp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
)

func TestGoRedis_SentinelClient(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			s := start(t, Config{Door: config.Door{Password: "secret"}})
			client := redis.NewSentinelClient(&redis.Options{
				Addr: s.Addr().String(), Password: "secret", Protocol: protocol, ClientName: "test", MaxRetries: -1,
			})
			defer client.Close()
			ctx := t.Context()
			if got, err := client.GetMasterAddrByName(ctx, "cache").Result(); err != nil || !slices.Equal(got, []string{"10.0.0.1", "6379"}) {
				t.Errorf("address: %q, %v", got, err)
			}
			if _, err := client.GetMasterAddrByName(ctx, "nobody").Result(); err != redis.Nil { // documented so
				t.Errorf("address of nobody: %v", err)
			}
			if got, err := client.Master(ctx, "cache").Result(); err != nil || got["flags"] != "master" || got["num-other-sentinels"] != "2" {
				t.Errorf("master: %v, %v", got, err)
			}
			if got, err := client.Masters(ctx).Result(); err != nil || len(got) != 1 {
				t.Errorf("masters: %v, %v", got, err)
			}
			if got, err := client.Replicas(ctx, "cache").Result(); err != nil || len(got) != 1 || got[0]["name"] != "10.0.0.2:6379" {
				t.Errorf("replicas: %v, %v", got, err)
			}
			if got, err := client.Sentinels(ctx, "cache").Result(); err != nil || len(got) != 2 || got[0]["ip"] != "10.0.1.2" {
				t.Errorf("sentinels: %v, %v", got, err)
			}
			if got, err := client.CkQuorum(ctx, "cache").Result(); err != nil || !strings.HasPrefix(got, "OK 3 usable") {
				t.Errorf("ckquorum: %q, %v", got, err)
			}
			if err := client.Failover(ctx, "running").Err(); err == nil || err.Error() != "INPROG Failover already in progress" {
				t.Errorf("failover: %v", err)
			}
			if err := client.Ping(ctx).Err(); err != nil {
				t.Errorf("ping: %v", err)
			}
			listen(t, client, s)
		})
	}
}

// TestGoRedis_NeedsNoMoreThanTheDocumentSays: docs/protocol.md tells what a client that only follows the master must be allowed.
func TestGoRedis_NeedsNoMoreThanTheDocumentSays(t *testing.T) {
	document, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile("`(\\+sentinel.*)`").FindStringSubmatch(string(document))
	if rules == nil {
		t.Fatal("the document has no rules for clients")
	}
	s := start(t, Config{Door: config.Door{Users: []config.Secret{config.Secret("app on >secret " + rules[1]), "default off"}}})
	client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr().String(), Username: "app", Password: "secret", ClientName: "app", MaxRetries: -1})
	defer client.Close()
	ctx := t.Context()
	for what, err := range map[string]error{
		"address": client.GetMasterAddrByName(ctx, "cache").Err(), "sentinels": client.Sentinels(ctx, "cache").Err(),
		"replicas": client.Replicas(ctx, "cache").Err(), "ping": client.Ping(ctx).Err(),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	listen(t, client, s)
	if err := client.Remove(ctx, "cache").Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM ") {
		t.Errorf("remove: %v", err)
	}
}

// listen checks that a client's subscriptions work.
func listen(t *testing.T, client *redis.SentinelClient, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events := client.PSubscribe(ctx, "+switch-*")
	defer events.Close()
	if _, err := events.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	s.Publish(Message{"+switch-master", "cache 1 2 3 4"})
	if got, err := events.ReceiveMessage(ctx); err != nil || got.Pattern != "+switch-*" || got.Payload != "cache 1 2 3 4" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := events.Ping(ctx, "x"); err != nil {
		t.Error(err)
	}
	if _, err := events.Receive(ctx); err != nil {
		t.Errorf("PING of a subscriber: %v", err)
	}
}

// TestGoRedis_FailoverClientFollows: real servers, and the client that people use.
func TestGoRedis_FailoverClientFollows(t *testing.T) {
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	defer l.Close()
	var servers []*lab.Redis
	for range 2 {
		r, err := l.StartRedis(lab.RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, r)
	}
	backend := newFake(masterAt(servers[0].Addr))
	s := start(t, Config{Backend: backend})
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "cache", SentinelAddrs: []string{s.Addr().String()}, DialTimeout: patience,
	})
	defer client.Close()
	if at := serving(t, client); at != servers[0].Addr {
		t.Fatalf("the client found %s, want %s", at, servers[0].Addr)
	}

	// The client subscribes in a goroutine of its own, so the event is told until it follows.
	moved := masterAt(servers[1].Addr)
	backend.picture.Store(&moved)
	from, to := servers[0].Addr, servers[1].Addr
	event := Message{"+switch-master", fmt.Sprintf("cache %s %d %s %d", from.Host(), from.Port(), to.Host(), to.Port())}
	await(t, "the client follows", func() bool {
		s.Publish(event)
		return serving(t, client) == to
	})
}

// masterAt is a picture of a master without replicas, seen by one agent.
func masterAt(addr config.Addr) picture.Picture {
	p := healthy()
	p.Masters[0].Server, p.Masters[0].Replicas = redisServer(addr, "1", "master"), nil
	p.Agents = p.Agents[:1]
	return p
}

// serving says which server answers a client.
func serving(t *testing.T, client *redis.Client) config.Addr {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	port, err := client.ConfigGet(ctx, "port").Result()
	if err != nil {
		t.Fatal(err)
	}
	return config.Addr("127.0.0.1:" + port["port"])
}

func TestRedisCLI(t *testing.T) {
	program, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed: install redis-tools")
	}
	s := start(t, Config{})
	_, port, _ := strings.Cut(s.Addr().String(), ":")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run := func(input string, args ...string) string {
		command := exec.CommandContext(ctx, program, append([]string{"-p", port}, args...)...)
		command.Stdin = strings.NewReader(input)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := run("", "sentinel", "get-master-addr-by-name", "cache"); got != "10.0.0.1\n6379\n" {
		t.Errorf("address: %q", got)
	}
	if got := run("", "-3", "sentinel", "masters"); !strings.Contains(got, "num-other-sentinels") {
		t.Errorf("masters: %q", got)
	}
	if got := run("ping\nrole\nquit\n"); got != "PONG\nsentinel\ncache\nOK\n" && got != "PONG\nsentinel\ncache\n" {
		t.Errorf("from its standard input: %q", got)
	}
	if got := run("", "command", "docs", "ping"); !strings.Contains(got, "PONG") {
		t.Errorf("docs: %q", got)
	}
	if got := run("", "--raw", "info", "sentinel"); !strings.Contains(got, "master0:name=cache,status=ok,address=10.0.0.1:6379,slaves=2,sentinels=3") {
		t.Errorf("info: %q", got)
	}
}

// BenchmarkGetMasterAddr is how long a client waits for an answer.
func BenchmarkGetMasterAddr(b *testing.B) {
	s := start(b, Config{})
	client := redis.NewSentinelClient(&redis.Options{Addr: s.Addr().String(), ReadTimeout: time.Minute})
	defer client.Close()
	for b.Loop() {
		if err := client.GetMasterAddrByName(b.Context(), "cache").Err(); err != nil {
			b.Fatal(err)
		}
	}
}
