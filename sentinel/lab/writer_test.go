package lab

import (
	"testing"
	"time"
)

func TestLongestGap_CountsFromAnInstantToTheLastWrite(t *testing.T) {
	start := time.Unix(100, 0)
	at := func(ms ...int) []Ack {
		var acked []Ack
		for _, m := range ms {
			acked = append(acked, Ack{At: start.Add(time.Duration(m) * time.Millisecond)})
		}
		return acked
	}
	for _, tt := range []struct {
		name  string
		acked []Ack
		want  time.Duration
	}{
		{"no writes", nil, 0},
		{"all before", at(-500, -1), 0},
		{"the first one after it is late", at(-900, 70, 80), 70 * time.Millisecond},
		{"in the midst", at(-900, -1, 1, 2, 92, 93), 90 * time.Millisecond},
	} {
		if got := LongestGap(tt.acked, start); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
