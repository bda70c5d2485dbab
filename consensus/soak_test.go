package consensus_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var soakCommits = flag.Int("soak.commits", 200_000, "how many commits must leave memory and disk as they were")

// usage is what three nodes hold at one moment.
type usage struct {
	commits        int64
	heap, rss, log int64 // bytes: live on the heap, resident, on disk
}

// TestCluster_MemoryAndDiskStayFlat commits and commits, on real disks and connections, with snapshots.
func TestCluster_MemoryAndDiskStayFlat(t *testing.T) {
	if racing {
		t.Skip("measures memory, which the race detector needs itself")
	}
	c := startCluster(t)
	leader := c.leader()
	var done atomic.Int64
	var proposers sync.WaitGroup
	for p := range 64 {
		proposers.Go(func() {
			for n := done.Add(1); n <= int64(*soakCommits); n = done.Add(1) {
				if _, err := leader.Propose(t.Context(), put(fmt.Sprint("key", n%1000), fmt.Sprintf("%0100d", p))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const samples = 20
	var seen []usage
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for n := int64(1); n <= samples && !t.Failed(); n++ {
		for done.Load() < n*int64(*soakCommits)/samples && !t.Failed() {
			<-poll.C
		}
		u := c.measure()
		u.commits = done.Load()
		seen = append(seen, u)
		t.Logf("%9d commits: heap %5.1f MiB, resident %6.1f MiB, disk %6.1f MiB", u.commits, mib(u.heap), mib(u.rss), mib(u.log))
	}
	proposers.Wait()
	if t.Failed() {
		return // too few samples
	}
	for name, of := range map[string]func(usage) int64{
		"heap": func(u usage) int64 { return u.heap }, "disk": func(u usage) int64 { return u.log },
	} {
		early, late := largest(seen[samples/4:samples/2], of), largest(seen[samples*3/4:], of)
		if late > 2*early {
			t.Errorf("%s grows: %.1f MiB in the second quarter of the run, %.1f in the last", name, mib(early), mib(late))
		}
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func largest(seen []usage, of func(usage) int64) (most int64) {
	for _, u := range seen {
		most = max(most, of(u))
	}
	return most
}

func (c *cluster) measure() usage {
	var u usage
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap = int64(m.HeapAlloc)
	if text, err := os.ReadFile("/proc/self/statm"); err == nil { // elsewhere it stays 0
		var size, resident int64
		if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &resident); err == nil {
			u.rss = resident * int64(os.Getpagesize())
		}
	}
	_ = filepath.WalkDir(c.dir, func(_ string, d fs.DirEntry, err error) error { // files come and go meanwhile
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			u.log += info.Size()
		}
		return nil
	})
	return u
}
