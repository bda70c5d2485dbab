package resp

import (
	"bufio"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/lab"
	"picket/sentinel/picture"
)

// TestSameAsSentinel asks a real Sentinel and this server the same, about the same topology, in both versions
// of the protocol. The answers must have the same form, the same names in the same order, and the same values
// but for those that depend on the moment.
func TestSameAsSentinel(t *testing.T) {
	l := lab.New(t.TempDir())
	defer l.Close()
	group, err := l.StartSentinels(lab.ClusterOptions{DownAfter: 5 * time.Second, FailoverTimeout: time.Minute})
	if err != nil {
		if group == nil {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	var sentinels []config.Addr
	for _, p := range group.Sentinels {
		sentinels = append(sentinels, config.Addr("127.0.0.1:"+strings.TrimPrefix(p.Name, "sentinel-")))
	}
	backend := newFake(mirror(group, sentinels))
	s := start(t, Config{Backend: backend})
	theirs, ours := string(sentinels[0]), s.Addr().String()

	subscribed := []string{
		"PING", "PING x", "PING x y", "ROLE", "SENTINEL MASTERS", "HELLO 2", "foo", "UNSUBSCRIBE", "PUNSUBSCRIBE",
	}
	for _, protocol := range []string{"HELLO 2", "HELLO 3"} {
		for _, line := range questions(group.Redis[0].Addr) {
			compare(t, theirs, ours, protocol, line)
		}
		for _, line := range subscribed {
			compare(t, theirs, ours, protocol, "SUBSCRIBE a", line)
		}
	}
	p := mirror(group, sentinels)
	p.Masters[0].Quorum = 5
	backend.picture.Store(&p)
	if got := ask(t, theirs, "SENTINEL SET mymaster quorum 5"); got != "+OK" {
		t.Fatal(got)
	}
	compare(t, theirs, ours, "SENTINEL CKQUORUM mymaster")
}

// compare sends the same lines to both. Sentinels that have just met may be without a connection for a
// moment, so the answers have some time to become the same.
func compare(t *testing.T, theirs, ours string, lines ...string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		want, got := ask(t, theirs, lines...), ask(t, ours, lines...)
		if got == want {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%q:\nSentinel: %s\nthis:     %s", lines, want, got)
		}
	}
}

// questions are what both know; what only one of them knows is left out.
func questions(master config.Addr) []string {
	down := fmt.Sprintf("SENTINEL IS-MASTER-DOWN-BY-ADDR %s %d", master.Host(), master.Port())
	return []string{
		"PING", "PING a", "PING a b", "HELLO", "HELLO 2", "HELLO 3", "HELLO 4", "HELLO x", "HELLO 3 FOO", "HELLO 3 AUTH a b", "HELLO 3 SETNAME",
		"HELLO 3 SETNAME 'a b'", "HELLO 3 AUTH default x SETNAME me", "AUTH x", "AUTH default x", "AUTH a x", "AUTH a b c", "AUTH",
		"CLIENT", "CLIENT FOO", "CLIENT ID x", "CLIENT GETNAME", "CLIENT SETNAME x", "CLIENT SETNAME 'x y'", "CLIENT SETNAME",
		"foo", "foo a b", "FOO 'a b' " + strings.Repeat("x", 200), strings.Repeat("x", 200), "''", "get x", "sentinel|master",
		"ROLE", "ROLE x", "INFO sentinel", "INFO foo", "INFO foo Sentinel", "COMMAND FOO", "COMMAND COUNT x", "COMMAND LIST x", "COMMAND DOCS nothing",
		"COMMAND INFO nothing", "SUBSCRIBE", "SUBSCRIBE a", "PSUBSCRIBE a*", "UNSUBSCRIBE", "UNSUBSCRIBE a", "PUNSUBSCRIBE",
		"SENTINEL", "SENTINEL FOO", "SENTINEL MASTERS", "SENTINEL MASTERS x", "SENTINEL MASTER mymaster", "SENTINEL MASTER x", "SENTINEL MASTER",
		"SENTINEL REPLICAS mymaster", "SENTINEL REPLICAS x", "SENTINEL SLAVES mymaster", "SENTINEL SLAVES", "SENTINEL SENTINELS mymaster",
		"SENTINEL SENTINELS x", "SENTINEL MYID", "SENTINEL MYID x", "SENTINEL CKQUORUM mymaster", "SENTINEL CKQUORUM x",
		"SENTINEL PENDING-SCRIPTS", "SENTINEL PENDING-SCRIPTS x",
		"SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", "sentinel get-master-addr-by-name x", "SENTINEL GET-MASTER-ADDR-BY-NAME",
		down + " 0 *", down + " x *", down + " 0", "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *",
		"SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.9 1 0 *", "SENTINEL FAILOVER unknown", "SENTINEL FAILOVER",
	}
}

// ask sends lines on a connection of its own and gives the last reply.
func ask(t *testing.T, addr string, lines ...string) string {
	t.Helper()
	conn := dial(t, addr)
	in := bufio.NewReader(conn)
	var v value
	for _, line := range lines {
		send(t, conn, line)
		var err error
		if v, err = read(in); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return v.steady()
}

// momentary are the fields whose values depend on the moment.
var momentary = []string{
	"id", "last-ping-sent", "last-ok-ping-reply", "last-ping-reply", "info-refresh", "role-reported-time", "link-pending-commands",
	"slave-repl-offset", "last-hello-message",
}

var anyRunID = regexp.MustCompile("^[0-9a-f]{40}$")

// steady prints a reply without what depends on the moment, and lists without order in order.
func (v value) steady() string {
	if v.parts == nil {
		return string(v.kind) + anyRunID.ReplaceAllString(v.text, "RUNID")
	}
	var parts []string
	for i, part := range v.parts {
		if i%2 == 1 && slices.Contains(momentary, v.parts[i-1].text) {
			part.text = "…"
		}
		parts = append(parts, part.steady())
	}
	if v.parts[0].parts != nil {
		slices.SortFunc(parts, cmp.Compare[string]) // of masters, replicas or Sentinels
	}
	return fmt.Sprintf("%c%v", v.kind, parts)
}

// mirror is a picture of the group, as its first Sentinel sees it.
func mirror(group *lab.SentinelGroup, sentinels []config.Addr) picture.Picture {
	at := group.Redis[0].Addr
	m := picture.Master{Name: "mymaster", Settings: settings("mymaster"), Quorum: 2, Server: redisServer(at, "1", "master")}
	for _, r := range group.Redis[1:] {
		m.Replicas = append(m.Replicas, replicaOf(at, r.Addr, "2"))
	}
	p := healthy()
	p.Masters, p.Agents = []picture.Master{m}, nil
	for i, addr := range sentinels {
		id := fmt.Sprint("agent-", i)
		p.Agents = append(p.Agents, picture.Agent{
			ID: id, MyID: picture.MyID("test", id), Host: addr.Host(), SentinelPort: addr.Port(), Self: i == 0, Up: true,
		})
	}
	return p
}
