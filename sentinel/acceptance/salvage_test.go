package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/api"
	"picket/sentinel/lab"
)

// TestSalvage_KeepsWhatAWokenMasterHadWritten has a master hang with writes in its sockets, which it carries out when it wakes, and acknowledges:
// the new master never has them, and they are in a file.
func TestSalvage_KeepsWhatAWokenMasterHadWritten(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old := c.Redis[0]
	const writers = 20
	clients := make([]*redis.Client, writers)
	for i := range clients {
		clients[i] = redis.NewClient(&redis.Options{Addr: string(old.Addr), Password: lab.ClientPassword, MaxRetries: -1, ReadTimeout: patience})
		defer clients[i].Close()
		if err := clients[i].Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Freeze(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards acked
	acked := map[string]string{}
	var group sync.WaitGroup // the writers; their clients' timeouts end them
	for i, client := range clients {
		group.Go(func() {
			key, value := fmt.Sprint("queued ", i), fmt.Sprint("\"a value\"\n", i)
			if client.Set(context.Background(), key, value, 0).Err() == nil {
				mu.Lock()
				acked[key] = value
				mu.Unlock()
			}
		})
	}
	next := newMaster(t, c, old.Addr)
	if err := old.Thaw(); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	settle(t, c, next.Addr)
	if len(acked) == 0 {
		t.Fatal("the fence came before all writes")
	}

	var why api.Why
	if err := json.Unmarshal([]byte(ask(t, c.Agents[0], "why", lab.MasterName, "-o", "json")), &why); err != nil {
		t.Fatal(err)
	}
	if why.Diverged == nil || why.Diverged.Kept == "" {
		t.Fatalf("nothing was kept: %+v", why.Diverged)
	}
	_, file, _ := strings.Cut(why.Diverged.Kept, ":")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() < why.Diverged.Bytes {
		t.Errorf("%s has the mode %s and %d bytes; %d are lost", file, info.Mode(), info.Size(), why.Diverged.Bytes)
	}
	dir := filepath.Dir(filepath.Dir(file))
	if list := picket(t, 0, "salvage", "list", "--dir", dir); !strings.Contains(list, string(old.Addr)) {
		t.Errorf("the list lacks %s:\n%s", old.Addr, list)
	}
	shown := picket(t, 0, "salvage", "show", file)
	for key := range acked {
		if !strings.Contains(shown, fmt.Sprintf(`"SET" "%s"`, key)) && !strings.Contains(shown, fmt.Sprintf(`"set" "%s"`, key)) {
			t.Errorf("%q was acknowledged, and is not in the file:\n%s", key, shown)
		}
	}
	replay(t, next, picket(t, 0, "salvage", "show", file, "-o", "commands"), acked)
}

// ask asks an agent by the command line.
func ask(t *testing.T, a *lab.Agent, args ...string) string {
	t.Helper()
	return picket(t, 0, append(args, "--agent", string(a.HTTP))...)
}

// replay has redis-cli carry out what was kept, as a person would, on a master that has none of it.
func replay(t *testing.T, master *lab.Redis, commands string, want map[string]string) {
	t.Helper()
	client := master.Client()
	defer client.Close()
	for key := range want {
		if n, err := client.Exists(t.Context(), key).Result(); err != nil || n > 0 {
			t.Errorf("the new master has %q (%v)", key, err)
		}
	}
	cli := exec.CommandContext(t.Context(), "redis-cli", "-h", master.Addr.Host(), "-p", strconv.Itoa(master.Addr.Port()), "-a", lab.ClientPassword)
	cli.Stdin = strings.NewReader(commands)
	if out, err := cli.CombinedOutput(); err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	for key, value := range want {
		if got, err := client.Get(t.Context(), key).Result(); err != nil || got != value {
			t.Errorf("after the replay %q is %q (%v), want %q", key, got, err, value)
		}
	}
}
