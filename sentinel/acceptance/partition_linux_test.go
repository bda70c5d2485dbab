package acceptance

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/config"
	"picket/sentinel/cli"
	"picket/sentinel/lab"
)

// network is three hosts at one switch, each a network namespace. None can be reached from outside, or reaches out.
type network struct {
	t      *testing.T
	hub    string   // namespace of the switch
	hosts  []string // namespaces
	faults []func() // that heal what is broken
}

// newNetwork skips the test where this user can't make one.
func newNetwork(t *testing.T) *network {
	t.Helper()
	name := fmt.Sprintf("picket-%d", os.Getpid())
	n := &network{t: t, hub: name + "-hub"}
	if out, err := exec.Command("ip", "netns", "add", n.hub).CombinedOutput(); err != nil {
		t.Skipf("network namespaces need iproute2 and root: %v %s", err, out)
	}
	n.remove(n.hub)
	n.ip("-n", n.hub, "link", "add", "switch", "type", "bridge")
	n.ip("-n", n.hub, "link", "set", "switch", "up")
	for i := range 3 {
		host := fmt.Sprintf("%s-%d", name, i+1)
		n.ip("netns", "add", host)
		n.remove(host)
		n.hosts = append(n.hosts, host)
		n.ip("-n", n.hub, "link", "add", port(i), "type", "veth", "peer", "name", "eth0", "netns", host)
		n.ip("-n", n.hub, "link", "set", port(i), "master", "switch", "up")
		n.ip("-n", host, "address", "add", address(i)+"/24", "dev", "eth0")
		n.ip("-n", host, "link", "set", "eth0", "up")
		n.ip("-n", host, "link", "set", "lo", "up")
	}
	return n
}

func port(i int) string { return fmt.Sprintf("port%d", i+1) }

func address(i int) string { return fmt.Sprintf("10.0.0.%d", i+1) }

// remove has a namespace removed when the test ends; processes in it have ended by then.
func (n *network) remove(namespace string) {
	n.t.Cleanup(func() { n.ip("netns", "delete", namespace) })
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// unplug takes a host off the switch.
func (n *network) unplug(i int) {
	n.ip("-n", n.hub, "link", "set", port(i), "down")
	n.faults = append(n.faults, func() { n.ip("-n", n.hub, "link", "set", port(i), "up") })
}

// mute loses what one host sends to another; the other direction stays.
func (n *network) mute(from, to int) {
	n.ip("-n", n.hosts[from], "route", "add", "blackhole", address(to))
	n.faults = append(n.faults, func() { n.ip("-n", n.hosts[from], "route", "delete", "blackhole", address(to)) })
}

func (n *network) heal() {
	for _, undo := range n.faults {
		undo()
	}
	n.faults = nil
}

// partition breaks something: one host in both directions, one in one direction, or one link in one or both.
func (n *network) partition(random *rand.Rand) {
	order := random.Perm(len(n.hosts))
	a, b, c := order[0], order[1], order[2]
	switch random.IntN(5) {
	case 0:
		n.unplug(a)
	case 1: // it is heard by nobody
		n.mute(a, b)
		n.mute(a, c)
	case 2: // it hears nobody
		n.mute(b, a)
		n.mute(c, a)
	case 3:
		n.mute(a, b)
	case 4: // two that only a third one hears
		n.mute(a, b)
		n.mute(b, a)
	}
}

// door makes a host's HTTP port, which is on the loopback address there, reachable from here.
func (n *network) door(i int) cli.KV {
	file, err := os.Open(filepath.Join("/run/netns", n.hosts[i]))
	if err != nil {
		n.t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		dialled := make(chan struct{})
		go func() { // ends with the dialling; its thread, which is in the namespace, ends with it
			defer close(dialled)
			runtime.LockOSThread()
			if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err == nil {
				conn, err = new(net.Dialer).DialContext(ctx, network, addr)
			}
		}()
		<-dialled
		return conn, err
	}}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:26381"}) },
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0), // clients that lost patience
	})
	n.t.Cleanup(func() {
		proxy.Close()
		transport.CloseIdleConnections()
		_ = file.Close() // only read
	})
	return cli.KV{Agent: config.Addr(proxy.Listener.Addr().String())}
}

const hostConfig = `
cluster: partitions
agent: {id: agent-%[1]d, data-dir: %[2]s}
agents:
  - {id: agent-1, address: 10.0.0.1:26380}
  - {id: agent-2, address: 10.0.0.2:26380}
  - {id: agent-3, address: 10.0.0.3:26380}
listen: {sentinel: 127.0.0.1:26379, peers: 10.0.0.%[1]d:26380, http: 127.0.0.1:26381}
masters:
  - {name: mymaster, address: 10.0.0.1:6379, quorum: 2}
log: {level: debug, format: json}
`

// startHosts runs an agent on each host, and a Redis on the first.
func (n *network) startHosts(l *lab.Lab) []cli.KV {
	n.t.Helper()
	redis, err := lab.FindRedis()
	if err != nil {
		n.t.Skip(err)
	}
	processes := []*lab.Process{l.Command("redis", "ip", "netns", "exec", n.hosts[0], redis, "--bind", address(0), "--protected-mode", "no",
		"--dir", l.Dir, "--save", "")}
	var doors []cli.KV
	for i, host := range n.hosts {
		name := fmt.Sprintf("agent-%d", i+1)
		conf := filepath.Join(l.Dir, name+".yaml")
		if err := os.WriteFile(conf, fmt.Appendf(nil, hostConfig, i+1, filepath.Join(l.Dir, name)), 0o600); err != nil {
			n.t.Fatal(err)
		}
		processes = append(processes, l.Command(name, "ip", "netns", "exec", host, binary, "run", "--config", conf))
		doors = append(doors, n.door(i))
	}
	for _, p := range processes {
		if err := p.Start(); err != nil {
			n.t.Fatal(err)
		}
	}
	sameMap(n.t, doors)
	return doors
}

// TestMap_IsLinearizableAcrossPartitions cuts agents off from each other, in both directions and in one.
func TestMap_IsLinearizableAcrossPartitions(t *testing.T) {
	n := newNetwork(t)
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	t.Cleanup(func() { checkLogs(t, l, nil) })
	doors := n.startHosts(l)
	h := record(t, doors, func() {
		random := rand.New(rand.NewPCG(3, 4))
		for end := time.Now().Add(faultTime); time.Now().Before(end); {
			n.partition(random)
			wait(t.Context(), time.Duration(500+random.IntN(1000))*time.Millisecond)
			n.heal()
			wait(t.Context(), time.Duration(500+random.IntN(1000))*time.Millisecond)
		}
	})
	h.check(t)
	sameMap(t, doors)
}
