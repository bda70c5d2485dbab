package scale

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/sentinel/lab"
)

// binary is picket as it is released: figures of one with the race detector say nothing.
var binary string

func TestMain(m *testing.M) {
	if setting := os.Getenv(floodEnv); setting != "" {
		if err := runFlood(setting); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(lab.WithProgram(func(program string) int {
		binary = program
		return m.Run()
	}))
}

// patience bounds every wait: generous, because the machine may be busy.
const patience = 30 * time.Second

// start runs a group of so many agents.
func start(t *testing.T, hosts int) (*lab.Lab, *lab.Cluster) {
	t.Helper()
	return startWith(t, hosts, func(*lab.ClusterOptions) {})
}

func startWith(t *testing.T, hosts int, adjust func(*lab.ClusterOptions)) (*lab.Lab, *lab.Cluster) {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		goleak.VerifyNone(t, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
	})
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	cooldown := time.Duration(0)
	opts := lab.ClusterOptions{Program: binary, Hosts: hosts, DownAfter: time.Second, Cooldown: &cooldown, LogLevel: "info"}
	adjust(&opts)
	c, err := l.StartCluster(opts)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

// quantile of measured times, by the nearest rank.
func quantile(times []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
