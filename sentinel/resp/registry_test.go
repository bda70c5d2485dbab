package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// registry notes what it is asked for; masters whose names say so are refused.
type registry struct {
	mu         sync.Mutex
	asked      []string
	parameters map[string]string
}

func (r *registry) note(master, format string, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, fmt.Sprintf(format, args...))
	return map[string]error{
		"unknown": picture.ErrUnknownMaster, "other": picture.ErrDuplicate, "running": picture.ErrInProgress,
		"cut-off": picture.ErrNoMajority, "taken": fmt.Errorf("%w: h:1 belongs to master x", picture.ErrTaken),
	}[master]
}

func (r *registry) Monitor(_ context.Context, name string, addr config.Addr, quorum int) error {
	return r.note(name, "monitor %s %s %d", name, addr, quorum)
}

func (r *registry) Resolves(_ context.Context, host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == "redis-9"
}

func (r *registry) Remove(_ context.Context, name string) error {
	return r.note(name, "remove %s", name)
}

func (r *registry) Reset(_ context.Context, master string) error {
	return r.note("", "reset %s", master)
}

func (r *registry) Simulate(election, promotion bool) {
	_ = r.note("", "simulate %v %v", election, promotion)
}

// Set does what the agent does: it tries the options on settings.
func (r *registry) Set(_ context.Context, master string, options []state.Option) error {
	m := config.DefaultMaster()
	for _, o := range options {
		if strings.HasSuffix(o.Name, "script") && o.Value == "/bin/true" {
			return &picture.OptionError{Option: o.Name, Value: o.Value, Err: picture.ErrScriptsDenied}
		}
		if !utf8.ValidString(o.Value) {
			return &picture.OptionError{Option: o.Name, Value: o.Value, Err: picture.ErrNotText}
		}
		if err := m.Set(o.Name, o.Value); err != nil {
			return &picture.OptionError{Option: o.Name, Value: o.Value, Err: err}
		}
	}
	return r.note(master, "set %s %v", master, options)
}

func (r *registry) Parameters() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.parameters)
}

func (r *registry) SetParameters(_ context.Context, parameters map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parameters == nil {
		r.parameters = map[string]string{}
	}
	maps.Copy(r.parameters, parameters)
	return nil
}

// TestRegistry_Commands: what changes something is checked in Sentinel's order, refused in its words, and handed to the agent.
func TestRegistry_Commands(t *testing.T) {
	f := newFake(healthy())
	s := start(t, Config{Backend: f})
	for _, c := range []struct{ line, reply, asked string }{
		{"SENTINEL MONITOR jobs 10.0.0.9 6380 2", "+OK", "monitor jobs 10.0.0.9:6380 2"},
		{"SENTINEL MONITOR jobs Redis-9. 6380 2", "+OK", "monitor jobs redis-9:6380 2"},
		{"SENTINEL MONITOR jobs redis-10 6380 2", "-ERR Invalid IP address or hostname specified", ""},
		{"SENTINEL MONITOR jobs fd00:0::1 6380 2", "+OK", "monitor jobs [fd00::1]:6380 2"},
		{"SENTINEL MONITOR jobs ::ffff:10.0.0.9 6380 2", "+OK", "monitor jobs 10.0.0.9:6380 2"},
		{"SENTINEL MONITOR jobs fd00::1 6380 2", "+OK", "monitor jobs [fd00::1]:6380 2"},
		{"SENTINEL MONITOR jobs nowhere x x", "-ERR Invalid quorum", ""},
		{"SENTINEL MONITOR jobs nowhere x 0", "-ERR Invalid port", ""},
		{"SENTINEL MONITOR jobs nowhere 0 0", "-ERR Quorum must be 1 or greater.", ""},
		{"SENTINEL MONITOR jobs nowhere 0 1", "-ERR Invalid IP address or hostname specified", ""},
		{"SENTINEL MONITOR jobs 10.0.0.9 0 1", "-ERR Invalid port number.", ""},
		{"SENTINEL MONITOR 'a b' 10.0.0.9 1 1", "-ERR Invalid master name: use up to 100 letters, digits, dots, dashes and underscores", ""},
		{"SENTINEL MONITOR other 10.0.0.9 6380 2", "-ERR Duplicate master name.", "monitor other 10.0.0.9:6380 2"},
		{"SENTINEL MONITOR taken 10.0.0.9 6380 2", "-ERR the server belongs to another master: h:1 belongs to master x", "monitor taken 10.0.0.9:6380 2"},
		{"SENTINEL MONITOR cut-off 10.0.0.9 6380 2", "-NOQUORUM " + picture.ErrNoMajority.Error(), "monitor cut-off 10.0.0.9:6380 2"},
		{"SENTINEL REMOVE cache", "+OK", "remove cache"},
		{"SENTINEL REMOVE unknown", "-ERR No such master with that name", "remove unknown"},
		{"SENTINEL REMOVE running", "-INPROG Failover already in progress", "remove running"},
		{"SENTINEL RESET ca*", ":1", "reset cache"},
		{"SENTINEL RESET nothing", ":0", ""},
		{"SENTINEL FLUSHCONFIG", "+OK", ""},
		{"SENTINEL SET cache quorum 1 PARALLEL-SYNCS 2", "+OK", "set cache [{quorum 1} {parallel-syncs 2}]"},
		{"SENTINEL SET cache rename-command CONFIG x", "+OK", "set cache [{rename-command CONFIG x}]"},
		{"SENTINEL SET cache primary-reboot-down-after-period 0", "+OK", "set cache [{master-reboot-down-after-period 0}]"},
		{"SENTINEL SET cache auth-pass ''", "+OK", "set cache [{auth-pass }]"},
		{"SENTINEL SET cache rename-command CONFIG", "-ERR Unknown option or number of arguments for SENTINEL SET 'rename-command'", ""},
		{"SENTINEL SET cache quorum -20", "-ERR Invalid argument '-20' for SENTINEL SET 'quorum'", ""},
		{"SENTINEL SET cache quorum 1 foo 2", "-ERR Unknown option or number of arguments for SENTINEL SET 'foo'", ""},
		{"SENTINEL SET cache quorum 1 parallel-syncs", "-ERR Unknown option or number of arguments for SENTINEL SET 'parallel-syncs'", ""},
		{"SENTINEL SET x quorum 1", "-ERR No such master with that name", ""},
		{"SENTINEL SET cache notification-script /none", "-ERR Notification script seems non existing or non executable", ""},
		{"SENTINEL SET cache client-reconfig-script /none", "-ERR Client reconfiguration script seems non existing or non executable", ""},
		{`SENTINEL SET cache auth-pass "\xff"`, "-ERR set auth-pass: " + picture.ErrNotText.Error(), ""},
		{"SENTINEL SET cache notification-script /bin/true", "-ERR Reconfiguration of scripts path is denied for security reasons. " +
			"Check the deny-scripts-reconfig configuration directive in your Sentinel configuration", ""},
		{"SENTINEL CONFIG GET announce-port", "*2 [announce-port 0]", ""},
		{"SENTINEL CONFIG SET announce-port 7 announce-ip 10.1.1.1", "+OK", ""},
		{"SENTINEL CONFIG GET announce-* ANNOUNCE-port", "*6 [announce-hostnames no announce-ip 10.1.1.1 announce-port 7]", ""},
		{"SENTINEL CONFIG GET nothing", "*0 []", ""},
		{"SENTINEL CONFIG SET announce-port 65536", "-ERR Invalid value '65536' to SENTINEL CONFIG SET 'announce-port'", ""},
		{"SENTINEL CONFIG SET announce-ip a resolve-hostnames x", "-ERR Invalid value 'x' to SENTINEL CONFIG SET 'resolve-hostnames'", ""},
		{"SENTINEL CONFIG SET announce-ip a announce-ip b", "-ERR Duplicate argument 'announce-ip' to SENTINEL CONFIG SET", ""},
		{"SENTINEL CONFIG SET announce-ip a sentinel-user", "-ERR Missing argument 'sentinel-user' value", ""},
		{"SENTINEL CONFIG SET foo a", "-ERR Invalid argument 'foo' to SENTINEL CONFIG SET", ""},
		{"SENTINEL CONFIG FOO a", "-ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are supported.", ""},
		{"SENTINEL SIMULATE-FAILURE crash-after-election CRASH-AFTER-PROMOTION", "+OK", "simulate true true"},
		{"SENTINEL SIMULATE-FAILURE help", "*2 [crash-after-election crash-after-promotion]", ""},
		{"SENTINEL SIMULATE-FAILURE foo", "-ERR Unknown failure simulation specified", ""},
		{"SENTINEL DEBUG info-period 0", "-ERR Invalid argument '0' for SENTINEL DEBUG 'info-period'", ""},
		{"SENTINEL DEBUG foo 1", "-ERR Unknown option or number of arguments for SENTINEL DEBUG 'foo'", ""},
		{"SENTINEL DEBUG info-period 1 ping-period", "-ERR Unknown option or number of arguments for SENTINEL DEBUG 'ping-period'", ""},
		{"SENTINEL DEBUG default-down-after 5000", "+OK", ""},
		{"SENTINEL MONITOR quick 10.0.0.9 6380 2", "+OK", "monitor quick 10.0.0.9:6380 2; set quick [{down-after-milliseconds 5000}]"},
		{"SENTINEL FAILOVER cache COORDINATED", "+OK", ""},
		{"SENTINEL FAILOVER cache now", "-ERR syntax error", ""},
	} {
		f.asked = nil
		v := say(t, s, c.line)
		got := string(v.kind) + v.text
		if v.kind == '*' {
			got = fmt.Sprintf("*%d %v", len(v.parts), texts(v))
		}
		if got != c.reply {
			t.Errorf("%s: %q, want %q", c.line, got, c.reply)
		}
		if asked := strings.Join(f.asked, "; "); asked != c.asked {
			t.Errorf("%s: the agent was asked %q, want %q", c.line, asked, c.asked)
		}
	}
	all := say(t, s, "SENTINEL DEBUG")
	if names := texts(all); len(names) != 26 || names[0] != "INFO-PERIOD" || !slices.Equal(names[8:10], []string{"DEFAULT-DOWN-AFTER", "5000"}) {
		t.Errorf("SENTINEL DEBUG: %q", names)
	}
}

// TestInfoCache: each server's INFO with its age, the master's first; who was never asked has none.
func TestInfoCache(t *testing.T) {
	p := healthy()
	p.Masters[0].Server.Last.Text, p.Masters[0].Server.Last.At = "role:master", now.Add(-time.Second)
	p.Masters[0].Replicas[1].Last = nil
	s := start(t, Config{Backend: newFake(p)})
	v := say(t, s, "SENTINEL INFO-CACHE nothing cache")
	if len(v.parts) != 2 || v.parts[0].text != "cache" || len(v.parts[1].parts) != 3 {
		t.Fatalf("%+v", v)
	}
	servers := v.parts[1].parts
	if first := servers[0].parts; first[0].text != "1000" || first[1].text != "role:master" {
		t.Errorf("the master: %+v", first)
	}
	if last := servers[2].parts; last[0].text != "0" || last[1].text != "" {
		t.Errorf("never asked: %+v", last)
	}
	if v := say(t, s, "SENTINEL INFO-CACHE nothing"); v.kind != '*' || len(v.parts) != 0 {
		t.Errorf("unknown: %+v", v)
	}
}

// TestInfoCache_IsBounded: a master is named once in the answer, however often in the question, and the answer ends somewhere.
func TestInfoCache_IsBounded(t *testing.T) {
	p := healthy()
	small, large := p.Masters[0], p.Masters[0]
	small.Name, large.Name, small.Replicas, large.Replicas = "small", "large", nil, nil
	small.Server.Last = &monitor.Observation{Text: "x"}
	large.Server.Last = &monitor.Observation{Text: strings.Repeat("x", maxInfoCache)}
	p.Masters = []picture.Master{small, large}
	s := start(t, Config{Backend: newFake(p)})
	for _, names := range []string{strings.Repeat(" small", 100), " large", " large large"} {
		if v := say(t, s, "SENTINEL INFO-CACHE"+names); v.kind != '*' || len(v.parts) != 2 {
			t.Errorf("%s: %c%.100s, %d parts", names, v.kind, v.text, len(v.parts))
		}
	}
	const want = "ERR the answer would be larger than 4 MiB: ask for fewer masters at once"
	if v := say(t, s, "SENTINEL INFO-CACHE large small"); v.kind != '-' || v.text != want {
		t.Errorf("%c%.100s", v.kind, v.text)
	}
}

// TestCommand_IsBounded: to repeat a name in one request doesn't make megabytes of it.
func TestCommand_IsBounded(t *testing.T) {
	s := start(t, Config{})
	most := 2 * len(s.table.commands)
	for _, command := range []string{"COMMAND INFO", "COMMAND DOCS"} {
		if v := say(t, s, command+strings.Repeat(" ping", most)); v.kind != '*' {
			t.Errorf("%s: %c%.100s", command, v.kind, v.text)
		}
		if v := say(t, s, command+strings.Repeat(" ping", most+1)); v.kind != '-' || !strings.HasPrefix(v.text, "ERR ") {
			t.Errorf("%s: %c%.100s", command, v.kind, v.text)
		}
	}
}

// say sends a line on a connection of its own and gives the reply.
func say(t *testing.T, s *Server, line string) value {
	t.Helper()
	conn := dial(t, s.Addr().String())
	defer conn.Close()
	if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
		t.Fatal(err)
	}
	v, err := read(bufio.NewReader(conn))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

func texts(v value) []string {
	list := []string{}
	for _, part := range v.parts {
		list = append(list, part.text)
	}
	return list
}

// TestIsMasterDown_ByEitherAddress: whoever asks may know a master by its name or by its IP address.
func TestIsMasterDown_ByEitherAddress(t *testing.T) {
	p := failing()
	p.Masters[0].Server.Addr, p.Masters[0].Server.Numeric = "redis-1:6379", "10.0.0.1:6379"
	s := start(t, Config{Backend: newFake(p)})
	for host, want := range map[string]string{"redis-1": "1", "Redis-1": "1", "10.0.0.1": "1", "10.0.0.2": "0"} {
		if got := say(t, s, "SENTINEL IS-MASTER-DOWN-BY-ADDR "+host+" 6379 0 *"); len(got.parts) != 3 || got.parts[0].text != want {
			t.Errorf("%s: %+v, want %s", host, got, want)
		}
	}
}
