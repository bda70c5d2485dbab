package acceptance

import (
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/cli"
	"picket/sentinel/lab"
)

// network is three hosts at one switch.
type network struct {
	*lab.Network
	t *testing.T
}

// newNetwork skips the test where this user can't make one.
func newNetwork(t *testing.T, l *lab.Lab) *network {
	t.Helper()
	return newNetworkOf(t, l, 3)
}

func newNetworkOf(t *testing.T, l *lab.Lab, hosts int) *network {
	t.Helper()
	made, err := l.NewNetwork(hosts)
	if errors.Is(err, lab.ErrNoNetwork) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &network{Network: made, t: t}
}

// partition breaks something: one host in both directions, one in one direction, or one link in one or both.
func (n *network) partition(random *rand.Rand) {
	order := random.Perm(len(n.Hosts))
	a, b, c := n.Hosts[order[0]], n.Hosts[order[1]], n.Hosts[order[2]]
	unplug := func(h *lab.Host) { n.must(n.Unplug(h)) }
	mute := func(from, to *lab.Host) { n.must(n.Deafen(to, from)) }
	switch random.IntN(5) {
	case 0:
		unplug(a)
	case 1: // it is heard by nobody
		mute(a, b)
		mute(a, c)
	case 2: // it hears nobody
		mute(b, a)
		mute(c, a)
	case 3:
		mute(a, b)
	case 4: // two that only a third one hears
		mute(a, b)
		mute(b, a)
	}
}

func (n *network) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// door makes an agent's HTTP port, which is on the loopback address there, reachable from here.
func (n *network) door(a *lab.Agent) cli.KV {
	transport := &http.Transport{DialContext: a.Host.Dial}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: string(a.HTTP)}) },
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0), // clients that lost patience
	})
	n.t.Cleanup(func() {
		proxy.Close()
		transport.CloseIdleConnections()
	})
	return cli.KV{Client: cli.At(config.Addr(proxy.Listener.Addr().String()))}
}

// TestMap_IsLinearizableAcrossPartitions cuts agents off from each other, in both directions and in one.
func TestMap_IsLinearizableAcrossPartitions(t *testing.T) {
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	n := newNetwork(t, l)
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { checkLogs(t, l, nil) })
	c, err := l.StartCluster(lab.ClusterOptions{Program: binary, Network: n.Network})
	n.must(err)
	var doors []cli.KV
	for _, a := range c.Agents {
		doors = append(doors, n.door(a))
	}
	sameMap(t, doors)
	h := record(t, doors, func() {
		random := rand.New(rand.NewPCG(3, 4))
		for end := time.Now().Add(faultTime); time.Now().Before(end); {
			n.partition(random)
			lab.Pause(t.Context(), time.Duration(500+random.IntN(1000))*time.Millisecond)
			n.must(n.Heal())
			lab.Pause(t.Context(), time.Duration(500+random.IntN(1000))*time.Millisecond)
		}
	})
	h.check(t)
	sameMap(t, doors)
}
