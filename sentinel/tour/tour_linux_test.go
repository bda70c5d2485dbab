package tour

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
)

// update writes into the document what the commands print. What varies, or is long, may be cut out by hand: the test wants each line that
// the document shows, in that order, not each that is printed.
var update = flag.Bool("update", false, "write what the commands print into the document")

const document = "../../docs/tour.md"

func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); name {
	case "systemctl", "journalctl":
		if err := services(os.Args); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// step is a line of the document, and, where it is a command, what is printed.
type step struct {
	text    string
	section string // the heading above it
	host    string // on which it is run; empty: it is no command
	command string
	shown   []string
}

var prompt = regexp.MustCompile(`^(host[1-4])# (.+)$|^(laptop)\$ (.+)$`)

// steps reads the document.
func steps(t *testing.T) []step {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	section, console := "", false
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		switch m := prompt.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "```"):
			console = line == "```console"
			all = append(all, step{text: line, section: section})
		case console && m != nil:
			all = append(all, step{text: line, section: section, host: m[1] + m[3], command: m[2] + m[4]})
		case console && strings.HasPrefix(line, "> "):
			last := &all[len(all)-1]
			last.text += "\n" + line
			last.command += "\n" + strings.TrimPrefix(line, "> ")
		case console:
			if len(all) == 0 || all[len(all)-1].host == "" {
				t.Fatalf("%s: %q stands below no command", document, line)
			}
			all[len(all)-1].shown = append(all[len(all)-1].shown, line)
		default:
			if title, ok := strings.CutPrefix(line, "## "); ok {
				section = title
			}
			all = append(all, step{text: line, section: section})
		}
	}
	return all
}

// TestTour does what the document says, as it says it, and looks whether what comes of it is what the document shows.
func TestTour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := steps(t)
	if *update {
		defer func() { write(t, all) }()
	}
	for i := range all {
		w.enter(all[i].section)
		if all[i].host == "" {
			continue
		}
		begun := time.Now()
		out, err := w.run(t.Context(), all[i].host, all[i].command)
		t.Logf("%5d ms  %s", time.Since(begun).Milliseconds(), all[i].text)
		if err != nil {
			w.logs()
			t.Fatalf("%s\n%s%v", all[i].text, out, err)
		}
		var printed []string
		if out != "" {
			printed = strings.Split(strings.TrimRight(out, "\n"), "\n")
		}
		switch missing := missing(all[i].shown, printed); {
		case *update:
			all[i].shown = printed
		case missing != "":
			w.logs()
			t.Errorf("%s\nprints\n%sand not\n%s", all[i].text, out, missing)
		}
	}
	w.checkWrites()
}

func write(t *testing.T, all []step) {
	t.Helper()
	var b strings.Builder
	for _, s := range all {
		for _, line := range append([]string{s.text}, s.shown...) {
			b.WriteString(line + "\n")
		}
	}
	if err := os.WriteFile(document, []byte(b.String()), 0o644); err != nil { //nolint:gosec // a document
		t.Fatal(err)
	}
}

// missing is the first shown line that is not printed after those before it.
func missing(shown, printed []string) string {
	for _, line := range shown {
		found := false
		for !found && len(printed) > 0 {
			found = alike(line, printed[0])
			printed = printed[1:]
		}
		if !found && strings.TrimSpace(line) != "" {
			return line
		}
	}
	return ""
}

// varies is what is another in each run: who leads, numbers, long hexadecimal ids; names and addresses of hosts are not.
var varies = regexp.MustCompile(`10\.0\.0\.[0-9] leads|leader|follower|\([0-9]+ behind\)|host[0-9]|10\.0\.0\.[0-9]+(:[0-9]+)?|[0-9a-f]{16,}|[0-9]+([.:][0-9]+)*(ns|µs|ms|s|m|h)?`)

func alike(a, b string) bool {
	plain := func(line string) string {
		line = varies.ReplaceAllStringFunc(line, func(s string) string {
			if strings.HasPrefix(s, "host") || strings.HasPrefix(s, "10.0.0.") && !strings.HasSuffix(s, "leads") {
				return s
			}
			if strings.HasSuffix(s, "behind)") {
				return ""
			}
			return "0"
		})
		return strings.Join(strings.Fields(line), " ")
	}
	return plain(a) == plain(b)
}

// world is the hosts, and a client of their Redis.
type world struct {
	t        *testing.T
	lab      *lab.Lab
	network  *lab.Network
	laptop   string // the operator's directory
	machines map[string]*machine
	section  string
	writer   *lab.Writer
	secret   atomic.Value // the password that the client gives
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	network, err := l.NewNetwork(5)
	if errors.Is(err, lab.ErrNoNetwork) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, lab: l, network: network, laptop: t.TempDir(), machines: map[string]*machine{}}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		w.pack(version)
	}
	return w
}

// pack makes a package of what is to be tested, under a version of its own.
func (w *world) pack(version string) {
	binary := filepath.Join(w.laptop, "picket-"+version)
	for _, args := range [][]string{
		{"env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=" + version, "-o", binary, "picket"}, // as make build does
		{"../../docs/packaging/build", "deb", binary, version, w.laptop},
	} {
		if out, err := exec.CommandContext(w.t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// machine gives a host, which is booted when it is first needed.
func (w *world) machine(name string) *machine {
	m := w.machines[name]
	if m == nil {
		m = start(w.t, w.lab, w.network.Hosts[name[len(name)-1]-'1'], name)
		w.machines[name] = m
	}
	return m
}

// run does what an operator does at a prompt. On his laptop he only copies files between hosts.
func (w *world) run(ctx context.Context, host, command string) (string, error) {
	if host == "laptop" {
		return "", w.copy(ctx, command)
	}
	m := w.machine(host)
	if command == "poweroff -f" {
		err := w.network.Unplug(m.host)
		m.init.Kill()
		return "", err
	}
	return m.shell(ctx, command)
}

// copy is scp [-r] FROM… TO, by which an operator copies from his laptop, and between hosts.
func (w *world) copy(ctx context.Context, command string) error {
	words := strings.Fields(strings.Replace(command, "scp -r ", "scp ", 1))
	if len(words) < 3 || words[0] != "scp" {
		return errors.New("the laptop only knows scp FROM… TO")
	}
	host, place, _ := strings.Cut(words[len(words)-1], ":")
	for _, from := range words[1 : len(words)-1] {
		files, err := w.read(ctx, from)
		if err != nil {
			return err
		}
		for name, text := range files {
			to := place
			if strings.HasSuffix(place, "/") {
				to += name
			}
			if err := w.machine(host).put(ctx, to, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// read gives the files that a word of scp means, by their names: a file of the laptop, one of a host, or all in a directory of a host.
func (w *world) read(ctx context.Context, from string) (map[string]string, error) {
	host, path, remote := strings.Cut(from, ":")
	if !remote {
		text, err := os.ReadFile(filepath.Join(w.laptop, from))
		return map[string]string{from: string(text)}, err
	}
	m := w.machine(host)
	paths := []string{path}
	if dir, all := strings.CutSuffix(path, "/."); all {
		out, err := m.shell(ctx, "find "+dir+" -type f")
		if err != nil {
			return nil, fmt.Errorf("read %s: %w %s", from, err, out)
		}
		paths = strings.Fields(out)
	}
	files := map[string]string{}
	for _, path := range paths {
		text, err := m.get(ctx, path)
		if err != nil {
			return nil, err
		}
		files[filepath.Base(path)] = text
	}
	return files, nil
}

// oldWorld is where the document begins: three hosts with Redis and Redis Sentinel, as Debian installs them.
func (w *world) oldWorld() {
	for i := 1; i <= 3; i++ {
		m := w.machine(fmt.Sprintf("host%d", i))
		follow := ""
		if i > 1 {
			follow = "replicaof 10.0.0.1 6379"
		}
		if i == 3 {
			follow += "\nreplica-priority 200"
		}
		m.must(w.t, `cat >>/etc/redis/redis.conf <<end
bind 0.0.0.0
requirepass old-secret
masterauth old-secret
repl-timeout 12
repl-diskless-sync-delay 0
`+follow+`
end
cat >/etc/redis/sentinel.conf <<end
bind 0.0.0.0
port 26379
dir /var/lib/redis
sentinel monitor mymaster 10.0.0.1 6379 2
sentinel auth-pass mymaster old-secret
sentinel down-after-milliseconds mymaster 1000
sentinel failover-timeout mymaster 10000
sentinel parallel-syncs mymaster 1
end
chown redis: /etc/redis/*.conf
systemctl start redis-server redis-sentinel`)
	}
	m := w.machine("host1")
	if err := lab.Await(patience, "the Sentinels know each other", func(ctx context.Context) error {
		out, err := m.shell(ctx, "redis-cli -p 26379 sentinel ckquorum mymaster && redis-cli -p 26379 sentinel replicas mymaster | grep -c flags")
		if err == nil && !strings.HasPrefix(out, "OK 3 usable Sentinels") || !strings.HasSuffix(out, "\n2\n") {
			err = errors.New(out)
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

// enter does what the test has to do beside the document when a section begins.
func (w *world) enter(section string) {
	if section == w.section {
		return
	}
	w.section = section
	switch section {
	case "Where you start":
		w.oldWorld()
	case "Cut over":
		w.secret.Store("old-secret")
		w.write()
	case "Take the old password away":
		w.secret.Store("new-secret")
	}
}

// write has a client on a host of its own write from now on.
func (w *world) write() {
	opts := lab.FailoverOptions(w.network.Hosts[4], []string{"10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379", "10.0.0.4:26379"})
	opts.CredentialsProvider = func() (string, string) { return "", w.secret.Load().(string) }
	w.writer = lab.NewWriter(redis.NewFailoverClient(opts), "tour")
}

// checkWrites ends the client, and looks for what was acknowledged to it.
func (w *world) checkWrites() {
	w.t.Helper()
	w.writer.Stop()
	acked := w.writer.Acked()
	client := redis.NewClient(&redis.Options{Addr: "10.0.0.1:6379", Password: w.secret.Load().(string), Dialer: w.network.Hosts[4].Dial})
	defer client.Close()
	lost, err := lab.Lost(w.t.Context(), client, acked)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(acked) == 0 || lost > 0 {
		w.t.Fatalf("%d of %d acknowledged writes are lost", lost, len(acked))
	}
	longest := 1
	for i := 2; i < len(acked); i++ {
		if acked[i].At.Sub(acked[i-1].At) > acked[longest].At.Sub(acked[longest-1].At) {
			longest = i
		}
	}
	if acked[longest].At.Sub(acked[longest-1].At) > 2*time.Second {
		w.logs()
	}
	w.t.Logf("%d writes, none lost; the longest between two: %v, until %s", len(acked),
		acked[longest].At.Sub(acked[longest-1].At).Round(time.Millisecond), acked[longest].At.Format("15:04:05.000"))
}

// logs shows what the services of each host have said last.
func (w *world) logs() {
	for name, m := range w.machines {
		out, _ := m.shell(w.t.Context(), "cat /var/log/unit-picket.log; tail -n 40 /var/log/redis/redis-server.log") // what there is of it
		w.t.Logf("%s:\n%s", name, out)
	}
}
