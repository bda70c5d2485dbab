package resp

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
	"picket/sentinel/picture"
)

func TestListen_SaysWhatToDo(t *testing.T) {
	s := start(t, Config{})
	_, err := Listen(Config{Addr: s.Addr().String(), Backend: newFake(healthy())})
	if err == nil || !strings.Contains(err.Error(), "listen.sentinel") {
		t.Errorf("got %v", err)
	}
}

func TestClose_EndsConnectionsAndWaits(t *testing.T) {
	s := start(t, Config{})
	idle, subscriber, unfinished := dial(t, s.Addr().String()), dial(t, s.Addr().String()), dial(t, s.Addr().String())
	send(t, subscriber, "SUBSCRIBE a")
	expect(t, subscriber, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
	send(t, unfinished, "*2", "$4", "PING")
	await(t, "all are connected", func() bool { return s.connected() == 3 })
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range []net.Conn{idle, subscriber, unfinished} {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("still connected")
		}
	}
	s.Publish(Message{"a", "nobody hears it"})
}

func TestClose_CancelsAFailover(t *testing.T) {
	backend := newFake(healthy())
	begun := make(chan struct{})
	backend.failover = func(ctx context.Context, _ string) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	s := start(t, Config{Backend: backend})
	send(t, dial(t, s.Addr().String()), "SENTINEL FAILOVER cache")
	<-begun
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestFailover_OnlyItsOwnConnectionWaits: others are answered, and so is this one, in order, when it is done.
func TestFailover_OnlyItsOwnConnectionWaits(t *testing.T) {
	backend := newFake(healthy())
	begun, finish := make(chan struct{}), make(chan struct{})
	backend.failover = func(context.Context, string) error {
		close(begun)
		<-finish
		return nil
	}
	s := start(t, Config{Backend: backend})
	waiting := dial(t, s.Addr().String())
	send(t, waiting, "PING first", "SENTINEL FAILOVER cache", "PING last")
	expect(t, waiting, "$5\r\nfirst\r\n")
	<-begun
	if got := exchange(t, s.Addr().String(), "PING\r\nSENTINEL GET-MASTER-ADDR-BY-NAME cache\r\nQUIT\r\n"); got !=
		"+PONG\r\n"+frame("*", "10.0.0.1", "6379")+"+OK\r\n" {
		t.Errorf("got %q", got)
	}
	close(finish)
	expect(t, waiting, "+OK\r\n$4\r\nlast\r\n")
}

func TestMaxClients(t *testing.T) {
	s := start(t, Config{MaxClients: 2})
	first := dial(t, s.Addr().String())
	dial(t, s.Addr().String())
	await(t, "both are connected", func() bool { return s.connected() == 2 })
	if got := exchange(t, s.Addr().String(), ""); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("got %q", got)
	}
	send(t, first, "QUIT")
	expect(t, first, "+OK\r\n")
	await(t, "one has left", func() bool { return s.connected() == 1 })
	if got := exchange(t, s.Addr().String(), "PING\r\nQUIT\r\n"); got != "+PONG\r\n+OK\r\n" {
		t.Errorf("got %q", got)
	}
}

// pipe serves a client over a pipe, whose deadlines follow the bubble's clock.
func pipe(t *testing.T, cfg Config) (net.Conn, *Server) {
	t.Helper()
	s := newTestServer(t, cfg)
	ours, theirs := net.Pipe()
	c := newClient(s, theirs, 1)
	ended := make(chan struct{})
	go func() { // ends with the pipe
		c.serve(t.Context())
		close(ended)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		<-ended
	})
	return ours, s
}

func TestGuests_MustGiveThePasswordInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := pipe(t, Config{Door: config.Door{Password: "secret"}})
		begun := time.Now()
		for time.Since(begun) < 3*guestTime { // what it sends meanwhile doesn't prolong its time
			if _, err := io.WriteString(conn, "PING\r\nRESET\r\n"); err != nil {
				break
			}
			if _, err := io.ReadFull(conn, make([]byte, len("-NOAUTH Authentication required.\r\n+RESET\r\n"))); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took < guestTime || took > guestTime+time.Second {
			t.Errorf("disconnected after %s", took)
		}
	})
}

func TestMembers_MayBeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := pipe(t, Config{Door: config.Door{Password: "secret"}})
		send(t, conn, "AUTH secret")
		expect(t, conn, "+OK\r\n")
		time.Sleep(24 * time.Hour)
		send(t, conn, "PING")
		expect(t, conn, "+PONG\r\n")
		send(t, conn, "RESET")
		expect(t, conn, "+RESET\r\n")
		time.Sleep(guestTime + time.Second)
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("still connected, though it is a guest again")
		}
	})
}

func TestReplies_NotReadAreABoundedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := pipe(t, Config{})
		begun := time.Now()
		var err error
		for err == nil { // a pipe has no buffer: when nobody reads the replies, the outbox fills, and then nobody reads the commands
			_, err = io.WriteString(conn, "SENTINEL MASTERS\r\n")
		}
		if took := time.Since(begun); took != writeTime {
			t.Errorf("disconnected after %s: %v", took, err)
		}
	})
}

func TestPipelining(t *testing.T) {
	s := start(t, Config{})
	conn := dial(t, s.Addr().String())
	const commands = 20_000
	go func() { // ends when all is written: the replies are read meanwhile
		for i := range commands {
			if _, err := fmt.Fprintf(conn, "*2\r\n$4\r\nPING\r\n$%d\r\n%d\r\n", len(fmt.Sprint(i)), i); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, "QUIT\r\n")
	}()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range commands {
		fmt.Fprintf(&want, "$%d\r\n%d\r\n", len(fmt.Sprint(i)), i)
	}
	want.WriteString("+OK\r\n")
	if string(all) != want.String() {
		t.Errorf("got %d bytes, want %d, or in another order", len(all), want.Len())
	}
}

// TestGuests_CannotMakeTheServerAllocate: what a header announces costs nothing.
func TestGuests_CannotMakeTheServerAllocate(t *testing.T) {
	s := start(t, Config{Door: config.Door{Password: "secret"}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const clients = 100
	for range clients {
		for _, header := range []string{"*1000000000\r\n", "*1\r\n$2147483647\r\n", "*10\r\n$4096\r\n"} {
			send(t, dial(t, s.Addr().String()), header)
		}
	}
	await(t, "the bad ones have gone", func() bool { return s.connected() == clients && s.traffic.accepted.Load() == 3*clients })
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3*clients*32<<10 {
		t.Errorf("%d connections cost %d KiB", 3*clients, grown>>10)
	}
}

// TestPictures_OnePerReply: a reply that took two could contradict itself.
func TestPictures_OnePerReply(t *testing.T) {
	for _, line := range []string{
		"ROLE", "INFO", "SENTINEL MASTERS", "SENTINEL MASTER cache", "SENTINEL REPLICAS cache", "SENTINEL SENTINELS cache",
		"SENTINEL GET-MASTER-ADDR-BY-NAME cache", "SENTINEL CKQUORUM cache", "SENTINEL MYID",
		"SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 0 *",
	} {
		backend := &counting{}
		s := start(t, Config{Backend: backend})
		exchange(t, s.Addr().String(), line+"\r\nQUIT\r\n")
		if backend.pictures != 1 {
			t.Errorf("%s: %d pictures", line, backend.pictures)
		}
	}
}

// counting counts the pictures that are taken of it. Only one client asks it.
type counting struct {
	fake
	pictures int
}

func (c *counting) Picture() picture.Picture {
	c.pictures++
	return healthy()
}

func TestInfo(t *testing.T) {
	s := start(t, Config{Version: "v9", MaxClients: 77, ConfigFile: "/etc/picket.yaml"})
	got := exchange(t, s.Addr().String(), "INFO\r\nQUIT\r\n")
	for _, want := range []string{
		"\r\nredis_version:" + compatible + "\r\n", "\r\npicket_version:v9\r\n", "\r\nredis_mode:sentinel\r\n", "\r\nrun_id:" + s.runID + "\r\n",
		fmt.Sprintf("\r\ntcp_port:%d\r\n", s.Addr().(*net.TCPAddr).Port), "\r\nuptime_in_seconds:0\r\n", "\r\nmaxclients:77\r\n",
		"\r\nconnected_clients:1\r\n", "\r\ntotal_connections_received:1\r\n", "\r\ntotal_commands_processed:0\r\n",
		"\r\nprocess_id:", "\r\nexecutable:/", "\r\nconfig_file:/etc/picket.yaml\r\n", "\r\nused_cpu_user:", "\r\nused_cpu_sys:",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	var titles []string
	for line := range strings.SplitSeq(got, "\r\n") {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			titles = append(titles, title)
		}
	}
	if order := strings.Join(titles, " "); order != "Server Clients Stats CPU Sentinel" {
		t.Errorf("sections: %s", order)
	}
	for _, absent := range []string{"used_memory", "rdb_", "master_repl_offset", "cluster_enabled"} {
		if strings.Contains(got, absent) {
			t.Errorf("%q is there: a data server would be taken for one", absent)
		}
	}
	for _, word := range []string{"all", "EVERYTHING", "default", "foo default"} {
		if again := exchange(t, s.Addr().String(), "INFO "+word+"\r\nQUIT\r\n"); strings.Count(again, "\r\n# ") != 5 {
			t.Errorf("INFO %s: %q", word, again)
		}
	}
}
