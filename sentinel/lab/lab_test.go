package lab

import (
	"context"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLab(t *testing.T) *Lab {
	t.Helper()
	if _, err := FindRedis(); err != nil {
		t.Skip(err)
	}
	l := New(t.TempDir())
	t.Cleanup(l.Close)
	return l
}

func TestRedis_KilledFrozenAndRestarted(t *testing.T) {
	l := newLab(t)
	master, err := l.StartRedis(RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replica, err := l.StartRedis(RedisOptions{ReplicaOf: master.Addr})
	if err != nil {
		t.Fatal(err)
	}
	follows := func(ctx context.Context) error { return replica.Follows(ctx, master.Addr) }
	if err := Await(5*time.Second, "the replica follows", follows); err != nil {
		t.Fatal(err)
	}
	master.Kill()
	if master.Running() {
		t.Error("the master runs after Kill")
	}
	if err := master.Signal(syscall.SIGTERM); err == nil {
		t.Error("a dead process was signalled")
	}
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	if err := Await(10*time.Second, "the replica follows again", follows); err != nil {
		t.Fatal(err)
	}
}

func TestLab_CloseEndsItsProcesses(t *testing.T) {
	l := newLab(t)
	r, err := l.StartRedis(RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if r.Running() {
		t.Error("the server outlived its lab")
	}
	if err := r.Start(); err == nil {
		t.Error("a closed lab started a process")
	}
}

func TestPort_IsReservedUntilClose(t *testing.T) {
	a := New(t.TempDir())
	defer a.Close()
	port, err := a.Port()
	if err != nil {
		t.Fatal(err)
	}
	if reservation := reserve(port); reservation != nil {
		_ = reservation.Close()
		t.Errorf("port %d was given out twice", port)
	}
	a.Close()
	reservation := reserve(port)
	if reservation == nil {
		t.Fatalf("port %d is still reserved after Close", port)
	}
	_ = reservation.Close()
}
