package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/sentinel/lab"
)

// TestRunbook follows docs/from-sentinel.md, every line of it in its order, on three hosts of their own with real Redis servers and Redis Sentinels, while a
// client writes all the time.
func TestRunbook(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"redis-server", "redis-sentinel", "redis-cli", "unshare", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	text, err := os.ReadFile("../../docs/from-sentinel.md")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	b := &runbook{t: t, lab: l, network: newNetwork(t, l)}
	for i, h := range b.network.Hosts {
		b.prepare(i, h)
	}
	if err := lab.Await(patience, "the replicas follow", func(ctx context.Context) error { return lab.Replicated(ctx, b.redis, b.redis[0].Addr) }); err != nil {
		t.Fatal(err)
	}
	for _, h := range b.hosts {
		b.start(h, "redis-sentinel")
	}
	b.await("the Sentinels know each other", func(ctx context.Context, h *runbookHost) error {
		if m, err := h.master(ctx); err != nil || m["num-other-sentinels"] != "2" || m["num-slaves"] != "2" {
			return fmt.Errorf("%v, %w", m, err)
		}
		return nil
	})
	var sentinels []string
	for _, h := range b.network.Hosts {
		sentinels = append(sentinels, h.IP()+":26379")
	}
	b.writer = lab.NewWriter(redis.NewFailoverClient(lab.FailoverOptions(b.network.Hosts[0], sentinels)), "runbook")
	defer b.writer.Stop()

	steps := strings.Split(string(text), "\n## ")
	for _, step := range steps[1:] {
		title, _, _ := strings.Cut(step, "\n")
		b.step(title, step)
	}
	if b.commands < 20 {
		t.Errorf("the document has %d commands", b.commands)
	}
	b.check()
}

// runbook is the reader of the document.
type runbook struct {
	t        *testing.T
	lab      *lab.Lab
	network  *network
	hosts    []*runbookHost
	redis    []*lab.Redis
	writer   *lab.Writer
	commands int
	safe     time.Time // whatever is acknowledged later must be there in the end
}

// runbookHost is one host: /etc and /var/lib are its own.
type runbookHost struct {
	*lab.Host
	root     string
	services map[string]*lab.Process
	sentinel *redis.Client
}

// prepare makes a host with a Redis, and the sentinel.conf of a Sentinel on it.
func (b *runbook) prepare(i int, at *lab.Host) {
	h := &runbookHost{Host: at, root: filepath.Join(b.lab.Dir, at.IP()), services: map[string]*lab.Process{}}
	for _, dir := range []string{"etc/redis", "etc/picket", "lib/picket", "home", "bin"} {
		b.must(os.MkdirAll(filepath.Join(h.root, dir), 0o755)) //nolint:gosec // as on every host
	}
	for file, more := range map[string]string{"passwd": fmt.Sprintf("picket:x:%[1]d:%[1]d::/var/lib/picket:/bin/false\n", picketUser), "group": fmt.Sprintf("picket:x:%d:\n", picketUser), "nsswitch.conf": ""} {
		if text, err := os.ReadFile(filepath.Join("/etc", file)); err == nil {
			b.must(os.WriteFile(filepath.Join(h.root, "etc", file), append(text, more...), 0o644)) //nolint:gosec // as on every host
		}
	}
	// As the package and the unit have them.
	b.must(errors.Join(os.Chmod(filepath.Join(h.root, "etc/picket"), 0o750), os.Chown(filepath.Join(h.root, "etc/picket"), 0, picketUser))) //nolint:gosec // its group is to look into it
	b.must(os.Chown(filepath.Join(h.root, "lib/picket"), picketUser, picketUser))
	b.must(os.WriteFile(filepath.Join(h.root, "bin/picket"), nil, 0o755)) //nolint:gosec // the program is mounted over it
	// It copies between hosts whose /etc is a directory here.
	copied := fmt.Sprintf("#!/bin/sh\nset -e\nfor a; do\n case $a in\n 10.*:/*) a=%s/${a%%%%:*}/${a#*:/};;\n esac\n set -- \"$@\" \"$a\"; shift\ndone\nexec cp \"$@\"\n", b.lab.Dir)
	b.must(os.WriteFile(filepath.Join(h.root, "bin", "scp"), []byte(copied), 0o700)) //nolint:gosec // it is run
	conf := fmt.Sprintf(`bind %s 127.0.0.1
port 26379
dir /tmp
logfile ""
sentinel monitor mymaster 10.0.0.1 6379 2
sentinel auth-user mymaster watcher
sentinel auth-pass mymaster of-the-servers
sentinel down-after-milliseconds mymaster 1000
sentinel failover-timeout mymaster 5000
`, at.IP())
	b.must(os.WriteFile(filepath.Join(h.root, "etc/redis/sentinel.conf"), []byte(conf), 0o640))
	h.services["redis-sentinel"] = b.lab.Command("sentinel-"+at.IP(), h.command("redis-sentinel", "/etc/redis/sentinel.conf")...)
	h.services["picket"] = b.lab.Command("picket-"+at.IP(), h.command("setpriv", "--reuid", fmt.Sprint(picketUser), "--regid", fmt.Sprint(picketUser), "--clear-groups", "--no-new-privs", "picket", "run", "--config", "/etc/picket/picket.yaml")...)
	h.sentinel = redis.NewClient(&redis.Options{Addr: at.IP() + ":26379", Dialer: at.Dial, MaxRetries: -1, DisableIdentity: true, Protocol: 2})
	b.t.Cleanup(func() { _ = h.sentinel.Close() })
	options := lab.RedisOptions{Host: at, Lines: []string{"user watcher on >of-the-servers allchannels allcommands allkeys"}}
	if i > 0 {
		options.ReplicaOf = b.redis[0].Addr
	}
	server, err := b.lab.StartRedis(options)
	b.must(err)
	b.redis, b.hosts = append(b.redis, server), append(b.hosts, h)
}

func (b *runbook) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// picketUser is the agent's.
const picketUser = 61234

// command runs a program on the host, with the host's own directories. Its programs are where every user can reach them.
func (h *runbookHost) command(args ...string) []string {
	mounts := fmt.Sprintf("mount --bind %[1]s/etc /etc && mount --bind %[1]s/lib /var/lib && mount --bind %[1]s/bin /mnt && mount --bind %[2]s /mnt/picket && "+
		"cd %[1]s/home && PATH=/mnt:$PATH exec \"$@\"", h.root, binary)
	return append(h.On("unshare", "--mount", "sh", "-ec", mounts, "sh"), args...)
}

// master is what the Sentinel of the host, or the agent in its place, says.
func (h *runbookHost) master(ctx context.Context) (map[string]string, error) {
	return (&successor{client: h.sentinel}).master(ctx)
}

func (b *runbook) await(what string, condition func(context.Context, *runbookHost) error) {
	b.t.Helper()
	for _, h := range b.hosts {
		if err := lab.Await(2*patience, h.IP()+": "+what, func(ctx context.Context) error { return condition(ctx, h) }); err != nil {
			b.t.Fatalf("%v\n%s", err, b.logs())
		}
	}
}

// start starts a service, and waits until it answers.
func (b *runbook) start(h *runbookHost, service string) {
	b.t.Helper()
	b.must(h.services[service].Start())
	port := map[string]string{"redis-sentinel": "26379", "picket": "26381"}[service]
	if err := lab.Await(patience, service+" of "+h.IP()+" listens", func(ctx context.Context) error {
		host := map[string]string{"26379": h.IP(), "26381": "127.0.0.1"}[port]
		conn, err := h.Dial(ctx, "tcp", host+":"+port)
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		b.t.Fatalf("%v\n%s", err, b.logs())
	}
}

var place = regexp.MustCompile(`^# on (each host|[0-9.]+)$`)

// step does what a section of the document says, and tells what it has cost the client.
func (b *runbook) step(title, text string) {
	begin := time.Now()
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		lines := strings.Split(strings.TrimSpace(m[2]), "\n")
		where := place.FindStringSubmatch(lines[0])
		if m[1] != "sh" || where == nil {
			b.t.Fatalf("%s: a block does not say where it is run:\n%s", title, m[2])
		}
		for _, h := range b.hosts {
			if where[1] != "each host" && where[1] != h.IP() {
				continue
			}
			for _, line := range lines[1:] {
				b.line(title, h, line)
			}
		}
	}
	b.settled(title)
	end := time.Now()
	failed, longest := b.cost(begin, end)
	b.t.Logf("%s: %d writes failed, at most %d ms between two that did not", title, failed, longest.Milliseconds())
	if failed > 0 && !strings.Contains(title, "Watch") && !strings.Contains(title, "Cut over") { // in which the master changes
		b.t.Errorf("%s: %d writes failed, although nobody fails over", title, failed)
	}
}

// line runs one line.
func (b *runbook) line(title string, h *runbookHost, line string) {
	b.t.Helper()
	b.commands++
	words := strings.Fields(line)
	if words[0] == "systemctl" {
		b.systemctl(h, words[1:])
		return
	}
	if strings.HasPrefix(line, "picket switchover") { // whatever failed before is the cut-over's
		if failed, longest := b.cost(b.safe, time.Now()); failed > 0 {
			b.t.Errorf("%s: %d writes failed before the switchover; the longest wait was %v", title, failed, longest)
		}
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*patience)
	defer cancel()
	args := h.command("sh", "-ec", line)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil || strings.HasPrefix(string(out), "ERR") || strings.HasPrefix(string(out), "(error)") {
		b.t.Fatalf("%s, on %s: %s: %v\n%s\n%s", title, h.IP(), line, err, out, b.logs())
	}
	b.t.Logf("%s# %s\n%s", h.IP(), line, out)
	if strings.HasPrefix(line, "until picket shadow --exit-code") {
		if !strings.Contains(string(out), "the other coordinator made") {
			b.t.Errorf("the report knows nothing of the Sentinels' failover:\n%s", out)
		}
		b.safe = time.Now() // what the Sentinels lose is theirs
	}
}

// systemctl does what systemd would.
func (b *runbook) systemctl(h *runbookHost, args []string) {
	b.t.Helper()
	now := slices.Contains(args, "--now")
	args = slices.DeleteFunc(args, func(a string) bool { return a == "--now" })
	verb, service := args[0], args[1]
	p := h.services[service]
	if p == nil {
		b.t.Fatalf("there is no service %s", service)
	}
	switch {
	case verb == "disable" && now, verb == "stop", verb == "restart":
		b.must(p.Stop(patience))
		if verb == "restart" {
			b.start(h, service)
		}
	case verb == "start", verb == "enable" && now:
		b.start(h, service)
	case verb == "enable": // from the next start of the host on
	default:
		b.t.Fatalf("systemctl %v is not known here", args)
	}
}

// settled waits until whoever is in charge after a step knows everybody: what the operator sees before going on.
func (b *runbook) settled(title string) {
	if strings.Contains(title, "Import") {
		return
	}
	b.await("all follow the same master after "+title, func(ctx context.Context, h *runbookHost) error {
		m, err := h.master(ctx)
		if err != nil || m["flags"] != "master" || m["num-other-sentinels"] != "2" || m["num-slaves"] != "2" {
			return fmt.Errorf("%v, %w", m, err)
		}
		return lab.Replicated(ctx, b.redis, config.Addr(m["ip"]+":"+m["port"]))
	})
}

// cost counts the writes that failed, and the longest time without one that did not.
func (b *runbook) cost(from, to time.Time) (failed int, longest time.Duration) {
	last, before := -1, from
	for _, a := range b.writer.Acked() {
		n, err := strconv.Atoi(strings.TrimPrefix(a.Key, "runbook:"))
		b.must(err)
		if a.At.Before(from) || a.At.After(to) {
			last = n
			if !a.At.After(to) {
				before = from
			}
			continue
		}
		if last >= 0 {
			failed += n - last - 1
		}
		longest = max(longest, a.At.Sub(before))
		last, before = n, a.At
	}
	return failed, longest
}

// check looks for every write that was acknowledged since the agents or the Sentinels had settled after the Sentinels' own failover.
func (b *runbook) check() {
	b.writer.Stop()
	m, err := b.hosts[0].master(b.t.Context())
	b.must(err)
	client := redis.NewClient(&redis.Options{Addr: m["ip"] + ":" + m["port"], Dialer: b.hosts[0].Dial})
	defer client.Close()
	keys, lost := 0, 0
	for _, a := range b.writer.Acked() {
		if a.Sent.Before(b.safe) {
			continue
		}
		keys++
		if n, err := client.Exists(b.t.Context(), a.Key).Result(); err != nil || n != 1 {
			lost++
		}
	}
	if lost > 0 || keys == 0 {
		b.t.Errorf("%d of %d acknowledged writes are lost", lost, keys)
	}
	b.t.Logf("%d acknowledged writes, none lost", keys)
}

func (b *runbook) logs() string {
	var all strings.Builder
	for _, h := range b.hosts {
		for name, p := range h.services {
			text, err := os.ReadFile(p.Log)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			fmt.Fprintf(&all, "--- %s of %s\n%s", name, h.IP(), text[max(0, len(text)-4000):])
		}
	}
	return all.String()
}
