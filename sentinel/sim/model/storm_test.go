package model

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// TestStorm does all kinds of harm to three servers at random. Whatever has happened, those that in the end follow one have its data
// and its place in its history.
func TestStorm(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { storm(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func storm(t *testing.T, random *rand.Rand) {
	w := newModelWorld(t)
	names := []string{"a", "b", "c"}
	for _, name := range names {
		begin(t, w, name, options{
			conf:        map[string]string{"repl-timeout": "5", "repl-backlog-size": "2000", "repl-ping-replica-period": "1"},
			persistence: []string{"", "rdb", "aof"}[random.IntN(3)],
		})
	}
	for range 8 {
		for range 10 {
			harm(w, random, names)
			time.Sleep(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
		}
		calm(t, w, names)
		converge(t, w, names, w.servers[names[random.IntN(len(names))]])
	}
}

// calm ends all harm but what it did to the data.
func calm(t *testing.T, w *modelWorld, names []string) {
	t.Helper()
	for _, s := range w.servers {
		s.Wake()
	}
	time.Sleep(12 * time.Second) // who was hung may have begun to shut down now, for up to ten seconds
	for _, name := range names {
		if s := w.servers[name]; !s.Running() {
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle()
	for _, name := range names {
		say(t, w, name, "FAILOVER", "ABORT")
		say(t, w, name, "CLIENT", "UNPAUSE")
		say(t, w, name, "CONFIG", "SET", "min-replicas-to-write", "0")
	}
}

// converge has everybody follow one, some of them with writes that it does not have, and compares.
func converge(t *testing.T, w *modelWorld, names []string, master *Server) {
	t.Helper()
	port := master.Addr()[len("127.0.0.1:"):]
	for _, name := range names {
		if w.servers[name] == master {
			say(t, w, name, "REPLICAOF", "NO", "ONE")
			say(t, w, name, "INCR", "last")
		}
		say(t, w, name, "RPUSH", "l", name) // some are replicas, and refuse
	}
	for _, name := range names {
		if w.servers[name] != master {
			say(t, w, name, "REPLICAOF", "127.0.0.1", port)
		}
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
	want := master.Status()
	for _, name := range names {
		s := w.servers[name]
		got := s.Status()
		if s != master && (!got.LinkUp || got.Follows != master.Addr()) {
			t.Fatalf("%s does not follow: %+v", name, got)
		}
		if got.ReplID != want.ReplID || got.Offset != want.Offset || !reflect.DeepEqual(s.Dump(0), master.Dump(0)) {
			t.Fatalf("%s has %+v %v, the master %+v %v", name, got, s.Dump(0), want, master.Dump(0))
		}
	}
}

// harm is one thing that may happen.
func harm(w *modelWorld, random *rand.Rand, names []string) {
	name := names[random.IntN(len(names))]
	s, other := w.servers[name], w.servers[names[random.IntN(len(names))]]
	port := other.Addr()[len("127.0.0.1:"):]
	key := fmt.Sprint("k", random.IntN(5))
	switch kind := random.IntN(14); kind {
	case 0:
		s.Crash()
	case 1:
		s.LosePower()
	case 2, 3, 4:
		_ = s.Start() // it may run
	case 5:
		s.Hang()
	case 6, 7:
		s.Wake()
	default:
		lines := []string{
			"REPLICAOF 127.0.0.1 " + port, "REPLICAOF NO ONE", "REPLICAOF 127.0.0.1 1", "FAILOVER TIMEOUT 2000",
			"MULTI\r\nSET " + key + " 1\r\nINCR n\r\nWAIT 1 0\r\nEXEC", "INCR n\r\nWAIT 2 1000\r\nSADD s " + key, "RPUSH l x y z",
			"SET " + key + " v PX 300", "CLIENT PAUSE 500 WRITE", "CLIENT KILL TYPE normal", "CLIENT KILL TYPE replica",
			"SHUTDOWN", "SAVE", "BGSAVE", "CONFIG REWRITE", "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0",
			"FLUSHALL", "DEL " + key + " l", "SET big REPEAT*1500", "SUBSCRIBE c", "PUBLISH c x", "PSYNC ? -1", "WATCH n\r\nGET n",
		}
		send(w, name, lines[random.IntN(len(lines))], time.Duration(random.Int64N(int64(2*time.Second))))
	}
}

// send has a client say something and go away after a while, whatever it is answered.
func send(w *modelWorld, name, lines string, stay time.Duration) {
	conn, err := w.dial(name)
	if err != nil {
		return // nobody there
	}
	_, _ = conn.Write([]byte(repeated(lines) + "\r\n")) // nor now
	time.AfterFunc(stay, func() { _ = conn.Close() })
}
