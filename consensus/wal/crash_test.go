package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"picket/consensus"
	"picket/consensus/vfs"
)

// scripts are what a server does to its log. Segments hold 2,048 bytes.
var scripts = map[string][]operation{
	"saves":         repeat(4, save(1, 0, 2, 100)),
	"hard states":   sequence(vote(1), vote(2), save(3, 0, 1, 10), vote(4)),
	"overwrites":    sequence(save(1, 0, 5, 60), save(2, 3, 2, 60), save(3, 4, 3, 60), save(4, 1, 1, 60)),
	"large batches": sequence(save(1, 0, 3, 1500), save(2, 2, 8, 900), save(2, 0, 1, 1)),
	"rollover":      sequence(repeat(4, save(1, 0, 1, 700)), vote(2), repeat(3, save(2, 0, 1, 700)), save(3, 3, 2, 700)),
	"snapshots taken": sequence(save(1, 0, 3, 700), save(1, 0, 3, 700), take(5, 1), compact(3), save(2, 0, 2, 900), vote(3),
		take(8, 2), compact(8), save(3, 0, 1, 20), compact(8)),
	"a snapshot ahead of the disk": sequence(save(1, 0, 3, 200), take(5, 1), save(1, 4, 3, 200)),
	"a snapshot received, the log disagrees": sequence(save(2, 0, 11, 250), install(10, 3, false), save(3, 0, 2, 250),
		take(11, 3), compact(11), save(3, 0, 1, 900)),
	"a snapshot received, the log is short": sequence(save(1, 0, 2, 250), install(30, 2, false), save(2, 0, 2, 900), compact(30),
		save(2, 0, 2, 900)),
	"a snapshot received, the log agrees": sequence(save(1, 0, 6, 400), save(1, 0, 6, 400), install(10, 1, true), compact(10),
		save(2, 12, 2, 250)),
	"snapshots received one after the other": sequence(install(5, 1, false)[:2], install(7, 2, false), save(2, 0, 3, 100),
		install(20, 3, false), save(3, 0, 1, 100)),
}

// end is how a life of the process ends, after a call to the file system has failed.
type end struct {
	name string
	do   func(fs *vfs.Mem, rng *rand.Rand)
}

var ends = []end{
	{"kill", func(fs *vfs.Mem, _ *rand.Rand) { fs.Kill() }},
	{"crash", (*vfs.Mem).Crash},
	{"garbling crash", func(fs *vfs.Mem, rng *rand.Rand) { fs.Garble(true); fs.Crash(rng); fs.Garble(false) }},
}

// fault fails one call to the file system, or that and all that follow: the process dies there.
type fault struct {
	at    int
	dies  bool
	space int64 // bytes that the disk has; 0: enough
}

var never = fault{at: -2}

var errDied = errors.New("the process dies here")

// arm has the fault happen.
func (f fault) arm(fs *vfs.Mem) *trap {
	trap := &trap{fired: f.space > 0}
	if f.space > 0 {
		fs.Space(f.space)
	}
	calls := 0
	fs.Fail(func(string, string, string) error {
		if trap.idle {
			return nil
		}
		calls++
		switch {
		case calls == f.at+1:
			trap.fired = true
			return syscall.ENOSPC
		case calls > f.at+1 && f.dies:
			return errDied
		}
		return nil
	})
	return trap
}

// trap is a fault that waits.
type trap struct {
	fired bool
	idle  bool // the calls are the test's own
}

// world is one disk and what should be on it.
type world struct {
	fs          *vfs.Mem
	model       model
	pending     *model // what was under way when the process died
	incarnation uint64
}

func newWorld() *world { return &world{fs: vfs.NewMem(), model: newModel()} }

// live opens the log, which recovers, and does operations until one fails.
func (w *world) live(operations []operation, f fault) (fired bool, err error) {
	trap := f.arm(w.fs)
	defer w.fs.Fail(nil)
	defer w.fs.Space(-1)
	l, rec, err := Open(config(w.fs))
	if err != nil && trap.fired {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	trap.idle = true
	if err := w.check(l, rec); err != nil {
		return trap.fired, err
	}
	trap.idle = false
	for i, op := range operations {
		next := w.model.clone()
		if err := op.do(l, &next); err != nil {
			w.pending = &next
			return trap.fired, w.failed(l, trap.fired, op, fmt.Errorf("operation %d, %s: %w", i, op.name, err))
		}
		w.model = next
	}
	return trap.fired, nil
}

// failed judges an operation that failed: only for a reason, and, if it wrote to the log, for ever.
func (w *world) failed(l *Log, fired bool, op operation, err error) error {
	if !fired {
		return err
	}
	again := []error{l.Save(&consensus.HardState{Term: 99}, nil)}
	if op.apart {
		if again[0] == nil {
			w.pending.hard, w.model.hard = consensus.HardState{Term: 99}, consensus.HardState{Term: 99}
		}
		return nil
	}
	again = append(again, l.Compact(0), l.ReceiveChunk(&consensus.SnapshotChunk{}), l.InstallReceived(consensus.SnapshotMeta{}, true))
	if slices.Contains(again, nil) {
		return fmt.Errorf("a failed log takes more (%v): %w", again, err)
	}
	return nil
}

// check compares what was recovered with the model: everything that was acknowledged, and at most the
// operation under way beside it.
func (w *world) check(l *Log, rec consensus.Recovered) error {
	if w.incarnation == 0 {
		w.incarnation = rec.Incarnation
	}
	if rec.Incarnation != w.incarnation {
		return fmt.Errorf("incarnation %d became %d", w.incarnation, rec.Incarnation)
	}
	err := w.model.matches(l, rec)
	if err != nil && w.pending != nil {
		if pending := w.pending.matches(l, rec); pending != nil {
			return fmt.Errorf("neither what was acknowledged (%w) nor what was under way (%w)", err, pending)
		}
		w.model, err = *w.pending, nil
	}
	w.pending = nil
	if err != nil {
		return err
	}
	return w.tidy(rec)
}

// tidy says that nothing lies about that nobody needs.
func (w *world) tidy(rec consensus.Recovered) error {
	names, err := w.fs.ReadDir("", "/data")
	if err != nil {
		return err
	}
	for _, name := range names {
		isCurrent := rec.Snapshot.Index > 0 && name == filepath.Base((&snapshots{}).path(rec.Snapshot))
		if name != "identity" && filepath.Ext(name) != segmentSuffix && !isCurrent {
			return fmt.Errorf("%s was left behind", name)
		}
	}
	return nil
}

// recover opens the log twice with a crash between, which must make no difference, and appends with a crash
// behind it.
func (w *world) recover(rng *rand.Rand) error {
	var first consensus.Recovered
	for i := range 2 {
		l, rec, err := Open(config(w.fs))
		if err == nil {
			err = w.check(l, rec)
		}
		if err != nil {
			return fmt.Errorf("start %d: %w", i, err)
		}
		if i == 1 && !reflect.DeepEqual(rec, first) {
			return fmt.Errorf("what was recovered at first, %+v, is not there any more: %+v", first, rec)
		}
		first = rec
		w.fs.Crash(rng)
	}
	if _, err := w.live(sequence(save(w.model.hard.Term+1, 0, 2, 300)), never); err != nil {
		return fmt.Errorf("append after recovery: %w", err)
	}
	w.fs.Crash(rng)
	if _, err := w.live(nil, never); err != nil {
		return fmt.Errorf("start after an append: %w", err)
	}
	w.fs.Kill()
	return nil
}

// refused says that the log would not open because it is damaged, and the operator is told of what and where
// to read on.
func refused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "/data") && strings.Contains(err.Error(), remedy)
}

// TestLog_EveryCallFails has each call of each script fail, once or with all that follow, and the process or
// the machine stop there: what was acknowledged is recovered, and stays recovered.
func TestLog_EveryCallFails(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 0; eachEnd(t, script, at); at++ {
			}
		})
	}
}

// eachEnd says whether the script has as many calls.
func eachEnd(t *testing.T, script []operation, at int) (fired bool) {
	for _, dies := range []bool{false, true} {
		for i, end := range ends {
			for seed := range uint64(min(4, 1+3*i)) {
				w, rng := newWorld(), rand.New(rand.NewPCG(seed, uint64(at)))
				where := fmt.Sprintf("call %d (dies %v), %s %d", at, dies, end.name, seed)
				var err error
				if fired, err = w.live(script, fault{at: at, dies: dies}); err != nil {
					t.Fatalf("%s: %v", where, err)
				}
				end.do(w.fs, rng)
				if err := w.recover(rng); err != nil && (end.name != "garbling crash" || !refused(err)) {
					t.Fatalf("%s: %v", where, err)
				}
			}
		}
	}
	return fired
}

// TestLog_FullDisk runs out of space at each place in each script; there is more of it after the restart.
func TestLog_FullDisk(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			for space := int64(1); space < 10_000; space += 97 {
				w, rng := newWorld(), rand.New(rand.NewPCG(uint64(space), 1))
				_, err := w.live(script, fault{at: never.at, space: space})
				ends[space%2].do(w.fs, rng)
				if err := errors.Join(err, w.recover(rng)); err != nil {
					t.Fatalf("%d bytes: %v", space, err)
				}
			}
		})
	}
}

// TestLog_EveryCallOfRecoveryFails crashes at each call of each script, and again at each call of the
// recovery.
func TestLog_EveryCallOfRecoveryFails(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at, fired := 0, true; fired; at++ {
				for again, more := 0, true; more; again++ {
					w, rng := newWorld(), rand.New(rand.NewPCG(uint64(at), uint64(again)))
					var err, second error
					fired, err = w.live(script, fault{at: at, dies: true})
					ends[at%2].do(w.fs, rng)
					more, second = w.live(nil, fault{at: again, dies: again%2 == 0})
					ends[again/2%2].do(w.fs, rng)
					if err := errors.Join(err, second, w.recover(rng)); err != nil {
						t.Fatalf("call %d, then call %d of the recovery: %v", at, again, err)
					}
				}
			}
		})
	}
}

// TestLog_AnySequence draws scripts, faults and ends, for several lives of one disk.
func TestLog_AnySequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "crash"), 1))
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			script := rapid.SliceOfN(rapid.Custom(drawOperation), 0, 20).Draw(t, "script")
			f := fault{at: rapid.IntRange(0, 150).Draw(t, "at"), dies: rapid.Bool().Draw(t, "dies")}
			if _, err := w.live(script, f); err != nil {
				t.Fatal(err)
			}
			ends[rapid.IntRange(0, 1).Draw(t, "end")].do(w.fs, rng)
			if err := w.recover(rng); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// drawOperation draws one that suits whatever the log holds then.
func drawOperation(t *rapid.T) operation {
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	back := rapid.IntRange(0, 5).Draw(t, "back")
	n, size := rapid.IntRange(1, 5).Draw(t, "entries"), rapid.IntRange(0, 1200).Draw(t, "size")
	return operation{name: fmt.Sprint("kind ", kind), apart: kind == 0, do: func(l *Log, m *model) error {
		// A server overwrites nothing that a snapshot covers, and snapshots only move forward.
		uncovered := int(m.next() - 1 - m.snapshot.Index)
		at := m.snapshot.Index + consensus.Index(max(0, uncovered-back))
		switch {
		case kind == 0 && at > m.snapshot.Index:
			return take(at, m.entries[at].Term).do(l, m)
		case kind == 1:
			return compact(m.snapshot.Index).do(l, m)
		case kind == 2 && n == 1:
			return run(l, m, install(m.next()+consensus.Index(back), m.hard.Term+1, false))
		case kind == 2 && at > m.snapshot.Index:
			return run(l, m, install(at, m.entries[at].Term, true))
		case kind == 3:
			return vote(m.hard.Term+1).do(l, m)
		}
		return save(m.hard.Term+consensus.Term(back/4), at+1, n, size).do(l, m)
	}}
}

func run(l *Log, m *model, operations []operation) error {
	for _, op := range operations {
		if err := op.do(l, m); err != nil {
			return err
		}
	}
	return nil
}
