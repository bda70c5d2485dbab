package tcp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/consensus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ear is a receiver that remembers.
type ear struct {
	mu       sync.Mutex
	messages []consensus.Message
	links    map[consensus.ServerID]string // "+" for each Connected, "-" for each Disconnected
	problems []string
}

func newEar() *ear { return &ear{links: map[consensus.ServerID]string{}} }

func (e *ear) Receive(m consensus.Message)                 { e.note(func() { e.messages = append(e.messages, m) }) }
func (e *ear) Connected(id consensus.ServerID)             { e.note(func() { e.links[id] += "+" }) }
func (e *ear) Disconnected(id consensus.ServerID, _ error) { e.note(func() { e.links[id] += "-" }) }

func (e *ear) problem(peer string, err error) {
	e.note(func() { e.problems = append(e.problems, fmt.Sprintf("%s: %v", peer, err)) })
}

func (e *ear) note(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// await polls until the condition holds.
func (e *ear) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-poll.C {
		met := false
		e.note(func() { met = condition() })
		if met {
			return
		}
	}
	e.note(func() { t.Fatalf("waited for %s; links: %v, problems: %q", what, e.links, e.problems) })
}

func (e *ear) awaitLink(t *testing.T, id consensus.ServerID, want string) {
	t.Helper()
	e.await(t, fmt.Sprintf("%s of %s", want, id), func() bool { return e.links[id] == want })
}

func (e *ear) awaitProblem(t *testing.T, want string) {
	t.Helper()
	e.await(t, fmt.Sprintf("the problem %q", want), func() bool { return strings.Contains(strings.Join(e.problems, "\n"), want) })
}

// side is a transport and the members that its node names.
type side struct {
	Config
	peers map[consensus.ServerID]string
}

func members(addrs map[consensus.ServerID]string) []consensus.Member {
	var members []consensus.Member
	for id, addr := range addrs {
		members = append(members, consensus.Member{ID: id, Address: addr})
	}
	return members
}

// pair starts a and b, which know each other.
func pair(t *testing.T, adjust func(a, b *side)) (a, b *Transport, earA, earB *ear) {
	t.Helper()
	addrs := map[consensus.ServerID]string{"a": freeAddr(t), "b": freeAddr(t)}
	earA, earB = newEar(), newEar()
	cfgA := side{Config{Cluster: "c", Self: "a", Listen: addrs["a"], Address: addrs["a"], Problem: earA.problem}, addrs}
	cfgB := side{Config{Cluster: "c", Self: "b", Listen: addrs["b"], Address: addrs["b"], Problem: earB.problem}, addrs}
	if adjust != nil {
		adjust(&cfgA, &cfgB)
	}
	return listen(t, cfgA, earA), listen(t, cfgB, earB), earA, earB
}

func listen(t *testing.T, cfg side, e *ear) *Transport {
	t.Helper()
	tr, err := Listen(cfg.Config, e)
	if err != nil {
		t.Fatal(err)
	}
	tr.SetPeers(members(cfg.peers))
	t.Cleanup(func() {
		if !tr.closed() {
			stop(t, tr)
		}
	})
	return tr
}

func stop(t *testing.T, tr *Transport) {
	t.Helper()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// stopPeer stops a peer of a transport, and waits until that has seen both connections end: if the peer came back between, the receiver
// would hear of a link for a moment.
func stopPeer(t *testing.T, tr *Transport, e *ear, peer *Transport) {
	t.Helper()
	stop(t, peer)
	p := tr.peer(peer.cfg.Self)
	e.await(t, "the end of both connections", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.out == nil && p.in == nil
	})
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func gossip(from, to consensus.ServerID, data []byte) consensus.Message {
	return consensus.Message{From: from, To: to, Body: &consensus.Gossip{Data: data}}
}

func heard(m consensus.Message) []byte { return m.Body.(*consensus.Gossip).Data }

func TestTransport_DeliversInOrderAndUnmixed(t *testing.T) {
	a, _, earA, earB := pair(t, nil)
	earA.awaitLink(t, "b", "+")
	want := [][]byte{}
	for i := range 50 {
		data := bytes.Repeat([]byte{byte(i)}, 1+i*i*200)
		want = append(want, data)
		a.Send(gossip("a", "b", data))
	}
	earB.await(t, "the messages", func() bool { return len(earB.messages) == len(want) })
	for i, m := range earB.messages {
		if !bytes.Equal(heard(m), want[i]) {
			t.Errorf("message %d: %d bytes, want %d", i, len(heard(m)), len(want[i]))
		}
	}
}

func TestTransport_ReconnectsToAPeerThatRestarts(t *testing.T) {
	a, b, earA, _ := pair(t, nil)
	earA.awaitLink(t, "b", "+")
	for i := range 3 {
		stopPeer(t, a, earA, b)
		earA.awaitLink(t, "b", strings.Repeat("+-", i+1))
		earB := newEar()
		start := time.Now()
		b = listen(t, side{b.cfg, map[consensus.ServerID]string{"a": a.cfg.Address}}, earB)
		earA.awaitLink(t, "b", strings.Repeat("+-", i+1)+"+")
		t.Logf("connected again after %s", time.Since(start))
		a.Send(gossip("a", "b", []byte{1}))
		earB.await(t, "a message", func() bool { return len(earB.messages) == 1 })
	}
}

func TestTransport_FollowsNewAddresses(t *testing.T) {
	a, b, earA, earB := pair(t, nil)
	earA.awaitLink(t, "b", "+")
	stopPeer(t, a, earA, b)
	earA.awaitLink(t, "b", "+-")
	moved := side{b.cfg, map[consensus.ServerID]string{"a": a.cfg.Address}}
	moved.Listen, moved.Address = freeAddr(t), ""
	b = listen(t, moved, earB)
	a.SetPeers(members(map[consensus.ServerID]string{"b": moved.Listen}))
	earA.awaitLink(t, "b", "+-+")
	a.SetPeers(members(map[consensus.ServerID]string{"b": moved.Listen})) // nothing changes
	stop(t, b)
	earA.awaitLink(t, "b", "+-+-")
}

// What the group knows of an address may be out of date when a whole group has moved.
func TestTransport_TriesWhatElseIsKnown(t *testing.T) {
	dead, alive := freeAddr(t), freeAddr(t)
	earA := newEar()
	listen(t, side{Config{Cluster: "c", Self: "a", Listen: freeAddr(t), Known: map[consensus.ServerID]string{"b": alive}},
		map[consensus.ServerID]string{"b": dead}}, earA)
	listen(t, side{Config{Cluster: "c", Self: "b", Listen: alive, Address: alive}, nil}, newEar())
	earA.await(t, "a connection", func() bool { return true })
}

// A server that is not a member may talk as long as it is connected: it asks to be let in.
func TestTransport_Guests(t *testing.T) {
	a, b, earA, earB := pair(t, func(_, b *side) { b.peers = nil })
	earA.awaitLink(t, "b", "+")
	earB.awaitLink(t, "a", "+")
	b.Send(gossip("b", "a", []byte{1}))
	earA.await(t, "a message", func() bool { return len(earA.messages) == 1 })
	b.SetPeers(members(map[consensus.ServerID]string{"a": a.cfg.Address})) // it is let in
	a.SetPeers(members(map[consensus.ServerID]string{"b": b.cfg.Address}))
	a.SetPeers(nil) // it is put out, and stays connected as a guest: it has to say that it has heard of it
	b.Send(gossip("b", "a", []byte{2}))
	earA.await(t, "another message", func() bool { return len(earA.messages) == 2 && earA.links["b"] == "+" })
	for i := range maxGuests + 1 { // one too many: the oldest has to go, and comes again
		id := consensus.ServerID(fmt.Sprint("guest", i))
		listen(t, side{Config{Cluster: "c", Self: id, Listen: "127.0.0.1:0", Address: "127.0.0.1:1"},
			map[consensus.ServerID]string{"a": a.cfg.Address}}, newEar()).Send(gossip(id, "a", nil))
	}
	earA.await(t, "the last guest", func() bool { return a.peer(consensus.ServerID(fmt.Sprint("guest", maxGuests))) != nil })
	stop(t, b)
	earA.await(t, "the guest's departure", func() bool { return a.peer("b") == nil })
}

func TestTransport_RefusesStrangers(t *testing.T) {
	for name, c := range map[string]struct {
		adjust func(a, b *side)
		want   string
	}{
		"another cluster": {func(a, _ *side) { a.Cluster = "other" }, `belongs to cluster \"c\"`},
		"another agent": {func(a, b *side) {
			a.peers = map[consensus.ServerID]string{"z": b.Listen}
		}, `is \"b\", not \"z\"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, earA, earB := pair(t, c.adjust)
			earA.awaitProblem(t, c.want)
			earB.awaitProblem(t, strings.ReplaceAll(c.want, `\`, ""))
			earA.note(func() {
				if earA.links["z"] != "" {
					t.Errorf("connected all the same: %v", earA.links)
				}
			})
		})
	}
}

func TestTransport_CutsOffGarbageAndLies(t *testing.T) {
	frame := func(m consensus.Message) []byte {
		data, err := consensus.EncodeMessage(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		return appendFrame(nil, data)
	}
	greeting := appendFrame(nil, hello{"c", "a", "b", "10.0.0.1:7"}.encode())
	for name, c := range map[string]struct {
		sent []byte
		want string
	}{
		"http":                  {[]byte("GET / HTTP/1.1\r\n\r\n"), "larger than 2048"},
		"huge handshake":        {[]byte{0xff, 0xff, 0xff, 0xff}, "larger than 2048"},
		"another version":       {appendFrame(nil, []byte("PKT9")), "run the same version"},
		"handshake cut short":   {appendFrame(nil, []byte("PKT2\x05c")), "cut short"},
		"bytes left over":       {appendFrame(nil, append(hello{"c", "a", "b", "10.0.0.1:7"}.encode(), 0)), "left over"},
		"huge frame":            {append(bytes.Clone(greeting), 0x7f, 0, 0, 0), "larger than 8388608"},
		"no message":            {append(bytes.Clone(greeting), 0, 0, 0, 2, 1, 99), "not known"},
		"forged sender":         {append(bytes.Clone(greeting), frame(gossip("z", "b", nil))...), `from "z"`},
		"meant for another one": {append(bytes.Clone(greeting), frame(gossip("a", "z", nil))...), `to "z"`},
	} {
		t.Run(name, func(t *testing.T) {
			earB := newEar()
			b := listen(t, side{Config{Cluster: "c", Self: "b", Listen: "127.0.0.1:0", Problem: earB.problem},
				map[consensus.ServerID]string{"a": "127.0.0.1:1"}}, earB)
			conn, err := net.Dial("tcp", b.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			earB.awaitProblem(t, c.want)
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
				t.Errorf("the connection stays open: %v", err)
			}
			if len(earB.messages) > 0 {
				t.Errorf("received %v", earB.messages)
			}
		})
	}
}

func isTimeout(err error) bool {
	timeout := net.Error(nil)
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestTransport_SendNeverBlocks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := listen(t, side{Config{Cluster: "c", Self: "a", Listen: "127.0.0.1:0"},
		map[consensus.ServerID]string{"b": l.Addr().String()}}, newEar())
	conn, err := l.Accept() // it waits for an answer, and keeps what is queued
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 2 * queueLength {
		a.Send(gossip("a", "b", nil))
	}
	if a.Dropped() != queueLength {
		t.Errorf("%d messages were dropped, want %d", a.Dropped(), queueLength)
	}
	a.Send(gossip("a", "nobody", nil))
}

func TestTransport_StrangersAreLimited(t *testing.T) {
	b := listen(t, side{Config{Cluster: "c", Self: "b", Listen: "127.0.0.1:0"}, nil}, newEar())
	var first net.Conn
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 10 * maxStrangers {
		conn, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if first == nil {
			first = conn
		}
		_, _ = conn.Write([]byte{0, 0, 7, 0xd0, 'P', 'K'}) // the beginning of a handshake, whose end never comes
	}
	if err := first.SetReadDeadline(time.Now().Add(helloTimeout / 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 1)); isTimeout(err) {
		t.Error("one stranger too many may stay")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
	if t.Logf("%d strangers cost %d KiB, both sides together", 10*maxStrangers, grown>>10); grown > 16<<20 {
		t.Error("that is too much")
	}

	// Who knows what to say is let in all the same.
	ear := newEar()
	a := listen(t, side{Config{Cluster: "c", Self: "a", Listen: "127.0.0.1:0"}, nil}, ear)
	a.SetPeers([]consensus.Member{{ID: "b", Address: b.Addr().String(), Voter: true}})
	b.SetPeers([]consensus.Member{{ID: "a", Address: a.Addr().String(), Voter: true}})
	ear.awaitLink(t, "b", "+")
}

func TestTransport_WithTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	for name, c := range map[string]struct {
		a, b *TLS
		want string // a's problem or b's; empty: they connect
	}{
		"both are known":             {ours.issue(t, "127.0.0.1"), ours.issue(t, "127.0.0.1"), ""},
		"signed by somebody else":    {theirs.issueFor(t, ours, "127.0.0.1"), ours.issue(t, "127.0.0.1"), "unknown authority"},
		"valid for another host":     {ours.issue(t, "10.0.0.1"), ours.issue(t, "127.0.0.1"), `not agent "a"'s`},
		"listens as another host":    {ours.issue(t, "127.0.0.1"), ours.issue(t, "10.0.0.1"), "certificate is valid for 10.0.0.1"},
		"one of them speaks plainly": {nil, ours.issue(t, "127.0.0.1"), "first record does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, earA, earB := pair(t, func(a, b *side) { a.TLS, b.TLS = c.a, c.b })
			if c.want == "" {
				earA.awaitLink(t, "b", "+")
				a.Send(gossip("a", "b", []byte("secret")))
				earB.await(t, "the message", func() bool { return len(earB.messages) == 1 })
				return
			}
			earA.await(t, c.want, func() bool {
				earB.mu.Lock()
				defer earB.mu.Unlock()
				return strings.Contains(strings.Join(append(earB.problems, earA.problems...), "\n"), c.want)
			})
			if len(earA.links) > 0 || len(earB.links) > 0 {
				t.Errorf("connected all the same: %v, %v", earA.links, earB.links)
			}
		})
	}
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func (a *authority) issue(t *testing.T, host string) *TLS { return a.issueFor(t, a, host) }

// issueFor makes the configuration of an agent whose certificate a signed and which trusts another authority.
func (a *authority) issueFor(t *testing.T, trusted *authority, host string) *TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(trusted.certificate)
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	return &TLS{
		Server: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, Certificates: own},
		Client: func(host string) *tls.Config { return &tls.Config{RootCAs: roots, ServerName: host, Certificates: own} },
	}
}
