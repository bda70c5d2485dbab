package lab

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestNetwork_FaultsAreWhatTheySay cuts the only replica off in each direction, and tells by WAIT which of the two hosts
// still hears.
func TestNetwork_FaultsAreWhatTheySay(t *testing.T) {
	l := newLab(t)
	n, err := l.NewNetwork(3)
	if errors.Is(err, ErrNoNetwork) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	servers, err := l.startReplicated(ClusterOptions{Hosts: 2, Network: n})
	if err != nil {
		t.Fatal(err)
	}
	master, replica := servers[0], servers[1]
	for _, tt := range []struct {
		name           string
		fault          func() error
		written, acked bool // the replica has what was written, the master knows
	}{
		{"none", func() error { return nil }, true, true},
		{"the replica is unplugged", func() error { return n.Unplug(replica.Host) }, false, false},
		{"the replica is deaf", func() error { return n.Deafen(replica.Host, master.Host) }, false, false},
		{"the master is deaf", func() error { return n.Deafen(master.Host, replica.Host) }, true, false},
		{"another host is deaf", func() error { return n.Deafen(n.Hosts[2], master.Host) }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := Await(10*time.Second, "the replica is fed", func(ctx context.Context) error {
				return Replicated(ctx, servers, master.Addr)
			}); err != nil {
				t.Fatal(err)
			}
			if err := tt.fault(); err != nil {
				t.Fatal(err)
			}
			key := fmt.Sprintf("key of %q", tt.name)
			written, acked := writeThrough(t, master, replica, key)
			if written != tt.written || acked != tt.acked {
				t.Errorf("the replica has it: %t, want %t; the master knows: %t, want %t", written, tt.written, acked, tt.acked)
			}
			if err := n.Heal(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// writeThrough writes to the master and says whether the replica has it, and has told.
func writeThrough(t *testing.T, master, replica *Redis, key string) (written, acked bool) {
	t.Helper()
	to, at := master.Client(), replica.Client()
	defer to.Close()
	defer at.Close()
	pipe := to.Pipeline()
	pipe.Set(t.Context(), key, "", 0)
	wait := pipe.Do(t.Context(), "WAIT", 1, 300)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := at.Exists(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	replies, err := wait.Int()
	return n == 1, err == nil && replies == 1
}
