package sentinel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/lab"
	"picket/sentinel/state"
)

func TestShadowed(t *testing.T) {
	const old, a, b = config.Addr("h:1"), config.Addr("h:2"), config.Addr("h:3")
	now := time.Unix(1000, 0)
	open := &state.Shadowed{Old: old, DecidedAt: monitor.MomentOf(now.Add(-2 * untouched)), Target: a}
	nobody := &state.Shadowed{Old: old, DecidedAt: monitor.MomentOf(now.Add(-2 * untouched))}
	closed := &state.Shadowed{Old: old, DecidedAt: 1, Target: a, EndAt: 2, To: a}
	down := monitor.Verdict{Code: monitor.DeadMaster, ObjectivelyDown: true, Text: "dead", Since: now.Add(-time.Second)}
	well := monitor.Verdict{Code: monitor.Healthy}
	switched := []monitor.Foreign{{Server: a, Master: a, Epoch: 5}}
	for name, c := range map[string]struct {
		verdict monitor.Verdict
		shadow  *state.Shadowed
		upFor   time.Duration
		foreign []monitor.Foreign
		want    state.ShadowKind // 0: nothing
	}{
		"all is well":                           {verdict: well},
		"down":                                  {verdict: down, want: state.ShadowDecided},
		"down, and decided":                     {verdict: down, shadow: open},
		"down again":                            {verdict: down, shadow: closed, want: state.ShadowDecided},
		"down, nobody would have been promoted": {verdict: down, shadow: nobody, want: state.ShadowDecided},
		"switched":                              {verdict: down, shadow: open, foreign: switched, want: state.ShadowSwitched},
		"switched, although all is well":        {verdict: well, foreign: switched, want: state.ShadowSwitched},
		"back, for long":                        {verdict: well, shadow: open, upFor: 2 * untouched, want: state.ShadowStayed},
		"back, not for long: it may still act":  {verdict: well, shadow: open, upFor: untouched / 2},
		"well, and the comparison is made":      {verdict: well, shadow: closed, upFor: 2 * untouched},
	} {
		t.Run(name, func(t *testing.T) {
			replica := func(addr config.Addr, role string) monitor.Server {
				return monitor.Server{Addr: addr, State: monitor.Up, Last: &monitor.Observation{Server: addr, Role: role, Priority: 100, ReplID: "x"}}
			}
			s := failover.Situation{
				Now: now, Epoch: 3, Settings: &config.Master{Name: "m"}, Master: old, Replicas: []config.Addr{a, b}, Verdict: c.verdict, Shadow: true,
				View: monitor.View{Now: now, Foreign: c.foreign, Servers: map[config.Addr]monitor.Server{
					old: {Addr: old, State: monitor.Up, Since: now.Add(-c.upFor)}, a: replica(a, "slave"), b: replica(b, "slave"),
				}},
			}
			if c.foreign != nil {
				s.View.Servers[a] = replica(a, "master")
			}
			got := shadowed(s, &state.Master{Name: "m", Addr: old, Replicas: s.Replicas, Shadow: c.shadow})
			kind := state.ShadowKind(0)
			if got != nil {
				kind = got.Shadow.Kind
			}
			if kind != c.want {
				t.Errorf("kind %d, want %d: %+v", kind, c.want, got)
			}
			if kind == state.ShadowDecided && (got.Shadow.Target != a || got.Shadow.Evidence != "dead" || got.At != monitor.MomentOf(now)) {
				t.Errorf("decided %+v", got.Shadow)
			}
		})
	}
}

// spy takes down every command that reaches a server.
type spy struct {
	mu       sync.Mutex
	commands []string
}

// monitored is a line of MONITOR: a time, the database and the client's address, and the quoted words.
var monitored = regexp.MustCompile(`^\+[0-9.]+ \[\d+ [^\]]*\] (".*")$`)

func (s *spy) watch(t *testing.T, r *lab.Redis) {
	t.Helper()
	conn, err := net.Dial("tcp", string(r.Addr))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(conn)
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil || !in.Scan() || in.Text() != "+OK" {
		t.Fatalf("MONITOR: %q, %v", in.Text(), err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { // ends with the connection
		for in.Scan() {
			if m := monitored.FindStringSubmatch(strings.TrimSpace(in.Text())); m != nil {
				s.mu.Lock()
				s.commands = append(s.commands, strings.ToUpper(m[1]))
				s.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close() // ends the reading
		reading.Wait()
	})
}

// seen lists them, in capitals.
func (s *spy) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// others gives the commands that begin with none of the given words.
func others(commands []string, known ...string) []string {
	return slices.DeleteFunc(slices.Clone(commands), func(c string) bool {
		return slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(c, k) })
	})
}

func TestShadow_NothingIsChangedOnAServerAndTheOtherCoordinatorIsFollowed(t *testing.T) {
	t.Parallel()
	l, g := newServers(t)
	g.mode = config.ModeShadow
	seen := &spy{}
	for _, r := range g.servers {
		seen.watch(t, r)
	}
	g.startAgents(l, nil)
	old, next := g.servers[0], g.servers[2]
	before := g.pictures()[0].Masters[0].Epoch
	var blocked *blockedError
	if err := g.members[0].running().Failover(t.Context(), master); !errors.As(err, &blocked) || blocked.blocker.Reason != "shadow-mode" {
		t.Errorf("an order by hand: %v", err)
	}
	old.Kill()
	decided := g.event(state.ShadowDecision)
	if d := decided.Data; d.From != old.Addr || g.server(d.To) == old || d.Why == "" || d.Evidence == "" {
		t.Errorf("decided: %+v", d)
	}
	g.blocked("shadow-mode")
	g.stays(old.Addr, 500*time.Millisecond) // an agent that acts would long have promoted somebody

	commands := seen.seen()
	if len(commands) == 0 {
		t.Fatal("the spy saw nothing: the test shows nothing")
	}
	if bad := others(commands, `"PING"`, `"INFO"`, `"SUBSCRIBE" "__SENTINEL__:HELLO"`, `"ROLE"`, `"CLIENT" "SETNAME"`, `"CONFIG" "GET"`,
		`"HELLO" "2"`, `"AUTH"`, `"REPLCONF"`, `"PSYNC"`); len(bad) > 0 { // HELLO 2: go-redis asks for RESP2; the last two: of the servers among themselves
		t.Errorf("the servers were sent %q", bad)
	}

	client := next.Client()
	defer client.Close()
	if err := client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	switches := g.subscribe("+switch-master")
	stop := g.publish(next.Addr, next.Addr)
	defer stop()
	g.await("all agents follow", func(context.Context) error {
		for _, p := range g.pictures() {
			if m := p.Masters[0]; m.Server.Addr != next.Addr || m.Epoch <= before || m.Failover != nil || m.Last != nil {
				return fmt.Errorf("%s names %s in epoch %d, failover %+v, %+v", p.Agent, m.Server.Addr, m.Epoch, m.Failover, m.Last)
			}
		}
		return nil
	})
	compared := g.event(state.ShadowComparison)
	if d := compared.Data; d.From != old.Addr || d.To != next.Addr || d.Imagined != decided.Data.To || d.AheadMS <= 0 || d.Why == "" {
		t.Errorf("compared: %+v", d)
	}
	want := fmt.Sprintf("%s %s %d %s %d", master, old.Addr.Host(), old.Addr.Port(), next.Addr.Host(), next.Addr.Port())
	for i, events := range switches {
		message, err := events.ReceiveMessage(t.Context())
		if err != nil || message.Payload != want {
			t.Errorf("%s tells %v, %v; want %s", g.members[i].cfg.Agent.ID, message, err, want)
		}
	}
	if bad := others(seen.seen()[len(commands):], `"PING"`, `"INFO"`, `"SUBSCRIBE"`, `"ROLE"`, `"CLIENT" "SETNAME"`, `"CONFIG" "GET"`,
		`"REPLCONF"`, `"PSYNC"`, `"HELLO" "2"`, `"AUTH"`, `"REPLICAOF" "NO" "ONE"`, `"PUBLISH"`); len(bad) > 0 {
		t.Errorf("the servers were sent %q", bad)
	}
}
