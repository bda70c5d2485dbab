package model

import (
	"bufio"
	"strconv"
	"testing"
)

// BenchmarkCommands is what an agent asks all the time, and what clients do, of a master with two replicas.
func BenchmarkCommands(b *testing.B) {
	for name, words := range map[string][]string{"INFO": {"INFO"}, "PING": {"PING"}, "SET": {"SET", "k", "v"}} {
		b.Run(name, func(b *testing.B) {
			w := benchWorld(b)
			conn, err := w.dial("a")
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			reader, request := bufio.NewReader(conn), appendCommand(nil, words...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				line, err := reader.ReadSlice('\n')
				if err == nil && line[0] == '$' {
					n, _ := strconv.Atoi(string(line[1 : len(line)-2])) // the model can count
					_, err = reader.Discard(n + 2)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchWorld(b *testing.B) *modelWorld {
	w := &modelWorld{network: newLoopback(), servers: map[string]*Server{}}
	b.Cleanup(func() {
		for _, s := range w.servers {
			s.Crash()
		}
	})
	conf := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		if err := w.start(name, options{conf: conf}); err != nil {
			b.Fatal(err)
		}
		conf = map[string]string{"replicaof": "127.0.0.1 20001"}
	}
	return w
}
