package tour

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// machine is a host with its own network, processes and files: what is changed below /etc, /var, /usr, /root and /run is seen there only.
type machine struct {
	name string
	host *lab.Host
	init *lab.Process
	dir  string // of the real machine: what it has changed
	pid  int    // of its first process
}

// boot runs as the machine's first process. Shell, because it reaps what its services leave behind.
const boot = `set -e
hostname "$NAME"
for top in etc var usr root run; do
	mkdir -p "$DIR/$top/upper" "$DIR/$top/work"
	mount -t overlay overlay -o "lowerdir=/$top,upperdir=$DIR/$top/upper,workdir=$DIR/$top/work" "/$top"
done
mount -t proc proc /proc
rm -f /var/lib/man-db/auto-update # an index of manuals takes seconds, and nobody reads them here
chmod 711 "$DIR/.." "$DIR"
cp "$SERVICES" /usr/local/bin/systemctl
ln /usr/local/bin/systemctl /usr/local/bin/journalctl
printf '127.0.0.1 localhost\n10.0.0.1 host1\n10.0.0.2 host2\n10.0.0.3 host3\n10.0.0.4 host4\n' >/etc/hosts
touch "$DIR/up"
sleep infinity & wait`

// start boots a machine.
func start(t *testing.T, l *lab.Lab, h *lab.Host, name string) *machine {
	t.Helper()
	services, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{name: name, host: h, dir: filepath.Join(l.Dir, name)}
	if err := os.MkdirAll(m.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	m.init = l.Command(name, h.On("env", "NAME="+name, "DIR="+m.dir, "SERVICES="+services,
		"unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--propagation", "private", "bash", "-c", boot)...)
	if err := m.init.Start(); err != nil {
		t.Fatal(err)
	}
	if err := lab.Await(20*time.Second, name+" is up", func(context.Context) error {
		if !m.init.Running() {
			text, _ := os.ReadFile(m.init.Log) // what there is of it
			t.Skipf("hosts of their own need namespaces and overlay file systems: %s", text)
		}
		_, err := os.Stat(filepath.Join(m.dir, "up"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", m.init.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(children), &m.pid); err != nil {
		t.Fatalf("%s has no first process: %v", name, err)
	}
	return m
}

// environment of the root user's shell.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "TERM=dumb", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}

// patience bounds one command.
const patience = time.Minute

// shell runs a command line on the machine, and gives what it prints.
func (m *machine) shell(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(m.pid), "--mount", "--uts", "--pid", "--net",
		"bash", "-o", "pipefail", "-c", "cd; "+line)
	cmd.Env, cmd.WaitDelay = environment, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is shell for what the test itself needs.
func (m *machine) must(t *testing.T, line string) string {
	t.Helper()
	out, err := m.shell(t.Context(), line)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", m.name, line, err, out)
	}
	return out
}

// put writes a file on the machine, for its root user alone.
func (m *machine) put(ctx context.Context, path, text string) error {
	cmd := exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(m.pid), "--mount", "bash", "-c", `umask 077; cat >"$0"`, path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("write %s on %s: %w %s", path, m.name, err, out)
	}
	return nil
}

// get reads a file of the machine.
func (m *machine) get(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(m.pid), "--mount", "cat", path).Output()
	if err != nil {
		return "", fmt.Errorf("read %s on %s: %w", path, m.name, err)
	}
	return string(out), nil
}
