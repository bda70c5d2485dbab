package resp

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func frame(kind string, words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d\r\n", kind, len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func TestPublish_ReachesChannelsAndPatterns(t *testing.T) {
	s := start(t, Config{})
	conn := dial(t, s.Addr().String())
	send(t, conn, "SUBSCRIBE +switch-master", "PSUBSCRIBE [-+]sdown +switch*")
	expect(t, conn, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"+
		"*3\r\n$10\r\npsubscribe\r\n$9\r\n[-+]sdown\r\n:2\r\n*3\r\n$10\r\npsubscribe\r\n$8\r\n+switch*\r\n:3\r\n")
	s.Publish(Message{"+odown", "nobody asked"}, Message{"-sdown", "x"}, Message{"+switch-master", "m 1 2 3 4"})
	expect(t, conn, frame("*", "pmessage", "[-+]sdown", "-sdown", "x")+
		frame("*", "message", "+switch-master", "m 1 2 3 4")+
		frame("*", "pmessage", "+switch*", "+switch-master", "m 1 2 3 4"))

	send(t, conn, "PUNSUBSCRIBE [-+]sdown")
	expect(t, conn, "*3\r\n$12\r\npunsubscribe\r\n$9\r\n[-+]sdown\r\n:2\r\n")
	s.Publish(Message{"-sdown", "x"}, Message{"+switch-master", "again"})
	expect(t, conn, frame("*", "message", "+switch-master", "again"))
}

func TestPublish_PushesInRESP3(t *testing.T) {
	s := start(t, Config{})
	conn := dial(t, s.Addr().String())
	send(t, conn, "HELLO 3", "CLIENT SETNAME me", "SUBSCRIBE a")
	hello := "%6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n" +
		"$4\r\nmode\r\n$8\r\nsentinel\r\n$7\r\nmodules\r\n*0\r\n"
	expect(t, conn, hello+"+OK\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
	s.Publish(Message{"a", "one"})
	expect(t, conn, frame(">", "message", "a", "one"))

	// Back in RESP2, with the subscription still there.
	send(t, conn, "HELLO 2 SETNAME you")
	old := strings.NewReplacer("%6", "*12", "proto\r\n:3", "proto\r\n:2").Replace(hello)
	expect(t, conn, old)
	s.Publish(Message{"a", "two"})
	expect(t, conn, frame("*", "message", "a", "two"))
}

func TestPublish_ThousandSubscribers(t *testing.T) {
	s := start(t, Config{})
	const subscribers = 1000
	var ready, done sync.WaitGroup
	ready.Add(subscribers)
	for i := range subscribers {
		conn := dial(t, s.Addr().String())
		pattern := i%2 == 1
		done.Go(func() {
			command, got := "SUBSCRIBE +switch-master\r\n", frame("*", "message", "+switch-master", "m 1 2 3 4")
			confirmed := "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
			if pattern {
				command, got = "PSUBSCRIBE *\r\n", frame("*", "pmessage", "*", "+switch-master", "m 1 2 3 4")
				confirmed = "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n"
			}
			buffer := make([]byte, len(confirmed))
			_, err := io.WriteString(conn, command)
			if err == nil {
				_, err = io.ReadFull(conn, buffer)
			}
			ready.Done()
			if err != nil || string(buffer) != confirmed {
				t.Errorf("subscribe: %q, %v", buffer, err)
				return
			}
			buffer = make([]byte, len(got))
			if _, err := io.ReadFull(conn, buffer); err != nil || string(buffer) != got {
				t.Errorf("got %q, %v", buffer, err)
			}
		})
	}
	ready.Wait()
	s.Publish(Message{"+switch-master", "m 1 2 3 4"})
	done.Wait()
}

func TestPublish_WhoDoesNotReadIsDisconnectedAndBlocksNobody(t *testing.T) {
	s := start(t, Config{})
	slow, quick := dial(t, s.Addr().String()), dial(t, s.Addr().String())
	for _, conn := range []io.ReadWriter{slow, quick} {
		if _, err := io.WriteString(conn, "SUBSCRIBE a\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, len("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	message := frame("*", "message", "a", strings.Repeat("x", 64<<10))
	begun, sent := time.Now(), 0
	for s.connected() > 1 { // until the kernel's buffers for the slow one are full, and then the outbox
		s.Publish(Message{"a", strings.Repeat("x", 64<<10)})
		expect(t, quick, message)
		if sent++; sent > 4096 {
			t.Fatalf("after %d messages the slow subscriber is still there", sent)
		}
	}
	t.Logf("disconnected after %d messages, %s", sent, time.Since(begun))
	s.Publish(Message{"a", "still here"})
	expect(t, quick, frame("*", "message", "a", "still here"))
}

func TestSubscribe_IsBounded(t *testing.T) {
	s := start(t, Config{})
	conn := dial(t, s.Addr().String())
	send(t, conn, "HELLO 2")
	for i := range maxTopics / topicCost {
		name := fmt.Sprint("channel-", i)
		send(t, conn, "SUBSCRIBE "+name)
	}
	send(t, conn, "QUIT")
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(all), "-ERR too many subscriptions on this connection; subscribe to a pattern\r\n+OK\r\n") {
		t.Fatalf("got …%q", all[max(0, len(all)-200):])
	}
	await(t, "nobody subscribes", func() bool { channels, patterns := s.hub.counts(); return channels+patterns == 0 })
}

// await polls until a condition holds.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s until %s", patience, what)
		}
	}
}

// TestSubscribe_Race publishes while clients come, subscribe and go: whoever was told that its subscription
// began is told the next event, and nobody is told anything else.
func TestSubscribe_Race(t *testing.T) {
	s := start(t, Config{})
	stop := make(chan struct{})
	var publisher, clients sync.WaitGroup
	publisher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.Publish(Message{"a", "x"}, Message{"b", "y"})
			}
		}
	})
	for range 8 {
		clients.Go(func() {
			for range 20 {
				conn := dial(t, s.Addr().String())
				want := "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" + frame("*", "message", "a", "x")
				got := make([]byte, len(want))
				_, err := io.WriteString(conn, "SUBSCRIBE a\r\n")
				if err == nil {
					_, err = io.ReadFull(conn, got)
				}
				if err != nil || string(got) != want {
					t.Errorf("got %q, %v", got, err)
				}
				_ = conn.Close()
			}
		})
	}
	clients.Wait()
	close(stop)
	publisher.Wait()
}
