package wal

import (
	"bytes"
	"math/bits"
	"path/filepath"
	"strings"
	"testing"

	"picket/consensus"
	"picket/consensus/vfs"
)

// image is a disk with one of everything, all of it durable, and how far each file is in use.
func image(t testing.TB) (w *world, used map[string]int64) {
	t.Helper()
	w = newWorld()
	script := sequence(save(1, 0, 3, 600), save(2, 0, 2, 900), take(4, 2), compact(2), vote(3), save(3, 5, 2, 50))
	if _, err := w.live(script, never); err != nil {
		t.Fatal(err)
	}
	w.fs.Kill()
	l, _, err := Open(config(w.fs))
	if err != nil {
		t.Fatal(err)
	}
	used = map[string]int64{"/data/identity": 1 << 20, l.snaps.current: 1 << 20}
	for _, s := range l.segments {
		off, ok := 0, true
		for data := w.fs.Synced(s.path); ok; {
			used[s.path] = int64(off)
			_, _, off, ok = frameAt(data, off)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return w, used
}

// TestOpen_OneFlippedBit flips a bit of each byte on the disk. Where the byte is in use, the log refuses to
// open; where it is not, nothing is lost.
func TestOpen_OneFlippedBit(t *testing.T) {
	_, used := image(t)
	for path, inUse := range used {
		t.Run(filepath.Base(path), func(t *testing.T) {
			flipEach(t, path, inUse)
		})
	}
}

func flipEach(t *testing.T, path string, inUse int64) {
	w, _ := image(t)
	for off := int64(0); off < int64(len(w.fs.Synced(path))); off++ {
		bit := uint(off) % 8
		w.fs.Flip(path, off, bit)
		l, rec, err := Open(config(w.fs))
		if err == nil {
			err = w.model.matches(l, rec)
			w.fs.Kill()
		}
		if off < inUse && err == nil {
			t.Fatalf("byte %d: the damage was not seen", off)
		}
		if err != nil && !(refused(err) && strings.Contains(err.Error(), path)) {
			t.Fatalf("byte %d: %v", off, err)
		}
		if err != nil {
			w.fs.Flip(path, off, bit)
		} else {
			w, _ = image(t) // what was opened may have been mended
		}
	}
}

// TestTorn says what a write that was cut short looks like, and what does not look like one.
func TestTorn(t *testing.T) {
	payload := bytes.Repeat([]byte{7}, 1400)
	for _, off := range []int{0, 8, 488, 496, 504} {
		blank := make([]byte, 4096)
		whole := bytes.Clone(blank)
		end := off + copy(whole[off:], appendFrame(nil, payload, 5))
		if _, _, _, ok := frameAt(whole, off); !ok {
			t.Fatalf("at %d: the frame is not whole", off)
		}
		for cut := off; cut < end; cut++ { // a process that was killed, or a full disk
			left := append(bytes.Clone(whole[:cut]), blank[cut:]...)
			if !torn(left, off, 5) || !torn(left[:cut], off, 5) {
				t.Errorf("at %d: %d bytes of a frame do not look torn", off, cut-off)
			}
		}
		for subset := range 1 << bits.Len(uint(end/sector)) { // a machine that has crashed
			left := bytes.Clone(blank)
			for s := range end/sector + 1 {
				if subset>>s&1 == 1 {
					copy(left[s*sector:(s+1)*sector], whole[s*sector:])
				}
			}
			if _, _, _, ok := frameAt(left, off); !ok && !torn(left, off, 5) {
				t.Errorf("at %d: the sectors %b of a frame do not look torn", off, subset)
			}
		}
		for i := 8 * off; i < 8*end; i += 3 { // a disk that has gone bad
			whole[i/8] ^= 1 << (i % 8)
			if _, _, _, ok := frameAt(whole, off); ok || torn(whole, off, 5) {
				t.Errorf("at %d: a frame with bit %d flipped looks torn (whole %v)", off, i-8*off, ok)
			}
			whole[i/8] ^= 1 << (i % 8)
		}
	}
}

// TestOpen_DamageThatLooksTorn: damage to a batch that has a sector of zeros in it can't be told from a tear,
// unless another one follows. The documentation says so.
func TestOpen_DamageThatLooksTorn(t *testing.T) {
	for _, isLast := range []bool{true, false} {
		fs := vfs.NewMem()
		l, _ := open(t, fs)
		zeros := consensus.Entry{Term: 1, Index: 1, Kind: consensus.EntryCommand, Data: make([]byte, 1200)}
		if err := l.Save(nil, []consensus.Entry{zeros}); err != nil {
			t.Fatal(err)
		}
		fs.Flip(l.segments[0].path, l.size-20, 0)
		if !isLast {
			if err := l.Save(nil, []consensus.Entry{entry(2, 1)}); err != nil {
				t.Fatal(err)
			}
		}
		fs.Kill()
		_, rec, err := Open(config(fs))
		if refused(err) == isLast || len(rec.Entries) > 0 {
			t.Errorf("the last batch (%v) is damaged: recovered %v, %v", isLast, rec.Entries, err)
		}
	}
}

// TestOpen_RefusesAGap: segments go from the oldest on, each durably before the next. One that is missing
// elsewhere did not go that way.
func TestOpen_RefusesAGap(t *testing.T) {
	for missing := range 3 {
		w := newWorld()
		if _, err := w.live(repeat(8, save(1, 0, 1, 700)), never); err != nil {
			t.Fatal(err)
		}
		w.fs.Kill()
		l, _ := open(t, w.fs)
		if len(l.segments) < 4 {
			t.Fatalf("%d segments", len(l.segments))
		}
		path := l.segments[missing].path
		if err := w.fs.Remove("", path); err != nil {
			t.Fatal(err)
		}
		w.fs.Kill()
		want := "does not follow"
		if missing == 0 {
			want = "the log begins at entry"
		}
		if _, _, err := Open(config(w.fs)); !refused(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing: %v", path, err)
		}
	}
}

// TestOpen_ReadErrors: a disk that can't be read is not an empty one.
func TestOpen_ReadErrors(t *testing.T) {
	for _, call := range []string{"read", "open", "size", "readdir"} {
		for path := range used(t) {
			w, _ := image(t)
			w.fs.Fail(func(_, c, name string) error {
				if c == call && (name == path || c == "readdir") {
					return vfs.ErrInjected
				}
				return nil
			})
			if _, _, err := Open(config(w.fs)); err == nil || !strings.Contains(err.Error(), vfs.ErrInjected.Error()) {
				t.Errorf("%s of %s: %v", call, path, err)
			}
			w.fs.Fail(nil)
			w.fs.Kill()
			l, rec := open(t, w.fs)
			if err := w.model.matches(l, rec); err != nil {
				t.Errorf("after %s of %s failed: %v", call, path, err)
			}
		}
	}
}

func used(t *testing.T) map[string]int64 {
	_, used := image(t)
	return used
}

// TestCompact_ForgetsWhatASnapshotReplaced: entries that a received snapshot replaced keep no segment,
// whatever their index.
func TestCompact_ForgetsWhatASnapshotReplaced(t *testing.T) {
	w := newWorld()
	script := sequence(repeat(9, save(1, 0, 1, 700)), install(5, 2, false), save(2, 0, 1, 700), compact(5))
	if _, err := w.live(script, never); err != nil {
		t.Fatal(err)
	}
	w.fs.Kill()
	if l, _ := open(t, w.fs); len(l.segments) > 2 {
		t.Errorf("%d segments are left", len(l.segments))
	}
}
