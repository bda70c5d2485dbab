package model

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestBacklog compares the backlog with the whole stream.
func TestBacklog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		begin := rapid.Int64Range(0, 100).Draw(t, "begin")
		b := newBacklog(size, begin)
		var stream []byte
		kept := 0
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "resize") == 0 {
				size = rapid.IntRange(1, 20).Draw(t, "size")
				b.resize(size)
			} else {
				part := rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "part")
				stream = append(stream, part...)
				b.add(part)
				kept += len(part)
			}
			kept = min(kept, size)
		}
		end := begin + int64(len(stream)) + 1
		for offset := begin - 5; offset < end+5; offset++ {
			holds := offset >= end-int64(kept) && offset <= end
			if b.holds(offset) != holds {
				t.Fatalf("holds(%d) = %v; it ends before %d and keeps %d", offset, !holds, end, kept)
			}
			if want := stream[max(0, len(stream)-int(max(0, end-offset))):]; holds && !bytes.Equal(b.from(offset), want) {
				t.Fatalf("from(%d) = %q, not %q", offset, b.from(offset), want)
			}
		}
	})
}
