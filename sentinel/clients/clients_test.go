package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/sentinel/lab"
)

// binary is picket, built with the race detector.
var binary string

func TestMain(m *testing.M) {
	os.Exit(lab.WithProgram(func(program string) int {
		binary = program
		return m.Run()
	}, "-race"))
}

// TestLibraries_FollowPicket: every library that is installed goes on writing, and none is told anything but the agents' addresses.
func TestLibraries_FollowPicket(t *testing.T) {
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	defer goleak.VerifyNone(t, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
	p := plan{picket: binary, programs: "testdata", dir: t.TempDir(), rounds: 1, alone: true}
	var told bytes.Buffer
	if err := p.run(t.Context(), &told); err != nil {
		t.Error(err)
	}
	t.Log(told.String())
	if !strings.Contains(told.String(), "| go-redis ") {
		t.Error("not even the library of this module was found")
	}
	logs, err := filepath.Glob(filepath.Join(p.dir, systems[0].dir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs (error: %v)", err)
	}
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("DATA RACE")) || bytes.Contains(text, []byte("panic:")) {
			t.Errorf("%s: a data race or a panic", filepath.Base(file))
		}
		if t.Failed() {
			t.Logf("%s (the end):\n%s", filepath.Base(file), text[max(0, len(text)-3000):])
		}
	}
}

func TestParse_ReadsOnlyAcknowledgements(t *testing.T) {
	ack, ok := parse("acked 1795984190.997010 redis-py:50\n")
	if want := time.UnixMicro(1795984190997010); !ok || ack.Key != "redis-py:50" || ack.At.Sub(want).Abs() > time.Microsecond {
		t.Errorf("got %v, %v", ack, ok)
	}
	for _, line := range []string{"", "acked", "acked x y", "READONLY You can't write against a read only replica."} {
		if ack, ok := parse(line); ok {
			t.Errorf("%q is read as %v", line, ack)
		}
	}
}

func TestTable_HasAColumnForEachSystem(t *testing.T) {
	got := table([]library{{name: "a", version: "1.2"}}, []result{
		{{"a": toll{gap: 12 * time.Millisecond, acked: 9}}, {"a": toll{gap: 50 * time.Millisecond, lost: 1, acked: 7}}},
		{{"a": toll{gap: time.Second, lost: 3, acked: 8}}, {"a": toll{gap: 2 * time.Second, acked: 6}}},
	})
	want := `| library | SENTINEL FAILOVER: Picket | SENTINEL FAILOVER: Redis Sentinel | kill -9: Picket | kill -9: Redis Sentinel |
| --- | --- | --- | --- | --- |
| a 1.2 | 12 ms, 0 of 9 lost | 1000 ms, 3 of 8 lost | 50 ms, 1 of 7 lost | 2000 ms, 0 of 6 lost |
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
