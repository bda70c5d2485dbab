package script

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a host on which programs run as the test says, and a diary of what happened on it.
type stage struct {
	plot func(attempt int) (time.Duration, Exit, error) // of every program: how long it takes, and how it ends
	t0   time.Time

	mu     sync.Mutex
	begun  int
	most   int // at once
	now    int // running
	killed int
	diary  []string // with seconds since t0
}

// actor is one process of the stage.
type actor struct {
	s    *stage
	pid  int
	take time.Duration
	exit Exit
	die  chan struct{}
	once sync.Once
}

func (a *actor) PID() int { return a.pid }

func (a *actor) Kill() {
	a.once.Do(func() { close(a.die) })
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.killed++
}

func (a *actor) Wait() Exit {
	exit := a.exit
	select {
	case <-time.After(a.take):
	case <-a.die:
		exit = Exit{Signal: 9}
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.now--
	return exit
}

func (s *stage) start(argv []string) (Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	take, exit, err := s.plot(s.begun)
	s.note("start " + strings.Join(argv, " "))
	if err != nil {
		return nil, err
	}
	s.now++
	s.most = max(s.most, s.now)
	return &actor{s: s, pid: 1000 + s.begun, take: take, exit: exit, die: make(chan struct{})}, nil
}

func (s *stage) report(r Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Kind {
	case Failed:
		s.note(fmt.Sprintf("failed %s %d %d", r.Path, r.Exit.Signal, r.Exit.Code))
	case TimedOut:
		s.note(fmt.Sprintf("timeout %s %d", r.Path, r.PID))
	case Dropped:
		s.note("dropped " + r.Path)
	}
}

func (s *stage) note(what string) {
	s.diary = append(s.diary, fmt.Sprintf("%.0f %s", time.Since(s.t0).Seconds(), what))
}

// run plays in virtual time: act is given the runner, which stops when act returns. It gives the stage as it then is.
func run(t *testing.T, plot func(int) (time.Duration, Exit, error), act func(*Runner, *stage)) *stage {
	t.Helper()
	var s *stage
	synctest.Test(t, func(t *testing.T) {
		s = &stage{plot: plot, t0: time.Now()}
		r := NewRunner(Config{Start: s.start, Report: s.report})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { // ended, and waited for, below
			defer close(stopped)
			r.Run(ctx)
		}()
		act(r, s)
		cancel()
		<-stopped
		if running, _ := r.Counts(); running != 0 || s.now != 0 {
			t.Errorf("%d run by the runner's count, %d in fact, although it has stopped", running, s.now)
		}
	})
	return s
}

// ends is a plot in which the attempts end so, one after the other, after a second each.
func ends(exits ...Exit) func(int) (time.Duration, Exit, error) {
	return func(attempt int) (time.Duration, Exit, error) { return time.Second, exits[attempt-1], nil }
}

func TestRunner_Attempts(t *testing.T) {
	for _, c := range []struct {
		name string
		plot func(int) (time.Duration, Exit, error)
		want []string
	}{
		{"success", ends(Exit{}), []string{"0 start s a"}},
		{"later", ends(Exit{Code: 1}, Exit{Signal: 15}, Exit{}), []string{"0 start s a", "31 start s a", "92 start s a"}},
		{"no other try", ends(Exit{Code: 2}), []string{"0 start s a", "1 failed s 0 2"}},
		{"a try, and no other", ends(Exit{Code: 1}, Exit{Code: 77}), []string{"0 start s a", "31 start s a", "32 failed s 0 77"}},
		{"no such program", func(int) (time.Duration, Exit, error) { return 0, Exit{}, fs.ErrNotExist },
			[]string{"0 start s a", "0 failed s 0 2"}},
		{"no process at first", func(attempt int) (time.Duration, Exit, error) {
			if attempt == 1 {
				return 0, Exit{}, &fs.PathError{Op: "fork/exec", Path: "s", Err: syscall.EAGAIN}
			}
			return time.Second, Exit{}, nil
		}, []string{"0 start s a", "30 start s a"}},
		{"hangs, then not", func(attempt int) (time.Duration, Exit, error) {
			if attempt == 1 {
				return 1000 * time.Hour, Exit{}, nil
			}
			return 59 * time.Second, Exit{}, nil
		}, []string{"0 start s a", "60 timeout s 1001", "90 start s a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := run(t, c.plot, func(r *Runner, _ *stage) {
				r.Add("s", "a")
				time.Sleep(time.Hour)
				if _, all := r.Counts(); all != 0 {
					t.Errorf("%d are left in the queue", all)
				}
			})
			if !slices.Equal(s.diary, c.want) {
				t.Errorf("got  %q\nwant %q", s.diary, c.want)
			}
		})
	}
}

func TestRunner_GivesUpAfterTenAttempts(t *testing.T) {
	s := run(t, func(int) (time.Duration, Exit, error) { return time.Second, Exit{Code: 1}, nil }, func(r *Runner, _ *stage) {
		r.Add("s")
		time.Sleep(24 * time.Hour)
	})
	var want []string
	at, delay := 0, 30
	for range 10 {
		want = append(want, fmt.Sprintf("%d start s", at))
		at, delay = at+1+delay, 2*delay
	}
	want = append(want, fmt.Sprintf("%d failed s 0 1", at-delay/2))
	if !slices.Equal(s.diary, want) {
		t.Errorf("got  %q\nwant %q", s.diary, want)
	}
}

func TestRunner_BoundsWhatRunsAndWhatWaits(t *testing.T) {
	const all, dropped = 300, 300 - maxJobs
	s := run(t, func(int) (time.Duration, Exit, error) { return 10 * time.Second, Exit{}, nil }, func(r *Runner, s *stage) {
		for i := range all {
			r.Add(fmt.Sprint("s", i))
			if i == maxRunning-1 {
				synctest.Wait() // so many run: the oldest that waits is the next one
			}
		}
		if running, n := r.Counts(); running != maxRunning || n != maxJobs {
			t.Errorf("%d run, %d are there, want %d and %d", running, n, maxRunning, maxJobs)
		}
		time.Sleep(time.Hour)
	})
	if s.most != maxRunning {
		t.Errorf("%d ran at once, want %d", s.most, maxRunning)
	}
	var want []string // in the order in which they came, in waves
	for i := range maxRunning {
		want = append(want, fmt.Sprintf("0 start s%d", i))
	}
	for i := range dropped {
		want = append(want, fmt.Sprintf("0 dropped s%d", maxRunning+i))
	}
	for i := maxRunning + dropped; i < all; i++ {
		want = append(want, fmt.Sprintf("%d start s%d", (i-dropped)/maxRunning*10, i))
	}
	if !slices.Equal(s.diary, want) {
		t.Errorf("got  %q\nwant %q", s.diary, want)
	}
}

func TestRunner_TellsWhatIsPending(t *testing.T) {
	plot := func(attempt int) (time.Duration, Exit, error) { // the first fails, the others take their time
		if attempt == 1 {
			return time.Second, Exit{Code: 1}, nil
		}
		return 50 * time.Second, Exit{}, nil
	}
	run(t, plot, func(r *Runner, _ *stage) {
		r.Add("fails", "x")
		time.Sleep(time.Second)
		for i := range maxRunning + 1 {
			r.Add("slow", fmt.Sprint(i))
		}
		synctest.Wait()
		time.Sleep(20 * time.Second)
		got := r.Pending()
		first, second, last := got[0], got[1], got[len(got)-1]
		for i, c := range []struct{ got, want Pending }{
			{first, Pending{Argv: []string{"fails", "x"}, For: 10 * time.Second, Attempts: 1}},
			{second, Pending{Argv: []string{"slow", "0"}, Running: true, PID: 1002, For: 20 * time.Second, Attempts: 1}},
			{last, Pending{Argv: []string{"slow", "16"}}},
		} {
			if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
				t.Errorf("%d: got %+v, want %+v", i, c.got, c.want)
			}
		}
		time.Sleep(15 * time.Second) // the first may be run again, and nothing is free
		if got := r.Pending()[0]; got.Running || got.For != 0 {
			t.Errorf("got %+v, want one that waits for no time", got)
		}
	})
}

func TestRunner_StopsWithNothingLeft(t *testing.T) {
	s := run(t, func(attempt int) (time.Duration, Exit, error) {
		return time.Duration(attempt*attempt) * 3 * time.Second, Exit{}, nil
	}, func(r *Runner, _ *stage) {
		r.Add("short")
		r.Add("long") // it need not have been started yet
	})
	if s.killed != 1 || len(s.diary) != 2 {
		t.Errorf("%d were killed, want the long one only; %q", s.killed, s.diary)
	}
}
