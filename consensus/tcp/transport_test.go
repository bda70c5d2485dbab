package tcp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
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
	up, down map[consensus.ServerID]int
	problems []string
}

func newEar() *ear {
	return &ear{up: map[consensus.ServerID]int{}, down: map[consensus.ServerID]int{}}
}

func (e *ear) Receive(m consensus.Message) { e.note(func() { e.messages = append(e.messages, m) }) }

func (e *ear) Connected(id consensus.ServerID)             { e.note(func() { e.up[id]++ }) }
func (e *ear) Disconnected(id consensus.ServerID, _ error) { e.note(func() { e.down[id]++ }) }

func (e *ear) note(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// await polls until the condition holds.
func (e *ear) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		e.mu.Lock()
		ok := condition()
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			e.mu.Lock()
			defer e.mu.Unlock()
			t.Fatalf("waited for %s; problems: %q", what, e.problems)
		}
	}
}

// pair starts a and b, which know each other.
func pair(t *testing.T, adjust func(a, b *Config)) (a, b *Transport, earA, earB *ear) {
	t.Helper()
	addrs := map[consensus.ServerID]string{"a": freeAddr(t), "b": freeAddr(t)}
	earA, earB = newEar(), newEar()
	cfgA := Config{Cluster: "c", Self: "a", Listen: addrs["a"], Peers: addrs, Problem: earA.problem}
	cfgB := Config{Cluster: "c", Self: "b", Listen: addrs["b"], Peers: addrs, Problem: earB.problem}
	if adjust != nil {
		adjust(&cfgA, &cfgB)
	}
	return listen(t, cfgA, earA), listen(t, cfgB, earB), earA, earB
}

func (e *ear) problem(peer string, err error) {
	e.note(func() { e.problems = append(e.problems, fmt.Sprintf("%s: %v", peer, err)) })
}

func listen(t *testing.T, cfg Config, e *ear) *Transport {
	t.Helper()
	tr, err := Listen(cfg, e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() }) // some tests have closed it already
	return tr
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

func gossip(from, to consensus.ServerID, n int) consensus.Message {
	return consensus.Message{From: from, To: to, Body: &consensus.Gossip{Data: bytes.Repeat([]byte{1}, n)}}
}

func TestTransport_DeliversAndReconnects(t *testing.T) {
	a, b, earA, earB := pair(t, nil)
	earA.await(t, "a connection to b", func() bool { return earA.up["b"] > 0 })
	a.Send(gossip("a", "b", 300<<10))
	earB.await(t, "the message", func() bool { return len(earB.messages) == 1 })
	if got := len(earB.messages[0].Body.(*consensus.Gossip).Data); got != 300<<10 {
		t.Errorf("%d bytes arrived", got)
	}
	cfg := b.cfg
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	earA.await(t, "the loss of b", func() bool { return earA.down["b"] > 0 })
	again := newEar()
	listen(t, cfg, again)
	earA.await(t, "b again", func() bool { return earA.up["b"] > 1 })
	a.Send(gossip("a", "b", 1))
	again.await(t, "the next message", func() bool { return len(again.messages) == 1 })
}

func TestTransport_RefusesStrangers(t *testing.T) {
	for name, c := range map[string]struct {
		adjust func(a, b *Config)
		want   string
	}{
		"another cluster": {func(a, _ *Config) { a.Cluster = "other" }, `belongs to cluster "c"`},
		"not in the list": {func(_, b *Config) { b.Peers = map[consensus.ServerID]string{"x": "127.0.0.1:1"} }, `"a" is not in`},
		"another agent": {func(a, b *Config) {
			a.Peers = map[consensus.ServerID]string{"z": b.Listen}
		}, `is "b", not "z"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, earA, _ := pair(t, c.adjust)
			earA.await(t, "the refusal", func() bool { return strings.Contains(strings.Join(earA.problems, "\n"), c.want) })
			if len(earA.up) > 0 {
				t.Errorf("connected all the same: %v", earA.up)
			}
		})
	}
}

func TestTransport_GarbageIsCutOffAndLiesToo(t *testing.T) {
	_, b, _, earB := pair(t, nil)
	for name, send := range map[string]func(io.Writer){
		"http":            func(w io.Writer) { _, _ = io.WriteString(w, "GET / HTTP/1.1\r\n\r\n") },
		"huge handshake":  func(w io.Writer) { _, _ = w.Write([]byte{0x7f, 0xff, 0xff, 0xff}) },
		"another version": func(w io.Writer) { _ = writeFrame(w, []byte("PKT9")) },
		"forged sender": func(w io.Writer) {
			_ = writeFrame(w, hello{"c", "a", "b"}.encode())
			m := gossip("z", "b", 1)
			data, err := consensus.EncodeMessage(nil, &m)
			if err != nil {
				t.Error(err)
			}
			_ = writeFrame(w, data)
		},
	} {
		conn, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		send(conn)
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s: %v", name, err)
		} else if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection stays open", name)
		}
		_ = conn.Close()
	}
	earB.note(func() {
		for _, m := range earB.messages {
			if m.From == "z" {
				t.Error("a forged message was received")
			}
		}
	})
}

func TestTransport_SendNeverBlocks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tr := listen(t, Config{Cluster: "c", Self: "a", Listen: freeAddr(t), Peers: map[consensus.ServerID]string{"b": l.Addr().String()}}, newEar())
	for range 10 * queueLength {
		tr.Send(gossip("a", "b", 10))
	}
	if tr.Dropped() == 0 {
		t.Error("nothing was dropped")
	}
	tr.Send(gossip("a", "nobody", 1))
}

func FuzzReadFrame(f *testing.F) {
	var good bytes.Buffer
	if err := writeFrame(&good, hello{"c", "a", "b"}.encode()); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, err := readFrame(bufio.NewReader(bytes.NewReader(data)), nil, maxHello)
		if err != nil {
			return
		}
		if len(payload) > maxHello {
			t.Fatalf("%d bytes", len(payload))
		}
		if h, err := decodeHello(payload); err == nil && !bytes.Equal(h.encode(), payload) {
			t.Fatalf("%q decodes to %+v", payload, h)
		}
	})
}
