package consensus

import (
	"testing"

	"pgregory.net/rapid"
)

// TestReached compares with a slow twin: the largest value that more than half have.
func TestReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Uint64Range(0, 9), 1, 9).Draw(t, "values")
		want := uint64(0)
		for _, v := range values {
			n := 0
			for _, other := range values {
				if other >= v {
					n++
				}
			}
			if 2*n > len(values) {
				want = max(want, v)
			}
		}
		if got := reached(values); got != want {
			t.Fatalf("%v: %d, want %d", values, got, want)
		}
	})
}
