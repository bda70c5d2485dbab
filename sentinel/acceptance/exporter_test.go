package acceptance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
)

// TestExporter_ReadsWhatItNeeds scrapes an agent as redis_exporter does, by its rules, while all is well and after a replica has died.
func TestExporter_ReadsWhatItNeeds(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	agent := redis.NewClient(&redis.Options{Addr: string(c.Agents[1].Sentinel), Protocol: 2, MaxRetries: -1})
	defer agent.Close()
	wait := func(replicas int) {
		t.Helper()
		if err := lab.Await(patience, fmt.Sprintf("%d replicas are counted as well", replicas), func(ctx context.Context) error {
			s := scrape{Context: ctx, agent: agent}
			s.all()
			if s.err == nil && s.okReplicas != replicas {
				return fmt.Errorf("%d are", s.okReplicas)
			}
			return s.err
		}); err != nil {
			t.Fatal(err)
		}
	}
	wait(2)
	c.Redis[2].Kill()
	wait(1)
}

// scrape is one look of an exporter. It stops at the first thing that it can't read.
type scrape struct {
	context.Context
	agent      *redis.Client
	okReplicas int
	err        error
}

func (s *scrape) all() {
	s.info()
	for _, master := range s.maps("SENTINEL", "MASTERS") {
		name := master["name"]
		if name != lab.MasterName || master["ip"] != "127.0.0.1" || master["flags"] != "master" {
			s.fail("master %v", master)
		}
		s.numbers(master, "port", "last-ok-ping-reply", "down-after-milliseconds", "config-epoch", "num-slaves", "num-other-sentinels", "quorum",
			"failover-timeout", "parallel-syncs")
		if text, ok := s.do("SENTINEL", "CKQUORUM", name).(string); !ok || !strings.HasPrefix(text, "OK 3 usable Sentinels") {
			s.fail("CKQUORUM says %q", text)
		}
		if agents := well(s.maps("SENTINEL", "SENTINELS", name)); agents != 2 {
			s.fail("%d other agents are well, want 2", agents)
		}
		replicas := s.maps("SENTINEL", "SLAVES", name)
		for _, r := range replicas {
			s.numbers(r, "port", "master-link-down-time", "slave-repl-offset", "slave-priority")
		}
		s.okReplicas = well(replicas)
	}
	parameters := s.pairs(s.do("SENTINEL", "CONFIG", "GET", "*"))
	for _, name := range []string{"resolve-hostnames", "announce-hostnames", "announce-ip", "announce-port", "sentinel-user", "sentinel-pass"} {
		if _, told := parameters[name]; !told {
			s.fail("SENTINEL CONFIG GET tells nothing of %s", name)
		}
	}
}

// well counts those without a sign of being down.
func well(servers []map[string]string) (n int) {
	for _, server := range servers {
		flags := strings.Split(server["flags"], ",")
		if !slices.Contains(flags, "s_down") && !slices.Contains(flags, "o_down") && !slices.Contains(flags, "disconnected") {
			n++
		}
	}
	return n
}

var masterLine = regexp.MustCompile(`^master\d+$`)

// info reads INFO: lines of a name, a colon and a value; what follows a master's line is pairs.
func (s *scrape) info() {
	text, _ := s.do("INFO").(string)
	fields, masters := map[string]string{}, 0
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, found := strings.Cut(line, ":")
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
		case !found:
			s.fail("INFO says %q", line)
		case masterLine.MatchString(name):
			masters++
			s.master(value)
		default:
			fields[name] = value
		}
	}
	if masters != 1 {
		s.fail("INFO tells of %d masters", masters)
	}
	if fields["redis_mode"] != "sentinel" || len(fields["run_id"]) != 40 || fields["redis_version"] == "" || fields["os"] == "" {
		s.fail("INFO says %v", fields)
	}
	s.numbers(fields, "tcp_port", "process_id", "uptime_in_seconds", "connected_clients", "maxclients", "used_cpu_sys", "used_cpu_user",
		"total_connections_received", "total_commands_processed", "sentinel_masters", "sentinel_tilt", "sentinel_running_scripts",
		"sentinel_scripts_queue_length", "sentinel_simulate_failure_flags")
}

// master reads a line such as name=mymaster,status=ok,address=127.0.0.1:6379,slaves=2,sentinels=3.
func (s *scrape) master(line string) {
	told := map[string]string{}
	for pair := range strings.SplitSeq(line, ",") {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			s.fail("INFO says of a master %q", line)
		}
		told[name] = value
	}
	if told["name"] != lab.MasterName || told["status"] != "ok" || !strings.HasPrefix(told["address"], "127.0.0.1:") {
		s.fail("INFO says of a master %q", line)
	}
	s.numbers(told, "slaves", "sentinels")
}

// numbers checks that values can be taken for numbers.
func (s *scrape) numbers(from map[string]string, names ...string) {
	for _, name := range names {
		if _, err := strconv.ParseFloat(from[name], 64); err != nil {
			s.fail("%s is no number: %q", name, from[name])
		}
	}
}

func (s *scrape) do(args ...any) any {
	reply, err := s.agent.Do(s.Context, args...).Result()
	if err != nil {
		s.fail("%v: %v", args, err)
	}
	return reply
}

// maps reads a list of maps.
func (s *scrape) maps(args ...any) []map[string]string {
	list, _ := s.do(args...).([]any)
	if len(list) == 0 {
		s.fail("%v: nothing", args)
	}
	var maps []map[string]string
	for _, one := range list {
		maps = append(maps, s.pairs(one))
	}
	return maps
}

// pairs reads a map, which in RESP2 is names and values in turn.
func (s *scrape) pairs(reply any) map[string]string {
	words, _ := reply.([]any)
	if len(words) == 0 || len(words)%2 != 0 {
		s.fail("%d words are no pairs", len(words))
		return nil
	}
	pairs := map[string]string{}
	for i := 0; i < len(words); i += 2 {
		name, named := words[i].(string)
		value, is := words[i+1].(string)
		if !named || !is {
			s.fail("%v: %v is no pair of texts", words[i], words[i+1])
		}
		pairs[name] = value
	}
	return pairs
}

func (s *scrape) fail(format string, args ...any) {
	s.err = errors.Join(s.err, fmt.Errorf(format, args...))
}
