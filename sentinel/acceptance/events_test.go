package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// story is what one Sentinel, or agent, has published, a line for each event.
type story struct {
	mu   sync.Mutex
	said []string
}

func (s *story) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

// tells says whether a line with all of these words was published.
func (s *story) tells(channel string, words ...string) bool {
	return slices.ContainsFunc(s.lines(), func(line string) bool {
		return strings.HasPrefix(line, channel+" ") && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

// follow takes down all that is published at an address, until the test ends.
func follow(t *testing.T, addr string) *story {
	t.Helper()
	s := &story{}
	client := sentinelAt(addr)
	sub := client.PSubscribe(t.Context(), "*")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the subscription
		defer close(done)
		for m := range sub.Channel(redis.WithChannelSize(1000)) {
			s.mu.Lock()
			s.said = append(s.said, m.Channel+" "+m.Payload)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = errors.Join(sub.Close(), client.Close()) // it was only listened on
		<-done
	})
	return s
}

// toldGroup is a group of servers, and the addresses of those who tell of them.
type toldGroup struct {
	servers []*lab.Redis
	addrs   []string
}

// failOver has something happen to a group's master, and gives what the leader of the failover and another one told of it, as soon as both have told all; addresses,
// ids and numbers are replaced by what they mean.
func (g toldGroup) failOver(t *testing.T, crash bool, settled func(leader, other *story) bool) (leader, other []string) {
	t.Helper()
	old := g.servers[0].Addr
	var stories []*story
	for _, addr := range g.addrs {
		stories = append(stories, follow(t, addr))
	}
	if crash {
		g.servers[0].Kill()
	} else {
		c := redis.NewClient(&redis.Options{Addr: g.addrs[0], MaxRetries: -1, DisableIdentity: true, Protocol: 2})
		defer c.Close()
		if err := c.Do(t.Context(), "SENTINEL", "FAILOVER", lab.MasterName).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var to config.Addr
	if err := lab.Await(patience, "all is told", func(context.Context) error {
		i := slices.IndexFunc(stories, leads)
		if i < 0 {
			return errors.New("nobody leads")
		}
		first, second := stories[i], stories[(i+1)%len(stories)]
		to = switchedTo(first.lines())
		if to == "" || !settled(first, second) {
			return fmt.Errorf("so far:\n%s\n\n%s", strings.Join(first.lines(), "\n"), strings.Join(second.lines(), "\n"))
		}
		leader, other = first.lines(), second.lines()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return g.normalise(leader, old, to), g.normalise(other, old, to)
}

// leads says whether a story is the leader's: the others tell from whom they have the new master.
func leads(s *story) bool {
	return s.tells("+elected-leader") && s.tells("+switch-master") && !s.tells("+config-update-from")
}

func switchedTo(lines []string) config.Addr {
	for _, line := range lines {
		if words := strings.Fields(line); words[0] == "+switch-master" && len(words) == 6 {
			return config.Addr(words[4] + ":" + words[5])
		}
	}
	return ""
}

var (
	runIDs  = regexp.MustCompile(`\b[0-9a-f]{40}\b`)
	numbers = regexp.MustCompile(`^(\+new-epoch|\+vote-for-leader ID) \d+$`)
	quorums = regexp.MustCompile(`#quorum \d+/\d+`)
)

// normalise replaces what differs from one group to another.
func (g toldGroup) normalise(lines []string, old, to config.Addr) []string {
	names := map[string]string{}
	for _, r := range g.servers {
		names[string(r.Addr)] = map[config.Addr]string{old: "OLD", to: "NEW"}[r.Addr]
		if names[string(r.Addr)] == "" {
			names[string(r.Addr)] = "OTHER"
		}
	}
	for _, addr := range g.addrs {
		names[addr] = "SENTINEL"
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		for addr, name := range names {
			line = strings.ReplaceAll(strings.ReplaceAll(line, addr, name), strings.Replace(addr, ":", " ", 1), name)
		}
		line = quorums.ReplaceAllString(runIDs.ReplaceAllString(line, "ID"), "#quorum N/N")
		out[i] = numbers.ReplaceAllString(line, "$1 N")
	}
	return out
}

// difference is one that is allowed, as testdata/events.txt says.
type difference struct{ who, scenario, what, channel, subject string }

func readDifferences(t *testing.T) []difference {
	t.Helper()
	text, err := os.ReadFile("testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []difference
	for line := range strings.Lines(string(text)) {
		line, reason, _ := strings.Cut(line, "|")
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if len(words) != 5 || strings.TrimSpace(reason) == "" {
			t.Fatalf("testdata/events.txt: %q is not: who, scenario, what, channel, subject, and a reason", line)
		}
		all = append(all, difference{words[0], words[1], words[2], words[3], words[4]})
	}
	return all
}

// allows says whether a line may differ in some way.
func allows(all []difference, what, line string) bool {
	channel, payload, _ := strings.Cut(line, " ")
	return slices.ContainsFunc(all, func(d difference) bool {
		return d.what == what && d.channel == channel && (d.subject == "*" || slices.Contains(strings.Fields(payload), d.subject))
	})
}

// of are those of one scenario and one kind of watcher.
func of(all []difference, who, scenario string) []difference {
	return slices.DeleteFunc(slices.Clone(all), func(d difference) bool {
		return d.who != "all" && d.who != who || d.scenario != "all" && d.scenario != scenario
	})
}

var eitherMaster = regexp.MustCompile(`mymaster (OLD|NEW)`)

// compared gives what is left of a story when what may be left out is taken away: the lines in their order, and those that may stand anywhere. What is told twice
// counts once.
func compared(lines []string, allowed []difference, only string) (ordered, anywhere []string) {
	told := map[string]bool{}
	for _, line := range lines {
		if allows(allowed, only, line) || allows(allowed, "both", line) {
			continue
		}
		if allows(allowed, "master", line) {
			line = eitherMaster.ReplaceAllString(line, "mymaster MASTER")
		}
		switch {
		case told[line]:
		case allows(allowed, "anywhere", line):
			anywhere = append(anywhere, line)
		default:
			ordered = append(ordered, line)
		}
		told[line] = true
	}
	slices.Sort(anywhere)
	return ordered, anywhere
}

// TestEvents_AreThoseOfRedisSentinel plays a crash and an order by hand on a group of Redis Sentinels and on one of agents, and compares what subscribers hear.
func TestEvents_AreThoseOfRedisSentinel(t *testing.T) {
	t.Parallel()
	differences := readDifferences(t)
	for _, scenario := range []string{"crash", "manual"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			l, c := start(t, nil)
			real, err := l.StartSentinels(lab.ClusterOptions{DownAfter: time.Second, FailoverTimeout: 5 * time.Second})
			if errors.Is(err, lab.ErrNoSentinel) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			crash := scenario == "crash"
			gone := func(s *story, old config.Addr) bool { return !crash || s.tells("+sdown", "slave "+string(old)) }
			theirLeader, theirOther := toldGroup{real.Redis, real.Addrs()}.failOver(t, crash, func(leader, other *story) bool {
				old := real.Redis[0].Addr
				return gone(leader, old) && gone(other, old) && other.tells("+switch-master")
			})
			ourLeader, ourOther := toldGroup{c.Redis, c.Sentinels()}.failOver(t, crash, func(leader, other *story) bool {
				old := c.Redis[0].Addr
				return gone(leader, old) && gone(other, old) && leader.tells("+failover-end") && other.tells("+failover-end")
			})
			for _, pair := range []struct {
				who          string
				theirs, ours []string
			}{{"leader", theirLeader, ourLeader}, {"others", theirOther, ourOther}} {
				allowed := of(differences, pair.who, scenario)
				theirs, theirRest := compared(pair.theirs, allowed, "theirs")
				ours, ourRest := compared(pair.ours, allowed, "ours")
				if !slices.Equal(theirs, ours) || !slices.Equal(theirRest, ourRest) {
					t.Errorf("%s, in order:\nRedis Sentinel\n\t%s\nPicket\n\t%s\nanywhere:\nRedis Sentinel\n\t%s\nPicket\n\t%s", pair.who,
						strings.Join(theirs, "\n\t"), strings.Join(ours, "\n\t"), strings.Join(theirRest, "\n\t"), strings.Join(ourRest, "\n\t"))
					t.Logf("all of it:\nRedis Sentinel\n\t%s\nPicket\n\t%s", strings.Join(pair.theirs, "\n\t"), strings.Join(pair.ours, "\n\t"))
				}
			}
		})
	}
}
