package resp

import (
	"io"
	"net"
	"testing"
)

// TestOutbox_KeepsTheOrder: an event is written at once only where nothing that came before waits, or is being written.
func TestOutbox_KeepsTheOrder(t *testing.T) {
	var written []byte // by either way, in order
	room := 3          // of the kernel
	o := newOutbox(func(b []byte) int {
		n := min(room, len(b))
		room -= n
		written = append(written, b[:n]...)
		return n
	}, &budget{most: maxWaiting})
	take := func() []byte {
		b, _ := o.take(nil)
		return b
	}
	o.publish([]byte("ab"))  // at once
	o.publish([]byte("cde")) // the first byte at once
	room = 9
	o.publish([]byte("f")) // behind what waits
	batch := take()
	o.publish([]byte("g")) // the writer is busy with that
	written = append(written, batch...)
	written = append(written, take()...)
	o.add([]byte("h"))
	o.publish([]byte("i")) // behind the reply
	written = append(written, take()...)
	if room != 9 {
		t.Errorf("%d bytes overtook what waited", 9-room)
	}
	o.end()
	if _, more := o.take(nil); more { // the writer is back
		t.Error("there is more")
	}
	o.publish([]byte("z")) // nobody is there any more
	if got := string(written); got != "abcdefghi" {
		t.Errorf("got %q", got)
	}
}

// TestAtOnce_IsForSockets: whatever else a connection is, its writer writes.
func TestAtOnce_IsForSockets(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if atOnce(near, &traffic{}) != nil {
		t.Error("a pipe is written to past its own Write")
	}
	s := start(t, Config{})
	conn := dial(t, s.Addr().String())
	now := atOnce(conn, &traffic{})
	if n := now([]byte("PING\r\n")); n != 6 {
		t.Fatalf("%d bytes were written", n)
	}
	expect(t, conn, "+PONG\r\n")
	_ = conn.Close()
	if n := now([]byte("PING\r\n")); n != 0 {
		t.Errorf("%d bytes were written to a closed connection", n)
	}
}

// BenchmarkPublish is an event's way to all subscribers.
func BenchmarkPublish(b *testing.B) {
	const subscribers = 4000
	s := start(b, Config{})
	var conns []net.Conn
	for range subscribers {
		conn := dial(b, s.Addr().String())
		send(b, conn, "SUBSCRIBE a")
		expect(b, conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
		conns = append(conns, conn)
	}
	message := make([]byte, len(frame("*", "message", "a", "cache 10.0.0.1 6379 10.0.0.2 6379")))
	for b.Loop() {
		s.Publish(Message{"a", "cache 10.0.0.1 6379 10.0.0.2 6379"})
		for _, conn := range conns {
			if _, err := io.ReadFull(conn, message); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/subscribers, "ns/subscriber")
}
