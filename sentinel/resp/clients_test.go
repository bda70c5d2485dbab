package resp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
)

// speaker is a connection that is asked one thing after another.
type speaker struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func newSpeaker(t *testing.T, s *Server) speaker {
	t.Helper()
	conn := dial(t, s.Addr().String())
	return speaker{t, conn, bufio.NewReader(conn)}
}

func (s speaker) ask(line string) value {
	s.t.Helper()
	send(s.t, s.conn, line)
	v, err := read(s.in)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return v
}

// want asks, and compares the answer.
func (s speaker) want(line, answer string) {
	s.t.Helper()
	v := s.ask(line)
	if got := string(v.kind) + v.text; got != answer {
		s.t.Errorf("%s: %q, want %q", line, got, answer)
	}
}

// closed waits until the server has ended the connection.
func (s speaker) closed(what string) {
	s.t.Helper()
	if rest, err := io.ReadAll(s.in); len(rest) > 0 {
		s.t.Errorf("%s: %q came, %v", what, rest, err)
	}
}

func TestClientList(t *testing.T) {
	s := start(t, Config{Door: config.Door{Users: someUsers}})
	boss, other := newSpeaker(t, s), newSpeaker(t, s)
	boss.want("AUTH alice wonderland", "+OK")
	boss.want("CLIENT SETNAME boss", "+OK")
	other.want("PING", "+PONG")
	lines := strings.Split(boss.ask("CLIENT LIST").text, "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("%q", lines)
	}
	for i, want := range []string{
		" name=boss | flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 | argv-mem=10 | events=r cmd=client|list user=alice redir=-1 resp=2",
		" addr=" + other.conn.LocalAddr().String() + " laddr=" + s.Addr().String() + " | name= | events=r cmd=ping user=default redir=-1 resp=2",
	} {
		for part := range strings.SplitSeq(want, " | ") {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%s\nlacks %q", lines[i], part)
			}
		}
	}
	if id := fmt.Sprint("id=", 2, " "); !strings.HasPrefix(boss.ask("CLIENT LIST ID 2 99 2").text, id) {
		t.Error("the second connection is not number 2")
	}
	if got := boss.ask("CLIENT INFO").text; !strings.HasPrefix(got, "id=1 ") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func TestClients_AreBounded(t *testing.T) {
	c := newSpeaker(t, start(t, Config{}))
	c.want("CLIENT SETNAME "+strings.Repeat("x", maxName), "+OK")
	c.want("CLIENT SETNAME "+strings.Repeat("x", maxName+1), "-ERR Client names cannot be longer than 256 characters.")
	c.want("CLIENT TRACKING on BCAST PREFIX "+strings.Repeat("x", maxPrefixes-2*prefixCost-2), "+OK")
	c.want("CLIENT TRACKING on BCAST PREFIX ab", "+OK")
	c.want("CLIENT TRACKING on BCAST PREFIX c", "-ERR too many prefixes on this connection")
}

func TestClientKill(t *testing.T) {
	s := start(t, Config{Door: config.Door{Users: someUsers}})
	boss := newSpeaker(t, s)
	boss.want("AUTH alice wonderland", "+OK")
	hello := func() speaker {
		o := newSpeaker(t, s)
		o.want("PING", "+PONG")
		return o
	}
	for _, c := range []struct{ how, answer string }{
		{"CLIENT KILL ID NUMBER", ":1"}, {"CLIENT KILL ADDR THEIRS", ":1"}, {"CLIENT KILL THEIRS", "+OK"}, {"CLIENT KILL USER default", ":1"},
		{"CLIENT KILL USER default TYPE normal LADDR OURS", ":1"}, {"CLIENT KILL TYPE normal", ":1"},
	} {
		victim := hello()
		line := strings.NewReplacer("NUMBER", fmt.Sprint(s.everybody()[1].id), "THEIRS", victim.conn.LocalAddr().String(), "OURS", s.Addr().String()).Replace(c.how)
		boss.want(line, c.answer)
		victim.closed(c.how)
		await(t, "it is gone", func() bool { return s.connected() == 1 })
	}
	victim := hello()
	boss.want("CLIENT KILL TYPE pubsub", ":0")
	boss.want("CLIENT KILL USER alice", ":0")
	boss.want(`CLIENT KILL ""`, "-ERR No such client")
	boss.want(`CLIENT KILL ADDR ""`, ":0")
	boss.want(`CLIENT KILL LADDR "" USER default`, ":0")
	boss.want("CLIENT KILL USER alice SKIPME NO", ":1")
	boss.closed("the boss himself")
	victim.want("PING", "+PONG")
}

func TestClientPause(t *testing.T) {
	s := start(t, Config{})
	writer, reader := newSpeaker(t, s), newSpeaker(t, s)
	reader.want("CLIENT PAUSE 100000000 WRITE", "+OK")
	reader.want("CLIENT PAUSE 1 WRITE", "+OK") // the longer one counts
	send(t, writer.conn, "PUBLISH __sentinel__:hello x")
	await(t, "the writer waits", func() bool { return s.pause.waiting.Load() == 1 })
	reader.want("PING", "+PONG")
	if info := reader.ask("INFO clients").text; !strings.Contains(info, "\r\nblocked_clients:1\r\n") {
		t.Errorf("%q", info)
	}
	reader.want("CLIENT UNPAUSE", "+OK")
	expect(t, writer.conn, ":1\r\n")
	reader.want("CLIENT PAUSE 100000000", "+OK")
	send(t, writer.conn, "PING")
	await(t, "all wait", func() bool { return s.pause.waiting.Load() == 1 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	writer.closed("a client that waits")
}

func TestClientPause_Ends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := pipe(t, Config{})
		for _, mode := range []string{"ALL", "WRITE"} {
			send(t, conn, "CLIENT PAUSE 1500 "+mode)
			expect(t, conn, "+OK\r\n")
			begun := time.Now()
			send(t, conn, "PUBLISH __sentinel__:hello x")
			expect(t, conn, ":1\r\n")
			if took := time.Since(begun); took != 1500*time.Millisecond {
				t.Errorf("%s: took %s", mode, took)
			}
			send(t, conn, "PING")
			expect(t, conn, "+PONG\r\n")
		}
	})
}

func TestShutdown(t *testing.T) {
	for line, want := range map[string]bool{"SHUTDOWN": false, "SHUTDOWN NOSAVE": false, "shutdown now Force save": true} {
		backend := newFake(healthy())
		asked := make(chan bool, 1)
		backend.shutdown = func(hurried bool) { asked <- hurried }
		s := start(t, Config{Backend: backend})
		c := newSpeaker(t, s)
		send(t, c.conn, line, "PING")
		if hurried := <-asked; hurried != want {
			t.Errorf("%s: hurried is %v", line, hurried)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		c.closed(line)
	}
}

func TestMuting_IsOfTheNextCommand(t *testing.T) {
	m := skipNext
	for _, want := range []muting{skipThis, answered, answered} {
		if m = m.next(); m != want {
			t.Fatalf("%v, want %v", m, want)
		}
	}
}

func TestMeter_IsOfTheLastSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		for range 32 {
			m.count(10)
			time.Sleep(sampleTime / 2)
		}
		if rate := m.rate(); rate < 150 || rate > 250 {
			t.Errorf("%v a second, want about 200", rate)
		}
		time.Sleep(time.Hour)
		if rate, total := m.rate(), m.total(); rate != 0 || total != 320 {
			t.Errorf("%v a second, %d in all", rate, total)
		}
	})
}

// FuzzKilling gives any options to CLIENT KILL.
func FuzzKilling(f *testing.F) {
	for _, seed := range []string{"id 1", "addr 1.2.3.4:5 skipme no", "type pubsub user default", "laddr x id", "maxage 1", "id 0", "skipme"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		k, problem := parseKilling(words, func(user string) bool { return user == "default" })
		switch {
		case problem != "":
			if !strings.HasPrefix(problem, "ERR ") {
				t.Errorf("%q", problem)
			}
		case len(words)%2 != 0 || k.id < 0 || k.user != nil && *k.user != "default":
			t.Errorf("%q becomes %+v", text, k)
		}
	})
}
