package model

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// say sends one command over a new connection and returns the reply.
func say(t *testing.T, w *modelWorld, name string, words ...string) string {
	t.Helper()
	conn, err := w.dial(name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(appendCommand(nil, words...)); err != nil {
		t.Fatal(err)
	}
	reply, err := readReply(bufio.NewReader(conn), "")
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func begin(t *testing.T, w *modelWorld, name string, o options) *Server {
	t.Helper()
	if err := w.start(name, o); err != nil {
		t.Fatal(err)
	}
	return w.servers[name]
}

// settle lets everything happen that happens without a cause from outside.
func settle() {
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// TestCrashEndsEverything crashes servers while clients wait in every way there is; the bubble ends only when all goroutines have
// ended.
func TestCrashEndsEverything(t *testing.T) {
	for _, how := range []string{
		"WAIT 1 0", "SUBSCRIBE c", "CLIENT PAUSE 1000000", "DEBUG SLEEP 1000", "SHUTDOWN", "MULTI", "FAILOVER TIMEOUT 100000",
	} {
		for _, hung := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hung %v", how, hung), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { crashWhile(t, how, hung) })
			})
		}
	}
}

func crashWhile(t *testing.T, how string, hung bool) {
	w := newModelWorld(t)
	a := begin(t, w, "a", options{conf: map[string]string{"enable-debug-command": "yes"}})
	b := begin(t, w, "b", options{conf: map[string]string{"replicaof": "127.0.0.1 20001"}})
	settle()
	b.Hang() // nobody acknowledges
	say(t, w, "a", "SET", "k", "v")
	conn, err := w.dial("a")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(how + "\r\nSET k 2\r\n")); err != nil {
		t.Fatal(err)
	}
	settle()
	if hung {
		a.Hang()
	}
	a.Crash()
	if a.Running() {
		t.Fatal("it runs")
	}
	if _, err := w.dial("a"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("connecting to a crashed server: %v", err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); !errors.Is(err, ErrRunning) {
		t.Fatalf("starting twice: %v", err)
	}
	if got := say(t, w, "a", "GET", "k"); got != "(nil)\n" {
		t.Fatalf("after a restart without persistence GET answers %s", got)
	}
}

// TestLosePower compares what is left of an AOF by when it was written.
func TestLosePower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newModelWorld(t)
		a := begin(t, w, "a", options{persistence: "aof"})
		say(t, w, "a", "SET", "old", "1")
		settle()
		say(t, w, "a", "SET", "new", "1")
		a.Crash()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		settle()
		if keys := a.Dump(0); len(keys) != 2 {
			t.Fatalf("kill -9 left %v, not both keys", keys)
		}
		say(t, w, "a", "SET", "newest", "1")
		a.LosePower()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		settle()
		if keys := a.Dump(0); len(keys) != 2 {
			t.Fatalf("a loss of power within a second left %v, not what was synced", keys)
		}
		a.Crash()
		a.Wipe()
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if keys := a.Dump(0); len(keys) != 0 {
			t.Fatalf("a lost volume left %v", keys)
		}
	})
}

// TestObserve has a checker see a wipe: an empty master that its replica follows.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newModelWorld(t)
		var seen []string
		w.observe = func(e Event) {
			seen = append(seen, fmt.Sprintf("%s %d %d→%d-%d %v", e.Addr[len(e.Addr)-1:], e.Kind, e.Before, e.After, e.Lost, e.Command))
		}
		a := begin(t, w, "a", options{})
		begin(t, w, "b", options{})
		say(t, w, "a", "SET", "k", "v")
		say(t, w, "b", "REPLICAOF", "127.0.0.1", "20001")
		settle()
		if err := a.Restart(); err != nil {
			t.Fatal(err)
		}
		settle()
		say(t, w, "b", "REPLICAOF", "NO", "ONE")
		want := []string{
			fmt.Sprintf("1 %d 0→0-0 [SET k v]", Wrote), fmt.Sprintf("2 %d 0→0-0 []", Followed), fmt.Sprintf("2 %d 0→1-0 []", Replaced),
			fmt.Sprintf("2 %d 1→0-1 []", Replaced), fmt.Sprintf("2 %d 0→0-0 []", Promoted),
		}
		if !slices.Equal(seen, want) {
			t.Fatalf("seen: %q\nwant: %q", seen, want)
		}
	})
}

// TestStatus sees the same as INFO.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newModelWorld(t)
		a := begin(t, w, "a", options{})
		b := begin(t, w, "b", options{conf: map[string]string{"replicaof": "127.0.0.1 20001"}})
		settle()
		say(t, w, "a", "SET", "k", "v")
		settle()
		master, replica := a.Status(), b.Status()
		if replica.Follows != a.Addr() || !replica.LinkUp || replica.Role != "slave" || master.Role != "master" || master.Keys != 1 {
			t.Fatalf("master: %+v, replica: %+v", master, replica)
		}
		if master.ReplID != replica.ReplID || master.Offset != replica.Offset || master.RunID == replica.RunID {
			t.Fatalf("master: %+v, replica: %+v", master, replica)
		}
		b.Crash()
		if st := b.Status(); st != (Status{}) {
			t.Fatalf("crashed: %+v", st)
		}
	})
}

// TestSeeds has random ids follow from the seed and the number of the start.
func TestSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newModelWorld(t)
		s := begin(t, w, "a", options{})
		first := s.Status().RunID
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		again := begin(t, newModelWorld(t), "a", options{}).Status().RunID
		if second := s.Status().RunID; second == first || first != again {
			t.Fatalf("run ids %s, %s after a restart, %s in another world", first, second, again)
		}
	})
}

// TestBootLoads has a replica come back with its file: it refuses what it must until that is loaded, then goes on from there.
func TestBootLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newModelWorld(t)
		begin(t, w, "a", options{})
		say(t, w, "a", "SET", "k", "v")
		b := begin(t, w, "b", options{conf: map[string]string{"replicaof": "127.0.0.1 20001"}, loadsSlowly: true})
		settle()
		settle()
		if err := b.Restart(); err != nil {
			t.Fatal(err)
		}
		if got := say(t, w, "b", "GET", "k"); got != "(error) LOADING Redis is loading the dataset in memory\n" {
			t.Errorf("while it loads, GET answers %s", got)
		}
		if got := say(t, w, "b", "ROLE"); !strings.Contains(got, `"connect"`) {
			t.Errorf("while it loads, ROLE answers %s", got)
		}
		if st := b.Status(); st.LinkUp || st.Keys != 0 {
			t.Errorf("while it loads: %+v", st)
		}
		settle()
		if st := b.Status(); !st.LinkUp || st.Keys != 1 {
			t.Errorf("when it has loaded: %+v", st)
		}
		if got := say(t, w, "a", "INFO", "stats"); !strings.Contains(got, `sync_full:1\r\nsync_partial_ok:1\r\n`) {
			t.Errorf("the master says %s", got)
		}
	})
}
