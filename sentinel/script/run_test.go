package script

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRun_TellsHowTheProgramEnded(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		code int
		said string
		err  string
	}{
		"it allows":           {"exit 0", 0, "", ""},
		"it forbids":          {"echo not now; echo really >&2; exit 3", 3, "not now really", ""},
		"a signal":            {"kill -TERM $$", 0, "", "ended by signal 15"},
		"its environment":     {`echo "$PICKET_MASTER|$1"`, 0, "m m|two words", ""},
		"it says a lot":       {"head -c 100000 /dev/zero | tr '\\0' x; exit 1", 1, strings.Repeat("x", maxOutput), ""},
		"it leaves a child":   {"sleep 1000 & echo $! > $OUT; exit 4", 4, "", ""},
		"it says what is bad": {`printf '\377\376ok'`, 0, "ok", ""},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, said, err := Run(t.Context(), []string{program(t, c.text), "two words"}, []string{"PICKET_MASTER=m m", "OUT=" + out})
			if pid, _ := os.ReadFile(out); len(pid) > 0 {
				n, _ := strconv.Atoi(strings.TrimSpace(string(pid)))
				if p, err := os.FindProcess(n); err == nil {
					_ = p.Kill()
				}
			}
			if code != c.code || said != c.said || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("code %d, said %q, error %v; want %d, %q, %q", code, said, err, c.code, c.said, c.err)
			}
		})
	}
	if _, _, err := Run(t.Context(), []string{"testdata/no-such-program"}, nil); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("a program that is missing: %v", err)
	}
}

func TestRun_KillsAllOfWhatTakesTooLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "child")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // ends with the test at the latest
		for ctx.Err() == nil {
			if text, _ := os.ReadFile(file); len(text) > 0 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, _, err := Run(ctx, []string{program(t, `sleep 1000 & echo $! > "$1.new"; mv "$1.new" "$1"; wait`), file}, nil)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "it took too long") {
		t.Errorf("error %v", err)
	}
	text, _ := os.ReadFile(file)
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !gone(child); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the program's child still runs")
		}
	}
}
