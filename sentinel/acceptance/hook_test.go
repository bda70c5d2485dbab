package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// asking has all agents ask a program before a failover and before a switchover.
func asking(t *testing.T, script string, timeout time.Duration) (dir string, adjust func(*lab.ClusterOptions)) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "hook")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncd "+dir+"\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func(o *lab.ClusterOptions) {
		o.File = append(o.File, "hooks:", "  pre-failover: "+program, "  pre-switchover: "+program, "  timeout: "+timeout.String())
	}
}

// lines of a file that a program writes; none: it is not there yet.
func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// TestHook_AVetoHolds: a program forbids what is ordered, and then a failover. It is asked again after a while, no sooner, and nobody is elected
// meanwhile; an operator may pass it over.
func TestHook_AVetoHolds(t *testing.T) {
	t.Parallel()
	dir, adjust := asking(t, `echo "$PICKET_HOOK:$PICKET_MASTER:$PICKET_FROM:$PICKET_CAUSE:$1:$2:$3:$(date +%s%N)" >> asked
echo "the backup $PICKET_HOOK runs" >&2; exit 3`, 5*time.Second)
	_, c := start(t, adjust)
	old, asked := c.Redis[0], filepath.Join(dir, "asked")
	out, err := c.Agents[0].Run(t.Context(), "switchover", lab.MasterName)
	if err == nil || !strings.Contains(err.Error(), "the backup pre-switchover runs") || !strings.Contains(err.Error(), "--ignore-hooks") {
		t.Fatalf("the switchover: %v\n%s", err, out)
	}
	old.Kill()
	vetoed := func(ctx context.Context) (p picture.Picture, err error) {
		for _, a := range c.Agents {
			if p, err = a.Status(ctx); err != nil {
				return p, err
			}
			if b := p.Masters[0].Blocker; b == nil || b.Reason != "vetoed" || !strings.Contains(b.Text, "code 3: the backup pre-failover runs") {
				return p, fmt.Errorf("%s: blocked by %+v", a.ID, b)
			}
		}
		return p, nil
	}
	var before, after picture.Picture
	for _, look := range []struct {
		what string
		runs int
		into *picture.Picture
	}{{"all agents know of the veto", 2, &before}, {"the program is asked again", 3, &after}} {
		if err := lab.Await(patience, look.what, func(ctx context.Context) (err error) {
			if n := len(lines(t, asked)); n < look.runs {
				return fmt.Errorf("it was asked %d times", n)
			}
			*look.into, err = vetoed(ctx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if before.Epoch != after.Epoch || after.Masters[0].Server.Addr != old.Addr {
		t.Errorf("in epoch %d, then %d, the master is %s", before.Epoch, after.Epoch, after.Masters[0].Server.Addr)
	}
	told := 0
	for _, e := range after.Events {
		if e.Type == state.FailoverVetoed {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the same veto was told %d times", told)
	}
	var times []int64
	for i, line := range lines(t, asked) {
		hook, cause := "pre-failover", "master-down"
		if i == 0 {
			hook, cause = "pre-switchover", "manual"
		}
		said, at := line[:strings.LastIndex(line, ":")], line[strings.LastIndex(line, ":")+1:]
		if want := strings.Join([]string{hook, lab.MasterName, string(old.Addr), cause, hook, lab.MasterName, string(old.Addr)}, ":"); said != want {
			t.Errorf("it was asked %s, want %s", said, want)
		}
		when, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, when)
	}
	if pause := time.Duration(times[2] - times[1]); pause < 4*time.Second {
		t.Errorf("it was asked again after %s", pause)
	}
	if _, err := c.Agents[1].Run(t.Context(), "failover", lab.MasterName, "--ignore-hooks"); err != nil {
		t.Fatal(err)
	}
	newMaster(t, c, old.Addr)
}

// TestHook_TheLeaderDiesWhileItAsks: the next leader asks anew. Its program takes too long, is ended, and the failover goes on.
func TestHook_TheLeaderDiesWhileItAsks(t *testing.T) {
	t.Parallel()
	dir, adjust := asking(t, `echo $PICKET_AGENT >> asked
while kill -0 $PPID 2>/dev/null; do sleep 0.05; done`, 3*time.Second)
	_, c := start(t, adjust)
	old, asked := c.Redis[0], filepath.Join(dir, "asked")
	old.Kill()
	if err := lab.Await(patience, "the program is asked", func(context.Context) error {
		if len(lines(t, asked)) == 0 {
			return errors.New("it is not")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first := lines(t, asked)[0]
	for _, a := range c.Agents {
		if a.ID == first {
			a.Kill()
		}
	}
	newMaster(t, c, old.Addr)
	if all := lines(t, asked); len(all) < 2 || all[len(all)-1] == first {
		t.Errorf("%v were asked", all)
	}
}
